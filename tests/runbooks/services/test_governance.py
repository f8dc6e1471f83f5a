import pytest

from aiops.audit.actor import Actor, ActorKind
from aiops.audit.models import AuditEvent
from aiops.errors import Conflict, Invalid, LostRace
from federation.models import Cluster
from runbooks.models import ApprovalPolicy, AutomationSwitch
from runbooks.services import governance
from tests.conftest import NOON
from tests.factories import make_cluster

pytestmark = pytest.mark.django_db
ADMIN = Actor(kind=ActorKind.USER, name="ada@example.com", role="admin")


def save(policy: ApprovalPolicy) -> ApprovalPolicy:
    return governance.save_policy(policy=policy, actor=ADMIN, at=NOON)


class TestSavePolicy:
    def test_a_new_one(self) -> None:
        save(ApprovalPolicy(name="prod", rules=[{"name": "all"}]))

        event = AuditEvent.objects.get()
        assert (event.action, event.resource_type, event.resource) == ("approval-policy.create", "Config", "prod")

    def test_a_changed_one(self) -> None:
        policy = save(ApprovalPolicy(name="prod"))
        policy.priority = 5

        save(policy)

        policy.refresh_from_db()
        assert (policy.priority, policy.version) == (5, 2)
        assert set(AuditEvent.objects.values_list("action", flat=True)) == {
            "approval-policy.create",
            "approval-policy.update",
        }

    def test_refuses_a_taken_name(self) -> None:
        save(ApprovalPolicy(name="prod"))

        with pytest.raises(Conflict):
            save(ApprovalPolicy(name="prod"))

    @pytest.mark.parametrize("change", [{"rules": [{}]}, {"default_mode": "sometimes"}])
    def test_refuses_what_cannot_be_understood(self, change: dict[str, object]) -> None:
        with pytest.raises(Invalid) as caught:
            save(ApprovalPolicy(name="prod", **change))

        assert set(caught.value.fields) == set(change)


def test_deleting_a_policy_is_audited() -> None:
    policy = save(ApprovalPolicy(name="prod"))

    governance.delete_policy(policy=policy, actor=ADMIN, at=NOON)

    assert AuditEvent.objects.filter(action="approval-policy.delete", resource="prod").exists()


def test_of_two_who_remove_a_cluster_the_second_is_too_late() -> None:
    cluster = make_cluster()
    same = Cluster.objects.get()
    governance.remove_cluster(cluster=cluster, force=False, actor=ADMIN, at=NOON)

    with pytest.raises(LostRace):
        governance.remove_cluster(cluster=same, force=False, actor=ADMIN, at=NOON)


class TestSwitch:
    def test_one_per_cluster_and_one_for_all(self) -> None:
        cluster = make_cluster()
        for where in (None, cluster, None, cluster):
            governance.switch(cluster=where, stopped=True, reason="freeze", actor=ADMIN, at=NOON)

        assert AutomationSwitch.objects.count() == 2

    def test_stopping_is_a_critical_audit_record(self) -> None:
        governance.switch(cluster=None, stopped=True, reason="freeze", actor=ADMIN, at=NOON)

        event = AuditEvent.objects.get()
        assert (event.action, event.resource, event.severity) == ("config.update", "all clusters", "critical")
