from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import OuterRef, QuerySet
from rest_framework.response import Response

from aiops.api.operations import Sent, command, sub_document
from aiops.api.ordering import CodePoint
from aiops.api.pagination import Page
from aiops.api.selection import Reading
from aiops.api.serializers import API_VERSION, Rendered, Shape, list_document, list_of
from aiops.api.views import Lists, Reads, ResourceViewSet
from aiops.errors import Invalid, Missing
from aiops.nested import Nested
from aiops.statements import Slot, Statement
from analytics.api.costs import IncidentCostDocument
from analytics.services.figures import costs
from incidents.api.clocks import Clocked
from incidents.api.filters import IncidentFilter, InsightFilter, PostMortemFilter
from incidents.api.serializers import incidents as shapes
from incidents.api.serializers.insights import INSIGHT_COLUMNS, InsightDocument, InsightItem
from incidents.api.serializers.postmortems import (
    ITEM_COLUMNS,
    AcknowledgeHumanActionBody,
    FeedbackBody,
    PostMortemDocument,
    PostMortemItem,
    ReviewBody,
)
from incidents.models import AIInsight, Incident, PostMortem
from incidents.services import history, lifecycle, postmortems
from runbooks.api.serializers.remediations import PlanDocument, RemediationDocument, remediation_document
from runbooks.models import RemediationPlan
from runbooks.services import planning
from slos.services import attribution

ELSEWHERE = {  # what the document of an incident takes from other tables
    "newest_insight": Nested(
        AIInsight.objects.filter(incident=OuterRef("pk")).order_by("-attempt").values(*shapes.INSIGHT_COLUMNS)[:1]
    ),
    "burned": Nested(attribution.burned(OuterRef("pk"))),
}
INCIDENT = Reading(lambda rows: rows.values("pk", *shapes.DOCUMENT_COLUMNS, **ELSEWHERE), raw=("labels", "annotations"))
OF_OTHER = Statement(lambda: Incident.objects.filter(pk=Slot("incident")).order_by().values(**ELSEWHERE))
TIMELINE = Reading(
    lambda rows: rows.order_by("timeline__at", "timeline__pk").values(
        "pk", "name", "namespace", *(f"timeline__{column}" for column in shapes.TIMELINE_COLUMNS)
    ),
    raw=("timeline__details",),
)


