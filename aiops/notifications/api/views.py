from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from aiops.api.filters import EnumFilter, FilterSet, TextFilter
from aiops.api.operations import Sent, creation, deletion, operation, replacement
from aiops.api.pagination import Page, total_of
from aiops.api.policies import MASK, PolicyViewSet
from aiops.api.serializers import list_document, list_of
from aiops.api.views import ApiView
from aiops.notifications import configuration
from aiops.notifications.api.serializers import (
    ChannelBody,
    ChannelDocument,
    ChannelItem,
    ChannelUpdateBody,
    DeliveryItem,
    NotificationPolicyBody,
    NotificationPolicyDocument,
    NotificationPolicyItem,
    NotificationPolicyUpdateBody,
    nested,
)
from aiops.notifications.models import Channel, Notification, Policy


class ChannelViewSet(PolicyViewSet):
    queryset = Channel.objects.all()
    model = Channel
    document = ChannelDocument
    item = ChannelItem

    def written(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in sent.items() if name != "secrets"}

    def has_secrets(self, sent: Mapping[str, Any]) -> bool:
        return bool(self._secrets(sent))

    def _secrets(self, sent: Mapping[str, Any]) -> dict[str, str]:
        return {name: value for name, value in (sent.get("secrets") or {}).items() if value != MASK}

    def store(self, row: Channel, sent: Mapping[str, Any]) -> None:
        configuration.save_channel(channel=row, secrets=self._secrets(sent), actor=self.actor, at=self.now)

    def remove(self, row: Channel) -> None:
        configuration.remove(row=row, actor=self.actor, at=self.now)

    @creation(body=ChannelBody)
    def create(self, sent: Sent) -> Channel:
        channel: Channel = self.add(sent)
        return channel

    @replacement(body=ChannelUpdateBody)
    def update(self, row: Channel, sent: Sent) -> Channel:
        channel: Channel = self.merge(row, sent)
        return channel

    @deletion()
    def destroy(self, row: Channel) -> None:
        self.discard(row)


class NotificationPolicyViewSet(PolicyViewSet):
    queryset = Policy.objects.all()
    model = Policy
    document = NotificationPolicyDocument
    item = NotificationPolicyItem

    def written(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        found = {name: value for name, value in sent.items() if name != "throttle"}
        if "rules" in found:
            found["rules"] = [nested(rule) for rule in found["rules"]]
        throttle = sent.get("throttle")
        if throttle is not None:
            window: timedelta = throttle["deduplication_window"]
            found["max_per_hour"] = throttle["max_per_hour"]
            found["deduplication_seconds"] = max(0, round(window.total_seconds()))
        elif "throttle" in sent:
            found |= {"max_per_hour": 10, "deduplication_seconds": 300}
        return found

    def store(self, row: Policy, sent: Mapping[str, Any]) -> None:
        configuration.save_policy(policy=row, actor=self.actor, at=self.now)

    def remove(self, row: Policy) -> None:
        configuration.remove(row=row, actor=self.actor, at=self.now)

    @creation(body=NotificationPolicyBody)
    def create(self, sent: Sent) -> Policy:
        policy: Policy = self.add(sent)
        return policy

    @replacement(body=NotificationPolicyUpdateBody)
    def update(self, row: Policy, sent: Sent) -> Policy:
        policy: Policy = self.merge(row, sent)
        return policy

    @deletion()
    def destroy(self, row: Policy) -> None:
        self.discard(row)


class DeliveryFilter(FilterSet):
    state = EnumFilter(Notification.State)
    channel = TextFilter("channel_name")
    incident = TextFilter("incident_name")


class NotificationsView(ApiView):
    @operation(answer=list_of("NotificationList", DeliveryItem), is_list=True, filters=DeliveryFilter)
    def get(self, request: Request) -> Response:
        """What was sent to whom, or is about to be; newest first."""
        page = Page.of(request.GET)
        everything = DeliveryFilter.apply(request.GET, Notification.objects.all())
        rows = self.scope.narrow(everything, namespace="context__namespace", cluster="context__cluster")
        total = total_of(rows)
        items = DeliveryItem.render_all(page.of_rows(rows.order_by("-created_at", "-pk"), total))
        document = list_document("NotificationList", items, total=total, page=page.number, page_size=page.size)
        return Response(document)
