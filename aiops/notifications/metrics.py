"""What `/metrics` tells about messages."""

from collections.abc import Iterator

from django.db.models import Count

from aiops.health.metrics import Gauge
from aiops.notifications.models import Notification


def measure() -> Iterator[Gauge]:
    states = Notification.objects.order_by().values_list("channel_name", "state").annotate(Count("pk"))
    rows = [((channel, state), float(number)) for channel, state, number in states]
    yield Gauge(
        "chatcli_operator_notifications_total",
        "Messages by channel and what became of them",
        ("channel", "result"),
        rows,
    )
