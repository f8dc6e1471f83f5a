"""Approval policies (extensions X6)."""

from collections.abc import Mapping
from typing import Any

from django.db import models

from aiops.api.fields import (
    BooleanField,
    EnumField,
    IntegerField,
    ListField,
    NameField,
    ObjectField,
    TextField,
    TimeField,
)
from aiops.api.operations import Sent, creation, deletion, replacement
from aiops.api.ordering import CodePoint
from aiops.api.policies import PolicyViewSet
from aiops.api.serializers import Body, ObjectSerializer, Shape
from runbooks.models import ApprovalPolicy
from runbooks.services import governance


class ApprovalDefaultMode(models.TextChoices):
    AUTO = "auto"
    MANUAL = "manual"
    QUORUM = "quorum"
    BLOCK = "block"


class ApprovalPolicySpec(Shape):
    enabled = BooleanField()
    priority = IntegerField()
    defaultMode = EnumField(ApprovalDefaultMode)
    forbidSelfApproval = BooleanField()
    rules = ListField(child=ObjectField())


class ApprovalPolicyItem(ApprovalPolicySpec):
    name = TextField()
    namespace = TextField()
    creationTimestamp = TimeField(source="created_at")


class ApprovalPolicyDocument(ObjectSerializer):
    KIND = ApprovalPolicy.KIND

    spec = ApprovalPolicySpec(source="*")


class ApprovalPolicyUpdateBody(Body):
    enabled = BooleanField(required=False, default=True)
    priority = IntegerField(required=False, default=0, min_value=-1_000_000, max_value=1_000_000)
    defaultMode = EnumField(ApprovalDefaultMode, required=False, default="manual")
    forbidSelfApproval = BooleanField(required=False, default=True)
    rules = ListField(child=ObjectField(), required=False, default=list, max_length=100)


class ApprovalPolicyBody(ApprovalPolicyUpdateBody):
    name = NameField()
    namespace = TextField(max_length=253, required=False, default="default")


class ApprovalPolicyViewSet(PolicyViewSet):
    queryset = ApprovalPolicy.objects.all()
    model = ApprovalPolicy
    document = ApprovalPolicyDocument
    item = ApprovalPolicyItem
    ordering = ("-priority", CodePoint("name"))

    def store(self, row: ApprovalPolicy, sent: Mapping[str, Any]) -> None:
        governance.save_policy(policy=row, actor=self.actor, at=self.now)

    def remove(self, row: ApprovalPolicy) -> None:
        governance.delete_policy(policy=row, actor=self.actor, at=self.now)

    @creation(body=ApprovalPolicyBody)
    def create(self, sent: Sent) -> ApprovalPolicy:
        policy: ApprovalPolicy = self.add(sent)
        return policy

    @replacement(body=ApprovalPolicyUpdateBody)
    def update(self, row: ApprovalPolicy, sent: Sent) -> ApprovalPolicy:
        policy: ApprovalPolicy = self.merge(row, sent)
        return policy

    @deletion()
    def destroy(self, row: ApprovalPolicy) -> None:
        self.discard(row)
