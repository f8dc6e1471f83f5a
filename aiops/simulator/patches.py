"""The three patch formats of the Kubernetes API, as pure functions from document and patch to a new document."""

from collections.abc import Callable
from typing import Any

from aiops.simulator import problems
from aiops.simulator.objects import Obj, clone

MAX_OPERATIONS = 10_000

# Lists that a strategic merge joins by a key; every other list is replaced, lists of finalizers are joined.
MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "conditions": ("type",),
    "ownerReferences": ("uid",),
    "ports": ("containerPort", "port"),
    "addresses": ("type",),
    "topologySpreadConstraints": ("topologyKey",),
    "secrets": ("name",),
    "managedFields": (),
}
ATOMIC_PARENTS = frozenset({"tolerations", "taints"})


def merge(document: Any, patch: Any) -> Any:
    """JSON merge patch (RFC 7396): null removes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result


def strategic_merge(document: Any, patch: Any) -> Any:
    """Strategic merge patch: like a merge, but lists of named things are merged item by item.

    Honors `$patch: delete`, `$patch: replace`, `$deleteFromPrimitiveList/…` and ignores `$setElementOrder/…`.
    """
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    result = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if name == "$patch" or name.startswith("$setElementOrder/") or name == "$retainKeys":
            continue
        if name.startswith("$deleteFromPrimitiveList/"):
            target = name.partition("/")[2]
            result[target] = [item for item in result.get(target) or () if item not in value]
        elif value is None or (isinstance(value, dict) and value.get("$patch") == "delete"):
            result.pop(name, None)
        elif isinstance(value, list):
            result[name] = _merge_lists(name, result.get(name) or [], value)
        else:
            result[name] = strategic_merge(result.get(name), value)
    if "$retainKeys" in patch:
        result = {name: value for name, value in result.items() if name in patch["$retainKeys"]}
    return result


def _merge_lists(name: str, old: list[Any], new: list[Any]) -> list[Any]:
    if name == "finalizers":
        return [*old, *(item for item in new if item not in old)]
    keys = MERGE_KEYS.get(name, ())
    key = next((k for k in keys if all(isinstance(item, dict) and (k in item or "$patch" in item) for item in new)), "")
    if not key or any(item.get("$patch") == "replace" for item in new):
        return [item for item in new if not (isinstance(item, dict) and item.get("$patch"))]
    result = list(old)
    for item in new:
        position = next((i for i, had in enumerate(result) if had.get(key) == item.get(key)), None)
        if item.get("$patch") == "delete":
            if position is not None:
                del result[position]
        elif position is None:
            result.append(strategic_merge({}, item))
        else:
            result[position] = strategic_merge(result[position], item)
    return result


def json_patch(document: Obj, operations: Any) -> Obj:
    """JSON patch (RFC 6902). Raises a 422 problem when a test fails or a path does not exist, 400 on a wrong shape."""
    if not isinstance(operations, list) or len(operations) > MAX_OPERATIONS:
        raise problems.bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    result: Any = clone(document)
    for operation in operations:
        if not isinstance(operation, dict) or operation.get("op") not in _OPERATIONS:
            raise problems.bad_request("Unexpected kind of JSON patch operation")
        try:
            result = _OPERATIONS[operation["op"]](result, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise problems.failed_json_patch() from error
    if not isinstance(result, dict):
        raise problems.failed_json_patch()
    return result


def _steps(pointer: str) -> list[str]:
    if pointer == "":
        return []
    if not pointer.startswith("/"):
        raise ValueError(pointer)
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")]


def _child(container: Any, step: str) -> Any:
    return container[int(step)] if isinstance(container, list) else container[step]


def _read(document: Any, pointer: str) -> Any:
    for step in _steps(pointer):
        document = _child(document, step)
    return document


def _parent(document: Any, pointer: str) -> tuple[Any, str]:
    *path, last = _steps(pointer)
    for step in path:
        document = _child(document, step)
    return document, last


def _add(document: Any, operation: Obj) -> Any:
    if operation["path"] == "":
        return operation["value"]
    container, last = _parent(document, operation["path"])
    if isinstance(container, list):
        position = len(container) if last == "-" else int(last)
        if not 0 <= position <= len(container):
            raise IndexError(last)
        container.insert(position, operation["value"])
    else:
        container[last] = operation["value"]
    return document


def _remove(document: Any, operation: Obj) -> Any:
    container, last = _parent(document, operation["path"])
    if isinstance(container, list):
        del container[int(last)]
    else:
        del container[last]
    return document


def _replace(document: Any, operation: Obj) -> Any:
    _read(document, operation["path"])
    if operation["path"] == "":
        return operation["value"]
    container, last = _parent(document, operation["path"])
    if isinstance(container, list):
        container[int(last)] = operation["value"]
    else:
        container[last] = operation["value"]
    return document


def _copy(document: Any, operation: Obj) -> Any:
    value = clone({"value": _read(document, operation["from"])})["value"]
    return _add(document, {"path": operation["path"], "value": value})


def _move(document: Any, operation: Obj) -> Any:
    value = _read(document, operation["from"])
    document = _remove(document, {"path": operation["from"]})
    return _add(document, {"path": operation["path"], "value": value})


def _test(document: Any, operation: Obj) -> Any:
    if _read(document, operation["path"]) != operation["value"]:
        raise ValueError(operation["path"])
    return document


_OPERATIONS: dict[str, Callable[[Any, Obj], Any]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "copy": _copy,
    "move": _move,
    "test": _test,
}
