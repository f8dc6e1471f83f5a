import json

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from aiops.llm.models import LLMCall
from aiops.notifications import configuration
from aiops.notifications.models import Channel, Notification, Policy
from tests.aiops.notifications.makers import SECRET, announce, make_channel, make_message, make_policy
from tests.conftest import NOON

pytestmark = pytest.mark.django_db


@pytest.fixture
def console() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("ada", "ada@example.com", "not-a-real-password"))
    return client


def posted(**overrides) -> dict[str, str]:
    values = {"name": "hook", "type": "webhook", "enabled": "on", "config": json.dumps({"url": "https://example.com/"})}
    return values | {"secret_secret": SECRET, "secret_url": ""} | overrides


class TestChannels:
    def test_are_made_with_their_secret(self, console):
        answer = console.post("/console/notifications/channel/add/", posted())

        assert answer.status_code == 302, answer.content[:2000]
        assert configuration.secrets_of(Channel.objects.get()) == {"secret": SECRET}

    def test_never_show_their_secret(self, console):
        channel = make_channel()

        page = console.get(f"/console/notifications/channel/{channel.pk}/change/").content.decode()

        assert SECRET not in page

    def test_keep_their_secret_when_something_else_changes(self, console):
        channel = make_channel()

        console.post(f"/console/notifications/channel/{channel.pk}/change/", posted(name="renamed", secret_secret=""))

        channel.refresh_from_db()
        assert (channel.name, configuration.secrets_of(channel)) == ("renamed", {"secret": SECRET})

    def test_show_what_is_wrong(self, console):
        answer = console.post("/console/notifications/channel/add/", posted(config="{}"))

        assert answer.status_code == 200
        assert "An http or https address is expected" in answer.content.decode()
        assert not Channel.objects.exists()

    def test_in_use_cannot_be_deleted(self, console):
        channel = make_channel()
        make_policy()

        console.post(f"/console/notifications/channel/{channel.pk}/delete/", {"post": "yes"})

        assert Channel.objects.exists()


class TestPolicies:
    def test_are_checked(self, console):
        values = {
            "name": "all",
            "rules": '[{"channels": ["nobody"]}]',
            "max_per_hour": "10",
            "deduplication_seconds": "1",
        }

        answer = console.post("/console/notifications/policy/add/", values)

        assert "There is no channel" in answer.content.decode()
        assert not Policy.objects.exists()


class TestNotifications:
    def failed(self) -> Notification:
        make_channel()
        make_policy()
        announce(make_message())
        Notification.objects.update(state="failed", due_at=None, attempts=8)
        return Notification.objects.get()

    def test_that_failed_can_be_sent_again(self, console):
        row = self.failed()

        console.post(
            "/console/notifications/notification/", {"action": "send_again", "_selected_action": [str(row.pk)]}
        )

        assert Notification.objects.get().state == "pending"

    def test_are_only_read_by_viewers(self):
        row = self.failed()
        viewer = User.objects.create_user("vic", password="not-a-real-password", is_staff=True)
        viewer.groups.add(Group.objects.get(name="viewer"))
        client = Client()
        client.force_login(viewer)

        assert client.get("/console/notifications/notification/").status_code == 200
        client.post("/console/notifications/notification/", {"action": "send_again", "_selected_action": [str(row.pk)]})

        assert Notification.objects.get().state == "failed"


class TestLanguageModelCalls:
    def test_are_shown(self, console):
        call = LLMCall.objects.create(
            at=NOON, purpose="analysis", subject="INC-1", provider="openai", model="m", outcome="accepted"
        )

        assert console.get("/console/llm/llmcall/").status_code == 200
        assert console.get(f"/console/llm/llmcall/{call.pk}/change/").status_code == 200
