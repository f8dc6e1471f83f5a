"""Small readers and writers of Kubernetes objects as plain dictionaries."""

import datetime as dt
import random
from collections.abc import Iterable
from typing import Any

import orjson

Obj = dict[str, Any]
Objects = list[Obj]

# The characters of generated names: no vowels and no look-alikes, as in Kubernetes.
NAME_CHARACTERS = "bcdfghjklmnpqrstvwxz2456789"
UNITS = {
    "": 1, "m": 1e-3, "u": 1e-6, "n": 1e-9, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60,
}  # fmt: skip


def clone(obj: Obj) -> Obj:
    """A deep copy. Stored objects are never changed in place, so whoever changes one clones it first."""
    copied: Obj = orjson.loads(orjson.dumps(obj))
    return copied


def timestamp() -> str:
    """The present time as Kubernetes writes it: UTC, whole seconds."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def random_suffix(source: random.Random, length: int = 5) -> str:
    return "".join(source.choices(NAME_CHARACTERS, k=length))


def quantity(text: str | float) -> float:
    """The number behind a Kubernetes quantity (`250m` → 0.25, `1Ki` → 1024). Raises ValueError on anything else."""
    if isinstance(text, (int, float)):
        return float(text)
    digits = text.rstrip("".join(sorted(set("".join(UNITS)))))
    if text[len(digits) :] not in UNITS:
        raise ValueError(f"not a quantity: {text!r}")
    return float(digits) * UNITS[text[len(digits) :]]


def owner_of(obj: Obj) -> Obj | None:
    """The owner reference of the controller, if there is one."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return dict(reference)
    return None


def owner_reference(owner: Obj) -> Obj:
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_terminating(obj: Obj) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def condition(obj: Obj, kind: str) -> Obj | None:
    for found in obj.get("status", {}).get("conditions") or ():
        if found["type"] == kind:
            return dict(found)
    return None


def is_ready(pod: Obj) -> bool:
    found = condition(pod, "Ready")
    return found is not None and found["status"] == "True"


def is_finished(pod: Obj) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def is_active(pod: Obj) -> bool:
    """Counted by controllers: neither finished nor on its way out."""
    return not is_terminating(pod) and not is_finished(pod)


def set_condition(conditions: Iterable[Obj], changed: Obj) -> list[Obj]:
    """The conditions with one replaced or added; `lastTransitionTime` moves only when the status does.

    Saying the same again changes nothing at all, or every report would be a change and every change a report.
    """
    result = [dict(c) for c in conditions]
    for position, old in enumerate(result):
        if old["type"] == changed["type"]:
            if _says(old) == _says(changed):
                return result
            if old["status"] == changed["status"]:
                changed = changed | {"lastTransitionTime": old["lastTransitionTime"]}
            result[position] = changed
            return result
    return [*result, changed]


def _says(of: Obj) -> Obj:
    return {key: value for key, value in of.items() if not key.startswith("last")}


def requests_of(pod_spec: Obj) -> tuple[float, float]:
    """CPU cores and bytes of memory that the containers ask for together."""
    cores = memory = 0.0
    for container in pod_spec.get("containers", ()):
        asked = container.get("resources", {}).get("requests") or {}
        cores += quantity(asked.get("cpu", 0))
        memory += quantity(asked.get("memory", 0))
    return cores, memory