class IncidentViewSet(Clocked, Lists, Reads, ResourceViewSet):
    queryset = Incident.objects.all()
    document = shapes.IncidentDocument
    item = shapes.IncidentItem
    filterset_class = IncidentFilter
    ordering = ("-detected_at", CodePoint("name"))
    columns = shapes.ITEM_COLUMNS
    raw = ("labels", "annotations")
    key = "name"
    tallied = ("incidents.Incident",)
    scope_cluster = "cluster_name"
    reading = INCIDENT
    beside = ELSEWHERE

    def render_items(self, rows: Iterable[Any]) -> list[Rendered]:
        return shapes.IncidentItem.render_all(rows, now=self.now)

    def render_document(self, row: Incident | dict[str, Any]) -> Rendered:
        found = vars(row) if isinstance(row, Incident) else row
        if "burned" not in found:  # a command answers with another incident than the addressed one
            found = OF_OTHER.first(incident=found["id"])
        newest = found["newest_insight"][0] if found["newest_insight"] else None
        burned = attribution.shown(found["burned"])
        return shapes.IncidentDocument.render(row, now=self.now, insight=newest, burned=burned)

    # people's actions

    @command(body=shapes.AcknowledgeBody)
    def acknowledge(self, incident: Incident, sent: Sent) -> Incident:
        """Say that somebody takes care; escalation stops."""
        actor = self.actor.named(sent["acknowledged_by"])
        return lifecycle.acknowledge(incident=incident, message=sent.get("message", ""), actor=actor, at=self.now)

    @command(body=shapes.SnoozeBody)
    def snooze(self, incident: Incident, sent: Sent) -> Incident:
        """Send nothing about it for a while."""
        actor = self.actor.named(sent["snoozed_by"])
        return lifecycle.snooze(
            incident=incident, duration=sent["duration"], reason=sent["reason"], actor=actor, at=self.now
        )

    @command()
    def unsnooze(self, incident: Incident, sent: Sent) -> Incident:
        """End the snooze."""
        return lifecycle.unsnooze(incident=incident, actor=self.actor, at=self.now)

    @command(body=shapes.ResolveBody)
    def resolve(self, incident: Incident, sent: Sent) -> Incident:
        """Close it by hand."""
        return lifecycle.resolve(
            incident=incident, resolution=sent.get("resolution", ""), actor=self.actor, at=self.now
        )

    @command(body=shapes.CommentBody, status=201, refusals=(404,))
    def comment(self, incident: Incident, sent: Sent) -> Incident:
        """Add to the timeline."""
        actor = self.actor.named(sent["author"])
        return lifecycle.comment(incident=incident, message=sent["message"], actor=actor, at=self.now)

    @command(body=shapes.AssignBody)
    def assign(self, incident: Incident, sent: Sent) -> Incident:
        """Put a team or person in charge; null for nobody."""
        actor = self.actor.named(sent["assigned_by"])
        return lifecycle.assign(incident=incident, assigned_to=sent["assigned_to"] or "", actor=actor, at=self.now)

    @command(body=shapes.MergeBody)
    def merge(self, incident: Incident, sent: Sent) -> Incident:
        """Close it as part of another one, which takes over its anomalies and is answered."""
        into = self.get_queryset().filter(name=sent["into"]).first()
        if into is None:
            raise Invalid("Unknown incident", fields={"into": ["There is no incident of this name."]})
        return lifecycle.merge(
            incident=incident, into=into, reason=sent.get("reason", ""), actor=self.actor, at=self.now
        )

    @command(body=shapes.RemediateBody, answer=PlanDocument, status=201, calls_outside=True)
    def remediate(self, incident: Incident, sent: Sent) -> Response:
        """Start a runbook on it; policy, approval and safety envelope apply as to any plan."""
        plan = planning.remediate(
            incident=incident,
            runbook_name=sent["runbook"],
            requested_by=sent["requested_by"],
            actor=self.actor.named(sent["requested_by"]),
            at=self.now,
        )
        row = RemediationPlan.objects.select_related("incident").prefetch_related("steps").get(pk=plan.pk)
        return Response(PlanDocument.render(row), status=201, headers=self.etag(row))

    # what belongs to it

    @sub_document(answer=shapes.TimelineDocument, reading=TIMELINE)
    def timeline(self, rows: Sequence[dict[str, Any]]) -> Rendered:
        """Its story, oldest event first."""
        # an incident without events is one row without one
        events = shapes.TimelineEntry.render_all(row for row in rows if row["timeline__at"] is not None)
        metadata = {"name": rows[0]["name"], "namespace": rows[0]["namespace"], "eventCount": len(events)}
        return {
            "apiVersion": API_VERSION,
            "kind": shapes.TimelineDocument.KIND,
            "metadata": metadata,
            "events": events,
        }

    @sub_document(answer=RemediationDocument)
    def remediation(self, incident: Incident) -> Rendered:
        """Its newest remediation attempt."""
        plans = RemediationPlan.objects.filter(incident=incident).order_by("-attempt")
        plan = plans.select_related("incident", "runbook", "approval").prefetch_related("steps").first()
        if plan is None:
            raise Missing("There is no remediation of this incident yet")
        return remediation_document(plan)

    @sub_document(answer=IncidentCostDocument)
    def cost(self, incident: Incident) -> Rendered:
        """What it has cost so far."""
        bill = costs.cost_of(incident=incident, at=self.now)
        metadata = {"name": incident.name, "namespace": incident.namespace, "generatedAt": self.now}
        return IncidentCostDocument.render({"metadata": metadata, "cost": bill})

    @sub_document(answer=list_of("AnomalyList", shapes.AnomalyItem), is_list=True)
    def anomalies(self, incident: Incident) -> Rendered:
        """The signals behind it."""
        rows = incident.anomalies.order_by("first_seen_at", "pk")
        return self._page("AnomalyList", shapes.AnomalyItem, rows, shapes.ANOMALY_COLUMNS)

    @sub_document(answer=list_of("DecisionList", shapes.DecisionItem), is_list=True)
    def decisions(self, incident: Incident) -> Rendered:
        """Why the platform did what it did, oldest first."""
        rows = incident.decisions.order_by("at", "pk")
        return self._page("DecisionList", shapes.DecisionItem, rows, shapes.DECISION_COLUMNS)

    @sub_document(answer=shapes.SimilarIncidents)
    def similar(self, incident: Incident) -> Rendered:
        """At most ten earlier incidents like it, best first, and what resolved them."""
        found = history.similar(incident, self.get_queryset())
        items = [
            shapes.SimilarIncidentItem.render({**row.__dict__, "similarity": score}, now=self.now)
            for row, score in found
        ]
        return list_document("IncidentList", items, total=len(items), page=1, page_size=history.LIMIT)

    def _page(self, kind: str, item: type[Shape], rows: QuerySet[Any], columns: Iterable[str]) -> Rendered:
        page = Page.of(self.request.GET, size=self.page_size, maximum=self.page_size_max)
        total = rows.order_by().count()
        items = item.render_all(page.of_rows(rows, total).values(*columns))
        return list_document(kind, items, total=total, page=page.number, page_size=page.size)


