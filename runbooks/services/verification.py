"""Did the change help? Asked again and again, since the first good look after a change proves nothing.

A sample is good when the workload is well and its controller has seen the change, no container restarted since the sample
before, none of the incident's signals is firing, and the cluster was looked at after the change. Three good ones in a row,
spread over the soak time, and the plan is verified.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from aiops.api.formats import format_time, parse_time
from aiops.clients.errors import ClientError
from federation import services as federation
from incidents.services import correlation
from runbooks import health
from runbooks.actions import ACTIONS, ActionRefused, Target
from runbooks.actions.base import read, understood
from runbooks.actions.selectors import pods_of
from runbooks.models import RemediationPlan
from runbooks.services import preflight
from runbooks.states import StepState

GOOD_SAMPLES = 3
SHORTEST = timedelta(minutes=10)
SHORT_SOAK = 60  # seconds; below it somebody is in a hurry (tests, a demo), and the time-out shrinks with it
MAX_RESTART_PODS = 200  # pods whose restarts are remembered from sample to sample


@dataclass(frozen=True, slots=True)
class Sample:
    """One look. `score` is None when the cluster told nothing."""

    good: bool
    reason: str
    score: float | None = None
    restarts: Mapping[str, int] = field(default_factory=dict)
    progress_deadline: int = 0  # seconds in which Kubernetes itself expects the rollout to proceed


def take(plan: RemediationPlan) -> Sample:
    """Look at the workload and at the signals. Never raises for the cluster's sake: unknown is not good."""
    sample = look(plan)
    if not sample.good or required_action(plan):
        return sample  # what is only contained goes on to show its signals
    reason = ""
    if _restarted(plan.verification.get("restarts") or {}, sample.restarts):
        reason = "containers were restarted since the look before"
    reason = reason or _signals(plan)
    return replace(sample, good=not reason, reason=reason or sample.reason)


def look(plan: RemediationPlan) -> Sample:
    """Look at the workload alone."""
    if plan.cluster is None:
        return Sample(False, "the cluster is not registered any more")
    try:
        client = federation.connect(plan.cluster)
        with understood():
            obj = read(client, verified_object(plan))
            return _judge(plan, obj, pods_of(client, obj))
    except (ClientError, ActionRefused) as error:
        return Sample(False, f"unknown: {error.message}")


def _judge(plan: RemediationPlan, obj: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]) -> Sample:
    verdict = health.Health(True, "contained", 1.0) if _is_cordoned(plan, obj) else health.of(obj, pods)
    restarts = health.restarts(pods[:MAX_RESTART_PODS])
    deadline = int((obj.get("spec") or {}).get("progressDeadlineSeconds") or 0) if obj["kind"] == "Deployment" else 0
    return Sample(verdict.ok, verdict.reason, verdict.score, restarts, deadline)


def required_action(plan: RemediationPlan) -> str:
    """What a person has to do when the plan only contained the damage; empty when it repaired."""
    target = preflight.target_of(plan)
    for step in plan.steps.filter(state=StepState.COMPLETED).exclude(action_type=""):
        action = ACTIONS.get(step.action_type)
        if action is not None and (text := action.required_action(target, step.params)):
            return text
    return ""


def _is_cordoned(plan: RemediationPlan, obj: Mapping[str, Any]) -> bool:
    """A sick node that was to be cordoned need not get well to be contained."""
    return obj["kind"] == "Node" and bool((obj.get("spec") or {}).get("unschedulable")) and bool(required_action(plan))


def verified_object(plan: RemediationPlan) -> Target:
    """What has to be well: the target, or the Job that took the place of the failed one."""
    retried = plan.steps.filter(action_type="RetryJob", state=StepState.COMPLETED).order_by("-index").first()
    if retried is not None and retried.snapshot:
        return Target("Job", retried.snapshot["retry"], plan.namespace)
    return preflight.target_of(plan)


def _restarted(before: Mapping[str, int], now: Mapping[str, int]) -> bool:
    return any(count > before.get(uid, count) for uid, count in now.items())


def _signals(plan: RemediationPlan) -> str:
    """Why the incident's signals do not allow a good sample; empty when they do."""
    assert plan.cluster is not None and plan.actions_completed_at is not None
    seen_at = plan.cluster.last_heartbeat_at
    if seen_at is None or seen_at <= plan.actions_completed_at:
        return "the cluster was not looked at since"
    firing = correlation.firing(plan.incident).values_list("signal_type", flat=True).first()
    return f"{firing} is still firing" if firing else ""


def add(state: Mapping[str, Any], sample: Sample, at: datetime) -> dict[str, Any]:
    """The state of the verification after one more sample; JSON."""
    good = int(state.get("good", 0)) + 1 if sample.good else 0
    since = (state.get("since") or format_time(at)) if sample.good else None
    return {
        **state,
        "good": good,
        "since": since,
        "samples": int(state.get("samples", 0)) + 1,
        "lastReason": sample.reason,
        "score": sample.score if sample.score is not None else state.get("score"),
        "restarts": dict(sample.restarts) or state.get("restarts") or {},
        "progressDeadline": sample.progress_deadline or state.get("progressDeadline") or 0,
    }


def is_verified(state: Mapping[str, Any], at: datetime) -> bool:
    if int(state.get("good", 0)) < GOOD_SAMPLES:
        return False
    return at - parse_time(state["since"]) >= timedelta(seconds=settings.AIOPS_VERIFY_SOAK)


def deadline(plan: RemediationPlan, state: Mapping[str, Any]) -> datetime:
    """When it has taken too long: never before the rollout could be done and three soak times are over."""
    assert plan.actions_completed_at is not None
    soak = timedelta(seconds=settings.AIOPS_VERIFY_SOAK)
    shortest = SHORTEST if settings.AIOPS_VERIFY_SOAK >= SHORT_SOAK else soak * 3 + _looks()
    rollout = timedelta(seconds=int(state.get("progressDeadline") or 0)) if shortest == SHORTEST else timedelta()
    return plan.actions_completed_at + max(shortest, soak * 3, rollout + soak)


def _looks() -> timedelta:
    """Time for the samples and for the polls without a signal until it counts as gone, with room for a slow machine."""
    return timedelta(seconds=10 * settings.AIOPS_VERIFY_INTERVAL + 4 * settings.AIOPS_POLL_INTERVAL)


def next_look(at: datetime) -> datetime:
    return at + timedelta(seconds=settings.AIOPS_VERIFY_INTERVAL)


def has_improved(state: Mapping[str, Any]) -> bool:
    """Whether the workload is better off than before the plan: then going back would do harm."""
    before, now = state.get("baseline"), state.get("score")
    return before is not None and now is not None and now > before
