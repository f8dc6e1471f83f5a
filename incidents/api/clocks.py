"""The SLA clocks of an incident: what was promised, when it is due, and the times that do not count."""

from typing import Any

from aiops.api.fields import EnumField, IntegerField, NullableText, TextField, TimeField
from aiops.api.operations import Sent, command, sub_document
from aiops.api.serializers import API_VERSION, Body, Document, Rendered, Shape
from incidents.api.serializers.incidents import person
from incidents.models import Incident
from slos.models import ClockKind, ClockState
from slos.services import clocks


class ClockMetadata(Shape):
    name = TextField()
    namespace = TextField()


class SLAClockItem(Shape):
    kind = EnumField(ClockKind)
    sla = TextField(source="sla_name")
    state = EnumField(ClockState)
    allowedSeconds = IntegerField(min_value=0)
    startedAt = TimeField()
    warnAt = TimeField(allow_null=True)
    dueAt = TimeField(allow_null=True)
    breachedAt = TimeField(allow_null=True)
    endedAt = TimeField(allow_null=True)
    takenSeconds = IntegerField(allow_null=True)


class SLAPauseItem(Shape):
    reason = TextField()
    startedAt = TimeField()
    startedBy = TextField()
    endedAt = TimeField(allow_null=True)
    endedBy = NullableText()


class IncidentClocksStatus(Shape):
    clocks = SLAClockItem(many=True)
    pauses = SLAPauseItem(many=True)


class IncidentClocksDocument(Document):
    """`dueAt` is null while the clocks are paused; times that were allowed and taken are working seconds."""

    KIND = "IncidentSLAClocks"

    metadata = ClockMetadata()
    status = IncidentClocksStatus()


class PauseBody(Body):
    reason = TextField(max_length=1024)
    pausedBy = person()


class ResumeBody(Body):
    resumedBy = person()


class Clocked:
    """Actions of the incident endpoint. A snooze stops messages, not clocks: only a pause does, and it has a reason."""

    actor: Any
    now: Any

    @sub_document(answer=IncidentClocksDocument)
    def sla(self, incident: Incident) -> Rendered:
        """Its SLA clocks, and when they were paused."""
        return _document(incident)

    @command(body=PauseBody, answer=IncidentClocksDocument)
    def pause_sla(self, incident: Incident, sent: Sent) -> Rendered:
        """Stop its SLA clocks while somebody else is waited for."""
        clocks.pause(incident=incident, reason=sent["reason"], actor=self.actor.named(sent["paused_by"]), at=self.now)
        return _document(incident)

    @command(body=ResumeBody, answer=IncidentClocksDocument)
    def resume_sla(self, incident: Incident, sent: Sent) -> Rendered:
        """Let its SLA clocks run again."""
        clocks.resume(incident=incident, actor=self.actor.named(sent["resumed_by"]), at=self.now)
        return _document(incident)


def _document(incident: Incident) -> Rendered:
    return {
        "apiVersion": API_VERSION,
        "kind": IncidentClocksDocument.KIND,
        "metadata": {"name": incident.name, "namespace": incident.namespace},
        "status": {
            "clocks": SLAClockItem.render_all(incident.sla_clocks.order_by("due_at", "kind")),
            "pauses": SLAPauseItem.render_all(incident.sla_pauses.order_by("started_at", "pk")),
        },
    }
