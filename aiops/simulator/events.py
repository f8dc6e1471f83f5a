"""The events that controllers and kubelets leave behind, counted and aged like real ones."""

from collections import OrderedDict
from typing import Any

import orjson

from aiops.simulator.objects import Obj, clone, timestamp
from aiops.simulator.resources import EVENT
from aiops.simulator.store import Store

MAX_EVENTS = 5_000  # a real cluster forgets after an hour; this one also never keeps more than so many


class Recorder:
    """Writes events; a repetition raises `count` and `lastTimestamp` of the one already there."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: OrderedDict[tuple[str, ...], tuple[str, str]] = OrderedDict()
        self._serial = 0

    def record(
        self,
        about: Obj,
        *,
        reason: str,
        message: str,
        source: str,
        kind: str = "Normal",
        host: str = "",
        container: str = "",
    ) -> None:
        """One occurrence of `reason` at an object; `container` narrows it to one container of a pod."""
        metadata = about["metadata"]
        namespace = metadata.get("namespace", "default")
        identity = (metadata.get("uid", metadata["name"]), reason, message, source)
        known = self._known.get(identity)
        existing = self._store.get(EVENT, *known) if known else None
        if existing is not None:
            event = clone(existing)
            event["count"] = event.get("count", 1) + 1
            event["lastTimestamp"] = timestamp()
            self._store.update(EVENT, event)
            return
        self._serial += 1
        name = f"{metadata['name']}.{self._serial + 0x18EACDBC00000000:x}"
        event = self._new_event(about, name, namespace, container)
        event |= {"reason": reason, "message": message, "type": kind, "source": _source(source, host)}
        event |= {"firstTimestamp": timestamp(), "lastTimestamp": timestamp(), "count": 1, "eventTime": None}
        event |= {"reportingComponent": source, "reportingInstance": host}
        self._store.create(EVENT, event)
        self._remember(identity, (namespace, name))

    def _new_event(self, about: Obj, name: str, namespace: str, container: str) -> Obj:
        metadata = about["metadata"]
        involved: Obj = {"kind": about["kind"]}
        if "namespace" in metadata:
            involved["namespace"] = metadata["namespace"]
        involved |= {"name": metadata["name"], "uid": metadata.get("uid", ""), "apiVersion": about["apiVersion"]}
        involved["resourceVersion"] = metadata.get("resourceVersion", "")
        if container:
            involved["fieldPath"] = f"spec.containers{{{container}}}"
        return {"metadata": {"name": name, "namespace": namespace}, "involvedObject": involved}

    def _remember(self, identity: tuple[str, ...], key: tuple[str, str]) -> None:
        self._known[identity] = key
        while len(self._known) > MAX_EVENTS:
            _, oldest = self._known.popitem(last=False)
            event = self._store.get(EVENT, *oldest)
            if event is not None:
                self._store.remove(EVENT, event)


def _source(component: str, host: str) -> Obj:
    return {"component": component} | ({"host": host} if host else {})


def as_events_v1(event: Obj) -> Obj:
    """A stored core event in the shape of `events.k8s.io/v1`. Members unknown to core events keep their place."""
    shown: dict[str, Any] = {"kind": "Event", "apiVersion": "events.k8s.io/v1", "metadata": event["metadata"]}
    for theirs, ours in (
        ("eventTime", "eventTime"),
        ("reportingController", "reportingComponent"),
        ("reportingInstance", "reportingInstance"),
        ("action", "action"),
        ("reason", "reason"),
        ("regarding", "involvedObject"),
        ("note", "message"),
        ("type", "type"),
        ("deprecatedSource", "source"),
        ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"),
        ("deprecatedCount", "count"),
    ):
        if ours in event:
            shown[theirs] = event[ours]
    return shown


def as_autoscaler_v1(autoscaler: Obj) -> Obj:
    """A stored autoscaler in the older shape, where only the CPU target has a field of its own."""
    spec, status = autoscaler["spec"], autoscaler.get("status", {})
    shown = {key: spec[key] for key in ("scaleTargetRef", "minReplicas", "maxReplicas") if key in spec}
    for metric in spec.get("metrics") or ():
        target = metric.get("resource", {}).get("target", {})
        if metric.get("resource", {}).get("name") == "cpu" and "averageUtilization" in target:
            shown["targetCPUUtilizationPercentage"] = target["averageUtilization"]
    annotations = dict(autoscaler["metadata"].get("annotations") or {})
    annotations["autoscaling.alpha.kubernetes.io/conditions"] = orjson.dumps(status.get("conditions") or []).decode()
    counts = {key: status.get(key, 0) for key in ("currentReplicas", "desiredReplicas")}
    return {
        "kind": "HorizontalPodAutoscaler",
        "apiVersion": "autoscaling/v1",
        "metadata": autoscaler["metadata"] | {"annotations": annotations},
        "spec": shown,
        "status": counts,
    }
