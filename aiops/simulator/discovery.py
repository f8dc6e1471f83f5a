"""What `/version`, `/api` and `/apis` say about the server."""

from aiops.simulator.objects import Obj
from aiops.simulator.resources import RESOURCES, Resource

VERSION: Obj = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2-simulated",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}
# (group, version, kind) of a subresource whose type is not its parent's
SUBRESOURCE_TYPES = {"scale": ("autoscaling", "v1", "Scale"), "eviction": ("policy", "v1", "Eviction")}
SUBRESOURCE_VERBS = {"log": ["get"], "eviction": ["create"]}


def core_versions(address: str) -> Obj:
    servers = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": servers}


def groups() -> Obj:
    names = dict.fromkeys(r.group for r in RESOURCES if r.group)
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in names]}


def group(name: str) -> Obj | None:
    """The description of one group; None when there is no such group."""
    if not name or all(r.group != name for r in RESOURCES):
        return None
    return {"kind": "APIGroup", "apiVersion": "v1"} | _group(name)


def resource_list(group_name: str, version: str) -> Obj | None:
    """The kinds of one group and version; None when it does not exist."""
    found = [r for r in RESOURCES if (r.group, r.version) == (group_name, version)]
    if not found:
        return None
    listed = [entry for resource in found for entry in _entries(resource)]
    head: Obj = {"kind": "APIResourceList"} | ({"apiVersion": "v1"} if group_name else {})
    return head | {"groupVersion": found[0].api_version, "resources": listed}


def _group(name: str) -> Obj:
    versions = sorted({r.version for r in RESOURCES if r.group == name}, reverse=True)
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _entries(resource: Resource) -> list[Obj]:
    entry: Obj = {
        "name": resource.plural,
        "singularName": resource.kind.lower(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    return [entry, *(_subresource(resource, name) for name in sorted(resource.subresources))]


def _subresource(resource: Resource, name: str) -> Obj:
    head: Obj = {"name": f"{resource.plural}/{name}", "singularName": "", "namespaced": resource.namespaced}
    kind = resource.kind
    if name in SUBRESOURCE_TYPES:
        group_name, version, kind = SUBRESOURCE_TYPES[name]
        head |= {"group": group_name, "version": version}
    return head | {"kind": kind, "verbs": SUBRESOURCE_VERBS.get(name, ["get", "patch", "update"])}
