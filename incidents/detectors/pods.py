"""Rules on pods (rule book 4.1). Container rules live in `containers`; here is what concerns the pod as a whole."""

from collections.abc import Iterator
from datetime import timedelta

from incidents.detectors import fields, pod_failures
from incidents.detectors.base import Context, Outcome, Verdict, signal
from incidents.detectors.containers import Container, container_outcomes, containers_of, is_judged_apart
from incidents.detectors.fields import ABSENT, Condition, Obj, integer, mapping, parse_time, text
from incidents.detectors.references import judge_references
from incidents.detectors.view import Event, owner_reference

_MOUNT_EVENTS = frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume"})
_SANDBOX_EVENTS = frozenset({"FailedCreatePodSandBox", "NetworkNotReady"})
_CREATE_EVENTS = _MOUNT_EVENTS | _SANDBOX_EVENTS | {"FailedToRetrieveImagePullSecret"}
_PROBE_EVENTS = frozenset({"Unhealthy", "Killing"})
_SCHEDULER_EVENTS = frozenset({"TriggeredScaleUp", "NotTriggerScaleUp"})
_STARTING = frozenset({"ContainerCreating", "PodInitializing"})
_DEFAULT_GRACE_SECONDS = 30


def judge(pod: Obj, context: Context) -> Iterator[Outcome]:
    """Read in the order deletion, phase, containers, scheduling, readiness; a later rule speaks only if none did before."""
    if is_plainly_healthy(pod, context):
        return
    status = fields.status(pod)
    phase = status.get("phase")
    if fields.is_deleting(pod):
        yield from _terminating(pod, context)
    elif phase == "Failed":
        yield from pod_failures.judge_failed(pod, context)
    elif phase == "Unknown" or status.get("reason") == "NodeLost":
        yield from pod_failures.judge_unknown(pod, context)
    elif phase != "Succeeded":
        yield from _alive(pod, context)


def is_plainly_healthy(pod: Obj, context: Context) -> bool:
    """The quick answer for nearly every pod of a cluster: running, all ready, never restarted, nothing unusual said."""
    try:
        status = pod["status"]
        if status["phase"] != "Running" or "deletionTimestamp" in pod["metadata"] or "reason" in status:
            return False
        for condition in status["conditions"]:
            if condition["status"] != "True" or condition["type"] in _SPECIAL_CONDITIONS:
                return False
        for state in status["containerStatuses"]:
            if state["ready"] is not True or state["restartCount"] or state.get("lastState"):
                return False
        for state in status.get("initContainerStatuses") or ():
            if state["restartCount"] or state.get("lastState"):
                return False
        return not (context.related.has_events and context.related.events_about(pod))
    except (KeyError, TypeError, AttributeError):
        return False


_SPECIAL_CONDITIONS = frozenset({"DisruptionTarget", "PodResizePending"})


def _alive(pod: Obj, context: Context) -> Iterator[Outcome]:
    conditions = fields.conditions(pod)
    containers = list(containers_of(pod))
    spoken = False
    for container in containers:
        for outcome in container_outcomes(container, context):
            spoken = spoken or not isinstance(outcome, Verdict)
            yield outcome
    yield from judge_references(pod, context)
    yield from _liveness(pod, context)
    yield from _resize(pod, conditions, context)
    yield from _restart_storm(pod, containers, context)
    if spoken:
        return
    scheduled = conditions.get("PodScheduled", ABSENT)
    if scheduled.is_false and not containers:
        yield from _unscheduled(pod, scheduled, context)
    elif fields.status(pod).get("phase") == "Running":
        yield from _readiness(pod, containers, conditions, context)
    else:
        yield from _starting(pod, containers, context)


def _terminating(pod: Obj, context: Context) -> Iterator[Outcome]:
    """A deletion time-stamp is no fault; it is one when the pod outlives its grace period by minutes."""
    yield Verdict.PROGRESSING
    meta = fields.metadata(pod)
    deleted = fields.deleted_at(pod)
    if deleted is None:
        return
    # the API server sets the stamp to the end of the grace period when deletion is asked for
    seconds = integer(meta.get("deletionGracePeriodSeconds"), _DEFAULT_GRACE_SECONDS)
    grace = timedelta(seconds=min(max(seconds, 0), 86_400)) + context.thresholds.terminating
    if not context.held(deleted, grace):
        return
    raw = meta.get("finalizers")
    finalizers = ", ".join(str(item) for item in raw[:5]) if isinstance(raw, list) else ""
    why = f"finalizers {finalizers} remain" if finalizers else "its node does not confirm the end"
    yield signal(
        "pod_stuck_terminating",
        pod,
        reason="Terminating",
        message=f"Pod {text(meta.get('name'))} does not terminate: {why}",
        at=deleted,
        evidence=_pod_facts(pod) | ({"finalizers": finalizers} if finalizers else {}),
    )


def _pod_facts(pod: Obj) -> dict[str, str | int]:
    node = text(fields.spec(pod).get("nodeName"))
    return {"node": node} if node else {}


