"""Annotate and Label: what `kubectl annotate` and `kubectl label` in a runbook are translated to.

They are no action types of the contract: a runbook writes the command, not their names.
"""

from collections.abc import Mapping
from typing import Any

from runbooks.actions import patches
from runbooks.actions.base import ActionRefused, Call, Change, PatchAction
from runbooks.actions.patches import ABSENT, Edit

RESERVED = "aiops.io/"  # the platform's own marks, among them the opt-out


class Metadata(PatchAction):
    """Each parameter is a key; an empty value removes it."""

    member: str
    kinds = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod", "Node"})

    def validate(self, params: Mapping[str, str]) -> dict[str, list[str]]:
        return {key: ["is reserved for the platform"] for key in params if key.startswith(RESERVED)}

    def edit(self, call: Call, current: dict[str, Any]) -> Change:
        if self.validate(call.params):
            raise ActionRefused(f"Keys that start with {RESERVED} are reserved for the platform")
        edits = tuple(
            Edit(patches.pointer("metadata", self.member, key), value or ABSENT) for key, value in call.params.items()
        )
        keys = ", ".join(sorted(call.params))
        return Change(summary=f"Set the {self.member} {keys} of {call.target}", before=current, edits=edits)


class Annotate(Metadata):
    name = "Annotate"
    member = "annotations"


class Label(Metadata):
    name = "Label"
    member = "labels"
