"""Understands the `kubectl` steps of runbooks. Nothing here, or anywhere, runs a shell or the kubectl binary.

A command line is taken apart and becomes one of two things: a `Diagnostic`, which `services/diagnostics.py` answers by API
calls that only read, or a `Change`, the typed action that does what the command says. Whatever is neither is refused when the
runbook is written, so that no plan fails over it at night. Pure: no cluster, no clock.

Placeholders such as `$POD` or `${NAMESPACE}` stand for parts of the object that the incident is about.
"""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

LONGEST = 8192  # characters of a command
MOST_WORDS = 200
MOST_LOG_LINES = 1000
MOST_REPLICAS = 10_000

SHELL_ONLY = re.compile(r"[;|&<>`\\\x00-\x1f\x7f]|\$\(")
PLACEHOLDER = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))", re.ASCII)
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)
QUALIFIED_KEY = re.compile(
    r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII
)
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", re.ASCII)

# what `$NAME` and the others stand for; `$POD` is the sickest pod of the workload, found when the step runs
PLACEHOLDERS = {
    "NAME": "",
    "KIND": "",
    "NAMESPACE": "",
    "RESOURCE": "",  # kind/name
    "POD": "Pod",
    "CONTAINER": "",
    "DEPLOYMENT": "Deployment",
    "STATEFULSET": "StatefulSet",
    "DAEMONSET": "DaemonSet",
    "REPLICASET": "ReplicaSet",
    "JOB": "Job",
    "CRONJOB": "CronJob",
    "NODE": "Node",
    "SERVICE": "Service",
}

KINDS = {
    "Pod": ("pod", "pods", "po"),
    "Deployment": ("deployment", "deployments", "deploy"),
    "ReplicaSet": ("replicaset", "replicasets", "rs"),
    "StatefulSet": ("statefulset", "statefulsets", "sts"),
    "DaemonSet": ("daemonset", "daemonsets", "ds"),
    "Job": ("job", "jobs"),
    "CronJob": ("cronjob", "cronjobs", "cj"),
    "Node": ("node", "nodes", "no"),
    "Namespace": ("namespace", "namespaces", "ns"),
    "Service": ("service", "services", "svc"),
    "Event": ("event", "events", "ev"),
    "ConfigMap": ("configmap", "configmaps", "cm"),
    "PersistentVolumeClaim": ("persistentvolumeclaim", "persistentvolumeclaims", "pvc"),
    "PersistentVolume": ("persistentvolume", "persistentvolumes", "pv"),
    "HorizontalPodAutoscaler": ("horizontalpodautoscaler", "horizontalpodautoscalers", "hpa"),
    "PodDisruptionBudget": ("poddisruptionbudget", "poddisruptionbudgets", "pdb"),
    "Ingress": ("ingress", "ingresses", "ing"),
    "ResourceQuota": ("resourcequota", "resourcequotas", "quota"),
}
KIND_OF = {alias: kind for kind, aliases in KINDS.items() for alias in aliases}
CLUSTER_WIDE = frozenset({"Node", "Namespace", "PersistentVolume"})


class CommandError(ValueError):
    """The command is none that we run. The text says why, for the person who wrote it."""


class Verb(StrEnum):
    GET = "get"
    DESCRIBE = "describe"
    LOGS = "logs"
    TOP = "top"
    ROLLOUT_STATUS = "rollout status"


@dataclass(frozen=True, slots=True)
class Reference:
    """The object that a command names. `name` may hold a placeholder; an empty namespace is the incident's."""

    kind: str
    name: str = ""
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A question to the cluster. `reference.name` is empty for a list."""

    verb: Verb
    reference: Reference
    selector: str = ""
    field_selector: str = ""
    output: str = ""  # "", wide, name, yaml, json
    container: str = ""
    previous: bool = False
    tail: int = 50
    per_container: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """The typed action that does what the command says."""

    action: str
    reference: Reference
    params: dict[str, str] = field(default_factory=dict)


Parsed = Diagnostic | Change


def parse(command: str) -> Parsed:
    """Take `command` apart; a leading `kubectl` is optional. Raises `CommandError` and nothing else."""
    words = _words(command)
    for length in (2, 1):
        verb = " ".join(words[:length])
        if verb in VERBS:
            return VERBS[verb](words[length:])
    raise CommandError(f"The verb {words[0]!r} is not supported; supported are {', '.join(VERBS)}")


def placeholders(text: str) -> set[str]:
    """The names of the placeholders in `text`."""
    return {match[1] or match[2] for match in PLACEHOLDER.finditer(text)}


def substitute(text: str, values: Mapping[str, str]) -> str:
    """`text` with its placeholders replaced. Raises `CommandError` for one that has no value."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if not values.get(name):
            raise CommandError(f"${name} has no value here")
        return values[name]

    return PLACEHOLDER.sub(value, text)


