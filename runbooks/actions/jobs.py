"""RetryJob: run a failed Job again as a copy."""

from collections.abc import Mapping
from copy import deepcopy
from hashlib import sha256
from typing import Any

from aiops.clients.errors import NotFound, VersionConflict
from runbooks.actions.base import (
    PLAN,
    STEP,
    Action,
    ActionRefused,
    Call,
    Change,
    Outcome,
    Preview,
    Risk,
    Target,
    annotation,
    controller_uid,
    read,
)

NAME_MAX = 63
SET_BY_SERVER = ("batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "controller-uid", "job-name")


class RetryJob(Action):
    """Create a copy of the failed Job, and only when it is there delete the failed one with its pods."""

    name = "RetryJob"
    kinds = frozenset({"Job"})
    reversible = False
    risk = Risk.MEDIUM

    def prepare(self, call: Call) -> Change:
        if call.target.kind != "Job":
            raise ActionRefused(f"{self.name} does not work on a {call.target.kind}")
        job = read(call.client, call.target)
        if not has_failed(job):
            raise ActionRefused(f"{call.target} has not failed")
        if controller_uid(job):
            raise ActionRefused(f"{call.target} is made by a CronJob, which runs it again by itself")
        copy = copy_of(job, call)
        return Change(
            summary=f"Run {call.target} again as Job/{copy['metadata']['name']} and delete the failed one",
            before=job,
            facts={"copy": copy, "uid": job["metadata"]["uid"]},
        )

    def preview(self, call: Call, change: Change) -> Preview:
        copy, namespace = change.facts["copy"], call.target.namespace
        made = call.client.create("Job", namespace, copy, dry_run=True)
        call.client.delete("Job", call.target.name, namespace, dry_run=True, propagation="Background")
        snapshot = {"retry": copy["metadata"]["name"], "uid": change.facts["uid"]}
        return Preview(change.summary, change.before, made, snapshot)

    def execute(self, call: Call, change: Change) -> Outcome:
        copy, namespace = change.facts["copy"], call.target.namespace
        try:
            call.client.create("Job", namespace, copy)
        except VersionConflict:
            # the name is derived from the key: what is there is ours, from before a crash; anything else is refused
            if not self._is_ours(call, copy["metadata"]["name"]):
                raise
        self._delete_failed(call, change.facts["uid"])
        return Outcome(change.summary)

    def applied(self, call: Call, snapshot: Mapping[str, Any]) -> bool:
        if not self._is_ours(call, snapshot["retry"]):
            return False
        self._delete_failed(call, snapshot["uid"])  # the second half may be missing; it is harmless to ask again
        return True

    def roll_back(self, call: Call, snapshot: Mapping[str, Any]) -> str:
        raise ActionRefused(f"{call.target} was run again as Job/{snapshot['retry']}; that cannot be undone")

    def _is_ours(self, call: Call, name: str) -> bool:
        try:
            return annotation(read(call.client, Target("Job", name, call.target.namespace)), STEP) == call.key
        except NotFound:
            return False

    def _delete_failed(self, call: Call, uid: str) -> None:
        try:
            call.client.delete("Job", call.target.name, call.target.namespace, propagation="Background", uid=uid)
        except NotFound:
            return


def has_failed(job: Mapping[str, Any]) -> bool:
    status = job.get("status") or {}
    conditions = status.get("conditions") or []
    return any(item.get("type") == "Failed" and item.get("status") == "True" for item in conditions)


def copy_of(job: Mapping[str, Any], call: Call) -> dict[str, Any]:
    """The same Job under a new name, without what the server filled in."""
    metadata, spec = job["metadata"], deepcopy(job["spec"])
    spec.pop("selector", None)
    spec.pop("manualSelector", None)
    template = spec["template"].setdefault("metadata", {})
    template["labels"] = _own(template.get("labels"))
    template.pop("creationTimestamp", None)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": retry_name(metadata["name"], call.key or metadata["uid"]),
            "namespace": metadata["namespace"],
            "labels": _own(metadata.get("labels")),
            "annotations": {PLAN: call.plan, STEP: call.key} if call.key else {},
        },
        "spec": spec,
    }


def _own(labels: Mapping[str, str] | None) -> dict[str, str]:
    return {name: value for name, value in (labels or {}).items() if name not in SET_BY_SERVER}


def retry_name(name: str, key: str) -> str:
    """At most 63 characters; the same key gives the same name, so a repeated attempt meets its own copy."""
    suffix = f"-retry-{sha256(key.encode()).hexdigest()[:8]}"
    base = name.rsplit("-retry-", 1)[0]
    return base[: NAME_MAX - len(suffix)].rstrip("-.") + suffix
