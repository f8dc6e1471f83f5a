"""What a rollout changed, in words."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from aiops import quantities
from incidents.analysis.context import Revision, Template

MAX_CHANGES = 12


def differences(newer: Revision, older: Revision) -> list[str]:
    """One sentence per difference between two revisions; secrets are already masked in the facts."""
    before = {template.name: template for template in older.templates}
    found: list[str] = []
    for template in newer.templates:
        was = before.pop(template.name, None)
        found += [f"container {template.name} was added"] if was is None else _changes(template, was)
    found += [f"container {name} was removed" for name in before]
    return found[:MAX_CHANGES]


def _changes(now: Template, was: Template) -> Iterator[str]:
    if now.image != was.image:
        yield f"image {was.image} → {now.image}"
    if now.command != was.command:
        yield f"command of {now.name} changed"
    for name in sorted(set(now.env) | set(was.env)):
        if name not in was.env:
            yield f"variable {name} was added"
        elif name not in now.env:
            yield f"variable {name} was removed"
        elif now.env[name] != was.env[name]:
            yield f"variable {name}: {was.env[name]!r} → {now.env[name]!r}"
    yield from _amounts("limit", now.limits, was.limits)
    yield from _amounts("request", now.requests, was.requests)


def _amounts(bound: str, now: Mapping[str, Decimal], was: Mapping[str, Decimal]) -> Iterator[str]:
    for name in sorted(set(now) | set(was)):
        if now.get(name) != was.get(name):
            yield f"{name} {bound} {amount(name, was.get(name))} → {amount(name, now.get(name))}"


def amount(resource: str, value: Decimal | None) -> str:
    """A quantity as people write it; "none" when there is none."""
    if value is None:
        return "none"
    return quantities.cpu(value) if resource == "cpu" else quantities.memory(value)


def only_configuration(changes: list[str]) -> bool:
    """Whether a rollout changed settings but no program."""
    return bool(changes) and not any(change.startswith(("image ", "container ", "command ")) for change in changes)