def values_for(*, kind: str, name: str, namespace: str, **others: str) -> dict[str, str]:
    """The values of the placeholders for one object; `others` as found out elsewhere, for instance POD."""
    values = {"KIND": kind, "NAME": name, "NAMESPACE": namespace, "RESOURCE": f"{kind.lower()}/{name}"}
    values |= {placeholder: name for placeholder, meant in PLACEHOLDERS.items() if meant == kind}
    return values | others


# --- words and options ---------------------------------------------------------------------------------------------------


def _words(command: str) -> list[str]:
    if len(command) > LONGEST:
        raise CommandError(f"The command is longer than {LONGEST} characters")
    command = command.strip()
    strange = SHELL_ONLY.search(command)
    if strange:
        raise CommandError(f"Commands are not run by a shell: {strange[0]!r} is not allowed")
    unknown = placeholders(command) - PLACEHOLDERS.keys()
    if unknown:
        raise CommandError(f"Unknown placeholder ${min(unknown)}; known are {', '.join(f'${p}' for p in PLACEHOLDERS)}")
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise CommandError(f"The quotes do not match: {error}") from error
    if words[:1] == ["kubectl"]:
        del words[0]
    if not words:
        raise CommandError("The command is empty")
    if len(words) > MOST_WORDS:
        raise CommandError(f"The command has more than {MOST_WORDS} words")
    return words


@dataclass(slots=True)
class Arguments:
    positional: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)

    def on(self, name: str) -> bool:
        return self.options.get(name, "false") == "true"

    def number(self, name: str, *, default: int | None = None, low: int = 0, high: int) -> int:
        text = self.options.get(name)
        if text is None:
            if default is None:
                raise CommandError(f"--{name} is required")
            return default
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not low <= int(text) <= high:
            raise CommandError(f"--{name} must be a number from {low} to {high}")
        return int(text)


Options = Mapping[str, bool]  # long name -> takes a value
SHORT = {"n": "namespace", "l": "selector", "o": "output", "c": "container", "p": "previous", "A": "all-namespaces"}


def _arguments(words: Sequence[str], options: Options) -> Arguments:
    found = Arguments()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            found.positional.append(word)
            continue
        name, glued, value = word.lstrip("-").partition("=")
        if not word.startswith("--"):
            name = SHORT.get(name, name)
        if name not in options:
            raise CommandError(f"The option {word.partition('=')[0]} is not supported here")
        if options[name] and not glued:
            if not rest:
                raise CommandError(f"The option --{name} needs a value")
            value = rest.pop(0)
        elif not options[name]:
            value = value or "true"
            if value not in {"true", "false"}:
                raise CommandError(f"The option --{name} is either true or false")
        found.options[name] = value
    return found


NO_OPTIONS: Options = {}
WHERE: Options = {"namespace": True}


def _kind(text: str) -> str:
    alias = text.lower().partition(".")[0]  # deployments.apps
    if alias in {"secret", "secrets"}:
        raise CommandError("Secrets are never read")
    if alias not in KIND_OF:
        raise CommandError(f"The resource type {text!r} is not supported")
    return KIND_OF[alias]


def _name(text: str) -> str:
    """A name, or a placeholder that stands for (a part of) one."""
    if not NAME.fullmatch(PLACEHOLDER.sub("x", text)):
        raise CommandError(f"{text!r} is no name of an object")
    return text