def _unscheduled(pod: Obj, scheduled: Condition, context: Context) -> Iterator[Outcome]:
    since = scheduled.since or fields.created_at(pod)
    limits = context.thresholds
    if scheduled.reason == "SchedulingGated":
        if context.held(since, limits.scheduling_gated):
            yield signal(
                "pod_scheduling_gated",
                pod,
                reason=scheduled.reason,
                message="Pod waits for a scheduling gate to be lifted",
                at=since,
            )
        yield Verdict.PROGRESSING
        return
    if scheduled.reason != "Unschedulable":
        yield Verdict.PROGRESSING
        return
    autoscaler = list(context.related.events_with(pod, _SCHEDULER_EVENTS))
    is_scaling_up = any(
        event.reason == "TriggeredScaleUp" and context.is_recent(event.at, limits.scale_up) for event in autoscaler
    )
    grace = limits.unschedulable_autoscaled if autoscaler else limits.unschedulable
    if is_scaling_up or not context.held(since, grace):
        yield Verdict.PROGRESSING
        return
    cause = scheduling_cause(scheduled.message)
    yield signal(
        "pod_unschedulable",
        pod,
        reason="Unschedulable",
        message=f"Pod cannot be scheduled: {scheduled.message or 'no node fits'}",
        at=since,
        remediation="fix_config" if cause in _CONFIGURATION_CAUSES else "scale_out",
        evidence={"cause": cause} | _claim(pod),
    )


def _claim(pod: Obj) -> dict[str, str | int]:
    for volume in fields.objects(fields.spec(pod).get("volumes")):
        name = text(mapping(volume.get("persistentVolumeClaim")).get("claimName"))
        if name:
            return {"claim": name}
    return {}


# first match wins, the most specific text first
_SCHEDULING_CAUSES = (
    ("unbound immediate persistentvolumeclaims", "unbound_pvc"),
    ("persistentvolumeclaim", "unbound_pvc"),
    ("volume node affinity", "volume_affinity"),
    ("insufficient cpu", "cpu"),
    ("insufficient memory", "memory"),
    ("gpu", "gpu"),
    ("too many pods", "pod_count"),
    ("insufficient", "resources"),
    ("untolerated taint", "taint"),
    ("had taint", "taint"),
    ("were unschedulable", "cordoned"),
    ("affinity", "affinity"),
    ("didn't match", "affinity"),
    ("free ports", "host_port"),
)
_CONFIGURATION_CAUSES = frozenset({"unbound_pvc", "volume_affinity", "taint", "affinity", "host_port"})


def scheduling_cause(message: str) -> str:
    """Why no node fits, in one word, read from the scheduler's sentence."""
    lowered = message.lower()
    for words, cause in _SCHEDULING_CAUSES:
        if words in lowered:
            return cause
    return "unknown"


def _starting(pod: Obj, containers: list[Container], context: Context) -> Iterator[Outcome]:
    """Pending with a node: creating is normal for a while, and longer when the image is still coming."""
    limits = context.thresholds
    since = parse_time(fields.status(pod).get("startTime")) or fields.created_at(pod)
    waiting = [container for container in containers if text(container.waiting.get("reason")) in _STARTING]
    troubles = [
        event
        for event in context.related.events_with(pod, _CREATE_EVENTS)
        if event.is_warning and context.is_recent(event.at, limits.event_age)
    ]
    if troubles and context.held(since, limits.creating_with_warning):
        yield _stuck_creating(pod, troubles[-1], since_known=since is not None)
        return
    yield Verdict.PROGRESSING
    if since is None or _is_pulling(pod, context):
        return
    if waiting and context.held(since, limits.creating):
        yield signal(
            "pod_stuck_creating",
            pod,
            reason=text(waiting[0].waiting.get("reason")),
            message=f"Container {waiting[0].name} is still being created",
            at=since,
            evidence=_pod_facts(pod),
        )
    elif context.held(since, limits.pod_pending):
        yield signal("pod_pending_long", pod, reason="Pending", message="Pod is still pending", at=since)


def _stuck_creating(pod: Obj, event: Event, *, since_known: bool) -> Outcome:
    condition = "pod_stuck_creating"
    if event.reason in _MOUNT_EVENTS:
        condition = "volume_mount_failure"
    elif event.reason in _SANDBOX_EVENTS:
        condition = "sandbox_create_failure"
    return signal(
        condition,
        pod,
        reason=event.reason,
        message=event.message or event.reason,
        at=event.at if since_known else None,
        evidence=_pod_facts(pod),
    )


def _is_pulling(pod: Obj, context: Context) -> bool:
    reasons = {event.reason for event in context.related.events_with(pod, frozenset({"Pulling", "Pulled"}))}
    return "Pulling" in reasons and "Pulled" not in reasons


