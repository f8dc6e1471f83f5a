from datetime import timedelta
from email import message_from_string, policy

import pytest
from standardwebhooks import Webhook

from aiops.notifications import delivery, services
from aiops.notifications.models import Channel, Notification
from incidents.models import Incident
from tests.aiops.notifications.makers import SECRET, announce, make_attachment, make_channel, make_message, make_policy
from tests.conftest import NOON
from tests.factories import make_incident
from tests.servers import Answer, http_server, smtp_server
from tests.threads import at_once, postgresql_only

pytestmark = pytest.mark.django_db


def pending(channel: Channel, **overrides) -> Notification:
    make_policy({"channels": [channel.name]})
    return announce(make_message(**overrides))[0]


def reloaded(notification: Notification) -> Notification:
    return Notification.objects.select_related("channel").get(pk=notification.pk)


class TestWebhook:
    def test_is_signed(self):
        with http_server() as server:
            notification = pending(make_channel(config={"url": server.url + "/hook"}))

            delivery.deliver(notification=notification, at=NOON)

        request = server.received[0]
        assert request.headers["webhook-id"] == notification.key
        assert request.headers["webhook-timestamp"] == str(int(NOON.timestamp()))
        signature = Webhook(SECRET).sign(notification.key, NOON, request.body.decode())
        assert request.headers["webhook-signature"] == signature
        assert request.json()["data"]["incident"] == "INC-20270412-001"
        assert reloaded(notification).state == "sent"

    def test_carries_the_file(self):
        with http_server() as server:
            notification = pending(make_channel(config={"url": server.url}), attachment=make_attachment())

            delivery.deliver(notification=notification, at=NOON)

        [attached] = server.received[0].json()["data"]["attachments"]
        assert attached == {"name": "report.html", "mediaType": "text/html", "content": "PHA+b3V0YWdl4oCmPC9wPg=="}

    def test_is_tried_again_under_the_same_id(self):
        with http_server(Answer(503), Answer(200)) as server:
            notification = pending(make_channel(config={"url": server.url}))

            delivery.sweep(at=NOON)
            first = reloaded(notification)
            delivery.sweep(at=NOON + timedelta(seconds=11))

        assert (first.state, first.attempts, first.last_error) == ("pending", 1, "the receiver answered 503")
        assert first.due_at is not None
        assert timedelta(seconds=8) <= first.due_at - NOON <= timedelta(seconds=10)
        assert reloaded(notification).state == "sent"
        assert len({request.headers["webhook-id"] for request in server.received}) == 1

    def test_is_a_dead_letter_when_refused(self):
        with http_server(Answer(400)) as server:
            notification = pending(make_channel(config={"url": server.url}))

            delivery.sweep(at=NOON)

        dead = reloaded(notification)
        assert (dead.state, dead.due_at, dead.last_error) == ("failed", None, "the receiver answered 400")

    def test_waits_as_long_as_it_is_told(self):
        with http_server(Answer(429, headers={"Retry-After": "90"})) as server:
            notification = pending(make_channel(config={"url": server.url}))

            delivery.sweep(at=NOON)

        assert reloaded(notification).due_at == NOON + timedelta(seconds=90)

    def test_is_a_dead_letter_after_eight_attempts(self):
        notification = pending(make_channel(config={"url": "http://127.0.0.1:9/"}))

        for attempt in range(8):
            delivery.sweep(at=NOON + timedelta(hours=2 * attempt))

        assert (reloaded(notification).state, reloaded(notification).attempts) == ("failed", 8)

    def test_follows_no_redirect(self):
        with http_server() as inner, http_server(Answer(307, headers={"Location": inner.url})) as server:
            notification = pending(make_channel(config={"url": server.url}))

            delivery.sweep(at=NOON)

        assert inner.received == []
        assert reloaded(notification).state == "failed"

    def test_does_not_go_to_private_addresses_unless_allowed(self, settings):
        settings.AIOPS_ALLOW_PRIVATE_ADDRESSES = False
        with http_server() as server:
            notification = pending(make_channel(config={"url": server.url.replace("http:", "https:")}))

            delivery.sweep(at=NOON)

        assert server.received == []
        assert reloaded(notification).state == "failed"


class TestSlack:
    def test_posts_the_message(self):
        with http_server() as server:
            secrets = {"url": server.url + "/services/T0/B0/secret"}
            notification = pending(make_channel(type="slack", config={"channel": "#ops"}, secrets=secrets))

            delivery.deliver(notification=notification, at=NOON)

        body = server.received[0].json()
        assert body["text"] == "[HIGH] checkout runs out of memory"
        assert body["channel"] == "#ops"
        assert body["attachments"][0]["color"] == "#FF8C00"
        assert reloaded(notification).target == "#ops"

    def test_mentions_nobody(self):
        with http_server() as server:
            channel = make_channel(type="slack", config={}, secrets={"url": server.url})
            notification = pending(channel, title="<!channel> & more")

            delivery.deliver(notification=notification, at=NOON)

        assert "&lt;!channel&gt; &amp; more" in server.received[0].json()["text"]

    def test_honors_retry_after(self):
        with http_server(Answer(429, headers={"Retry-After": "30"})) as server:
            notification = pending(make_channel(type="slack", config={}, secrets={"url": server.url}))

            delivery.sweep(at=NOON)

        assert reloaded(notification).due_at == NOON + timedelta(seconds=30)
        assert len(server.received) == 1

    def test_keeps_its_address_to_itself(self):
        secrets = {"url": "http://127.0.0.1:9/services/T0/B0/hidden"}
        notification = pending(make_channel(type="slack", config={}, secrets=secrets))

        delivery.sweep(at=NOON)

        assert "hidden" not in str(Notification.objects.filter(pk=notification.pk).values().get())


