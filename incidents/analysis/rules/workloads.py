"""Workloads that run but not well: stuck rollouts, pods that are not ready or not placed, saturation, slow answers."""

from incidents.analysis import logs
from incidents.analysis.actions import Suggestion
from incidents.analysis.context import Context, Template
from incidents.analysis.hypothesis import (
    Category,
    Hypothesis,
    change_evidence,
    delete_pod,
    quoted,
    raise_limit,
    restart,
    roll_back,
    rollout_evidence,
    unready,
)
from incidents.analysis.rules.containers import BATCH

STUCK = ("deployment_rollout_stuck", "statefulset_update_stuck")
FAILING = ("deploy_failing", "deployment_unavailable", "replicas_unavailable", "daemonset_unavailable")
UNREADY = ("pod_not_ready", "readiness_probe_failing", "liveness_probe_failing", "pod_failed", "pod_unknown")
PLACES = ("pod_unschedulable",)
TERMINATING = ("pod_stuck_terminating",)
QUOTA = ("replicaset_create_failure", "quota_exhausted")
CPU, MEMORY = ("cpu_high", "cpu_throttling"), ("memory_high",)
SYMPTOMS = ("error_rate", "latency", "ingress_error", "service_no_endpoints")


def stuck_rollout(context: Context) -> Hypothesis | None:
    """The new revision does not become available within its deadline; the old one usually still serves."""
    condition = context.workload.conditions.get("Progressing") if context.workload else None
    expired = condition is not None and condition[1] == "ProgressDeadlineExceeded"
    if not expired and not context.shows(*STUCK):
        return None
    revision = f"revision {context.revisions[0].number}" if context.revisions else "the new revision"
    line = logs.says(logs.ERROR, context.logs) or next(iter(logs.last_lines(context.logs, 1)), "")
    return Hypothesis(
        cause=f"The rollout of {revision} does not get ready: {unready(context)} are not",
        category=Category.CONFIG if logs.says(logs.CONFIG, context.logs) else Category.CODE_BUG,
        confidence=0.8 if context.can_roll_back else 0.6,
        evidence=(
            *((f"Progressing: {condition[1]}, {condition[2]}",) if condition else ()),
            *rollout_evidence(context),
            *quoted([line] if line else [], "Log of a new pod"),
        ),
        recommendations=("Find out why the new pods do not pass their readiness probe before rolling out again.",),
        options=tuple(roll_back(context, "The revision before was available")),
    )


def cannot_be_placed(context: Context) -> Hypothesis | None:
    """No node fits: only a person can add room or loosen the demands."""
    told = next((pod.unschedulable for pod in context.pods if pod.unschedulable), "")
    fault = context.fault(*PLACES)
    if not told and not (fault and fault.firing):
        return None
    message = told or (fault.description if fault else "")
    short = any(word in message.lower() for word in ("insufficient", "too many pods"))
    return Hypothesis(
        cause=f"Pods find no node: {message}",
        category=Category.CAPACITY if short else Category.CONFIG,
        confidence=0.8,
        evidence=(f"Scheduler: {message}", *rollout_evidence(context)),
        recommendations=("Add nodes or free room on them, or lower the requests.",)
        if short
        else ("Check node selectors, affinity, taints and volumes of the pods.",),
        options=tuple(roll_back(context, "The revision before could be placed")) if context.rolled_out_at else (),
    )


def cannot_be_created(context: Context) -> Hypothesis | None:
    """A quota, a limit range or an admission webhook refuses new pods."""
    fault = context.fault(*QUOTA)
    if fault is None or not fault.firing:
        return None
    quota = "quota" in fault.description.lower()
    return Hypothesis(
        cause=f"New pods are refused: {fault.description}",
        category=Category.CAPACITY if quota else Category.CONFIG,
        confidence=0.75,
        evidence=(fault.description, *rollout_evidence(context)),
        recommendations=("Raise the quota or free what it counts.",)
        if quota
        else ("Read the refusal: an admission rule or limit range asks for another pod template.",),
        options=tuple(roll_back(context, "Pods of the revision before were admitted")) if context.rolled_out_at else (),
    )


def not_ready(context: Context) -> Hypothesis | None:
    """Pods run but do not pass their probes: one alone is replaced, all together point to a release or a dependency."""
    if context.kind in BATCH or not context.shows(*UNREADY, *FAILING):
        return None
    dependency = logs.says(logs.DEPENDENCY, context.logs)
    sick = next((pod.name for pod in context.pods if not pod.ready and not pod.deleting), "")
    alone = context.unready_count == 1 and context.pod_count > 1
    evidence = (
        *_probes(context),
        *rollout_evidence(context),
        *change_evidence(context),
        *quoted(logs.error_lines(context.logs)[:3], "Log"),
    )
    cause, category, confidence = f"{unready(context).capitalize()} are not ready", Category.UNKNOWN, 0.45
    advice = ("Look at the readiness probe and at the log of a pod that does not pass it.",)
    options: tuple[Suggestion, ...] = tuple(restart(context, "Fresh pods rule out a state that went bad"))
    if context.rolled_out_at:
        cause = f"Since its last rollout, {unready(context)} do not get ready"
        category, confidence = Category.CODE_BUG, 0.7
        options = (*roll_back(context, "Pods of the revision before were ready"), *options)
    elif alone:
        cause, confidence = f"Pod {sick} is not ready, the others are", 0.55
        options = (*delete_pod(context, sick, "Its controller replaces it by a fresh one"), *options)
    if dependency and not context.rolled_out_at:
        cause = f"{cause}; something it depends on does not answer: {dependency}"
        category, confidence = Category.DEPENDENCY, 0.65
        options = options if alone else ()
        advice = ("Look at what it connects to.",)
    return Hypothesis(cause, category, confidence, evidence, advice, options)


