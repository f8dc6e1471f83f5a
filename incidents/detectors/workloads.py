"""Rules on Deployments, ReplicaSets, StatefulSets and DaemonSets (rule book 4.2)."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from incidents.detectors import fields
from incidents.detectors.base import Context, Outcome, Verdict, ref_of, signal
from incidents.detectors.fields import ABSENT, Condition, Obj, integer, mapping, text
from incidents.detectors.selectors import holds
from incidents.detectors.view import owner_reference

_ROLLING = frozenset({"ReplicaSetUpdated", "NewReplicaSetCreated", "FoundNewReplicaSet"})
_DEFAULT_DEADLINE = 600


def judge_deployment(deployment: Obj, context: Context) -> Iterator[Outcome]:
    spec, status = fields.spec(deployment), fields.status(deployment)
    wanted = integer(spec.get("replicas"), 1)
    if fields.is_deleting(deployment):
        yield Verdict.PROGRESSING
    elif fields.is_stale(deployment):
        yield from _not_observed(deployment, context)
    elif wanted <= 0:
        yield from _zero_replicas(deployment, context)
    elif spec.get("paused") is True:
        return
    else:
        conditions = fields.conditions(deployment)
        progress = conditions.get("Progressing", ABSENT)
        yield from _rollout_stuck(deployment, progress, conditions.get("Available", ABSENT))
        yield from replica_failure(deployment, conditions, context)
        available = integer(status.get("availableReplicas"))
        if available < wanted:
            yield from _deployment_short(deployment, conditions, available, wanted, context)
        elif integer(status.get("updatedReplicas")) < wanted or integer(status.get("replicas")) > wanted:
            yield Verdict.PROGRESSING


def _not_observed(obj: Obj, context: Context) -> Iterator[Outcome]:
    """The controller lags behind the spec: normal for seconds, long only if we saw it ourselves."""
    yield Verdict.PROGRESSING
    since = context.unchanged_since.get(text(fields.metadata(obj).get("uid")))
    if since is not None and context.held(since, context.thresholds.generation_not_observed):
        yield signal(
            "generation_not_observed",
            obj,
            reason="GenerationNotObserved",
            message="The controller does not take up the newest specification",
            at=since,
        )


def _rollout_stuck(deployment: Obj, progress: Condition, available: Condition) -> Iterator[Outcome]:
    if not (progress.is_false and progress.reason == "ProgressDeadlineExceeded"):
        return
    still_serving = available.is_true
    yield signal(
        "deployment_rollout_stuck",
        deployment,
        reason=progress.reason,
        message=f"The rollout made no progress within its deadline: {progress.message}",
        at=progress.since,
        severity="medium" if still_serving else None,
        weight=60 if still_serving else None,
        evidence=_counts(deployment),
    )


def _counts(obj: Obj) -> dict[str, str | int]:
    status = fields.status(obj)
    facts: dict[str, str | int] = {"replicas": integer(fields.spec(obj).get("replicas"), 1)}
    for key in ("readyReplicas", "availableReplicas", "updatedReplicas"):
        facts[key] = integer(status.get(key))
    revision = text(fields.annotations(obj).get("deployment.kubernetes.io/revision"))
    return facts | ({"revision": revision} if revision else {})


def replica_failure(obj: Obj, conditions: dict[str, Condition], context: Context) -> Iterator[Outcome]:
    """Pods cannot be created at all: quota, admission or limits, which the controller keeps retrying."""
    failure = conditions.get("ReplicaFailure", ABSENT)
    if not failure.is_true:
        return
    if not context.held(failure.since, context.thresholds.replica_failure):
        yield Verdict.PROGRESSING
        return
    yield signal(
        "replicaset_create_failure",
        obj,
        reason=failure.reason or "FailedCreate",
        message=f"Pods cannot be created: {failure.message}",
        at=failure.since,
    )


def _deployment_short(
    deployment: Obj, conditions: dict[str, Condition], available: int, wanted: int, context: Context
) -> Iterator[Outcome]:
    progress = conditions.get("Progressing", ABSENT)
    availability = conditions.get("Available", ABSENT)
    seconds = integer(fields.spec(deployment).get("progressDeadlineSeconds"), _DEFAULT_DEADLINE)
    deadline = timedelta(seconds=min(max(seconds, 1), 7 * 86_400))
    is_rolling = progress.is_true and progress.reason in _ROLLING
    started = progress.updated or progress.since
    if not conditions and not fields.status(deployment):
        yield Verdict.PROGRESSING  # the controller has not said anything yet
    elif is_rolling and started is not None and not context.held(started, deadline):
        yield Verdict.PROGRESSING
    elif available > 0 and availability.is_false:
        if context.held(availability.since, context.thresholds.deployment_unavailable):
            yield signal(
                "deployment_unavailable",
                deployment,
                reason=availability.reason or "MinimumReplicasUnavailable",
                message=f"Only {available} of {wanted} replicas are available, fewer than the minimum",
                at=availability.since,
                evidence=_counts(deployment),
            )
        else:
            yield Verdict.PROGRESSING
    else:
        known = (availability.since, availability.updated, progress.since, progress.updated)
        yield from shortage(deployment, available, wanted, fields.latest(*known), context)


def shortage(
    obj: Obj,
    available: int,
    wanted: int,
    changed: datetime | None,
    context: Context,
    *,
    condition: str = "replicas_unavailable",
) -> Iterator[Outcome]:
    """Fewer pods than wanted for too long; none at all is the worst and shows soonest.

    `changed` is the status's own last change. It may be old while the shortage is young, so the pods' own transition and
    what the caller saw count too, whichever is later.
    """
    since = fields.latest(
        changed or fields.created_at(obj),
        context.unchanged_since.get(text(fields.metadata(obj).get("uid"))),
        _unready_since(obj, context),
    )
    none_left = available <= 0
    limits = context.thresholds
    if not context.held(since, limits.no_replica_available if none_left else limits.replicas_unavailable):
        yield Verdict.PROGRESSING
        return
    yield signal(
        condition,
        obj,
        reason="NoReplicaAvailable" if none_left else "ReplicasUnavailable",
        message=f"{max(available, 0)} of {wanted} replicas are available",
        at=since,
        severity="critical" if none_left else None,
        weight=90 if none_left else None,
        evidence=_counts(obj),
    )


def _unready_since(obj: Obj, context: Context) -> datetime | None:
    tally = context.tally(ref_of(obj))
    return tally.unready_since if tally else None


def judge_replica_set(replica_set: Obj, context: Context) -> Iterator[Outcome]:
    spec, status = fields.spec(replica_set), fields.status(replica_set)
    wanted = integer(spec.get("replicas"), 1)
    if fields.is_deleting(replica_set) or fields.is_stale(replica_set):
        yield Verdict.PROGRESSING
        return
    if wanted <= 0:  # an old revision, kept for rollbacks
        return
    yield from replica_failure(replica_set, fields.conditions(replica_set), context)
    available = integer(status.get("availableReplicas"), integer(status.get("readyReplicas")))
    if available >= wanted:
        return
    owner, _ = owner_reference(replica_set)
    if owner is not None and owner in context.related.replicas:
        yield Verdict.PROGRESSING  # the Deployment speaks for its revisions
        return
    yield from shortage(replica_set, available, wanted, None, context)


def judge_stateful_set(stateful_set: Obj, context: Context) -> Iterator[Outcome]:
    spec, status = fields.spec(stateful_set), fields.status(stateful_set)
    wanted = integer(spec.get("replicas"), 1)
    if fields.is_deleting(stateful_set):
        yield Verdict.PROGRESSING
    elif fields.is_stale(stateful_set):
        yield from _not_observed(stateful_set, context)
    elif wanted > 0:
        available = integer(status.get("availableReplicas"), integer(status.get("readyReplicas")))
        ready = integer(status.get("readyReplicas"), available)
        if min(available, ready) < wanted:
            yield from shortage(stateful_set, min(available, ready), wanted, None, context)
        yield from _update_stuck(stateful_set, wanted, context)
    else:
        yield from _zero_replicas(stateful_set, context)


def _zero_replicas(workload: Obj, context: Context) -> Iterator[Outcome]:
    """Scaling to zero is a decision; that a Service still points there is worth a hint, unless an autoscaler decided."""
    view, ref = context.related, ref_of(workload)
    if not (view.knows("Service") and view.knows("HorizontalPodAutoscaler")) or ref in view.scaled:
        return
    labels = mapping(mapping(mapping(fields.spec(workload).get("template")).get("metadata")).get("labels"))
    if any(holds({"matchLabels": selector}, labels) for selector in view.selectors.get(ref.namespace, ())):
        yield signal(
            "workload_zero_replicas",
            workload,
            reason="ZeroReplicas",
            message=f"{ref.kind} {ref.name} has no replicas, and a Service sends requests there",
        )


def _update_stuck(stateful_set: Obj, wanted: int, context: Context) -> Iterator[Outcome]:
    spec, status = fields.spec(stateful_set), fields.status(stateful_set)
    strategy = mapping(spec.get("updateStrategy"))
    if strategy.get("type") == "OnDelete" or not text(status.get("updateRevision")):
        return
    partition = integer(mapping(strategy.get("rollingUpdate")).get("partition"))
    updated = integer(status.get("updatedReplicas"))
    if status.get("currentRevision") == status.get("updateRevision") or updated >= wanted - max(partition, 0):
        return
    yield Verdict.PROGRESSING
    since = context.unchanged_since.get(text(fields.metadata(stateful_set).get("uid"))) or _unready_since(
        stateful_set, context
    )
    if since is None or not context.held(since, context.thresholds.statefulset_update):
        return
    tally = context.tally(ref_of(stateful_set))
    blocker = tally.unready_name if tally else ""
    yield signal(
        "statefulset_update_stuck",
        stateful_set,
        reason="UpdateStuck",
        message=f"{updated} of {wanted} replicas run the new revision"
        + (f"; {blocker} blocks the rest" if blocker else ""),
        at=since,
        evidence=_counts(stateful_set) | ({"blockingPod": blocker} if blocker else {}),
    )


def judge_daemon_set(daemon_set: Obj, context: Context) -> Iterator[Outcome]:
    spec, status = fields.spec(daemon_set), fields.status(daemon_set)
    if fields.is_deleting(daemon_set):
        yield Verdict.PROGRESSING
        return
    if fields.is_stale(daemon_set):
        yield from _not_observed(daemon_set, context)
        return
    wanted = integer(status.get("desiredNumberScheduled"))
    available = integer(status.get("numberAvailable"), integer(status.get("numberReady")))
    if available < wanted or integer(status.get("numberUnavailable")) > 0:
        yield from shortage(daemon_set, available, wanted, None, context, condition="daemonset_unavailable")
    yield from _daemon_placement(daemon_set, wanted, context)
    on_delete = mapping(spec.get("updateStrategy")).get("type") == "OnDelete"
    if not on_delete and integer(status.get("updatedNumberScheduled"), wanted) < wanted:
        yield Verdict.PROGRESSING


def _daemon_placement(daemon_set: Obj, wanted: int, context: Context) -> Iterator[Outcome]:
    status = fields.status(daemon_set)
    since = context.unchanged_since.get(text(fields.metadata(daemon_set).get("uid"))) or fields.created_at(daemon_set)
    current = integer(status.get("currentNumberScheduled"))
    if current < wanted:
        if context.held(since, context.thresholds.daemonset_not_scheduled):
            yield signal(
                "daemonset_not_scheduled",
                daemon_set,
                reason="NotScheduled",
                message=f"{current} of {wanted} nodes run a pod of the DaemonSet",
                at=since,
            )
        else:
            yield Verdict.PROGRESSING
    astray = integer(status.get("numberMisscheduled"))
    if astray > 0 and context.held(since, context.thresholds.daemonset_unavailable):
        yield signal(
            "daemonset_misscheduled",
            daemon_set,
            reason="Misscheduled",
            message=f"{astray} nodes run a pod of the DaemonSet that should not",
            at=since,
        )
