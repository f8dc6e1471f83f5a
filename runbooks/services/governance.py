"""What people lay down about automation: approval policies and the kill switch. Every change is audited."""

from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from aiops.audit.actor import Actor
from aiops.audit.services import Record, record
from aiops.errors import Conflict, Invalid, LostRace
from federation import services as federation
from federation.models import Cluster
from runbooks import approval_checks
from runbooks.models import ApprovalPolicy, AutomationSwitch, RemediationPlan
from runbooks.states import PlanState

POLICY_MEMBERS = ("name", "enabled", "priority", "default_mode", "forbid_self_approval", "rules")
DEFAULT_MODES = ("auto", "manual", "quorum", "block")


@transaction.atomic
def save_policy(*, policy: ApprovalPolicy, actor: Actor, at: datetime) -> ApprovalPolicy:
    """Store a new or changed policy. Raises `Invalid` for rules that cannot be understood, `Conflict` for a taken name."""
    _check(policy)
    is_new = policy.pk is None
    members: dict[str, Any] = {member: getattr(policy, member) for member in POLICY_MEMBERS}
    try:
        with transaction.atomic():
            if is_new:
                policy.created_at = policy.updated_at = at
                policy.save(force_insert=True)
            else:
                _update(policy, members, at)
    except IntegrityError as error:
        raise Conflict(f"Approval policy {policy.name} exists already") from error
    verb = "create" if is_new else "update"
    record(_config(f"approval-policy.{verb}", ApprovalPolicy.KIND, policy.name, actor, members), at=at)
    return policy


def _update(policy: ApprovalPolicy, members: dict[str, Any], at: datetime) -> None:
    # the form was filled from the row as it is now, so the last writer wins here, as everywhere in the console
    version = ApprovalPolicy.objects.select_for_update().values_list("version", flat=True).get(pk=policy.pk)
    policy.version, policy.updated_at = version + 1, at
    ApprovalPolicy.objects.filter(pk=policy.pk).update(**members, version=policy.version, updated_at=at)


@transaction.atomic
def delete_policy(*, policy: ApprovalPolicy, actor: Actor, at: datetime) -> None:
    """Requests that were made by it keep its name."""
    name = policy.name
    policy.delete()
    record(_config("approval-policy.delete", ApprovalPolicy.KIND, name, actor, {}), at=at)


@transaction.atomic
def switch(*, cluster: Cluster | None, stopped: bool, reason: str, actor: Actor, at: datetime) -> AutomationSwitch:
    """Stop (or let go on) all automatic changes: in one cluster, or everywhere when `cluster` is None.

    It takes effect before the next action of every running plan.
    """
    changes = {"stopped": stopped, "reason": reason, "changed_by": actor.name[:253], "changed_at": at}
    row, _ = AutomationSwitch.objects.update_or_create(cluster=cluster, defaults=changes)
    where = cluster.name if cluster else "all clusters"
    details = {"switch": "automation", "stopped": stopped, "reason": reason}
    severity = "critical" if stopped else "warning"
    record(_config("config.update", "AutomationSwitch", where, actor, details, severity=severity), at=at)
    return row


@transaction.atomic
def remove_cluster(*, cluster: Cluster, force: bool, actor: Actor, at: datetime) -> None:
    """Forget the cluster and its credentials. Raises `Conflict` while plans change something there: without credentials they
    could neither finish nor go back. With `force` they fail where they stand. Raises `LostRace` when it is gone already."""
    if not Cluster.objects.select_for_update().filter(pk=cluster.pk):  # while it is held no plan takes a slot
        raise LostRace(f"{cluster} was unregistered meanwhile")
    at_work = RemediationPlan.objects.filter(cluster=cluster, state__in=[PlanState.EXECUTING, PlanState.VERIFYING])
    names = list(at_work.order_by("name").values_list("name", flat=True)[:10])
    if names and not force:
        advice = "Wait for them, cancel them, or delete with force=true, which leaves them where they stand."
        raise Conflict(f"Plans are at work in cluster {cluster.name}", f"{', '.join(names)}. {advice}")
    federation.unregister(cluster=cluster, actor=actor, at=at)


def _check(policy: ApprovalPolicy) -> None:
    found = approval_checks.complaints(policy.rules)
    fields = {"rules": found} if found else {}
    if policy.default_mode not in DEFAULT_MODES:
        fields["default_mode"] = [f"must be one of {', '.join(DEFAULT_MODES)}"]
    if fields:
        raise Invalid(
            "The approval policy is not valid",
            "; ".join(reason for reasons in fields.values() for reason in reasons),
            fields=fields,
        )


def _config(
    action: str, kind: str, name: str, actor: Actor, details: dict[str, Any], *, severity: str = "info"
) -> Record:
    return Record(
        action,
        actor,
        "Config",
        name,
        event_type="config_changed",
        severity=severity,
        details={"kind": kind, **details},
    )
