"""Rules on one container's status: why it waits, how it ended (rule book 4.1, 1-6 and 8)."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from incidents.detectors import fields
from incidents.detectors.base import Context, Outcome, Signal, Verdict, signal
from incidents.detectors.fields import Obj, integer, mapping, objects, parse_time, text

IMAGE_REASONS = frozenset(
    {
        "ImagePullBackOff",
        "ErrImagePull",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
# waiting does not mend these: the name is wrong or the policy forbids the pull
_IMAGE_HOPELESS = frozenset({"ErrImageNeverPull", "InvalidImageName"})
_PERMANENT_TEXTS = ("not found", "unauthorized", "manifest unknown", "x509", "denied", "does not exist")
_TRANSIENT_TEXTS = (
    "timeout",
    "timed out",
    "request canceled",
    "deadline exceeded",
    "connection reset",
    "too many requests",
)
START_REASONS = frozenset(
    {"CreateContainerError", "RunContainerError", "PreStartHookError", "PostStartHookError", "PreCreateHookError"}
)
_START_TERMINATED = frozenset({"ContainerCannotRun", "StartError"})
_RUNTIME_RESTART_TEXTS = ("grpc", "daemon", "transport is closing")
_LISTS = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")


class Container(NamedTuple):
    """One container's status together with what its pod says about it."""

    pod: Obj
    name: str
    list_name: str
    state: Obj  # the status entry itself
    definition: Obj  # the container of the spec, empty when the status names none
    restart_policy: str
    started_at: datetime | None  # the pod's start, else its creation

    @property
    def is_init(self) -> bool:
        return self.list_name == "initContainerStatuses"

    @property
    def is_sidecar(self) -> bool:
        """A native sidecar is an init container that is meant to keep running."""
        return self.is_init and self.definition.get("restartPolicy") == "Always"

    @property
    def waiting(self) -> Obj:
        return mapping(mapping(self.state.get("state")).get("waiting"))

    @property
    def terminated(self) -> Obj:
        return mapping(mapping(self.state.get("state")).get("terminated"))

    @property
    def running(self) -> Obj | None:
        running = mapping(self.state.get("state")).get("running")
        return running if isinstance(running, dict) else None

    @property
    def last_terminated(self) -> Obj:
        return mapping(mapping(self.state.get("lastState")).get("terminated"))

    @property
    def restarts(self) -> int:
        return integer(self.state.get("restartCount"))


def containers_of(pod: Obj) -> Iterator[Container]:
    """Every container with a status, init containers first."""
    spec, status = fields.spec(pod), fields.status(pod)
    policy = text(spec.get("restartPolicy")) or "Always"
    started = parse_time(status.get("startTime")) or fields.created_at(pod)
    for list_name in _LISTS:
        raw = status.get(list_name)
        if not raw:
            continue
        defined = {text(item.get("name")): item for item in objects(spec.get(list_name.removesuffix("Statuses") + "s"))}
        for state in objects(raw):
            name = text(state.get("name"))
            yield Container(pod, name, list_name, state, defined.get(name, {}), policy, started)


def container_outcomes(container: Container, context: Context) -> Iterator[Outcome]:
    """All that is wrong with one container; a cause found in its last run is reported beside the symptom."""
    oom = out_of_memory(container, context)
    if oom is not None:
        yield oom
    if container.waiting:
        yield from _waiting(container, context)
    elif container.terminated:
        yield from _ended(container, context, explained=oom is not None)
    elif container.is_init and container.running is not None:
        yield from _init_still_running(container, context)


def is_judged_apart(container: Container) -> bool:
    """Whether a container rule with a grace of its own is watching, so that the pod's readiness says nothing new."""
    reason = text(container.waiting.get("reason"))
    if reason in IMAGE_REASONS or reason in START_REASONS or reason == "CreateContainerConfigError":
        return True
    return bool(container.terminated) and container.restart_policy != "Always"


def out_of_memory(container: Container, context: Context) -> Signal | None:
    """Killed for its memory: the present end, or the last one while it is news (exit code 137 alone proves nothing)."""
    end = container.terminated
    if end.get("reason") != "OOMKilled":
        end = container.last_terminated
        if end.get("reason") != "OOMKilled":
            return None
        finished = parse_time(end.get("finishedAt"))
        known_old = finished is not None and not context.is_recent(finished, context.thresholds.oom_recent)
        if known_old or (finished is None and container.running is not None):
            return None
    finished = parse_time(end.get("finishedAt"))
    limit = text(mapping(mapping(container.definition.get("resources")).get("limits")).get("memory"))
    allowed = f" at its limit of {limit}" if limit else ""
    return signal(
        "oom_killed",
        container.pod,
        reason="OOMKilled",
        message=f"Container {container.name} was killed for running out of memory{allowed}",
        at=finished,
        discriminator=container.name,
        evidence=facts(container, end),
    )


def facts(container: Container, end: Obj) -> dict[str, str | int]:
    """What an analysis wants to know first: the image, how often it restarted, how it ended."""
    limits = mapping(mapping(container.definition.get("resources")).get("limits"))
    known: dict[str, str | int] = {
        "container": container.name,
        "containerType": container.list_name.removesuffix("Statuses"),
        "image": text(container.state.get("image")) or text(container.definition.get("image")),
        "restartCount": container.restarts,
        "node": text(fields.spec(container.pod).get("nodeName")),
        "memoryLimit": text(limits.get("memory")),
        "lastTerminationReason": text(end.get("reason")),
        "terminationMessage": text(end.get("message")),
        "finishedAt": text(end.get("finishedAt")),
    }
    known = {key: fact for key, fact in known.items() if fact != ""}
    if end:
        known["exitCode"] = integer(end.get("exitCode"))
    return known


