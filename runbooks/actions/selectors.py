"""Which pods belong to a workload: by label selector and by owner, never by name. Pure but for `pods_of`."""

from collections.abc import Mapping
from typing import Any

from aiops.clients.kubernetes import KubernetesClient
from runbooks.actions.base import Target, controller_uid, listed

OPERATORS = {"In": "in", "NotIn": "notin"}


def query(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector as the API's query parameter; empty when it selects nothing in particular."""
    if not selector:
        return ""
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for expression in selector.get("matchExpressions") or []:
        key, operator = expression["key"], expression["operator"]
        if operator in OPERATORS:
            parts.append(f"{key} {OPERATORS[operator]} ({','.join(expression.get('values') or [])})")
        else:
            parts.append(key if operator == "Exists" else f"!{key}")
    return ",".join(parts)


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector takes these labels. An empty selector takes all, a missing one none."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(expression, labels) for expression in selector.get("matchExpressions") or [])


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False


def pods_of(client: KubernetesClient, workload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The pods that `workload` controls, directly or through its ReplicaSets."""
    metadata = workload["metadata"]
    if workload["kind"] == "Pod":
        return [dict(workload)]
    if workload["kind"] == "Node":
        return listed(client, "Pod", None, field_selector=f"spec.nodeName={metadata['name']}")
    selector = query((workload.get("spec") or {}).get("selector"))
    if not selector:
        return []
    owners = {metadata["uid"]}
    if workload["kind"] == "Deployment":
        sets = listed(client, "ReplicaSet", metadata["namespace"], label_selector=selector)
        owners = {item["metadata"]["uid"] for item in sets if controller_uid(item) == metadata["uid"]}
    pods = listed(client, "Pod", metadata["namespace"], label_selector=selector)
    return [pod for pod in pods if controller_uid(pod) in owners]


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Ready and not on its way out."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)


def is_finished(pod: Mapping[str, Any]) -> bool:
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def target_of(obj: Mapping[str, Any]) -> Target:
    return Target(obj["kind"], obj["metadata"]["name"], obj["metadata"].get("namespace", ""))
