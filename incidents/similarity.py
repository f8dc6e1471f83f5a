"""How much two incidents have in common. Pure."""

import re
from typing import Any

WORD = re.compile(r"[a-z][a-z0-9_-]{2,}")
SIGNAL, RESOURCE, KIND, WORDS = 0.4, 0.3, 0.1, 0.2  # add up to 1


def similarity(one: Any, other: Any) -> float:
    """0 to 1: the same kind of symptom counts most, then the same workload, the same kind of workload and the wording."""
    total = 0.0
    if one.signal_type and one.signal_type == other.signal_type:
        total += SIGNAL
    if one.resource_name == other.resource_name and one.resource_kind == other.resource_kind:
        total += RESOURCE if one.namespace == other.namespace else RESOURCE / 2
    if one.resource_kind == other.resource_kind:
        total += KIND
    mine, theirs = words(one.description), words(other.description)
    if mine and theirs:
        total += WORDS * len(mine & theirs) / len(mine | theirs)
    return round(total, 2)


def words(text: str) -> frozenset[str]:
    return frozenset(WORD.findall(text.lower()))