def _reference(arguments: Arguments, *, default_kind: str = "", needs_name: bool = False) -> Reference:
    """`pod x`, `pod/x`, `pods`, `$RESOURCE`, or just `x` where the verb implies the kind."""
    words = arguments.positional
    kind, name = default_kind, ""
    if words and words[0] in {"$RESOURCE", "${RESOURCE}"}:
        kind, name = "$KIND", "$NAME"
        words = words[1:]
    elif words and "/" in words[0]:
        prefix, _, rest = words[0].partition("/")
        kind, name = _kind(prefix), _name(rest)
        words = words[1:]
    elif default_kind and words:
        name, words = _name(words[0]), words[1:]
    elif words:
        kind, words = _kind(words[0]), words[1:]
        if words:
            name, words = _name(words[0]), words[1:]
    if words:
        raise CommandError(f"One object per command, please: {words[0]!r} is one too many")
    if not kind or (needs_name and not name):
        raise CommandError("The command names no object")
    namespace = arguments.options.get("namespace", "")
    if namespace:
        _name(namespace)
    return Reference(kind, name, "" if kind in CLUSTER_WIDE else namespace)


# --- read-only verbs -----------------------------------------------------------------------------------------------------


def _get(words: Sequence[str]) -> Diagnostic:
    options = {**WHERE, "selector": True, "field-selector": True, "output": True, "show-labels": False}
    arguments = _arguments(words, options)
    output = arguments.options.get("output", "")
    if output not in {"", "wide", "name", "yaml", "json"}:
        raise CommandError("The output formats are wide, name, yaml and json")
    return Diagnostic(
        Verb.GET,
        _reference(arguments),
        selector=arguments.options.get("selector", ""),
        field_selector=arguments.options.get("field-selector", ""),
        output=output,
    )


def _describe(words: Sequence[str]) -> Diagnostic:
    arguments = _arguments(words, {**WHERE, "selector": True})
    selector = arguments.options.get("selector", "")
    return Diagnostic(Verb.DESCRIBE, _reference(arguments, needs_name=not selector), selector=selector)