def _probes(context: Context) -> tuple[str, ...]:
    return tuple(f"Event {event}" for event in context.events if event.reason == "Unhealthy")[:2]


def stuck_terminating(context: Context) -> Hypothesis | None:
    """A pod that does not go away; behind finalizers a person has to look."""
    pod = next((pod for pod in context.pods if pod.deleting), None)
    if not context.shows(*TERMINATING):
        return None
    finalizers = ", ".join(pod.finalizers) if pod else ""
    return Hypothesis(
        cause=f"Pod {pod.name if pod else ''} does not end".replace("  ", " "),
        category=Category.INFRASTRUCTURE,
        confidence=0.6,
        evidence=(f"Finalizers: {finalizers}",) if finalizers else (),
        recommendations=("See who owns the finalizers; removing them skips their clean-up.",)
        if finalizers
        else ("If its node is gone for good, delete the node object; else look at the kubelet.",),
    )


def saturated(context: Context) -> Hypothesis | None:
    """CPU or memory close to the limit, or the autoscaler at its maximum."""
    if context.shows("hpa_maxed", "hpa_maxed_out"):
        return _scaler_at_maximum(context)
    for resource, names in (("cpu", CPU), ("memory", MEMORY)):
        if not context.shows(*names) or context.kind == "Node":
            continue
        container = _largest(context, resource)
        why = f"It uses almost all the {resource} it may"
        return Hypothesis(
            cause=f"{context.resource} is at its {resource} limit",
            category=Category.CAPACITY,
            confidence=0.65 if container else 0.45,
            evidence=(*_descriptions(context, *names), *rollout_evidence(context)),
            recommendations=("Compare with the load: more replicas may fit better than larger ones.",),
            options=tuple(raise_limit(context, container, resource, why)),
        )
    return None


def _scaler_at_maximum(context: Context) -> Hypothesis:
    scaler = context.scaler
    options: tuple[Suggestion, ...] = ()
    if scaler and scaler.high:
        more = str(scaler.high + max(1, scaler.high // 2))
        told = f"The load asks for more than {scaler.high} replicas"
        options = (
            Suggestion("AdjustHPA", f"Raise the maximum to {more}", told, {"hpa": scaler.name, "maxReplicas": more}),
        )
    return Hypothesis(
        cause=f"The autoscaler is at its maximum of {scaler.high} replicas and wants more"
        if scaler
        else "The autoscaler is at its maximum and wants more",
        category=Category.CAPACITY,
        confidence=0.7,
        evidence=_descriptions(context, "hpa_maxed", "hpa_maxed_out"),
        recommendations=("Make sure that the nodes have room for more replicas.",),
        options=options,
    )


def _largest(context: Context, resource: str) -> Template | None:
    limited = [
        template for template in (context.workload.templates if context.workload else ()) if resource in template.limits
    ]
    return max(limited, key=lambda template: template.limits[resource], default=None)


def symptoms(context: Context) -> Hypothesis | None:
    """Users see errors or wait: a fresh release is the first suspect."""
    if not context.shows(*SYMPTOMS):
        return None
    described = _descriptions(context, *SYMPTOMS)
    dependency = logs.says(logs.DEPENDENCY, context.logs)
    evidence = (*described, *rollout_evidence(context), *change_evidence(context))
    if context.rolled_out_at:
        return Hypothesis(
            cause=f"{context.resource} serves badly since its last rollout",
            category=Category.CODE_BUG,
            confidence=0.7,
            evidence=evidence,
            recommendations=("Compare the releases under load before rolling out again.",),
            options=tuple(roll_back(context, "The revision before served well")),
        )
    return Hypothesis(
        cause=f"{context.resource} serves badly; something it depends on does not answer: {dependency}"
        if dependency
        else f"{context.resource} serves badly and nothing of it changed before",
        category=Category.DEPENDENCY if dependency else Category.UNKNOWN,
        confidence=0.6 if dependency else 0.35,
        evidence=(*evidence, *quoted(logs.error_lines(context.logs)[:3], "Log")),
        recommendations=("Look at its dependencies and at the load of the last half hour.",),
    )


def _descriptions(context: Context, *names: str) -> tuple[str, ...]:
    faults = [fault for fault in context.faults if fault.signal_type in names or fault.condition in names]
    return tuple(dict.fromkeys(fault.description for fault in faults))[:3]


RULES = (stuck_rollout, cannot_be_placed, cannot_be_created, not_ready, stuck_terminating, saturated, symptoms)