def _readiness(
    pod: Obj, containers: list[Container], conditions: dict[str, Condition], context: Context
) -> Iterator[Outcome]:
    ready = conditions.get("Ready", ABSENT)
    unready = [one for one in containers if one.list_name == "containerStatuses" and one.state.get("ready") is False]
    if not ready.is_false and not unready:
        return
    owner, _ = owner_reference(pod)
    if ready.is_true or ready.reason == "PodCompleted" or (owner is not None and owner.kind == "Job"):
        return
    since = ready.since or fields.created_at(pod)
    if since is None or any(is_judged_apart(container) for container in unready):
        yield Verdict.PROGRESSING
        return
    gates = unmet_gates(pod, conditions)
    if gates and not unready:
        yield from _gated(pod, ready, gates, context)
        return
    probes = _probe_failures(pod, "readiness", context)
    if probes and context.held(since, max(context.thresholds.readiness, _probe_window(unready))):
        names = ", ".join(container.name for container in unready[:5])
        yield signal(
            "readiness_probe_failing",
            pod,
            reason="Unhealthy",
            message=f"Readiness probe of {names or 'a container'} fails: {probes[-1].message}",
            at=since,
            evidence=_pod_facts(pod) | {"probeFailures": sum(event.times for event in probes)},
        )
    elif context.held(since, context.thresholds.pod_not_ready):
        yield signal(
            "pod_not_ready",
            pod,
            reason=ready.reason or "ContainersNotReady",
            message=f"Pod is running but not ready: {ready.message or ready.reason or 'no reason given'}",
            at=since,
            evidence=_pod_facts(pod),
        )
    else:
        yield Verdict.PROGRESSING


def unmet_gates(pod: Obj, conditions: dict[str, Condition]) -> list[str]:
    """Readiness gates of the pod that nobody has opened.

    Without any, ready containers in an unready pod mean that the node controller lost the node.
    """
    gates = (text(gate.get("conditionType")) for gate in fields.objects(fields.spec(pod).get("readinessGates")))
    return [gate for gate in gates if not conditions.get(gate, ABSENT).is_true]


def _gated(pod: Obj, ready: Condition, gates: list[str], context: Context) -> Iterator[Outcome]:
    """All containers are ready and something outside the pod (a load balancer, as a rule) has yet to say so."""
    yield Verdict.PROGRESSING
    if context.held(ready.since, context.thresholds.pod_not_ready):
        yield signal(
            "pod_not_ready",
            pod,
            reason="ReadinessGatesNotReady",
            message=f"Pod waits for its readiness gates {', '.join(gates[:5])}",
            at=ready.since,
            discriminator=gates[0],
            informational=True,
            severity="low",
        )


def _probe_failures(pod: Obj, kind: str, context: Context) -> list[Event]:
    return [
        event
        for event in context.related.events_with(pod, _PROBE_EVENTS)
        if kind in event.message.lower() and context.is_recent(event.at, context.thresholds.liveness_window)
    ]


def _probe_window(containers: list[Container]) -> timedelta:
    """How long the slowest of the containers may take to be called unready, by its own probes."""
    seconds = 0
    for container in containers:
        for key in ("startupProbe", "readinessProbe"):
            if key == "startupProbe" and container.state.get("started") is not False:
                continue
            probe = mapping(container.definition.get(key))
            if probe:
                rounds = integer(probe.get("periodSeconds"), 10) * integer(probe.get("failureThreshold"), 3)
                seconds = max(seconds, integer(probe.get("initialDelaySeconds")) + rounds)
    return timedelta(seconds=min(seconds, 86_400))


def _liveness(pod: Obj, context: Context) -> Iterator[Outcome]:
    failures = _probe_failures(pod, "liveness", context)
    if sum(event.times for event in failures) < context.thresholds.liveness_count:
        return
    newest = max(failures, key=lambda event: event.at or context.now)
    yield signal(
        "liveness_probe_failing",
        pod,
        reason="Unhealthy",
        message=newest.message,
        at=newest.at,
        evidence=_pod_facts(pod),
    )


def _restart_storm(pod: Obj, containers: list[Container], context: Context) -> Iterator[Outcome]:
    """Restarts are counted against our own samples: the absolute number is history, not a fault."""
    samples = context.history.get(text(fields.metadata(pod).get("uid")))
    if not samples:
        return
    total = sum(container.restarts for container in containers)
    limits = context.thresholds
    for window, needed in (
        (limits.restart_storm_short, limits.restart_storm_short_count),
        (limits.restart_storm_long, limits.restart_storm_long_count),
    ):
        counts = [count for at, count in samples if context.is_recent(at, window) or context.now - at == window]
        if counts and total - counts[0] >= needed:
            minutes = int(window.total_seconds() // 60)
            yield signal(
                "restart_storm",
                pod,
                reason="Restarting",
                message=f"Containers restarted {total - counts[0]} times within {minutes} minutes",
                at=context.now,
                evidence=_pod_facts(pod) | {"restartCount": total, "restarts": total - counts[0]},
            )
            return


def _resize(pod: Obj, conditions: dict[str, Condition], context: Context) -> Iterator[Outcome]:
    pending = conditions.get("PodResizePending", ABSENT)
    if not pending.is_true:
        return
    is_late = pending.reason == "Deferred" and context.held(pending.since, context.thresholds.resize_deferred)
    if pending.reason == "Infeasible" or is_late:
        yield signal(
            "resize_infeasible",
            pod,
            reason=pending.reason,
            message=f"The requested resources do not fit the node: {pending.message}",
            at=pending.since,
        )
    else:
        yield Verdict.PROGRESSING
