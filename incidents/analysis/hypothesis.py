"""What a rule says, and the pieces that several rules share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from incidents.analysis import actions, diffs
from incidents.analysis.actions import Suggestion
from incidents.analysis.context import Context, Template

MIB = Decimal(1024 * 1024)
MOST_MEMORY = 8 * 1024 * MIB  # the platform raises no limit beyond it by itself
MOST_CPU = Decimal(8)
FACTORS = (Decimal("1.5"), Decimal(2), Decimal(3))  # what one attempt after the other multiplies a limit by


class Category(StrEnum):
    CODE_BUG = "code-bug"
    CONFIG = "config"
    CAPACITY = "capacity"
    DEPENDENCY = "dependency"
    INFRASTRUCTURE = "infrastructure"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One explanation. `options` are alternatives, best first: the first that was not tried in vain is suggested."""

    cause: str
    category: Category
    confidence: float  # 0.3 to 0.9
    evidence: tuple[str, ...] = ()
    recommendations: tuple[str, ...] = ()
    options: tuple[Suggestion, ...] = ()


def roll_back(context: Context, why: str) -> Iterator[Suggestion]:
    """Back to the revision before, if there is one and it is older."""
    action = actions.ROLLBACK.get(context.kind)
    if action and context.can_roll_back:
        yield Suggestion(action, "Roll back", why, {"toRevision": "previous"})


def restart(context: Context, why: str) -> Iterator[Suggestion]:
    action = actions.RESTART.get(context.kind)
    if action:
        yield Suggestion(action, "Restart", why)


def delete_pod(context: Context, pod: str, why: str) -> Iterator[Suggestion]:
    """Only a pod that somebody recreates."""
    action = actions.DELETE_POD.get(context.kind)
    if action and pod:
        yield Suggestion(action, f"Delete pod {pod}", why, {"pod": pod})


def contain(context: Context, why: str) -> Iterator[Suggestion]:
    """Stop the bleeding: a person has to bring the workload back."""
    action = actions.SCALE.get(context.kind)
    if action:
        yield Suggestion(action, "Scale to zero", why, {"replicas": "0", "containment": "true"})


def raise_limit(context: Context, container: Template | None, resource: str, why: str) -> Iterator[Suggestion]:
    """Half as much again, then double, then three times, never beyond what the platform may give."""
    action = actions.RESOURCES.get(context.kind)
    if action is None or container is None:
        return
    limit = container.limits.get(resource)
    if not limit:
        return
    ceiling = MOST_MEMORY if resource == "memory" else MOST_CPU
    for wanted in dict.fromkeys(min(limit * factor, ceiling) for factor in FACTORS):
        if wanted > limit:
            amount = diffs.amount(resource, wanted)
            params = {"container": container.name, f"{resource}Limit": amount}
            name = f"Raise the {resource} limit to {amount}"
            yield Suggestion(action, name, f"{why} (now {diffs.amount(resource, limit)})", params)


def rollout_evidence(context: Context) -> tuple[str, ...]:
    """When the newest revision came and what it changed; empty unless that was shortly before."""
    at = context.rolled_out_at
    if at is None:
        return ()
    newest, before = context.revisions[:2]
    minutes = round((context.started_at - at).total_seconds() / 60)
    when = f"{minutes} min before" if minutes > 0 else "just before" if minutes == 0 else f"{-minutes} min into"
    changes = diffs.differences(newest, before)
    what = f": {'; '.join(changes)}" if changes else ""
    return (f"Revision {newest.number} was rolled out {when} the first signal{what}",)


def change_evidence(context: Context) -> tuple[str, ...]:
    return tuple(f"{change.what} was changed at {change.at:%H:%M:%S} UTC" for change in context.changes)


def unready(context: Context) -> str:
    """ "2 of 3 pods", or what is known of it."""
    if not context.pod_count:
        return "its pods"
    return f"{context.unready_count} of {context.pod_count} pod{'s' if context.pod_count != 1 else ''}"


def quoted(lines: Sequence[str], what: str) -> tuple[str, ...]:
    return tuple(f"{what}: {line}" for line in lines)
