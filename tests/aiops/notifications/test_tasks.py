from datetime import UTC, datetime

import pytest

from aiops.notifications import tasks
from aiops.notifications.models import Notification
from tests.aiops.notifications.makers import announce, make_channel, make_message, make_policy
from tests.servers import http_server

pytestmark = pytest.mark.django_db


def announced_now(url: str) -> str:
    make_channel(config={"url": url})
    make_policy()
    return announce(make_message(), at=datetime.now(UTC))[0].key


class TestDeliver:
    def test_sends_the_message(self):
        with http_server() as server:
            tasks.deliver(ids=[announced_now(server.url)])

        assert Notification.objects.get().state == "sent"

    def test_ignores_a_message_that_is_gone(self):
        tasks.deliver(ids=["ntf_unknown"])


class TestSweep:
    def test_sends_what_is_due(self):
        with http_server() as server:
            announced_now(server.url)
            tasks.sweep()

        assert Notification.objects.get().state == "sent"
