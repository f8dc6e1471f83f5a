"""Endpoints that exist only here, to try every rule of the plumbing: `things` are runbooks."""

from datetime import timedelta
from typing import Any

from django.db import OperationalError
from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response

import aiops.urls
from aiops.api import fields
from aiops.api.filters import BooleanFilter, EnumFilter, FilterSet, ResourceFilter, TextFilter, time_bounds
from aiops.api.operations import (
    Accepts,
    Sent,
    command,
    creation,
    deletion,
    operation,
    replacement,
    sub_document,
)
from aiops.api.routers import Router
from aiops.api.serializers import Body, Document, Metadata, ObjectSerializer, Shape
from aiops.api.views import ApiView, Lists, Reads, ResourceViewSet
from aiops.apikeys.roles import Role
from aiops.errors import Conflict, Gone, LostRace
from runbooks.models import Runbook
from runbooks.models.runbook import Category


class ThingItem(Shape):
    name = fields.TextField()
    namespace = fields.TextField()
    category = fields.EnumField(Category)
    lastUsed = fields.TimeField(source="last_used_at", allow_null=True)
    updatedBy = fields.TextField(allow_null=True)
    age = fields.AgeField("created_at")


class ThingSpec(Shape):
    category = fields.EnumField(Category)
    maxAttempts = fields.IntegerField()
    steps = fields.ListField(child=fields.JsonField())
    trigger = fields.ObjectField(allow_null=True)


class ThingMetadata(Metadata):
    createdBy = fields.TextField()


class ThingDocument(ObjectSerializer):
    KIND = "Thing"

    metadata = ThingMetadata(source="*")
    spec = ThingSpec(source="*")


class StepBody(Body):
    name = fields.TextField(max_length=8)
    action = fields.EnumField(Category)
    timeout = fields.DurationField(above=timedelta(0), maximum=timedelta(hours=24), default=timedelta(seconds=60))


class ThingBody(Body):
    name = fields.NameField()
    description = fields.TextField(max_length=4096)
    maxAttempts = fields.IntegerField(min_value=1, max_value=10, default=3)
    automated = fields.BooleanField(default=False)
    labels = fields.MapField(required=False)
    steps = StepBody(many=True, required=False)


class NoteBody(Body):
    SYNONYMS = {"writer": "author"}

    author = fields.TextField(max_length=253)
    note = fields.TextField(required=False, max_length=16)


class StoryMetadata(Shape):
    name = fields.TextField()


class Story(Document):
    KIND = "ThingStory"

    metadata = StoryMetadata()
    lines = fields.ListField(child=fields.TextField())


@time_bounds("created_at")
class ThingFilter(FilterSet):
    category = EnumFilter(Category)
    automated = BooleanFilter()
    author = TextFilter("created_by")
    resource = ResourceFilter("category", "name")


class ThingViewSet(Lists, Reads, ResourceViewSet):
    queryset = Runbook.objects.all()
    document = ThingDocument
    item = ThingItem
    filterset_class = ThingFilter

    @creation(body=ThingBody)
    def create(self, sent: Sent) -> Runbook:
        self.require_scope(namespace="default")
        sent.pop("steps", None)
        return Runbook.objects.create(**sent, created_by=self.actor.name, created_at=self.now, updated_at=self.now)

    @replacement(body=ThingBody)
    def update(self, thing: Runbook, sent: Sent) -> Runbook:
        sent.pop("steps", None)
        if sent:
            thing.change(**sent)
        return thing

    @deletion()
    def destroy(self, thing: Runbook) -> None:
        thing.delete()

    @command(body=NoteBody)
    def note(self, thing: Runbook, sent: Sent) -> Runbook:
        thing.change(updated_by=sent["author"], times_used=thing.times_used + 1)
        return thing

    @command()
    def refuse(self, thing: Runbook, sent: Sent) -> Runbook:
        raise Conflict("It is so") if thing.automated else Gone("It was once")

    @command()
    def stumble(self, thing: Runbook, sent: Sent) -> Runbook:
        """Loses the race as often as `max_attempts` says."""
        if thing.max_attempts:
            Runbook.objects.filter(pk=thing.pk).update(max_attempts=thing.max_attempts - 1)
            raise LostRace("changed meanwhile")
        thing.change(updated_by=self.actor.name)
        return thing

    @sub_document(answer=Story)
    def story(self, thing: Runbook) -> dict[str, Any]:
        return Story.render({"metadata": {"name": thing.name}, "lines": [thing.description]})


class BoomView(ApiView):
    retry_on_storage_failure = True
    body_max = 2 * 1024 * 1024

    @operation()
    def get(self, request: Request) -> Response:
        raise RuntimeError("secret /etc/passwd SELECT")

    @operation(role=Role.OPERATOR, accepts=Accepts.JSON)
    def post(self, request: Request) -> Response:
        if request.data == ["storage"]:
            raise OperationalError("disk")
        return Response({"got": request.data})


router = Router()
router.register("things", ThingViewSet, basename="things")

things = [path("api/v1/", include([*router.urls, path("boom", BoomView.as_view())]))]

urlpatterns = [*things, *aiops.urls.urlpatterns]

handler400 = aiops.urls.handler400
handler404 = aiops.urls.handler404
handler500 = aiops.urls.handler500
