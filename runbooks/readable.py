"""Cluster objects as YAML for people: without what only machines read, and without secrets. Pure."""

from collections.abc import Mapping
from typing import Any

from aiops import documents
from aiops.redaction import SECRET_NAME, redact_details

NOISE = frozenset({"managedFields", "selfLink", "ownerReferences"})
# what changes with every write, so that it would drown a difference
VERSIONS = frozenset({"resourceVersion", "generation"})
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
OUR_MARKS = "aiops.io/"
DEEPEST = 24
FIRST = ("apiVersion", "kind", "metadata", "status")  # what people look at; the specification follows


def whole(obj: Mapping[str, Any]) -> str:
    """The object with its status."""
    metadata = {name: value for name, value in obj["metadata"].items() if name not in NOISE}
    annotations = {name: text for name, text in (metadata.get("annotations") or {}).items() if name != LAST_APPLIED}
    ordered = [*(name for name in FIRST if name in obj), *(name for name in obj if name not in FIRST)]
    shown = {name: obj[name] for name in ordered}
    return _write({**shown, "metadata": {**metadata, "annotations": annotations}})


def wanted(obj: Mapping[str, Any]) -> str:
    """What the object asks for, as two states of it are compared: no status, no versions, no marks of ours."""
    metadata = {name: value for name, value in obj["metadata"].items() if name not in NOISE | VERSIONS}
    annotations = {
        name: text
        for name, text in (metadata.get("annotations") or {}).items()
        if name != LAST_APPLIED and not name.startswith(OUR_MARKS)
    }
    shown = {name: value for name, value in obj.items() if name != "status"}
    return _write({**shown, "metadata": {**metadata, "annotations": annotations}})


def _write(obj: Mapping[str, Any]) -> str:
    return documents.write(redact_details(_masked(obj), depth=DEEPEST))


def _masked(value: Any) -> Any:
    """Without the values of environment variables whose names say that they are secret."""
    if isinstance(value, Mapping):
        if "value" in value and SECRET_NAME.search(str(value.get("name", ""))):
            return {**value, "value": "[REDACTED]"}
        return {name: _masked(inner) for name, inner in value.items()}
    return [_masked(item) for item in value] if isinstance(value, list) else value