class PostMortemViewSet(Lists, Reads, ResourceViewSet):
    queryset = PostMortem.objects.select_related("incident")
    document = PostMortemDocument
    item = PostMortemItem
    filterset_class = PostMortemFilter
    ordering = ("-created_at", CodePoint("name"))
    columns = ITEM_COLUMNS
    tallied = ("incidents.PostMortem", "incidents.Incident")
    scope_cluster = "incident__cluster_name"

    def render_items(self, rows: Iterable[Any]) -> list[Rendered]:
        return PostMortemItem.render_all(rows, now=self.now)

    def render_document(self, row: PostMortem) -> Rendered:
        return PostMortemDocument.render(row, now=self.now)

    @command(body=ReviewBody)
    def review(self, postmortem: PostMortem, sent: Sent) -> PostMortem:
        """Begin or continue the review."""
        return postmortems.review(postmortem=postmortem, actor=self.actor, at=self.now, **sent)

    @command(body=ReviewBody)
    def close(self, postmortem: PostMortem, sent: Sent) -> PostMortem:
        """Close it for good."""
        return postmortems.close(postmortem=postmortem, actor=self.actor, at=self.now, **sent)

    @command(body=FeedbackBody)
    def feedback(self, postmortem: PostMortem, sent: Sent) -> PostMortem:
        """Say how good the analysis and the repair were."""
        actor = self.actor.named(sent.pop("provided_by"))
        return postmortems.feedback(postmortem=postmortem, actor=actor, at=self.now, **sent)

    @command(body=AcknowledgeHumanActionBody, path="ack-human-action")
    def ack_human_action(self, postmortem: PostMortem, sent: Sent) -> PostMortem:
        """Confirm that a person did what was required."""
        return postmortems.acknowledge_human_action(postmortem=postmortem, actor=self.actor, at=self.now, **sent)


class InsightViewSet(Lists, Reads, ResourceViewSet):
    queryset = AIInsight.objects.select_related("incident")
    document = InsightDocument
    item = InsightItem
    filterset_class = InsightFilter
    ordering = ("-generated_at", CodePoint("name"))
    columns = INSIGHT_COLUMNS
    raw = ("recommendations",)
    tallied = ("incidents.AIInsight", "incidents.Incident")
    scope_cluster = "incident__cluster_name"
