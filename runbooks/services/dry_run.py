"""What a runbook would do to an object, step by step, found out without changing anything (X4).

Every typed step is prepared against the cluster as it is, judged by the safety envelope, and tried by the server
(`dryRun=All`). A person started it and would have to approve it, so neither of these is held against the runbook. A later step
may rest on an earlier one that was not really made; its verdict is about the object as it is now.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiops.clients.errors import ClientError, ClientUnavailable, VersionConflict
from aiops.clients.kubernetes import KubernetesClient
from aiops.errors import DomainError, Unavailable
from federation import services as federation
from federation.models import Cluster
from incidents.models import Incident
from runbooks import readable, steps
from runbooks.actions import ACTIONS, NAMES_ONLY, Action, ActionRefused, Call, Change, Preview, Target
from runbooks.definitions import AI_ANALYZE, KUBECTL, NOTIFICATION, SCRIPT, WAIT
from runbooks.documents import diff
from runbooks.models import Runbook
from runbooks.services import blast_radius, envelope

LOOKS = 5  # at an object that changes between reading and trying
OK, REFUSED, UNSUPPORTED, ERROR = "ok", "refused", "unsupported", "error"
HARMLESS = {
    SCRIPT: "A person does this step and marks it done.",
    AI_ANALYZE: "The analysis is made again; the cluster is not changed.",
    NOTIFICATION: "A message is sent; the cluster is not changed.",
    WAIT: "The plan waits; the cluster is not changed.",
    KUBECTL: "Only reads; the cluster is not changed.",
}


@dataclass(frozen=True, slots=True)
class StepVerdict:
    """`action` is the step's as written, `action_type` the typed action that would run; `diff` of the object as YAML."""

    name: str
    action: str
    verdict: str
    reason: str = ""
    action_type: str = ""
    diff: str = ""


@dataclass(slots=True)
class DryRun:
    """`blast_radius` as in approvals; None when no step would change anything, or the cluster does not say."""

    steps: list[StepVerdict] = field(default_factory=list)
    blast_radius: dict[str, Any] | None = None


def on_incident(*, runbook: Runbook, incident: Incident, at: datetime) -> DryRun:
    """Try the runbook on what an incident is about."""
    target = Target(
        incident.resource_kind, incident.resource_name, _namespace(incident.resource_kind, incident.namespace)
    )
    return dry_run(runbook=runbook, cluster=incident.cluster, target=target, at=at)


def dry_run(*, runbook: Runbook, cluster: Cluster | None, target: Target, at: datetime) -> DryRun:
    """Try every step on `target`. An unreachable cluster is an `error` of each step that needs it, never an exception."""
    target = Target(target.kind, target.name, _namespace(target.kind, target.namespace))
    trial = _Trial(cluster, target, at)
    result = DryRun([trial.step(step) for step in runbook.steps])
    result.blast_radius = trial.radius()
    return result


def _namespace(kind: str, namespace: str) -> str:
    return "" if kind == "Node" else namespace or "default"


class _Trial:
    """One dry run: the connection is made at the first step that needs it."""

    def __init__(self, cluster: Cluster | None, target: Target, at: datetime) -> None:
        self.cluster, self.target, self.at = cluster, target, at
        self.client: KubernetesClient | None = None
        self.changes: list[Change] = []
        self.unreachable = ""  # why: the other steps need not wait for the same time-out

    def step(self, step: Mapping[str, Any]) -> StepVerdict:
        name, action = step["name"], step["action"]
        translated = steps.translate(
            action=action, command=step.get("command") or "", params=step.get("params") or {}, target=self.target
        )
        kind = translated.action_type
        if kind in NAMES_ONLY:
            return StepVerdict(name, action, UNSUPPORTED, f"{kind} is not supported yet", kind)
        if translated.problem:
            return StepVerdict(name, action, REFUSED, translated.problem, kind)
        if not kind:
            return StepVerdict(name, action, OK, HARMLESS[action])
        verdict, reason, difference = self._try(kind, translated.params)
        return StepVerdict(name, action, verdict, reason, kind, difference)

    def _try(self, kind: str, params: Mapping[str, str]) -> tuple[str, str, str]:
        """Verdict, reason and diff of one typed action."""
        if self.cluster is None:
            return ERROR, "The incident belongs to no registered cluster", ""
        if self.unreachable:
            return ERROR, self.unreachable, ""
        action = ACTIONS[kind]
        try:
            client = self._connect(self.cluster)
            change, refused, preview = self._look(action, Call(client, self.target, params))
            self.changes.append(change)
        except ActionRefused as error:
            return REFUSED, error.message, ""
        except ClientUnavailable as error:
            self.unreachable = error.message
            return ERROR, error.message, ""
        except (ClientError, DomainError) as error:
            return ERROR, error.message, ""
        difference = diff(readable.wanted(preview.before), readable.wanted(preview.after)) if preview.after else ""
        if refused:
            return REFUSED, "; ".join(refused), difference
        return OK, preview.summary, difference

    def _look(self, action: Action, call: Call, looks: int = LOOKS) -> tuple[Change, list[str], Preview]:
        """What the action would do, what the envelope says to it and what would come of it. Raises as the action does."""
        change = action.prepare(call)
        refused = self._refusals(call.client, change)
        try:
            return change, refused, action.preview(call, change)
        except VersionConflict:  # it changed under our eyes
            if looks == 1:
                raise
            return self._look(action, call, looks - 1)

    def _refusals(self, client: KubernetesClient, change: Change) -> list[str]:
        assert self.cluster is not None
        circumstances = envelope.Circumstances(
            cluster=self.cluster, target=self.target, at=self.at, started_by_person=True, approvers=envelope.ENOUGH
        )
        return [
            str(refusal) for refusal in envelope.refusals(client=client, change=change, circumstances=circumstances)
        ]

    def _connect(self, cluster: Cluster) -> KubernetesClient:
        if self.client is None:
            self.client = federation.connect(cluster)
        return self.client

    def radius(self) -> dict[str, Any] | None:
        if self.client is None or self.unreachable or not self.changes:
            return None
        try:
            found = blast_radius.measure(client=self.client, target=self.target, changes=self.changes)
        except (ClientError, ActionRefused, Unavailable):
            return None
        return found.document()