class TestEmail:
    def test_arrives(self, settings):
        with smtp_server() as server:
            settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
            settings.EMAIL_HOST, settings.EMAIL_PORT = server.host, server.port
            notification = pending(make_channel(type="email", config={"to": ["ops@example.com"]}, secrets={}))

            delivery.deliver(notification=notification, at=NOON)

        mail = message_from_string(server.messages[0])
        assert mail["Subject"] == "[HIGH] checkout runs out of memory"
        assert mail["To"] == "ops@example.com"
        assert mail["In-Reply-To"] == "<INC-20270412-001@aiops.invalid>"
        assert reloaded(notification).target == "ops@example.com"

    def test_carries_the_file(self, settings):
        with smtp_server() as server:
            settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
            settings.EMAIL_HOST, settings.EMAIL_PORT = server.host, server.port
            channel = make_channel(type="email", config={"to": ["ops@example.com"]}, secrets={})

            delivery.deliver(notification=pending(channel, attachment=make_attachment()), at=NOON)

        text, page = message_from_string(server.messages[0], policy=policy.default).iter_parts()
        assert text.get_content_type() == "text/plain"
        assert (page.get_content_type(), page.get_filename()) == ("text/html", "report.html")
        assert page.get_content() == "<p>outage…</p>"

    @pytest.mark.parametrize(("reply", "state"), [("550 no such user", "failed"), ("451 later", "pending")])
    def test_tells_refusals_from_delays(self, settings, reply, state):
        with smtp_server(lambda line: reply if line.startswith("RCPT") or line.startswith("rcpt") else None) as server:
            settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
            settings.EMAIL_HOST, settings.EMAIL_PORT = server.host, server.port
            notification = pending(make_channel(type="email", config={"to": ["ops@example.com"]}, secrets={}))

            delivery.deliver(notification=notification, at=NOON)

        assert reloaded(notification).state == state


class TestSweep:
    def test_leaves_what_is_held_or_not_due(self):
        with http_server() as server:
            notification = pending(make_channel(config={"url": server.url}))
            services.hold("INC-20270412-001", NOON + timedelta(hours=1))

            assert delivery.sweep(at=NOON) == 0
            assert delivery.sweep(at=NOON + timedelta(hours=1)) == 1

        assert reloaded(notification).state == "sent"

    def test_leaves_a_failing_channel_alone_for_the_rest(self):
        make_channel("broken", config={"url": "http://127.0.0.1:9/"})
        with http_server() as server:
            make_channel("ops", config={"url": server.url})
            make_policy({"channels": ["broken", "ops"]})
            announce(*(make_message(subject_name=f"INC-{n}", incident_name="") for n in range(3)))

            assert delivery.sweep(at=NOON) == 3

        assert Notification.objects.filter(channel_name="broken", attempts=1).count() == 1

    def test_sends_again_what_a_dead_worker_had_claimed(self):
        with http_server() as server:
            notification = pending(make_channel(config={"url": server.url}))
            Notification.objects.update(due_at=NOON + delivery.LEASE, attempts=1, version=2)

            assert delivery.sweep(at=NOON) == 0
            assert delivery.sweep(at=NOON + delivery.LEASE) == 1

        assert reloaded(notification).attempts == 2

    def test_gives_up_on_a_removed_channel(self):
        notification = pending(make_channel())
        Channel.objects.all().delete()

        delivery.sweep(at=NOON)

        assert reloaded(notification).state == "failed"

    def test_tells_the_incident(self):
        incident = make_incident()
        with http_server() as server:
            pending(make_channel(config={"url": server.url}), incident_name=incident.name, subject_name=incident.name)

            delivery.sweep(at=NOON)

        event = incident.timeline.get(type="Notification")
        assert event.details["channel"] == "ops"
        assert event.details["target"] == "127.0.0.1"
        assert Incident.objects.get(pk=incident.pk).timeline_count == 2


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
class TestRace:
    def test_of_two_workers_one_delivers(self):
        postgresql_only()
        with http_server() as server:
            notification = pending(make_channel(config={"url": server.url}))

            outcomes = at_once(6, lambda _: delivery.deliver(notification=reloaded(notification), at=NOON))

        assert sorted(map(str, outcomes)) == ["None"] * 5 + ["sent"]
        assert len(server.received) == 1


class TestWaitBefore:
    def test_grows_from_ten_seconds_to_an_hour(self):
        waits = [delivery.wait_before(attempts, None).total_seconds() for attempts in range(1, delivery.MAX_ATTEMPTS)]

        assert 8 <= waits[0] <= 10
        assert 2_880 <= waits[-1] <= 3_600
        assert waits == sorted(waits)

    def test_is_what_the_receiver_asks_for_if_that_is_longer(self):
        assert delivery.wait_before(1, 90.0) == timedelta(seconds=90)
        assert delivery.wait_before(7, 1.0) > timedelta(seconds=1)
