from typing import Any

from rest_framework import serializers

from aiops.api.fields import BooleanField, EnumField, ListField, MapField, NameField, TextField, TimeField
from aiops.api.filters import BooleanFilter, EnumFilter, FilterSet
from aiops.api.operations import Sent, command, creation, deletion, replacement
from aiops.api.serializers import Body, ObjectSerializer, Shape
from aiops.api.views import Lists, Reads, ResourceViewSet
from aiops.apikeys.roles import Role
from aiops.errors import Conflict
from analytics.models import ReportKind, ReportSchedule
from analytics.services import schedules
from analytics.windows import SHORT, USUAL

NAMES_MAX = 20


class ScheduleSpec(Shape):
    report = EnumField(ReportKind)
    period = TextField()
    cron = TextField()
    timeZone = TextField()
    channels = ListField(child=serializers.CharField())
    cluster = TextField(allow_null=True)
    reportNamespace = TextField(allow_null=True)
    enabled = serializers.BooleanField()


class ScheduleStatus(Shape):
    nextRunAt = TimeField(source="due_at", allow_null=True)
    lastRunAt = TimeField(allow_null=True)
    lastError = TextField(allow_null=True)


class ReportScheduleDocument(ObjectSerializer):
    KIND = "ReportSchedule"

    spec = ScheduleSpec(source="*")
    status = ScheduleStatus(source="*")


class ReportScheduleItem(ScheduleSpec):
    name = TextField()
    namespace = TextField()
    nextRunAt = TimeField(source="due_at", allow_null=True)
    lastRunAt = TimeField(allow_null=True)
    lastError = TextField(allow_null=True)


class ReportScheduleUpdateBody(Body):
    """`cron` has five fields and is read in `timeZone`; what was missed is caught up once."""

    report = EnumField(ReportKind)
    period = serializers.ChoiceField(list(SHORT), default=USUAL)
    cron = TextField(max_length=100)
    timeZone = TextField(max_length=64, default="UTC")
    channels = ListField(child=TextField(max_length=253), min_length=1, max_length=NAMES_MAX)
    cluster = TextField(max_length=253, default="")
    reportNamespace = TextField(max_length=253, default="")
    labels = MapField(default=dict)
    enabled = BooleanField(default=True)


class ReportScheduleBody(ReportScheduleUpdateBody):
    name = NameField()


class ReportScheduleFilter(FilterSet):
    report = EnumFilter(ReportKind)
    enabled = BooleanFilter()


class ReportScheduleViewSet(Lists, Reads, ResourceViewSet):
    queryset = ReportSchedule.objects.all()
    document = ReportScheduleDocument
    item = ReportScheduleItem
    filterset_class = ReportScheduleFilter
    # a key sees the schedules whose reports say no more than it may see
    scope_namespace = "report_namespace"
    scope_cluster = "cluster"

    @creation(body=ReportScheduleBody)
    def create(self, sent: Sent) -> ReportSchedule:
        """Send a report by schedule."""
        self._require(sent)
        if ReportSchedule.objects.filter(name=sent["name"]).exists():
            raise Conflict("A report schedule of this name exists already")
        return schedules.save(schedule=ReportSchedule(**sent), actor=self.actor, at=self.now)

    @replacement(body=ReportScheduleUpdateBody)
    def update(self, schedule: ReportSchedule, sent: Sent) -> ReportSchedule:
        """Change it; members that are not sent stay."""
        for column, value in sent.items():
            setattr(schedule, column, value)
        self._require({"report_namespace": schedule.report_namespace, "cluster": schedule.cluster})
        return schedules.save(schedule=schedule, actor=self.actor, at=self.now)

    @deletion()
    def destroy(self, schedule: ReportSchedule) -> None:
        schedules.remove(schedule=schedule, actor=self.actor, at=self.now)

    @command(role=Role.OPERATOR)
    def send(self, schedule: ReportSchedule, sent: Sent) -> ReportSchedule:
        """Send the report now, up to this moment; the schedule stays as it is."""
        schedules.send_now(schedule=schedule, actor=self.actor, at=self.now)
        return schedule

    def _require(self, members: dict[str, Any]) -> None:
        """A report about everything is outside every scope (an empty name is in none)."""
        self.require_scope(namespace=members["report_namespace"], cluster=members["cluster"])