def _logs(words: Sequence[str]) -> Diagnostic:
    options = {
        **WHERE,
        "container": True,
        "previous": False,
        "tail": True,
        "timestamps": False,
        "all-containers": False,
    }
    arguments = _arguments(words, options)
    reference = _reference(arguments, default_kind="Pod", needs_name=True)
    if reference.kind not in {"Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "$KIND"}:
        raise CommandError(f"A {reference.kind} has no logs")
    return Diagnostic(
        Verb.LOGS,
        reference,
        container=arguments.options.get("container", ""),
        previous=arguments.on("previous"),
        tail=arguments.number("tail", default=50, low=1, high=MOST_LOG_LINES),
    )


def _top(words: Sequence[str]) -> Diagnostic:
    options = {**WHERE, "containers": False, "selector": True, "no-headers": False}
    arguments = _arguments(words, options)
    reference = _reference(arguments)
    if reference.kind not in {"Pod", "Node"}:
        raise CommandError("top shows pods or nodes")
    return Diagnostic(
        Verb.TOP,
        reference,
        selector=arguments.options.get("selector", ""),
        per_container=arguments.on("containers"),
    )


def _rollout_status(words: Sequence[str]) -> Diagnostic:
    arguments = _arguments(words, {**WHERE, "timeout": True, "watch": False})
    return Diagnostic(Verb.ROLLOUT_STATUS, _workload(arguments))


# --- verbs that change something: each equals a typed action ----------------------------------------------------------------

ROLLED_OUT = ("Deployment", "StatefulSet", "DaemonSet")
SCALED = ("Deployment", "StatefulSet")
RESOURCES = {
    "Deployment": "AdjustResources",
    "StatefulSet": "AdjustStatefulSetResources",
    "DaemonSet": "AdjustDaemonSetResources",
    "Job": "AdjustJobResources",
    "CronJob": "AdjustCronJobResources",
}


def _workload(arguments: Arguments, kinds: Sequence[str] = ROLLED_OUT) -> Reference:
    reference = _reference(arguments, needs_name=True)
    if reference.kind not in kinds:
        raise CommandError(f"This verb works on {', '.join(kinds)}, not on {reference.kind}")
    return reference


def _scale(words: Sequence[str]) -> Change:
    arguments = _arguments(words, {**WHERE, "replicas": True})
    replicas = arguments.number("replicas", high=MOST_REPLICAS)
    reference = _workload(arguments, SCALED)
    return Change(f"Scale{reference.kind}", reference, {"replicas": str(replicas)})


def _rollout_restart(words: Sequence[str]) -> Change:
    reference = _workload(_arguments(words, WHERE))
    return Change(f"Restart{reference.kind}", reference)


def _rollout_undo(words: Sequence[str]) -> Change:
    arguments = _arguments(words, {**WHERE, "to-revision": True})
    reference = _workload(arguments)
    revision = arguments.number("to-revision", default=0, high=10**9)
    # kubectl's 0 means the previous one
    return Change(f"Rollback{reference.kind}", reference, {"toRevision": str(revision)} if revision else {})


def _set_resources(words: Sequence[str]) -> Change:
    arguments = _arguments(words, {**WHERE, "containers": True, "container": True, "limits": True, "requests": True})
    reference = _workload(arguments, tuple(RESOURCES))
    params = {}
    container = arguments.options.get("container") or arguments.options.get("containers")
    if container:
        params["container"] = _name(container)
    for option, suffix in (("limits", "Limit"), ("requests", "Request")):
        for pair in filter(None, arguments.options.get(option, "").split(",")):
            resource, equals, quantity = pair.partition("=")
            if resource not in {"cpu", "memory"} or not equals or not quantity:
                raise CommandError(f"--{option} takes cpu=… and memory=…, not {pair!r}")
            params[f"{resource}{suffix}"] = quantity
    if not params.keys() - {"container"}:
        raise CommandError("Name at least one limit or request")
    return Change(RESOURCES[reference.kind], reference, params)


def _node(action: str, options: Options = NO_OPTIONS) -> Callable[[Sequence[str]], Change]:
    def parse_node(words: Sequence[str]) -> Change:
        reference = _reference(_arguments(words, options), default_kind="Node", needs_name=True)
        if reference.kind != "Node":
            raise CommandError(f"This verb works on nodes, not on {reference.kind}")
        return Change(action, reference, {"node": reference.name})

    return parse_node


def _delete(words: Sequence[str]) -> Change:
    arguments = _arguments(words, {**WHERE, "wait": False})
    reference = _reference(arguments, needs_name=True)
    if reference.kind != "Pod":
        raise CommandError("Only pods may be deleted")
    return Change("DeletePod", reference, {"pod": reference.name})


def _metadata(action: str, values: re.Pattern[str] | None) -> Callable[[Sequence[str]], Change]:
    """`annotate` and `label`: `key=value` sets, `key-` removes (an empty parameter)."""

    def parse_metadata(words: Sequence[str]) -> Change:
        arguments = _arguments(words, {**WHERE, "overwrite": False})
        pairs = [word for word in arguments.positional if _is_pair(word)]
        arguments.positional = [word for word in arguments.positional if not _is_pair(word)]
        reference = _reference(arguments, needs_name=True)
        params = {}
        for pair in pairs:
            key, equals, value = pair.partition("=")
            key = key if equals else key.removesuffix("-")
            if not QUALIFIED_KEY.fullmatch(key):
                raise CommandError(f"{key!r} is no valid key")
            if values is not None and not values.fullmatch(value):
                raise CommandError(f"{value!r} is no valid value of a label")
            params[key] = value if equals else ""
        if not params:
            raise CommandError("Nothing to set: give at least one key=value")
        return Change(action, reference, params)

    return parse_metadata


def _is_pair(word: str) -> bool:
    return "=" in word or word.endswith("-")


VERBS: dict[str, Callable[[Sequence[str]], Parsed]] = {
    "get": _get,
    "describe": _describe,
    "logs": _logs,
    "top": _top,
    "rollout status": _rollout_status,
    "scale": _scale,
    "rollout restart": _rollout_restart,
    "rollout undo": _rollout_undo,
    "set resources": _set_resources,
    "cordon": _node("CordonNode"),
    "uncordon": _node("UncordonNode"),
    "drain": _node(
        "DrainNode",
        {"ignore-daemonsets": False, "delete-emptydir-data": False, "grace-period": True, "timeout": True},
    ),
    "delete": _delete,
    "annotate": _metadata("Annotate", None),
    "label": _metadata("Label", LABEL_VALUE),
}
