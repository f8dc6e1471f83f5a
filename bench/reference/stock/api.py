"""Incidents by plain Django REST framework, the way most APIs are written: no handicap and no tricks."""

import secrets
from typing import Any

from django.db import transaction
from django.utils import timezone
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ModelViewSet

from aiops.audit.models import AuditChain, AuditEvent
from aiops.audit.records import checksum
from aiops.audit.services import link
from aiops.notifications.models import Channel, Notification, Policy
from incidents.models import AIInsight, Incident, TimelineEvent


class IncidentSerializer(serializers.ModelSerializer[Incident]):
    class Meta:
        model = Incident
        fields = "__all__"


class InsightSerializer(serializers.ModelSerializer[AIInsight]):
    class Meta:
        model = AIInsight
        fields = ("analysis", "recommendations", "confidence", "related_events")


class IncidentDetailSerializer(IncidentSerializer):
    insight = serializers.SerializerMethodField()

    def get_insight(self, incident: Incident) -> Any:
        newest = incident.insights.order_by("-attempt").first()
        return InsightSerializer(newest).data if newest else None


class TimelineEventSerializer(serializers.ModelSerializer[TimelineEvent]):
    class Meta:
        model = TimelineEvent
        fields = ("at", "type", "source", "message", "severity", "details")


class AcknowledgeSerializer(serializers.Serializer[Any]):
    acknowledgedBy = serializers.CharField(max_length=253)
    message = serializers.CharField(max_length=1024, required=False, default="")


class IncidentViewSet(ModelViewSet[Incident]):
    queryset = Incident.objects.order_by("-detected_at", "name")
    serializer_class = IncidentSerializer
    lookup_field = "name"
    lookup_value_regex = "[^/]+"
    filterset_fields = ("state", "severity", "namespace")

    def get_serializer_class(self) -> Any:
        return IncidentDetailSerializer if self.detail else IncidentSerializer

    @action(detail=True)
    def timeline(self, request: Request, name: str) -> Response:
        return Response(TimelineEventSerializer(self.get_object().timeline.order_by("at", "pk"), many=True).data)

    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, name: str) -> Response:
        body = AcknowledgeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        incident = self.get_object()
        if incident.acknowledged_at or incident.state == "Resolved":
            return Response({"detail": "It is resolved or acknowledged already"}, status=409)
        by, now = body.validated_data["acknowledgedBy"], timezone.now()
        with transaction.atomic():
            incident.acknowledged_at, incident.acknowledged_by = now, by
            incident.acknowledge_message = body.validated_data["message"]
            incident.annotations["aiops.chatcli.io/acknowledged"] = "true"
            incident.annotations["aiops.chatcli.io/acknowledged-at"] = now.isoformat()
            incident.annotations["aiops.chatcli.io/acknowledged-by"] = role_of(request)
            incident.updated_at = now
            incident.version += 1
            incident.timeline_count += 1
            incident.save()
            incident.timeline.create(at=now, type="Acknowledgement", source="api", message=f"Acknowledged by {by}")
            notify(incident, by, now)
            audit(incident, by, request, now)
        return Response(self.get_serializer(incident).data)


def role_of(request: Request) -> str:
    key: Any = request.auth
    return str(key.role)


def notify(incident: Incident, by: str, now: Any) -> None:
    if not Policy.objects.filter(enabled=True).exists():
        return
    for channel in Channel.objects.filter(enabled=True):
        Notification.objects.create(
            channel=channel, channel_name=channel.name, channel_type=channel.type, event="incident_acknowledged",
            key=f"ntf_{secrets.token_hex(20)}", subject_kind="Incident", subject_name=incident.name,
            incident_name=incident.name, subject=f"{incident.name} {incident.resource}: acknowledged",
            body=f"Acknowledged by {by}", context=IncidentSerializer(incident).data, created_at=now, due_at=now,
        )  # fmt: skip


def audit(incident: Incident, by: str, request: Request, now: Any) -> None:
    chain, _ = AuditChain.objects.select_for_update().get_or_create(number=0)
    event = AuditEvent(
        id=f"audit-{secrets.token_hex(16)}", at=now, action="incident.acknowledge", user=by, role=role_of(request),
        actor_type="user", resource_type="Incident", resource=incident.name, namespace=incident.namespace,
        correlation_id=incident.name, source_ip=request.META["REMOTE_ADDR"], chain=chain.number,
        position=chain.length + 1, previous=chain.head, user_agent=request.headers.get("User-Agent", ""),
    )  # fmt: skip
    event.checksum = checksum(event)
    event.hash = link(event)
    event.save(force_insert=True)
    chain.length, chain.head = event.position, event.hash
    chain.save()
