"""Maintenance windows (extensions X6)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rest_framework import serializers

from aiops.api.fields import (
    BooleanField,
    EnumField,
    ListField,
    MapField,
    NameField,
    NullableText,
    TextField,
    TimeField,
)
from aiops.api.operations import Sent, creation, deletion, replacement
from aiops.api.policies import PolicyViewSet
from aiops.api.serializers import Body, ObjectSerializer, Rendered, Shape
from federation import maintenance
from federation.models import MaintenanceWindow
from federation.services import windows

Method = serializers.SerializerMethodField


class MaintenanceWindowSpec(Shape):
    description = TextField()
    enabled = BooleanField()
    suppress = EnumField(MaintenanceWindow.Suppress)
    clusters = ListField(child=TextField())
    environments = ListField(child=TextField())
    tiers = ListField(child=TextField())
    namespaces = ListField(child=TextField())
    matchLabels = MapField()
    startsAt = TimeField()
    endsAt = TimeField()
    rrule = NullableText()
    timezone = TextField()


class MaintenanceWindowItem(MaintenanceWindowSpec):
    name = TextField()
    namespace = TextField()
    active = Method()
    creationTimestamp = TimeField(source="created_at")

    def get_active(self, row: MaintenanceWindow) -> bool:
        return row.enabled and maintenance.open_until(row, self.context["now"]) is not None


class MaintenanceWindowStatus(Shape):
    active = Method()
    activeUntil = Method()
    nextStart = Method()

    def get_active(self, row: MaintenanceWindow) -> bool:
        return self.get_activeUntil(row) is not None

    def get_activeUntil(self, row: MaintenanceWindow) -> datetime | None:
        return maintenance.open_until(row, self.context["now"]) if row.enabled else None

    def get_nextStart(self, row: MaintenanceWindow) -> datetime | None:
        return maintenance.next_start(row, self.context["now"]) if row.enabled else None


class MaintenanceWindowDocument(ObjectSerializer):
    KIND = MaintenanceWindow.KIND

    spec = MaintenanceWindowSpec(source="*")
    status = MaintenanceWindowStatus(source="*")


class MaintenanceWindowUpdateBody(Body):
    description = TextField(max_length=1024, required=False, default="")
    enabled = BooleanField(required=False, default=True)
    suppress = EnumField(MaintenanceWindow.Suppress, required=False, default="incidents")
    clusters = ListField(child=TextField(max_length=253), required=False, default=list)
    environments = ListField(child=TextField(max_length=32), required=False, default=list)
    tiers = ListField(child=TextField(max_length=32), required=False, default=list)
    namespaces = ListField(child=TextField(max_length=253), required=False, default=list)
    matchLabels = MapField(required=False, default=dict)
    startsAt = TimeField(required=True)
    endsAt = TimeField(required=True)
    rrule = TextField(max_length=256, required=False, default="")
    timezone = TextField(max_length=64, required=False, default="UTC")


class MaintenanceWindowBody(MaintenanceWindowUpdateBody):
    name = NameField()
    namespace = TextField(max_length=253, required=False, default="default")


class MaintenanceWindowViewSet(PolicyViewSet):
    queryset = MaintenanceWindow.objects.all()
    model = MaintenanceWindow
    document = MaintenanceWindowDocument
    item = MaintenanceWindowItem

    def render_items(self, rows: Any) -> list[Rendered]:
        return MaintenanceWindowItem.render_all(rows, now=self.now)

    def render_document(self, row: MaintenanceWindow) -> Rendered:
        return MaintenanceWindowDocument.render(row, now=self.now)

    def store(self, row: MaintenanceWindow, sent: Mapping[str, Any]) -> None:
        windows.save(window=row, actor=self.actor, at=self.now)

    def remove(self, row: MaintenanceWindow) -> None:
        windows.remove(window=row, actor=self.actor, at=self.now)

    @creation(body=MaintenanceWindowBody)
    def create(self, sent: Sent) -> MaintenanceWindow:
        window: MaintenanceWindow = self.add(sent)
        return window

    @replacement(body=MaintenanceWindowUpdateBody)
    def update(self, row: MaintenanceWindow, sent: Sent) -> MaintenanceWindow:
        window: MaintenanceWindow = self.merge(row, sent)
        return window

    @deletion()
    def destroy(self, row: MaintenanceWindow) -> None:
        self.discard(row)
