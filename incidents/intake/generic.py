"""Alerts of anybody else: an object or a list of objects in our own form, plain or in CloudEvents 1.0 envelopes."""

from typing import Any

from aiops.errors import Invalid
from incidents.intake import base, names
from incidents.states import Source


def read(document: Any) -> base.Reading:
    """Of a list, bad members are set aside; a single bad object is refused as a whole (X9.31)."""
    if isinstance(document, dict) and _is_cloud_event(document):
        document = document.get("data")
        if document is None:
            raise base.refuse("data", "A CloudEvent must carry JSON data.")
    if isinstance(document, list):
        return base.read_all(document, one)
    if not isinstance(document, dict):
        raise base.refuse("title", "The document must be an object or a list of objects.")
    try:
        return base.Reading([one(0, document)], [])
    except base.Malformed as error:
        raise Invalid("The alert is not valid", fields={error.member: [error.reason]}) from error


def one(index: int, item: Any) -> base.Alert:
    if isinstance(item, dict) and _is_cloud_event(item):
        item = item.get("data")
    if not isinstance(item, dict):
        raise base.Malformed("alert", "Must be an object.")
    title = base.text(item, "title", base.MAX_TEXT)
    if not title:
        raise base.Malformed("title", "This field is required.")
    labels, annotations = base.texts(item, "labels"), base.texts(item, "annotations")
    signal_type = _signal_type(item, title)
    resource = _resource(item, labels, signal_type, title)
    key = base.text(item, "dedupKey", base.MAX_NAME)
    facts = {"title": title, "annotations": annotations, "url": base.text(item, "url")}
    return base.Alert(
        index=index,
        firing=base.status(item, "status", base.FIRING),
        signal_type=signal_type,
        identity=base.identity_of({}, key) if key else base.identity_of(labels, title, *resource),
        resource=resource,
        description=base.described(title, base.text(item, "description"), otherwise=title),
        severity=base.severity(base.text(item, "severity"), labels.get("severity", ""), labels.get("priority", "")),
        starts_at=base.moment(item, "startsAt"),
        ends_at=base.moment(item, "endsAt"),
        cluster=base.text(item, "cluster", base.MAX_NAME) or base.label(labels, "cluster"),
        labels=labels,
        evidence={name: value for name, value in facts.items() if value},
    )


def _is_cloud_event(document: dict[str, Any]) -> bool:
    return isinstance(document.get("specversion"), str) and "title" not in document


def _signal_type(item: dict[str, Any], title: str) -> str:
    given = base.text(item, "signalType")
    if not given:
        return names.signal_type(title)
    if not names.FORM.fullmatch(given):
        raise base.Malformed("signalType", "Must be lower-case letters, digits and '_', beginning with a letter.")
    return given


def _resource(item: dict[str, Any], labels: dict[str, str], signal_type: str, title: str) -> base.Resource:
    given = item.get("resource")
    if given is None:
        return base.resource_of(labels, signal_type, otherwise=title)
    if not isinstance(given, dict):
        raise base.Malformed("resource", "Must be an object.")
    found = {}
    for member in ("kind", "name", "namespace"):
        try:
            found[member] = base.text(given, member, base.MAX_NAME)
        except base.Malformed as error:
            raise base.Malformed(f"resource.{member}", error.reason) from error
        if not found[member] and member != "namespace":
            raise base.Malformed(f"resource.{member}", "This field is required.")
    namespace = found["namespace"] or base.label(labels, "namespace")
    return base.Resource(found["kind"], found["name"], namespace or ("" if found["kind"] == "Node" else "default"))


INTAKE = base.Intake(origin="generic", source=Source.WEBHOOK, read=read)