def _waiting(container: Container, context: Context) -> Iterator[Outcome]:
    reason = text(container.waiting.get("reason"))
    if reason == "CrashLoopBackOff":
        yield _crash_loop(container)
    elif reason in IMAGE_REASONS:
        yield _image_pull(container, reason, context)
    elif reason == "CreateContainerConfigError":
        yield _config_error(container, context)
    elif reason in START_REASONS:
        yield _start_error(container, reason, text(container.waiting.get("message")), None)
    else:
        yield Verdict.PROGRESSING


def _crash_loop(container: Container) -> Signal:
    end = container.last_terminated
    finished = parse_time(end.get("finishedAt"))
    how = f", last exit code {integer(end.get('exitCode'))} ({text(end.get('reason')) or 'no reason'})" if end else ""
    return signal(
        "pod_crash_loop",
        container.pod,
        reason="CrashLoopBackOff",
        message=f"Container {container.name} keeps crashing, {container.restarts} restarts{how}",
        at=finished or container.started_at,
        discriminator=container.name,
        evidence=facts(container, end),
    )


def _image_pull(container: Container, reason: str, context: Context) -> Outcome:
    message = text(container.waiting.get("message"))
    lowered = message.lower()
    grace = context.thresholds.image_pull
    is_transient = any(word in lowered for word in _TRANSIENT_TEXTS)
    if is_transient and not any(word in lowered for word in _PERMANENT_TEXTS):
        grace = context.thresholds.image_pull_transient
    if reason not in _IMAGE_HOPELESS and not context.held(container.started_at, grace):
        return Verdict.PROGRESSING
    image = text(container.state.get("image")) or text(container.definition.get("image"))
    return signal(
        "image_pull_failure",
        container.pod,
        reason=reason,
        message=f"Image {image} of container {container.name} cannot be pulled: {message or reason}",
        at=container.started_at,
        discriminator=container.name,
        evidence=facts(container, container.last_terminated),
    )


def _config_error(container: Container, context: Context) -> Outcome:
    message = text(container.waiting.get("message"))
    heals_itself = "failed to sync" in message and "timed out" in message  # the kubelet is still starting
    if heals_itself or not context.held(container.started_at, context.thresholds.container_config):
        return Verdict.PROGRESSING
    return signal(
        "container_config_error",
        container.pod,
        reason="CreateContainerConfigError",
        message=f"Container {container.name} cannot be configured: {message}",
        at=container.started_at,
        discriminator=container.name,
        evidence=facts(container, container.last_terminated),
    )


def _start_error(container: Container, reason: str, message: str, finished: datetime | None) -> Outcome:
    lowered = message.lower()
    runtime_restarted = any(word in lowered for word in _RUNTIME_RESTART_TEXTS)
    if runtime_restarted and container.restarts < 1:
        return Verdict.PROGRESSING
    return signal(
        "container_start_error",
        container.pod,
        reason=reason,
        message=f"Container {container.name} cannot be started: {message or reason}",
        at=finished or container.started_at,
        discriminator=container.name,
        evidence=facts(container, container.terminated or container.last_terminated),
    )


def _ended(container: Container, context: Context, *, explained: bool) -> Iterator[Outcome]:
    end = container.terminated
    reason, code = text(end.get("reason")), integer(end.get("exitCode"))
    finished = parse_time(end.get("finishedAt"))
    if reason in _START_TERMINATED:
        yield _start_error(container, reason, text(end.get("message")), finished)
    elif explained:
        return
    elif code == 0:
        # a finished init container is the normal case; a finished main container is about to be restarted
        if not container.is_init and container.restart_policy == "Always":
            yield Verdict.PROGRESSING
    elif container.restart_policy != "Always" or fields.status(container.pod).get("phase") == "Failed":
        yield Verdict.PROGRESSING  # the pod's phase or its Job decides
    elif not container.is_init and not context.held(finished, context.thresholds.container_ended):
        yield Verdict.PROGRESSING  # in a moment it runs again, or waits in a back-off, which says more
    else:
        condition = "init_container_failure" if container.is_init else "container_terminated_error"
        yield signal(
            condition,
            container.pod,
            reason=reason or "Error",
            message=f"Container {container.name} ended with exit code {code}: {text(end.get('message')) or reason}",
            at=finished,
            discriminator=container.name,
            evidence=facts(container, end),
        )


def _init_still_running(container: Container, context: Context) -> Iterator[Outcome]:
    if container.is_sidecar or fields.status(container.pod).get("phase") != "Pending":
        return
    since = parse_time((container.running or {}).get("startedAt")) or container.started_at
    if not context.held(since, context.thresholds.init_running):
        yield Verdict.PROGRESSING
        return
    yield signal(
        "init_container_failure",
        container.pod,
        reason="Running",
        message=f"Init container {container.name} does not finish, so the pod cannot start",
        at=since,
        discriminator=container.name,
        evidence=facts(container, container.last_terminated),
    )
