"""Rules on HorizontalPodAutoscalers and PodDisruptionBudgets (rule book 4.4). Reasons count, not bare statuses."""

import json
from collections.abc import Iterator

from incidents.detectors import fields
from incidents.detectors.base import Context, Outcome, Verdict, signal
from incidents.detectors.fields import ABSENT, Condition, Obj, integer, mapping, text
from incidents.detectors.selectors import holds

_V1_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
_MAX_ANNOTATION = 65_536
_SCALE_FAULTS = frozenset({"FailedGetScale", "FailedUpdateScale"})
_SPEC_FAULTS = frozenset({"InvalidSelector", "InvalidMetricSourceType"})
_METRIC_FAULTS = frozenset(
    {
        "FailedGetResourceMetric",
        "FailedGetContainerResourceMetric",
        "FailedGetPodsMetric",
        "FailedGetObjectMetric",
        "FailedGetExternalMetric",
        "FailedComputeMetricsReplicas",
    }
)
_BUILT_IN_TARGETS = frozenset({"Deployment", "StatefulSet", "ReplicaSet"})


def judge_autoscaler(autoscaler: Obj, context: Context) -> Iterator[Outcome]:
    if fields.is_deleting(autoscaler) or fields.is_stale(autoscaler):
        yield Verdict.PROGRESSING
        return
    conditions = autoscaler_conditions(autoscaler)
    if not conditions:
        yield Verdict.PROGRESSING
    yield from _unable(autoscaler, conditions, context)
    yield from _no_metrics(autoscaler, conditions.get("ScalingActive", ABSENT), context)
    yield from _maxed_out(autoscaler, conditions.get("ScalingLimited", ABSENT), context)
    yield from _target_missing(autoscaler, context)
    yield from _mismatch(autoscaler, context)


def autoscaler_conditions(autoscaler: Obj) -> dict[str, Condition]:
    """Conditions of any API version; autoscaling/v1 hides them as JSON in an annotation."""
    conditions = fields.conditions(autoscaler)
    raw = text(fields.annotations(autoscaler).get(_V1_CONDITIONS))
    if conditions or not raw or len(raw) > _MAX_ANNOTATION:
        return conditions
    try:
        return fields.read_conditions(json.loads(raw))
    except (ValueError, RecursionError):
        return {}


def _unable(autoscaler: Obj, conditions: dict[str, Condition], context: Context) -> Iterator[Outcome]:
    able, active = conditions.get("AbleToScale", ABSENT), conditions.get("ScalingActive", ABSENT)
    # v1 annotations were seen to say True beside a failure's reason: the reason is right
    fault = able if able.reason in _SCALE_FAULTS else active
    if fault is active and not (active.is_false and active.reason in _SPEC_FAULTS):
        return
    if not context.held(fault.since, context.thresholds.hpa_unable):
        yield Verdict.PROGRESSING
        return
    yield signal(
        "hpa_unable_to_scale",
        autoscaler,
        reason=fault.reason,
        message=f"The autoscaler cannot scale its target: {fault.message}",
        at=fault.since,
    )


def _no_metrics(autoscaler: Obj, active: Condition, context: Context) -> Iterator[Outcome]:
    if not (active.is_false and active.reason in _METRIC_FAULTS):
        return
    if not context.held(active.since, context.thresholds.hpa_metrics):
        yield Verdict.PROGRESSING
        return
    yield signal(
        "hpa_metrics_unavailable",
        autoscaler,
        reason=active.reason,
        message=f"The autoscaler gets no metrics: {active.message}",
        at=active.since,
    )


def _bounds(autoscaler: Obj) -> tuple[int, int]:
    spec = fields.spec(autoscaler)
    return integer(spec.get("minReplicas"), 1), integer(spec.get("maxReplicas"))


def _maxed_out(autoscaler: Obj, limited: Condition, context: Context) -> Iterator[Outcome]:
    low, high = _bounds(autoscaler)
    current = integer(fields.status(autoscaler).get("currentReplicas"))
    wants_more = limited.is_true and limited.reason == "TooManyReplicas"
    if (
        current != high
        or low == high
        or not wants_more
        or not context.held(limited.since, context.thresholds.hpa_maxed)
    ):
        return
    yield signal(
        "hpa_maxed_out",
        autoscaler,
        reason=limited.reason,
        message=f"The autoscaler wants more than its maximum of {high} replicas",
        at=limited.since,
        evidence={"maxReplicas": high, "currentReplicas": current, "minReplicas": low},
    )


