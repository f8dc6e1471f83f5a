"""What every typed action is: a schema of parameters, a change that it would make, and the ways to preview, make and undo it.

The order is always the same: `prepare` reads the cluster and says what would change (nothing is written); the safety envelope
judges that change; `preview` lets the server try it (`dryRun=All`) and gives the snapshot to store; `execute` makes it; after a
crash `applied` finds out whether it was made; `roll_back` restores what the snapshot holds.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

import structlog

from aiops import quantities
from aiops.clients.kinds import KINDS
from aiops.clients.kubernetes import KubernetesClient
from aiops.errors import Conflict
from runbooks.actions import patches
from runbooks.actions.patches import Edit

logger = structlog.get_logger(__name__)

PLAN = "aiops.io/plan"
STEP = "aiops.io/step"
MAX_LISTED = 5_000  # objects looked at per list; a namespace with more is refused rather than half seen


class ActionRefused(Conflict):
    """The action does not fit the object it finds: nothing to go back to, not owned, no change. Trying again is useless."""


class ParameterKind(StrEnum):
    INTEGER = "integer"
    AMOUNT = "amount"  # a quantity, or a percentage of the current value: `1536Mi`, `150%`
    BOOLEAN = "boolean"
    REVISION = "revision"  # previous, healthy or a number
    NAME = "name"
    TEXT = "text"


class NothingToChange(ActionRefused):
    """The object is already as the action would make it."""


@contextmanager
def understood() -> Iterator[None]:
    """Objects come from outside: one of an unexpected shape is refused, never guessed at, and nothing is changed."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        logger.warning("object_not_understood", exc_info=True)
        raise ActionRefused(f"The cluster's answer cannot be understood ({type(error).__name__}: {error})") from error


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str  # camelCase; the snake_case spelling is accepted as well (X9.32)
    kind: ParameterKind = ParameterKind.TEXT
    required: bool = False
    minimum: int = 0

    def complaint(self, value: str) -> str:
        """Why `value` is none; empty when it is one."""
        if len(value) > 253:
            return "must have at most 253 characters"
        match self.kind:
            case ParameterKind.INTEGER if not (value.isascii() and value.isdigit() and int(value) >= self.minimum):
                return f"must be an integer of at least {self.minimum}"
            case ParameterKind.AMOUNT if not quantities.is_amount(value):
                return "must be a quantity such as 1536Mi or 500m, or a percentage of the current value such as 150%"
            case ParameterKind.BOOLEAN if value not in {"true", "false"}:
                return "must be true or false"
            case ParameterKind.REVISION if value not in {"previous", "healthy"} and not value.isdigit():
                return "must be previous, healthy or the number of a revision"
            case ParameterKind.NAME if not value:
                return "must not be empty"
        return ""


