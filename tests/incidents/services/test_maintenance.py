"""What planned maintenance does to signals and messages."""

from datetime import timedelta
from typing import Any

import pytest

from aiops.notifications.models import Channel, Notification, Policy
from federation.models import MaintenanceWindow
from incidents.models import Incident
from incidents.observations import Observation
from incidents.services import correlation
from incidents.states import Severity, Source
from tests.conftest import NOON
from tests.factories import make_cluster

pytestmark = pytest.mark.django_db


def plan(**columns: Any) -> MaintenanceWindow:
    values = {
        "name": "w",
        "starts_at": NOON,
        "ends_at": NOON + timedelta(hours=1),
        "created_at": NOON,
        "updated_at": NOON,
    }
    return MaintenanceWindow.objects.create(**values | columns)


def crash(cluster, **members: Any) -> Observation:
    values: dict[str, Any] = {
        "origin": "k8s-watcher", "source": Source.WATCHER, "signal_type": "crashloop_backoff", "fingerprint": "f",
        "kind": "Deployment", "name": "cart", "namespace": "shop", "cluster": cluster, "severity": Severity.HIGH,
    }  # fmt: skip
    return Observation(**values | members)


class TestIncidents:
    def test_are_not_opened_meanwhile(self):
        plan(namespaces=["shop"])
        cluster = make_cluster()

        receipt = correlation.observe(observations=[crash(cluster)], at=NOON)

        assert (receipt.received, receipt.suppressed, receipt.opened) == (1, 1, 0)

    def test_are_opened_when_it_is_over(self):
        plan()
        cluster = make_cluster()
        correlation.observe(observations=[crash(cluster)], at=NOON)

        receipt = correlation.observe(observations=[crash(cluster)], at=NOON + timedelta(hours=1))

        assert receipt.opened == 1

    def test_elsewhere_are_opened(self):
        plan(clusters=["another"])

        assert correlation.observe(observations=[crash(make_cluster())], at=NOON).opened == 1

    def test_that_are_open_take_further_signals(self):
        cluster = make_cluster()
        correlation.observe(observations=[crash(cluster)], at=NOON - timedelta(minutes=1))
        plan()

        receipt = correlation.observe(observations=[crash(cluster, fingerprint="g")], at=NOON)

        assert (receipt.updated, Incident.objects.count()) == (1, 1)


class TestMessages:
    def test_wait_for_the_end(self):
        Channel.objects.create(name="ops", type="webhook", created_at=NOON, updated_at=NOON)
        rules = [{"name": "all", "match": {}, "channels": ["ops"]}]
        Policy.objects.create(name="all", rules=rules, created_at=NOON, updated_at=NOON)
        window = plan(suppress="notifications")

        receipt = correlation.observe(observations=[crash(make_cluster())], at=NOON)

        assert receipt.opened == 1
        assert Notification.objects.get().hold_until == window.ends_at
