"""The shapes that documents of SLOs are made of: what is expected where, and what was found instead. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST = 500  # objects of a list

Body = dict[str, Any]


class Refused(Exception):
    """What is wrong, and where in the document."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")


@dataclass(slots=True)
class Candidate:
    """An SLO of a document: the body to validate, or the problem that makes it none."""

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
