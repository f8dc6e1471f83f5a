import pytest

from aiops.audit.actor import SYSTEM
from aiops.audit.models import AuditEvent
from aiops.errors import Conflict, Invalid
from aiops.notifications import configuration
from aiops.notifications.models import Channel, Policy
from tests.aiops.notifications.makers import SECRET, make_channel, make_policy
from tests.conftest import NOON

pytestmark = pytest.mark.django_db


def saved(secrets: dict[str, str], **values) -> Channel:
    channel = Channel(**{"name": "hook", "type": "webhook", "config": {"url": "https://example.com/hook"}} | values)
    return configuration.save_channel(channel=channel, secrets=secrets, actor=SYSTEM, at=NOON)


class TestSaveChannel:
    def test_encrypts_secrets_and_audits_without_them(self):
        channel = saved({"secret": SECRET})

        assert SECRET.encode() not in bytes(channel.secrets)
        assert configuration.secrets_of(channel) == {"secret": SECRET}
        event = AuditEvent.objects.get()
        assert event.action == "notification-channel.create"
        assert SECRET not in str(event.details)

    def test_keeps_a_secret_that_is_not_typed_again(self):
        channel = saved({"secret": SECRET})

        configuration.save_channel(channel=channel, secrets={"secret": ""}, actor=SYSTEM, at=NOON)

        assert configuration.secrets_of(channel) == {"secret": SECRET}

    @pytest.mark.parametrize(
        ("secrets", "values", "member"),
        [
            ({"secret": SECRET}, {"type": "pigeon"}, "type"),
            ({"secret": SECRET}, {"config": {"url": "ftp://example.com"}}, "config.url"),
            ({"secret": "short"}, {}, "secrets.secret"),
            ({"secret": SECRET}, {"config": {"url": "https://example.com", "verify": False}}, "config.verify"),
            ({}, {"type": "slack", "config": {}}, "secrets.url"),
            ({}, {"type": "email", "config": {"to": ["nobody"]}}, "config.to"),
            ({}, {"type": "email", "config": {"to": "a@example.com"}}, "config.to"),
        ],
    )
    def test_names_the_offending_member(self, secrets, values, member):
        with pytest.raises(Invalid) as caught:
            saved(secrets, **values)

        assert list(caught.value.fields) == [member]


class TestSavePolicy:
    def test_raises_the_version(self):
        make_channel("ops")
        policy = make_policy()

        configuration.save_policy(policy=policy, actor=SYSTEM, at=NOON)

        assert Policy.objects.get().version == 2
        assert AuditEvent.objects.get().action == "notification-policy.update"

    def test_refuses_a_channel_that_does_not_exist(self):
        policy = Policy(name="all", rules=[{"channels": ["ops"]}])

        with pytest.raises(Invalid) as caught:
            configuration.save_policy(policy=policy, actor=SYSTEM, at=NOON)

        assert list(caught.value.fields) == ["rules[0].channels"]


class TestRemove:
    def test_refuses_a_channel_in_use(self):
        channel = make_channel("ops")
        make_policy()

        with pytest.raises(Conflict):
            configuration.remove(row=channel, actor=SYSTEM, at=NOON)

    def test_deletes_and_audits(self):
        configuration.remove(row=make_channel("ops"), actor=SYSTEM, at=NOON)

        assert not Channel.objects.exists()
        assert AuditEvent.objects.get().action == "notification-channel.delete"