class Risk(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"  # always waits for a person


@dataclass(frozen=True, slots=True)
class Target:
    """The object an action works on. `namespace` is empty for cluster-wide kinds."""

    kind: str
    name: str
    namespace: str = ""

    @classmethod
    def of(cls, kind: str, name: str, namespace: str) -> "Target":
        """Incidents carry a namespace always; a cluster-wide object has none."""
        known = KINDS.get(kind)
        return cls(kind, name, namespace if known is None or known.namespaced else "")

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class Call:
    """One use of an action. `plan` and `key` are written on the changed object: by `key` a crashed step is recognized."""

    client: KubernetesClient
    target: Target
    params: Mapping[str, str]
    plan: str = ""
    key: str = ""
    at: datetime | None = None  # now, for what writes a time into the cluster


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """A request or limit that changes; in bytes or cores. `current` is None when there is none yet."""

    container: str
    resource: str  # memory, cpu
    bound: str  # requests, limits
    current: Decimal | None
    wanted: Decimal


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change does to the cluster, in the terms of the safety envelope (`runbooks/policy.py`)."""

    replicas: tuple[int, int] | None = None  # current, wanted
    containment: bool = False
    autoscaled: tuple[int, int] | None = None  # maximum of an autoscaler, current and wanted
    resources: tuple[ResourceChange, ...] = ()
    removed_pods: tuple[str, ...] = ()  # evicted or deleted by us, not replaced by a rolling update
    restarts_pods: bool = False
    cordons: str = ""  # the node that takes no more pods


@dataclass(frozen=True, slots=True)
class Change:
    """What would be done, as read from the cluster at one moment. `before` is the object it rests on."""

    summary: str  # one sentence in the infinitive, for people
    before: dict[str, Any]
    effect: Effect = field(default_factory=Effect)
    edits: tuple[Edit, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)  # what the action itself remembers between its stages


@dataclass(frozen=True, slots=True)
class Preview:
    """What the server says it would do. `snapshot` is what `roll_back` and `applied` need; JSON."""

    summary: str
    before: dict[str, Any]
    after: dict[str, Any]
    snapshot: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    output: str


class Action(ABC):
    """A typed action. One instance per type serves all calls; it holds no state."""

    name: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    kinds: ClassVar[frozenset[str]]  # the kinds of target it works on
    reversible: ClassVar[bool] = True
    risk: ClassVar[Risk] = Risk.LOW

    def validate(self, params: Mapping[str, str]) -> dict[str, list[str]]:
        """Complaints per parameter as it was sent; empty when the parameters are fine."""
        known = {parameter.name: parameter for parameter in self.parameters}
        complaints: dict[str, list[str]] = {}
        for sent, value in params.items():
            parameter = known.get(camel_case(sent))
            if parameter is None:
                names = ", ".join(sorted(known)) or "none"
                complaints[sent] = [f"{self.name} has no such parameter (known: {names})"]
            elif not isinstance(value, str):
                complaints[sent] = ["must be a string"]
            elif complaint := parameter.complaint(value):
                complaints[sent] = [complaint]
        given = {camel_case(sent) for sent in params}
        complaints |= {
            name: ["is required"] for name, parameter in known.items() if parameter.required and name not in given
        }
        return complaints or self.cross_check(normalize(params))

    def cross_check(self, params: Mapping[str, str]) -> dict[str, list[str]]:
        """Complaints about parameters that are fine alone but not together."""
        return {}

    def required_action(self, target: Target, params: Mapping[str, str]) -> str:
        """What a person has to do afterwards, where the action only contains the damage; empty where it repairs."""
        return ""

    @abstractmethod
    def prepare(self, call: Call) -> Change:
        """Read the cluster and say what would change. Raises `ActionRefused` and the errors of the client."""

    @abstractmethod
    def preview(self, call: Call, change: Change) -> Preview:
        """Let the server try the change without making it. Raises the errors of the client."""

    @abstractmethod
    def execute(self, call: Call, change: Change) -> Outcome:
        """Make the change, if the object is still the one that was prepared. Raises the errors of the client."""

    @abstractmethod
    def applied(self, call: Call, snapshot: Mapping[str, Any]) -> bool:
        """Whether an `execute` of this key, whose answer got lost, was carried out."""

    @abstractmethod
    def roll_back(self, call: Call, snapshot: Mapping[str, Any]) -> str:
        """Restore what `snapshot` holds; returns a sentence. Harmless when it is restored already.

        Raises `ActionRefused` when somebody else changed the same fields meanwhile, or when it cannot be undone.
        """


class PatchAction(Action):
    """An action that edits fields of one object."""

    @abstractmethod
    def edit(self, call: Call, current: dict[str, Any]) -> Change:
        """The change for the object as it is. Raises `ActionRefused`."""

    def located(self, call: Call) -> Target:
        """The object that is edited: the target, unless a parameter names another one."""
        return call.target

    def prepare(self, call: Call) -> Change:
        where = self.located(call)
        if where.kind not in self.kinds:
            raise ActionRefused(f"{self.name} does not work on a {where.kind}")
        change = self.edit(call, read(call.client, where))
        if all(patches.value_at(change.before, edit.pointer) == edit.value for edit in change.edits):
            raise NothingToChange(f"{where} is already as {self.name} would make it")
        return change

    def preview(self, call: Call, change: Change) -> Preview:
        after = self._patch(call, change, dry_run=True)
        pointers = [edit.pointer for edit in change.edits]
        snapshot = {
            "uid": change.before["metadata"]["uid"],
            "resourceVersion": change.before["metadata"]["resourceVersion"],
            "fields": patches.recorded(change.before, after, pointers),
        }
        return Preview(change.summary, change.before, after, snapshot)

    def execute(self, call: Call, change: Change) -> Outcome:
        self._patch(call, change, dry_run=False)
        return Outcome(change.summary)

    def applied(self, call: Call, snapshot: Mapping[str, Any]) -> bool:
        current = read(call.client, self.located(call))
        return bool(call.key) and annotation(current, STEP) == call.key

    def roll_back(self, call: Call, snapshot: Mapping[str, Any]) -> str:
        where = self.located(call)
        current = read(call.client, where)
        if current["metadata"]["uid"] != snapshot["uid"]:
            raise ActionRefused(f"{where} was deleted and made anew since; it is left as it is")
        edits, conflicts = patches.inverse(current, snapshot["fields"])
        if conflicts:
            raise ActionRefused(f"{where} was changed by somebody else since: {', '.join(conflicts)}")
        if not edits:
            return f"{where} is as it was before"
        write(call, where, current, [*edits, *_marks(call, f"{call.key}-rollback")])
        return f"{where} restored: {', '.join(edit.pointer for edit in edits)}"

    def _patch(self, call: Call, change: Change, *, dry_run: bool) -> dict[str, Any]:
        edits = [*change.edits, *_marks(call, call.key)]
        return write(call, self.located(call), change.before, edits, dry_run=dry_run)


def write(
    call: Call, where: Target, current: Mapping[str, Any], edits: Sequence[Edit], *, dry_run: bool = False
) -> dict[str, Any]:
    """Patch `where` if it is still in the version of `current`. Raises `VersionConflict` if it is not."""
    # a patched resourceVersion other than the stored one makes the server answer 409
    version = {"op": "replace", "path": "/metadata/resourceVersion", "value": current["metadata"]["resourceVersion"]}
    body = [version, *patches.operations(current, edits)]
    return call.client.patch(where.kind, where.name, where.namespace or None, body, patch_type="json", dry_run=dry_run)


def _marks(call: Call, key: str) -> list[Edit]:
    if not call.key:
        return []
    return [
        Edit(patches.pointer("metadata", "annotations", PLAN), call.plan),
        Edit(patches.pointer("metadata", "annotations", STEP), key),
    ]


def read(client: KubernetesClient, target: Target) -> dict[str, Any]:
    """The object itself. Raises `NotFound`, and `ActionRefused` for a kind that we do not speak."""
    if target.kind not in KINDS:
        raise ActionRefused(f"{target} is of a kind that the platform does not know")
    return client.get(target.kind, target.name, target.namespace or None)


def listed(
    client: KubernetesClient,
    kind: str,
    namespace: str | None,
    *,
    label_selector: str | None = None,
    field_selector: str | None = None,
) -> list[dict[str, Any]]:
    """All objects of a kind, at most 5,000. Raises `ActionRefused` beyond that: what is half seen cannot be judged."""
    found: list[dict[str, Any]] = []
    for item in client.list(kind, namespace, label_selector=label_selector, field_selector=field_selector):
        if len(found) >= MAX_LISTED:
            raise ActionRefused(f"More than {MAX_LISTED} objects of kind {kind} in {namespace or 'the cluster'}")
        found.append(item)
    return found


def annotation(obj: Mapping[str, Any], name: str) -> str:
    return str((obj["metadata"].get("annotations") or {}).get(name, ""))


def controller_uid(obj: Mapping[str, Any]) -> str:
    """The uid of the controlling owner; empty when nobody controls the object."""
    owners = obj["metadata"].get("ownerReferences") or []
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")


def camel_case(name: str) -> str:
    """`memory_limit` is `memoryLimit`; camelCase stays as it is."""
    head, *tail = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)


def normalize(params: Mapping[str, str]) -> dict[str, str]:
    """The parameters under their camelCase names, values trimmed."""
    return {camel_case(name): value.strip() for name, value in params.items()}
