"""Edits of one object as JSON patch, and their way back. Pure.

An edit replaces the value at a JSON pointer. A snapshot keeps, per pointer, the value before and after; going back is a
three-way merge: a pointer that still holds our value gets its old one, one that holds its old value already is left alone,
and anything else means that somebody else changed it since.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True)
class Edit:
    """`value` is what stands at `pointer` afterwards; ABSENT removes it."""

    pointer: str
    value: Any


def pointer(*parts: str | int) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def split(text: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def value_at(document: Any, path: str) -> Any:
    """The value at `path`, or ABSENT."""
    here = document
    for part in split(path):
        if isinstance(here, Mapping):
            here = here.get(part, ABSENT)
        elif isinstance(here, Sequence) and not isinstance(here, str) and part.isdigit() and int(part) < len(here):
            here = here[int(part)]
        else:
            return ABSENT
        if here is ABSENT:
            return ABSENT
    return here


def operations(document: Mapping[str, Any], edits: Sequence[Edit]) -> list[dict[str, Any]]:
    """JSON patch operations that turn `document` into its edited form; parents that are missing are created."""
    made: list[dict[str, Any]] = []
    created: set[str] = set()
    for edit in edits:
        parts = split(edit.pointer)
        if edit.value is ABSENT:
            if value_at(document, edit.pointer) is not ABSENT:
                made.append({"op": "remove", "path": edit.pointer})
            continue
        for depth in range(1, len(parts)):
            parent = pointer(*parts[:depth])
            if parent not in created and value_at(document, parent) in (ABSENT, None):
                made.append({"op": "add", "path": parent, "value": {}})
                created.add(parent)
        made.append({"op": "add", "path": edit.pointer, "value": edit.value})
    return made


def recorded(before: Mapping[str, Any], after: Mapping[str, Any], pointers: Sequence[str]) -> list[dict[str, Any]]:
    """The entries of a snapshot; a missing member means that the value was absent."""
    entries = []
    for path in pointers:
        entry: dict[str, Any] = {"pointer": path}
        for name, document in (("before", before), ("after", after)):
            value = value_at(document, path)
            if value is not ABSENT:
                entry[name] = value
        entries.append(entry)
    return entries


def inverse(current: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> tuple[list[Edit], list[str]]:
    """Edits that restore the values before, and the pointers that somebody else has changed since."""
    edits, conflicts = [], []
    for entry in entries:
        here = value_at(current, entry["pointer"])
        before, after = entry.get("before", ABSENT), entry.get("after", ABSENT)
        if here == before:
            continue
        if here == after:
            edits.append(Edit(entry["pointer"], before))
        else:
            conflicts.append(entry["pointer"])
    return edits, conflicts
