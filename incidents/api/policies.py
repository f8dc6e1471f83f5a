"""Escalation policies (extensions X6)."""

from collections.abc import Mapping
from typing import Any

from django.db import models

from aiops.api.fields import BooleanField, EnumField, ListField, NameField, ObjectField, TextField, TimeField
from aiops.api.operations import Sent, creation, deletion, replacement
from aiops.api.policies import PolicyViewSet
from aiops.api.serializers import Body, ObjectSerializer, Shape
from incidents.models import EscalationPolicy
from incidents.services import escalation_policies
from incidents.states import Severity


class EscalationStart(models.TextChoices):
    CREATED = "created"
    ESCALATED = "escalated"


class EscalationPolicySpec(Shape):
    enabled = BooleanField()
    defaultPolicy = BooleanField(source="is_default")
    startsOn = EnumField(EscalationStart)
    severities = ListField(child=TextField())
    namespaces = ListField(child=TextField())
    levels = ListField(child=ObjectField())


class EscalationPolicyItem(EscalationPolicySpec):
    name = TextField()
    namespace = TextField()
    creationTimestamp = TimeField(source="created_at")


class EscalationPolicyDocument(ObjectSerializer):
    KIND = EscalationPolicy.KIND

    spec = EscalationPolicySpec(source="*")


class EscalationPolicyUpdateBody(Body):
    enabled = BooleanField(required=False, default=True)
    defaultPolicy = BooleanField(required=False, default=False, source="is_default")
    startsOn = EnumField(EscalationStart, required=False, default="escalated")
    severities = ListField(child=EnumField(Severity), required=False, default=list)
    namespaces = ListField(child=TextField(max_length=253), required=False, default=list)
    levels = ListField(child=ObjectField(), required=False, default=list)


class EscalationPolicyBody(EscalationPolicyUpdateBody):
    name = NameField()
    namespace = TextField(max_length=253, required=False, default="default")
    levels = ListField(child=ObjectField())


class EscalationPolicyViewSet(PolicyViewSet):
    queryset = EscalationPolicy.objects.all()
    model = EscalationPolicy
    document = EscalationPolicyDocument
    item = EscalationPolicyItem

    def store(self, row: EscalationPolicy, sent: Mapping[str, Any]) -> None:
        escalation_policies.save(policy=row, actor=self.actor, at=self.now)

    def remove(self, row: EscalationPolicy) -> None:
        escalation_policies.remove(policy=row, actor=self.actor, at=self.now)

    @creation(body=EscalationPolicyBody)
    def create(self, sent: Sent) -> EscalationPolicy:
        policy: EscalationPolicy = self.add(sent)
        return policy

    @replacement(body=EscalationPolicyUpdateBody)
    def update(self, row: EscalationPolicy, sent: Sent) -> EscalationPolicy:
        policy: EscalationPolicy = self.merge(row, sent)
        return policy

    @deletion()
    def destroy(self, row: EscalationPolicy) -> None:
        self.discard(row)
