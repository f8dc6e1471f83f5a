"""The shapes that documents of SLOs are made of: what is expected where, and what was found instead. Pure."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST = 500  # objects of a list
SPAN = re.compile(r"([1-9][0-9]{0,4})([mhdwMQY])", re.ASCII)
SLUG = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", re.ASCII)
_NO_SLUG = re.compile(r"[^a-z0-9.]+", re.ASCII)
HOURS = {"h": 1, "d": 24, "w": 7 * 24, "M": 30 * 24, "Q": 90 * 24, "Y": 365 * 24}

Body = dict[str, Any]


class Refused(Exception):
    """What is wrong, and where in the document."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")


@dataclass(slots=True)
class Candidate:
    """An SLO of a document: the body to validate, or the problem that makes it none. `name` is as it was written."""

    document: int
    name: str
    body: Body = field(default_factory=dict)
    imported: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    warnings: list[str] = field(default_factory=list)


def mapping(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Refused(path or "document", "an object is expected")
    return value


def text(value: Any, path: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Refused(path, "a text is expected")
    return value.strip()


def only(value: Mapping[str, Any], known: Collection[str], path: str, language: str) -> None:
    unknown = sorted(str(member) for member in value if member not in known)
    if unknown:
        raise Refused(f"{path}.{unknown[0]}".lstrip("."), f"is no member of {language}")


def listed(value: Any, path: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > MOST:
        raise Refused(path, "a list is expected")
    return value


def slug(name: str) -> str:
    """The name that an SLO gets here: other tools take capitals and underscores as well. The same for the same name."""
    if SLUG.fullmatch(name):
        return name
    return _NO_SLUG.sub("-", name.lower()).strip("-.")[:253] or name


def span(text: Any, path: str) -> tuple[int, str]:
    """Count and unit: m is minute, M month, Q quarter, Y year."""
    match = SPAN.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise Refused(path, "a duration such as 5m, 1h, 28d, 4w, 1M is expected")
    return int(match[1]), match[2]


def minutes(text: Any, path: str) -> int:
    count, letter = span(text, path)
    return count if letter == "m" else 60 * count * HOURS[letter]


def go_duration(minutes: int) -> str:
    """Minutes as the contract writes a duration."""
    hours, rest = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{rest}m" if rest or not hours else "")
