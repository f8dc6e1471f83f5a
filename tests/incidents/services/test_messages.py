"""What a snooze does to the messages about an incident (INC-7)."""

from datetime import timedelta

import pytest

from aiops.audit.models import AuditEvent
from aiops.errors import LostRace
from aiops.notifications import delivery
from aiops.notifications.models import Notification
from incidents.models import Incident
from incidents.services import lifecycle
from tests.aiops.notifications.makers import make_channel, make_policy
from tests.conftest import NOON
from tests.factories import make_incident
from tests.incidents.actors import PERSON
from tests.servers import HttpServer, http_server
from tests.threads import at_once, postgresql_only

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def server():
    with http_server() as server:
        make_channel(config={"url": server.url})
        make_policy()
        yield server


def events(server: HttpServer) -> list[str]:
    return [request.json()["type"] for request in server.received]


class TestSnooze:
    def test_keeps_messages_back_until_it_is_over(self, server):
        incident = make_incident(state="Analyzing")
        lifecycle.snooze(incident=incident, duration=HOUR, reason="known", actor=PERSON, at=NOON)
        lifecycle.escalate(incident=incident, reason="no way forward", at=NOON)

        delivery.sweep(at=NOON + HOUR - timedelta(seconds=1))
        early = events(server)
        delivery.sweep(at=NOON + HOUR)

        assert (early, events(server)) == ([], ["incident.escalated"])

    def test_holds_what_was_announced_before(self, server):
        incident = make_incident(state="Analyzing")
        lifecycle.escalate(incident=incident, reason="no way forward", at=NOON)
        lifecycle.snooze(incident=incident, duration=HOUR, reason="known", actor=PERSON, at=NOON)

        assert delivery.sweep(at=NOON) == 0

    def test_lets_go_when_it_ends_early(self, server):
        incident = make_incident(state="Analyzing")
        lifecycle.escalate(incident=incident, reason="no way forward", at=NOON)
        lifecycle.snooze(incident=incident, duration=HOUR, reason="known", actor=PERSON, at=NOON)
        lifecycle.unsnooze(incident=incident, actor=PERSON, at=NOON + HOUR / 2)

        assert delivery.sweep(at=NOON + HOUR / 2) == 1

    def test_of_an_incident_that_ends_leaves_only_the_end_to_tell(self, server):
        incident = make_incident(state="Analyzing")
        lifecycle.snooze(incident=incident, duration=HOUR, reason="known", actor=PERSON, at=NOON)
        lifecycle.escalate(incident=incident, reason="no way forward", at=NOON)
        lifecycle.resolve(incident=incident, resolution="fixed", actor=PERSON, at=NOON)

        delivery.sweep(at=NOON + HOUR)

        assert events(server) == ["incident.resolved"]


class TestSentMessages:
    def test_stand_in_the_timeline_and_the_audit_log(self, server):
        incident = make_incident(state="Analyzing")
        lifecycle.escalate(incident=incident, reason="no way forward", at=NOON)

        delivery.sweep(at=NOON)

        assert incident.timeline.get(type="Notification").details["event"] == "incident_escalated"
        assert AuditEvent.objects.get(event_type="notification_sent").correlation_id == incident.name
        assert Incident.objects.get(pk=incident.pk).timeline_count == incident.timeline.count()
        assert Notification.objects.get().target == "127.0.0.1"


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
class TestRace:
    def test_delivery_and_snooze_do_not_block_each_other(self, server):
        postgresql_only()
        incidents = [make_incident(state="Analyzing") for _ in range(6)]
        for incident in incidents:
            lifecycle.escalate(incident=incident, reason="no way forward", at=NOON)

        def work(number: int) -> object:
            if number % 2:
                return delivery.sweep(at=NOON)
            incident = Incident.objects.get(pk=incidents[number // 2].pk)
            return lifecycle.snooze(incident=incident, duration=HOUR, reason="known", actor=PERSON, at=NOON)

        outcomes = at_once(8, work)

        failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        assert all(isinstance(failure, LostRace) for failure in failures)
        ids = [request.headers["webhook-id"] for request in server.received]
        assert len(ids) == len(set(ids))
