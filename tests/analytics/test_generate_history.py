"""`manage.py generate_history` (X8, X9.13, X9.34)."""

from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db.models import Q

from aiops.api.formats import parse_time
from analytics.models import OutdatedHour
from analytics.services import rollups
from federation.models import Cluster
from incidents.models import AIInsight, Anomaly, Incident, PostMortem, TimelineEvent
from incidents.states import IncidentState, PostMortemState
from runbooks.models import ApprovalRequest, RemediationPlan, Runbook
from runbooks.states import ApprovalState, PlanState
from slos.models import SLO, Status
from tests.conftest import NOON

pytestmark = pytest.mark.django_db

UNTIL = "2027-04-12T12:00:00Z"
# made at random, or from the keys that the database gives; nothing of it is shown
CHANGING = {"id", "uid", "fingerprint", "key", "actions_digest"}


def generate(**options: Any) -> str:
    out = StringIO()
    call_command("generate_history", stdout=out, **{"incidents": 100, "days": 10, "seed": 7, "until": UNTIL} | options)
    return out.getvalue()


def rows(label: str) -> list[dict[str, Any]]:
    """Keys are told relative to the first one of their column: sequences do not begin again."""
    model = apps.get_model(label)
    fields = [one for one in model._meta.concrete_fields if one.name not in CHANGING]
    found = list(model.objects.order_by("pk").values(*(one.attname for one in fields)))
    for one in fields:
        if one.is_relation:
            first = min((row[one.attname] for row in found if row[one.attname] is not None), default=0)
            for row in found:
                row[one.attname] = None if row[one.attname] is None else row[one.attname] - first
    return found


LABELS = (
    "incidents.Incident", "incidents.Anomaly", "incidents.TimelineEvent", "incidents.AIInsight", "incidents.PostMortem",
    "runbooks.RemediationPlan", "runbooks.PlanStep", "runbooks.ApprovalRequest", "llm.LLMCall", "analytics.Usage", "slos.SLO",
)  # fmt: skip


def test_same_seed_and_end_same_data() -> None:
    generate()
    first = {label: rows(label) for label in LABELS}
    for model in (ApprovalRequest, RemediationPlan, Incident, SLO, Cluster, Runbook):
        model.objects.all().delete()
    for label in ("llm.LLMCall", "analytics.Usage", "sequences.DailySequence"):
        apps.get_model(label).objects.all().delete()

    generate()

    assert all(first.values())
    for label in LABELS:
        assert rows(label) == first[label], label


def test_another_seed_is_another_history() -> None:
    generate(seed=8)
    first = rows("incidents.Incident")
    Incident.objects.all().delete()

    generate(seed=9)

    assert rows("incidents.Incident") != first


@pytest.mark.parametrize("seed", [1, 2])
def test_a_hundred_incidents_have_everything(seed: int) -> None:
    generate(seed=seed)

    assert Incident.objects.count() == 100
    assert set(Incident.objects.values_list("state", flat=True)) == set(IncidentState.values)
    assert set(ApprovalRequest.objects.values_list("state", flat=True)) == set(ApprovalState.values)
    assert ApprovalRequest.objects.filter(state=ApprovalState.PENDING, expires_at__lt=NOON).exists()
    assert set(RemediationPlan.objects.values_list("state", flat=True)) == set(PlanState.values)
    assert set(PostMortem.objects.values_list("state", flat=True)) == set(PostMortemState.values)
    assert PostMortem.objects.filter(requires_human_action=True).exists()
    used = set(RemediationPlan.objects.exclude(runbook_name="").values_list("runbook_name", flat=True))
    names = set(Runbook.objects.values_list("name", flat=True))
    assert used & names
    assert names - used
    assert set(SLO.objects.values_list("status", flat=True)) == set(Status.values)
    assert Cluster.objects.count() >= 2
    assert Incident.objects.exclude(chaos_experiment="").exists()
    analyzed = set(TimelineEvent.objects.filter(type=TimelineEvent.Type.ANALYSIS).values_list("incident_id", flat=True))
    assert sorted(AIInsight.objects.values_list("incident_id", flat=True)) == sorted(analyzed)
    assert set(RemediationPlan.objects.values_list("incident_id", flat=True)) <= analyzed
    by_hand = Incident.objects.filter(annotations__has_key="aiops.chatcli.io/manual-resolution")
    assert by_hand.exists()
    for row in by_hand:
        assert {"aiops.chatcli.io/resolved-at", "aiops.chatcli.io/resolved-by"} <= set(row.annotations)


def test_all_lies_in_the_past_days_and_the_rollups_are_right() -> None:
    generate()

    begin, end = parse_time("2027-04-02T12:00:00Z"), parse_time(UNTIL)
    for model, times in (
        (Incident, ("started_at", "detected_at", "created_at", "resolved_at", "updated_at")),
        (Anomaly, ("first_seen_at", "last_seen_at")),
        (RemediationPlan, ("created_at", "started_at", "completed_at")),
        (ApprovalRequest, ("created_at", "decided_at")),
        (PostMortem, ("created_at",)),
    ):
        outside = Q()
        for time in times:
            outside |= Q(**{f"{time}__lt": begin}) | Q(**{f"{time}__gt": end})
        assert not model.objects.filter(outside).exists(), model
    assert not OutdatedHour.objects.exists()
    assert list(rollups.differences()) == []