def _target_missing(autoscaler: Obj, context: Context) -> Iterator[Outcome]:
    target = mapping(fields.spec(autoscaler).get("scaleTargetRef"))
    kind, name = text(target.get("kind")), text(target.get("name"))
    view = context.related
    namespace = text(fields.metadata(autoscaler).get("namespace"))
    if kind not in _BUILT_IN_TARGETS or not view.knows(kind) or view.exists(kind, namespace, name):
        return
    since = fields.created_at(autoscaler)
    if not context.held(since, context.thresholds.hpa_target):
        yield Verdict.PROGRESSING
        return
    yield signal(
        "hpa_target_missing",
        autoscaler,
        reason="TargetNotFound",
        message=f"The autoscaler's target {kind} {name} does not exist",
        at=since,
    )


def _mismatch(autoscaler: Obj, context: Context) -> Iterator[Outcome]:
    status = fields.status(autoscaler)
    low, high = _bounds(autoscaler)
    desired, current = integer(status.get("desiredReplicas")), integer(status.get("currentReplicas"))
    since = context.unchanged_since.get(text(fields.metadata(autoscaler).get("uid")))
    if desired == current or not low <= desired <= high or since is None:
        return
    if context.held(since, context.thresholds.hpa_mismatch):
        yield signal(
            "hpa_replica_mismatch",
            autoscaler,
            reason="ReplicaMismatch",
            message=f"The autoscaler wants {desired} replicas and has {current}",
            at=since,
        )


def judge_budget(budget: Obj, context: Context) -> Iterator[Outcome]:
    status = fields.status(budget)
    if fields.is_deleting(budget) or fields.is_stale(budget) or not status:
        yield Verdict.PROGRESSING
        return
    allowed = fields.conditions(budget).get("DisruptionAllowed", ABSENT)
    if allowed.is_false and allowed.reason == "SyncFailed":
        if context.held(allowed.since, context.thresholds.pdb_sync):
            yield signal(
                "pdb_sync_failed",
                budget,
                reason="SyncFailed",
                message=f"The budget cannot be computed: {allowed.message}",
                at=allowed.since,
            )
        else:
            yield Verdict.PROGRESSING
        return
    yield from _blocks_drain(budget, status, context)
    healthy, desired = integer(status.get("currentHealthy")), integer(status.get("desiredHealthy"))
    if integer(status.get("expectedPods")) <= 0 or healthy >= desired:
        return
    if context.held(allowed.since or fields.created_at(budget), context.thresholds.pdb_unhealthy):
        yield signal(
            "pdb_insufficient_healthy",
            budget,
            reason=allowed.reason or "InsufficientPods",
            message=f"{healthy} pods are healthy, the budget asks for {desired}",
            at=allowed.since,
        )
    else:
        yield Verdict.PROGRESSING


def _blocks_drain(budget: Obj, status: Obj, context: Context) -> Iterator[Outcome]:
    """A budget that lets nobody go is legitimate, until a node is to be emptied and cannot be."""
    if integer(status.get("disruptionsAllowed")) > 0 or integer(status.get("expectedPods")) <= 0:
        return
    view, selector = context.related, fields.spec(budget).get("selector")
    leaving = view.leaving.get(text(fields.metadata(budget).get("namespace")), ())
    nodes = {node: view.nodes[node].cordoned_at for labels, node in leaving if holds(selector, labels)}
    since = {
        node: at for node, at in nodes.items() if at is not None and context.held(at, context.thresholds.pdb_drain)
    }
    if not since:
        if nodes:
            yield Verdict.PROGRESSING
        return
    first = min(since, key=lambda node: (since[node], node))
    yield signal(
        "pdb_blocks_drain",
        budget,
        reason="NoDisruptionsAllowed",
        message=f"The budget lets no pod go, so the cordoned node {first} cannot be emptied",
        at=since[first],
        evidence={"node": first, "nodes": len(since)},
    )
