"""Reading foreign JSON without trusting it: a field of the wrong type reads as if it were absent."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

Obj = Mapping[str, Any]

MAX_ITEMS = 1000  # no list inside one object is read further than this
MAX_TEXT = 1024
_EMPTY: Obj = MappingProxyType({})
_ZERO_YEAR = 1  # Go's zero time, 0001-01-01T00:00:00Z, means "not set"


def mapping(value: object) -> Obj:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else _EMPTY


def objects(value: object) -> Iterator[Obj]:
    """The JSON objects of a list, at most `MAX_ITEMS` of its entries."""
    if isinstance(value, list):
        for item in value[:MAX_ITEMS]:
            if isinstance(item, dict):
                yield item


def text(value: object) -> str:
    """The value if it is a string, else ''."""
    return value if isinstance(value, str) else ""


def integer(value: object, default: int = 0) -> int:
    """The value if it is a whole number, else `default`; `true` is no number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def number_of(value: object, default: int = 0) -> int:
    """A count that may be written as a quantity without suffix (`"110"`)."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return integer(value, default)


def parse_time(value: object) -> datetime | None:
    """An aware UTC-comparable time from RFC 3339; null, garbage and the zero time are None."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
    elif isinstance(value, datetime):  # YAML readers turn unquoted times into datetimes
        moment = value
    else:
        return None
    if moment.year <= _ZERO_YEAR:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def latest(*moments: datetime | None) -> datetime | None:
    """The newest of the known times."""
    return max((moment for moment in moments if moment), default=None)


def metadata(obj: Obj) -> Obj:
    return mapping(obj.get("metadata"))


def spec(obj: Obj) -> Obj:
    return mapping(obj.get("spec"))


def status(obj: Obj) -> Obj:
    return mapping(obj.get("status"))


def labels(obj: Obj) -> Obj:
    return mapping(metadata(obj).get("labels"))


def annotations(obj: Obj) -> Obj:
    return mapping(metadata(obj).get("annotations"))


def created_at(obj: Obj) -> datetime | None:
    return parse_time(metadata(obj).get("creationTimestamp"))


def deleted_at(obj: Obj) -> datetime | None:
    return parse_time(metadata(obj).get("deletionTimestamp"))


def is_deleting(obj: Obj) -> bool:
    return bool(metadata(obj).get("deletionTimestamp"))


def is_stale(obj: Obj) -> bool:
    """Whether the controller has not yet seen the newest spec, so that the status describes an older one."""
    generation = integer(metadata(obj).get("generation"))
    return integer(status(obj).get("observedGeneration"), generation) < generation


def controller_of(obj: Obj) -> Obj:
    """The owner reference that controls the object; without a marked one the only owner there is; else empty."""
    owners = list(objects(metadata(obj).get("ownerReferences")))
    for owner in owners:
        if owner.get("controller") is True:
            return owner
    return owners[0] if len(owners) == 1 else _EMPTY


class Condition(NamedTuple):
    """One entry of `status.conditions`; `since` is its last transition."""

    type: str
    status: str
    reason: str
    message: str
    since: datetime | None
    updated: datetime | None
    generation: int

    @property
    def is_true(self) -> bool:
        return self.status == "True"

    @property
    def is_false(self) -> bool:
        return self.status == "False"

    @property
    def is_unknown(self) -> bool:
        return self.status == "Unknown"


ABSENT = Condition("", "", "", "", None, None, 0)


def read_condition(raw: Obj) -> Condition:
    state = raw.get("status")
    return Condition(
        type=text(raw.get("type")),
        status=str(state) if isinstance(state, bool) else text(state),
        reason=text(raw.get("reason")),
        message=text(raw.get("message")),
        since=parse_time(raw.get("lastTransitionTime")),
        updated=parse_time(raw.get("lastUpdateTime")),
        generation=integer(raw.get("observedGeneration")),
    )


def read_conditions(value: object) -> dict[str, Condition]:
    """Conditions by type; of duplicates the one for the newer generation, then the later transition, counts."""
    found: dict[str, Condition] = {}
    for raw in objects(value):
        condition = read_condition(raw)
        other = found.get(condition.type)
        if other is None or _is_newer(condition, other):
            found[condition.type] = condition
    return found


def conditions(obj: Obj) -> dict[str, Condition]:
    return read_conditions(status(obj).get("conditions"))


def _is_newer(one: Condition, other: Condition) -> bool:
    if one.generation != other.generation:
        return one.generation > other.generation
    if one.since and other.since:
        return one.since > other.since
    return bool(one.status) and not other.status
