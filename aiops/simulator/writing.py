"""Creations, replacements, patches and deletions, with all their refusals and dry runs."""

from collections.abc import Mapping
from typing import Any

import orjson
import yaml

from aiops.simulator import patches, problems
from aiops.simulator.controllers.budgets import needed
from aiops.simulator.defaults import apply_defaults
from aiops.simulator.deletion import BACKGROUND, FOREGROUND, ORPHAN, delete
from aiops.simulator.objects import Obj, clone, is_active, is_finished, is_ready
from aiops.simulator.resources import BUDGET, NAMESPACE, POD, Resource
from aiops.simulator.selectors import matches_selector
from aiops.simulator.store import Store
from aiops.simulator.validation import validate
from aiops.simulator.views import scale_of

MERGE, STRATEGIC, JSON, APPLY = (
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
    "application/apply-patch+yaml",
)
PATCH_TYPES = (JSON, MERGE, STRATEGIC, APPLY)
KEPT = ("uid", "creationTimestamp", "generation", "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds")


def wants_dry_run(query: Mapping[str, str], options: Obj | None = None) -> bool:
    """Whether the request asks for a dry run; raises 400 for any other value than All."""
    asked = ([query["dryRun"]] if query.get("dryRun") else []) + list((options or {}).get("dryRun") or ())
    if any(value != "All" for value in asked):
        raise problems.bad_request(f'dryRun: Unsupported value: "{asked[0]}": supported values: "All"')
    return bool(asked)


def create(store: Store, resource: Resource, namespace: str, body: Any, *, dry_run: bool) -> Obj:
    """Store a new object. Raises 400, 404 for a missing namespace, 409 and 422."""
    obj = _object(resource, body)
    metadata = obj["metadata"]
    if resource.namespaced:
        if metadata.setdefault("namespace", namespace) != namespace:
            raise problems.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        if store.get(NAMESPACE, "", namespace) is None:
            raise problems.not_found(NAMESPACE, namespace)
    for field in ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"):
        metadata.pop(field, None)
    obj.pop("status", None)
    validate(resource, obj, None)
    obj = apply_defaults(resource, obj)
    return store.prepare_new(resource, obj) if dry_run else store.create(resource, obj)


def replace(store: Store, resource: Resource, current: Obj, body: Any, *, subresource: str, dry_run: bool) -> Obj:
    """Put a changed object in the place of the present one. Raises 400, 409 and 422."""
    return _store_changed(store, resource, current, _object(resource, body), subresource=subresource, dry_run=dry_run)


def patch(
    store: Store, resource: Resource, current: Obj, body: bytes, content_type: str, *, subresource: str, dry_run: bool
) -> Obj:
    """Apply a patch in one of the four formats. Raises 400, 409, 415 and 422."""
    changed = patched(current, body, content_type)
    return _store_changed(store, resource, current, changed, subresource=subresource, dry_run=dry_run)


def patched(document: Obj, body: bytes, content_type: str) -> Obj:
    if content_type not in PATCH_TYPES:
        raise problems.unsupported_media_type(content_type, PATCH_TYPES)
    change = decode(body, content_type)
    if content_type == JSON:
        return patches.json_patch(document, change)
    if not isinstance(change, dict):
        raise problems.bad_request("json: cannot unmarshal array into Go value of type map[string]interface {}")
    apply = patches.merge if content_type == MERGE else patches.strategic_merge
    result: Obj = apply(document, change)
    return result


def decode(body: bytes, content_type: str) -> Any:
    """The content of a patch; an apply patch may be YAML. Raises a 400 problem when it is neither."""
    try:
        return yaml.safe_load(body) if content_type == APPLY else orjson.loads(body)
    except (orjson.JSONDecodeError, yaml.YAMLError) as error:
        raise problems.bad_request(f"error decoding patch: {error}") from error


def set_scale(store: Store, resource: Resource, current: Obj, scale: Any, *, dry_run: bool) -> Obj:
    """Change the replicas through the `scale` subresource; answers with a Scale."""
    if not isinstance(scale, dict) or not isinstance(scale.get("spec"), dict):
        raise problems.bad_request("the object provided is unrecognized (must be of type Scale)")
    _check_version(resource, current, scale.get("metadata") or {})
    changed = clone(current)
    changed["spec"]["replicas"] = scale["spec"].get("replicas", 0)
    return scale_of(_store_changed(store, resource, current, changed, subresource="", dry_run=dry_run))


