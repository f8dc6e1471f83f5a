"""Pods that ended or were lost: who is going to replace them decides how bad it is."""

from collections.abc import Iterator
from datetime import datetime

from incidents.detectors import fields
from incidents.detectors.base import Context, Outcome, Verdict, signal
from incidents.detectors.containers import containers_of, facts, out_of_memory
from incidents.detectors.fields import ABSENT, Condition, Obj, integer, parse_time, text
from incidents.detectors.view import ResourceRef, owner_reference

_MIRROR = "kubernetes.io/config.mirror"
# the cluster took the pod's place away; its own program did nothing wrong
_CLUSTER_REASONS = frozenset(
    {
        "Evicted",
        "NodeLost",
        "Shutdown",
        "Terminated",
        "NodeShutdown",
        "Preempting",
        "UnexpectedAdmissionError",
        "NodeAffinity",
    }
)


def judge_failed(pod: Obj, context: Context) -> Iterator[Outcome]:
    """Phase Failed: an out-of-memory kill explains it; else the owner's fate tells whether anybody needs to act."""
    killed = [found for one in containers_of(pod) if (found := out_of_memory(one, context)) is not None]
    if killed:
        yield from killed
        return
    reason = _reason(pod)
    owner, _ = owner_reference(pod)
    is_absorbed = owner is not None and _is_absorbed(owner, reason, context)
    if owner is not None and _has_failed(owner, context):
        yield Verdict.ANOMALOUS  # sick like its Job, whose own signal is the one to act on
    condition = "pod_failed"
    if owner is None and _MIRROR not in fields.annotations(pod):
        condition = "unmanaged_pod_failed"
    elif reason == "Evicted":
        condition = "pod_evicted"
    elif reason in ("Preempting", "PreemptionByScheduler"):
        condition = "pod_preempted"
    end, evidence = _worst_end(pod)
    yield signal(
        condition,
        pod,
        reason=reason,
        message=_sentence(pod, reason),
        at=_ended_at(pod, end),
        severity="low" if is_absorbed else None,
        informational=is_absorbed,
        evidence=evidence,
    )


def judge_unknown(pod: Obj, context: Context) -> Iterator[Outcome]:
    """The node no longer reports the pod."""
    ready = fields.conditions(pod).get("Ready", ABSENT)
    since = ready.since or fields.created_at(pod)
    if not context.held(since, context.thresholds.pod_unknown):
        yield Verdict.PROGRESSING
        return
    node = text(fields.spec(pod).get("nodeName"))
    yield signal(
        "pod_unknown",
        pod,
        reason=text(fields.status(pod).get("reason")) or "Unknown",
        message=f"Node {node or 'of the pod'} does not report the pod any more",
        at=since,
        evidence={"node": node} if node else {},
    )


def _is_absorbed(owner: ResourceRef, reason: str, context: Context) -> bool:
    """Whether the owner deals with it: a Job retries or fails itself, a controller replaces what the cluster took away."""
    if owner.kind == "Job":
        return owner in context.related.jobs
    if (
        reason in _CLUSTER_REASONS
        or reason.startswith("OutOf")
        or reason in ("TerminationByKubelet", "PreemptionByScheduler")
    ):
        return True
    tally = context.related.pods.get(owner)
    return tally is not None and tally.total > 0 and tally.ready >= context.related.replicas.get(owner, tally.total)


def _has_failed(owner: ResourceRef, context: Context) -> bool:
    job = context.related.jobs.get(owner)
    return job is not None and job.failed


def _reason(pod: Obj) -> str:
    reason = text(fields.status(pod).get("reason"))
    if reason:
        return reason
    disruption = fields.conditions(pod).get("DisruptionTarget", ABSENT)
    if disruption.is_true:
        return "Evicted" if disruption.reason == "TerminationByKubelet" else disruption.reason
    for container in containers_of(pod):
        if integer(container.terminated.get("exitCode")):
            return text(container.terminated.get("reason")) or "Error"
    return "Failed"


def _sentence(pod: Obj, reason: str) -> str:
    message = text(fields.status(pod).get("message"))
    if message:
        return f"Pod failed ({reason}): {message}"
    for container in containers_of(pod):
        code = integer(container.terminated.get("exitCode"))
        if code:
            return f"Pod failed: container {container.name} ended with exit code {code} ({reason})"
    return f"Pod failed ({reason})"


def _worst_end(pod: Obj) -> tuple[datetime | None, dict[str, str | int]]:
    for container in containers_of(pod):
        end = container.terminated
        if integer(end.get("exitCode")):
            return parse_time(end.get("finishedAt")), facts(container, end)
    return None, {}


def _ended_at(pod: Obj, finished: datetime | None) -> datetime | None:
    conditions = fields.conditions(pod)
    disruption: Condition = conditions.get("DisruptionTarget", ABSENT)
    return finished or disruption.since or conditions.get("Ready", ABSENT).since or fields.created_at(pod)
