"""What planned maintenance does to signals and messages."""

from datetime import timedelta
from typing import Any

import pytest

from aiops.notifications.models import Channel, Notification, Policy
from federation.models import MaintenanceWindow
from incidents.models import Incident, SuppressedSignal
from incidents.observations import Observation
from incidents.services import correlation, suppression
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


class TestSuppressedSignals:
    def test_are_remembered_once_a_day(self):
        plan(ends_at=NOON + timedelta(days=3))
        cluster = make_cluster()
        for moment in (NOON, NOON + timedelta(minutes=1), NOON + timedelta(days=1)):
            correlation.observe(observations=[crash(cluster), crash(cluster, fingerprint="g")], at=moment)

        found = SuppressedSignal.objects.order_by("day", "fingerprint").values_list("day", "fingerprint", "why", "at")

        today, tomorrow = NOON.date(), NOON.date() + timedelta(days=1)
        assert list(found) == [
            (today, "f", "maintenance", NOON),
            (today, "g", "maintenance", NOON),
            (tomorrow, "f", "maintenance", NOON + timedelta(days=1)),
            (tomorrow, "g", "maintenance", NOON + timedelta(days=1)),
        ]

    def test_say_that_they_are_mere_information(self):
        plan()

        correlation.observe(observations=[crash(make_cluster(), informational=True)], at=NOON)

        assert SuppressedSignal.objects.get().why == "information"

    def test_are_none_where_an_incident_took_them(self):
        cluster = make_cluster()
        correlation.observe(observations=[crash(cluster)], at=NOON)
        plan()

        correlation.observe(observations=[crash(cluster, fingerprint="g", informational=True)], at=NOON)

        assert not SuppressedSignal.objects.exists()

    def test_are_forgotten(self, settings: Any):
        settings.AIOPS_SUPPRESSED_RETENTION_DAYS = 2
        plan(ends_at=NOON + timedelta(days=3))
        cluster = make_cluster()
        for days in (0, 1):
            correlation.observe(observations=[crash(cluster)], at=NOON + timedelta(days=days))

        assert suppression.forget(at=NOON + timedelta(days=2, seconds=1)) == 1
        assert SuppressedSignal.objects.get().at == NOON + timedelta(days=1)


class TestMessages:
    def test_wait_for_the_end(self):
        Channel.objects.create(name="ops", type="webhook", created_at=NOON, updated_at=NOON)
        rules = [{"name": "all", "match": {}, "channels": ["ops"]}]
        Policy.objects.create(name="all", rules=rules, created_at=NOON, updated_at=NOON)
        window = plan(suppress="notifications")

        receipt = correlation.observe(observations=[crash(make_cluster())], at=NOON)

        assert receipt.opened == 1
        assert Notification.objects.get().hold_until == window.ends_at
