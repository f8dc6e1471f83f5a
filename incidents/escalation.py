"""Escalation policies: whom one fits, what its next step is, and whether it makes sense. Pure.

A policy is a list of levels. A level tells its channels, repeats that every `repeatIntervalMinutes`, and after
`timeoutMinutes` without an answer the next level is told. The last one repeats until somebody answers.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from aiops.errors import Invalid
from incidents.states import Severity

MAX_LEVELS = 20
MAX_NAMES = 50
MAX_MINUTES = 7 * 24 * 60
DEFAULT_TIMEOUT = 15  # minutes
MAX_REPEATS = 100  # of the last level
MAX_TEXT = 253
TARGETS = frozenset({"channel", "user", "team", "oncall"})
MEMBERS = frozenset({"name", "timeoutMinutes", "notifyChannels", "targets", "repeatIntervalMinutes"})

Level = Mapping[str, Any]


class Step(NamedTuple):
    """Where a run stands: the index of the level that was told, and how often it was told again."""

    level: int
    repeats: int = 0


def fits(*, severities: Collection[str], namespaces: Collection[str], severity: str, namespace: str) -> bool:
    """Whether a policy with these criteria is meant for an incident; an empty criterion fits any."""
    return (not severities or severity in severities) and (not namespaces or namespace in namespaces)


def _minutes(level: Level, member: str, default: int) -> int:
    value = level.get(member, default)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_MINUTES else default


def _repeats_again(levels: Sequence[Level], step: Step) -> int:
    """Minutes to the repetition that follows `step`; 0 when none does."""
    level = levels[step.level]
    interval = _minutes(level, "repeatIntervalMinutes", 0)
    if step.level == len(levels) - 1:
        return interval if step.repeats < MAX_REPEATS else 0
    return interval if (step.repeats + 1) * interval < _minutes(level, "timeoutMinutes", DEFAULT_TIMEOUT) else 0


def following(levels: Sequence[Level], step: Step) -> Step | None:
    """What comes after `step`; None when nothing does, also when the policy has become shorter meanwhile."""
    if step.level >= len(levels):
        return None
    if _repeats_again(levels, step):
        return Step(step.level, step.repeats + 1)
    return Step(step.level + 1) if step.level + 1 < len(levels) else None


def wait_after(levels: Sequence[Level], step: Step) -> timedelta | None:
    """How long nobody may answer before `following` is due; None when nothing follows."""
    if following(levels, step) is None:
        return None
    again = _repeats_again(levels, step)
    if again:
        return timedelta(minutes=again)
    level = levels[step.level]
    passed = step.repeats * _minutes(level, "repeatIntervalMinutes", 0)
    return timedelta(minutes=max(_minutes(level, "timeoutMinutes", DEFAULT_TIMEOUT) - passed, 0))


def channels_of(level: Level) -> tuple[str, ...]:
    """The names of the notification channels a level tells, those among its targets included."""
    names = [name for name in level.get("notifyChannels") or () if isinstance(name, str)]
    targets = [target for target in level.get("targets") or () if isinstance(target, dict)]
    names += [str(target.get("name")) for target in targets if target.get("type") == "channel"]
    return tuple(dict.fromkeys(names))


def people_of(level: Level) -> str:
    """The targets that are no channels, for the text of the message."""
    targets = [target for target in level.get("targets") or () if isinstance(target, dict)]
    return ", ".join(
        f"{target.get('type')} {target.get('name')}" for target in targets if target.get("type") != "channel"
    )


# --- checks ------------------------------------------------------------------------------------------------------------


def check_policy(*, severities: Any, namespaces: Any, levels: Any, channels: Collection[str]) -> None:
    """Raises `Invalid` whose `fields` name each offending member (`levels[1].notifyChannels`)."""
    fields: dict[str, list[str]] = {}
    for member, values, known in (("severities", severities, set(Severity.values)), ("namespaces", namespaces, None)):
        if not _is_texts(values):
            fields[member] = ["A list of texts is expected."]
        elif known is not None and set(values) - known:
            fields[member] = [f"{sorted(set(values) - known)[0]!r} is no severity."]
    if not isinstance(levels, list) or not 0 < len(levels) <= MAX_LEVELS:
        fields["levels"] = [f"1 to {MAX_LEVELS} levels are expected."]
    else:
        for number, level in enumerate(levels):
            _check_level(level, f"levels[{number}]", channels, fields)
    if fields:
        raise Invalid("Invalid escalation policy", fields=fields)


def _check_level(level: Any, path: str, channels: Collection[str], fields: dict[str, list[str]]) -> None:
    if not isinstance(level, dict):
        fields[path] = ["An object is expected."]
        return
    unknown = sorted(set(level) - MEMBERS)
    if unknown:
        fields[path] = [f"Unknown member: {unknown[0]}."]
    name = level.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_TEXT:
        fields[f"{path}.name"] = [f"A text of 1 to {MAX_TEXT} characters is expected."]
    for member, least in (("timeoutMinutes", 1), ("repeatIntervalMinutes", 0)):
        value = level.get(member, least)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MAX_MINUTES:
            fields[f"{path}.{member}"] = [f"A whole number from {least} to {MAX_MINUTES} is expected."]
    _check_targets(level.get("targets", []), f"{path}.targets", fields)
    if not _is_texts(level.get("notifyChannels", [])):
        fields[f"{path}.notifyChannels"] = ["A list of texts is expected."]
        return
    names = channels_of(level)
    missing = sorted(set(names) - set(channels))
    if missing:
        fields[f"{path}.notifyChannels"] = [f"There is no channel {missing[0]!r}."]
    elif not names:
        fields[f"{path}.notifyChannels"] = ["Name at least one channel: a level that tells nobody is none."]


def _check_targets(targets: Any, path: str, fields: dict[str, list[str]]) -> None:
    if not isinstance(targets, list) or len(targets) > MAX_NAMES:
        fields[path] = [f"A list of at most {MAX_NAMES} targets is expected."]
        return
    for number, target in enumerate(targets):
        if not isinstance(target, dict) or target.get("type") not in TARGETS or not _is_texts([target.get("name")]):
            fields[f"{path}[{number}]"] = [f"An object with name and type ({', '.join(sorted(TARGETS))}) is expected."]


def _is_texts(values: Any) -> bool:
    if not isinstance(values, list) or len(values) > MAX_NAMES:
        return False
    return all(isinstance(value, str) and 0 < len(value) <= MAX_TEXT for value in values)
