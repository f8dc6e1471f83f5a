"""Lets plans go to work one after the other: a bounded number per cluster, and the same remedy in one prod cluster at a time;
and none where nothing is heard of the cluster.

The first of several prod clusters is the canary: the others wait until its plan has helped and ten minutes have passed, and
are stopped when it has not helped. A slot is kept until the plan is finished. Whoever wants one locks the rows of all clusters
that he competes in, so that two never take the last one.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, QuerySet

from aiops.errors import LostRace
from federation import tiers
from federation.models import Cluster
from federation.services import connectivity
from incidents.services import timeline
from runbooks.models import ApprovalRequest, RemediationPlan
from runbooks.services import leases
from runbooks.states import TERMINAL, PlanState

SLOT, WAITING = "slot", "waiting"  # members of the plan's `verification`
LOOK = timedelta(seconds=10)
PROD = "prod"
FAILURE_COUNTS = timedelta(hours=1)  # for so long a canary that failed stops the same plan elsewhere
EPISODE = timedelta(hours=24)  # one that helped earlier says nothing about today's trouble


@dataclass(frozen=True, slots=True)
class Turn:
    """An empty `reason` means go. Else `due_at` is when to ask again; None: the plan has to stop."""

    reason: str = ""
    due_at: datetime | None = None


def take(plan: RemediationPlan, at: datetime) -> Turn:
    """Take a slot for the plan, which the caller has a lease on, or say why there is none. Raises `LostRace`."""
    if plan.cluster is None or plan.verification.get(SLOT):
        return Turn()
    competing = {plan.cluster.pk, *_identical(plan).exclude(state__in=TERMINAL).values_list("cluster", flat=True)}
    with leases.held(plan) as row:
        clusters = Cluster.objects.select_for_update().filter(pk__in=competing).order_by("pk")
        cluster = next((one for one in clusters if one.pk == plan.cluster.pk), None)
        if cluster is None:
            raise LostRace(f"{plan.cluster} was unregistered meanwhile")
        turn = _news(cluster, at)
        if not turn.reason:
            turn = _room(row, cluster, at)
        if not turn.reason and cluster.environment == PROD:
            turn = _canary(row, at)
        _write(row, turn, at)
    return turn


def _news(cluster: Cluster, at: datetime) -> Turn:
    """What is long out of date is no reason to change anything; it may be over."""
    reason = connectivity.stale(cluster, at=at)
    return Turn(reason, at + LOOK) if reason else Turn()


def _room(row: RemediationPlan, cluster: Cluster, at: datetime) -> Turn:
    most = tiers.concurrent(cluster.max_concurrent_remediations, cluster.tier)
    working = RemediationPlan.objects.filter(cluster=cluster, verification__slot=True).exclude(state__in=TERMINAL)
    if working.exclude(pk=row.pk).count() < most:
        return Turn()
    limit = f"tier {cluster.tier}" if most < cluster.max_concurrent_remediations else f"cluster {cluster.name}"
    return Turn(f"as many plans are at work in {cluster.name} as {limit} allows: {most}", at + LOOK)


def _canary(row: RemediationPlan, at: datetime) -> Turn:
    twins = _identical(row)
    working = twins.filter(verification__slot=True).exclude(state__in=TERMINAL)
    other = working.select_related("cluster").order_by("pk").first()
    if other is not None:
        return Turn(f"the same plan is at work in another prod cluster, {other.cluster}: {other.name}", at + LOOK)
    finished = twins.filter(verification__slot=True, created_at__gt=at - EPISODE, completed_at__isnull=False)
    failed = _last_failure(finished, at)
    if failed is not None and not _has_consent_since(row, failed):
        return Turn(f"the same plan failed in another prod cluster, {failed.cluster}: {failed.name}")
    helped = finished.filter(state=PlanState.COMPLETED).order_by("completed_at").first()
    if helped is not None and helped.completed_at is not None:
        soaked_at = helped.completed_at + timedelta(seconds=settings.AIOPS_CANARY_SOAK)
        if at < soaked_at:
            return Turn(f"{helped.name} went first in the prod clusters; its result is awaited", soaked_at)
    return Turn()


def _identical(plan: RemediationPlan) -> QuerySet[RemediationPlan]:
    """The same actions on the same workload in other prod clusters."""
    if plan.cluster is None or plan.cluster.environment != PROD:
        return RemediationPlan.objects.none()
    same = RemediationPlan.objects.filter(
        namespace=plan.namespace,
        target_kind=plan.target_kind,
        target_name=plan.target_name,
        actions_digest=plan.actions_digest,
        cluster__environment=PROD,
    )
    return same.exclude(cluster=plan.cluster)


def _last_failure(finished: QuerySet[RemediationPlan], at: datetime) -> RemediationPlan | None:
    """What a person stopped has not failed."""
    lost = finished.filter(
        state__in=[PlanState.FAILED, PlanState.ROLLED_BACK],
        completed_at__gt=at - FAILURE_COUNTS,
        cancel_requested_by="",
    )
    return lost.select_related("cluster").order_by("-completed_at").first()


def _has_consent_since(row: RemediationPlan, failed: RemediationPlan) -> bool:
    """A person who wants the plan after the other one failed knows that it did."""
    since = failed.completed_at
    if since is None or (row.requested_by != "system" and row.created_at > since):
        return True
    return ApprovalRequest.objects.filter(Q(plan=row), decided_at__gt=since).exists()


def _write(row: RemediationPlan, turn: Turn, at: datetime) -> None:
    """Keep the slot, or the reason why there is none, which is told once."""
    was = row.verification.get(WAITING, "")
    if turn.reason == was and turn.reason:
        return
    rest = {key: value for key, value in row.verification.items() if key != WAITING}
    row.change(verification=rest | ({WAITING: turn.reason} if turn.reason else {SLOT: True}))
    if turn.reason or was:
        verdict = "allowed" if not turn.reason else "waits" if turn.due_at else "refused"
        timeline.decide(
            incident=row.incident,
            at=at,
            stage="turn",
            rule="concurrency",
            verdict=verdict,
            reason=turn.reason or "there is room now",
            inputs={"plan": row.name},
        )