def remove(store: Store, resource: Resource, current: Obj, options: Obj, query: Mapping[str, str]) -> Obj:
    """Delete an object; answers with the object when it lives on for its grace period, else with a Status. Raises 409."""
    metadata = current["metadata"]
    for field, actual in (("uid", metadata["uid"]), ("resourceVersion", metadata["resourceVersion"])):
        wanted = (options.get("preconditions") or {}).get(field)
        if wanted and wanted != actual:
            name = "UID" if field == "uid" else "ResourceVersion"
            raise problems.precondition_failed(resource, metadata["name"], field=name, wanted=wanted, actual=actual)
    propagation = options.get("propagationPolicy") or query.get("propagationPolicy") or BACKGROUND
    if propagation not in (BACKGROUND, FOREGROUND, ORPHAN):
        raise problems.bad_request(f'propagationPolicy: Unsupported value: "{propagation}"')
    grace = options.get("gracePeriodSeconds")
    if grace is None and query.get("gracePeriodSeconds", "").isdigit():
        grace = int(query["gracePeriodSeconds"])
    if wants_dry_run(query, options):
        return current if resource is POD else _deleted(resource, current)
    remaining = delete(store, resource, current, propagation=propagation, grace=grace)
    return remaining or (current if resource is POD else _deleted(resource, current))


def evict(store: Store, pod: Obj, body: Obj, query: Mapping[str, str]) -> Obj:
    """Delete a pod if the disruption budgets of its namespace allow it. Raises a 429 problem if not."""
    namespace, labels = pod["metadata"]["namespace"], pod["metadata"].get("labels")
    pods = [p for p in store.iterate(POD, namespace) if is_active(p)]
    for budget in store.iterate(BUDGET, namespace):
        selector = budget["spec"].get("selector")
        if not matches_selector(selector, labels) or is_finished(pod) or not is_ready(pod):
            continue
        covered = [p for p in pods if matches_selector(selector, p["metadata"].get("labels"))]
        healthy, wanted = sum(map(is_ready, covered)), needed(budget, len(covered))
        if healthy - 1 < wanted:
            raise problems.disruption_refused(budget["metadata"]["name"], needed=wanted, healthy=healthy)
    options = body.get("deleteOptions") or {}
    if not wants_dry_run(query, options):
        delete(store, POD, pod, grace=options.get("gracePeriodSeconds"))
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _deleted(resource: Resource, obj: Obj) -> Obj:
    details = {"name": obj["metadata"]["name"]} | ({"group": resource.group} if resource.group else {})
    details |= {"kind": resource.plural, "uid": obj["metadata"]["uid"]}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _object(resource: Resource, body: Any) -> Obj:
    """The body as an object of the kind the path names; raises 400 when it is none."""
    if not isinstance(body, dict) or not isinstance(body.get("metadata"), dict):
        raise problems.bad_request(f"the object provided is unrecognized (must be of type {resource.kind})")
    kind, version = body.get("kind", resource.kind), body.get("apiVersion", resource.api_version)
    if (kind, version) != (resource.kind, resource.api_version):
        raise problems.bad_request(
            f"{kind} in version {version!r} cannot be handled as a {resource.kind}: no kind {kind!r} is registered for it here"
        )
    return clone(body)


def _store_changed(
    store: Store, resource: Resource, current: Obj, changed: Obj, *, subresource: str, dry_run: bool
) -> Obj:
    metadata, name = changed.get("metadata"), current["metadata"]["name"]
    if not isinstance(metadata, dict):
        raise problems.bad_request("metadata must be an object")
    _check_version(resource, current, metadata)
    if (metadata.get("name"), metadata.get("namespace")) != (name, current["metadata"].get("namespace")):
        raise problems.bad_request(
            f"the name of the object ({metadata.get('name')}) does not match the name on the URL ({name})"
        )
    for field in KEPT:
        if field in current["metadata"]:
            metadata[field] = current["metadata"][field]
        else:
            metadata.pop(field, None)
    if subresource == "status":
        changed = current | {"status": changed.get("status", {})}
    else:
        changed |= {"kind": resource.kind, "apiVersion": resource.api_version}
        if "status" in resource.subresources and "status" in current:
            changed["status"] = current["status"]
    validate(resource, changed, current)
    if subresource != "status":
        changed = apply_defaults(resource, changed)
    if dry_run:
        if resource.has_generation and changed.get("spec") != current.get("spec"):
            changed["metadata"]["generation"] = current["metadata"]["generation"] + 1
        return changed
    return store.update(resource, changed)


def _check_version(resource: Resource, current: Obj, metadata: Obj) -> None:
    stated = metadata.get("resourceVersion")
    if stated and str(stated) != current["metadata"]["resourceVersion"]:
        raise problems.conflict(resource, current["metadata"]["name"])
