"""Containers that do not run: out of memory, no image, no configuration, crash after crash."""

from incidents.analysis import diffs, logs
from incidents.analysis.context import Context, Fault, Pod, Run
from incidents.analysis.hypothesis import (
    Category,
    Hypothesis,
    change_evidence,
    contain,
    quoted,
    raise_limit,
    restart,
    roll_back,
    rollout_evidence,
    unready,
)

OOM = ("oom_kill", "oom_killed")
CRASH = ("crashloop_backoff", "pod_crash_loop", "pod_restart", "restart_storm", "container_terminated_error",
         "container_start_error", "init_container_failure")  # fmt: skip
IMAGE = ("image_pull_error", "image_pull_failure")
CONFIGURATION = ("container_config_error", "missing_reference")
BATCH = frozenset({"Job", "CronJob"})  # their pods are meant to end; rules.batch knows when that is bad
PULLING = frozenset({"ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError"})
KILLED = 137  # by SIGKILL, without the kernel having named memory as the reason
NOT_FOUND = ("not found", "manifest unknown", "no such", "does not exist", "name unknown")
DENIED = ("unauthorized", "denied", "forbidden", "authentication required")


def out_of_memory(context: Context) -> Hypothesis | None:
    """The kernel killed it at its limit: a restart alone is pointless, more memory helps."""
    run = next((run for _, run in context.runs if run.ended == "OOMKilled"), None)
    fault = context.fault(*OOM)
    if run is None and fault is None:
        return None
    container = context.container(run.name if run else str(fault.evidence.get("container", "")) if fault else "")
    name = container.name if container else run.name if run else "a container"
    limit = container.limits.get("memory") if container else None
    evidence = [f"Container {name} ended with OOMKilled; its memory limit is {diffs.amount('memory', limit)}"]
    evidence += quoted([line for line in [logs.says(logs.MEMORY, context.logs)] if line], "Log")
    why = "The container is killed at its memory limit"
    lowered = _lowered_memory(context)
    raises, back = tuple(raise_limit(context, container, "memory", why)), tuple(roll_back(context, why))
    advice = ["Find out whether the need is legitimate or a leak; a higher limit only buys time for a leak."]
    if container is not None and limit is None:
        advice.append(f"Container {name} has no memory limit: the node ran out of memory. Set requests and limits.")
    return Hypothesis(
        cause=f"Container {name} needs more memory than its limit of {diffs.amount('memory', limit)} allows"
        if limit
        else f"Container {name} runs out of memory",
        category=Category.CAPACITY,
        confidence=0.85 if run and limit else 0.6,
        evidence=(*evidence, *rollout_evidence(context)),
        recommendations=tuple(advice),
        # a rollout that lowered the limit is better undone than patched over
        options=(*back, *raises) if lowered else (*raises, *(back if context.rolled_out_at else ())),
    )


def _lowered_memory(context: Context) -> bool:
    if context.rolled_out_at is None:
        return False
    before = {template.name: template.limits.get("memory") for template in context.revisions[1].templates}
    pairs = [(before.get(now.name), now.limits.get("memory")) for now in context.revisions[0].templates]
    return any(was and now and now < was for was, now in pairs)


def no_image(context: Context) -> Hypothesis | None:
    """The image cannot be pulled: restarting cannot help, the image before can."""
    found = next(((pod, run) for pod, run in context.runs if run.waiting in PULLING), None)
    fault = context.fault(*IMAGE)
    if found is None and not (fault and fault.firing):
        return None
    run = found[1] if found else Run(name="a container")
    container = context.container(run.name)
    image = container.image if container else str(fault.evidence.get("image", "")) if fault else ""
    told = run.message or (fault.description if fault else "")
    return Hypothesis(
        cause=f"The image {image or 'of a container'} cannot be pulled: {_pull_problem(told)}",
        category=Category.CONFIG,
        confidence=0.9 if context.rolled_out_at else 0.7,
        evidence=(
            f"Container {run.name} waits with {run.waiting or 'an image error'}: {told}"[:500],
            *rollout_evidence(context),
        ),
        recommendations=("Check the image name and tag, and that the registry lets the cluster pull it.",),
        options=tuple(roll_back(context, "The image of the revision before could be pulled")),
    )


def _pull_problem(message: str) -> str:
    lowered = message.lower()
    if any(word in lowered for word in NOT_FOUND):
        return "it does not exist in the registry"
    if any(word in lowered for word in DENIED):
        return "the registry refuses access"
    return "the registry does not deliver it"


def missing_configuration(context: Context) -> Hypothesis | None:
    """A Secret or ConfigMap that the pod names is not there."""
    found = next(((pod, run) for pod, run in context.runs if run.waiting == "CreateContainerConfigError"), None)
    fault = context.fault(*CONFIGURATION)
    if found is None and not (fault and fault.firing):
        return None
    told = found[1].message if found else fault.description if fault else ""
    return Hypothesis(
        cause=f"A container cannot be configured: {told or 'an object it refers to is missing'}",
        category=Category.CONFIG,
        confidence=0.85 if told else 0.6,
        evidence=(
            f"CreateContainerConfigError: {told}" if found else told,
            *rollout_evidence(context),
            *change_evidence(context),
        ),
        recommendations=("Create the object or key that is missing, or correct the reference to it.",),
        options=tuple(roll_back(context, "The revision before did not need it")) if context.rolled_out_at else (),
    )


def crashing(context: Context) -> Hypothesis | None:
    """It starts and ends again. A fresh rollout is the first suspect, then its configuration, then what it depends on."""
    found = _crashed(context)
    fault = context.fault(*CRASH)
    if context.kind in BATCH or (found is None and not (fault and fault.firing)):
        return None
    evidence = (*_ending(found, fault), *rollout_evidence(context), *change_evidence(context), *_words(context))
    dependency = logs.says(logs.DEPENDENCY, context.logs)
    if context.rolled_out_at:
        return _bad_release(context, evidence)
    if dependency:
        return _missing_dependency(context, dependency, evidence)
    if context.changes:
        return _bad_change(context, evidence)
    return _unexplained_crash(context, found, evidence)


def _crashed(context: Context) -> tuple[Pod, Run] | None:
    crashes = [(pod, run) for pod, run in context.runs if run.exit_code and not run.ready and run.ended != "OOMKilled"]
    return max(crashes, key=lambda pair: pair[1].restarts, default=None)


def _ending(found: tuple[Pod, Run] | None, fault: Fault | None) -> tuple[str, ...]:
    if found is None:
        return (fault.description,) if fault else ()
    pod, run = found
    times = f", {run.restarts} restarts" if run.restarts else ""
    return (f"Container {run.name} of pod {pod.name} ended with exit code {run.exit_code}{times}",)


def _words(context: Context) -> tuple[str, ...]:
    lines = logs.error_lines(context.logs)[:3] or logs.last_lines(context.logs)
    return quoted(lines, "Log")


def _bad_release(context: Context, evidence: tuple[str, ...]) -> Hypothesis:
    newest, before = context.revisions[:2]
    changes = diffs.differences(newest, before)
    is_config = diffs.only_configuration(changes) or bool(logs.says(logs.CONFIG, context.logs))
    told = "; ".join(changes[:3]) or "its template changed"
    return Hypothesis(
        cause=f"Since the rollout of revision {newest.number} ({told}), {unready(context)} crash",
        category=Category.CONFIG if is_config else Category.CODE_BUG,
        confidence=0.85,
        evidence=evidence,
        recommendations=("Fix the release before it is rolled out again.",),
        options=(
            *roll_back(context, "The revision before ran without crashing"),
            *contain(context, "No earlier revision cures it: stop the crashes until a person repairs it"),
        ),
    )


def _missing_dependency(context: Context, line: str, evidence: tuple[str, ...]) -> Hypothesis:
    naming = bool(logs.NAME.search(line))
    what = "a name cannot be resolved" if naming else "something it depends on does not answer"
    return Hypothesis(
        cause=f"It crashes because {what}: {line}",
        category=Category.INFRASTRUCTURE if naming else Category.DEPENDENCY,
        confidence=0.75,
        evidence=evidence,
        recommendations=(
            "Check the cluster's DNS and the name it asks for."
            if naming
            else "Look at what it connects to; repeating the start does not help while that is away.",
            "Let the program wait for its dependency instead of ending.",
        ),
    )


def _bad_change(context: Context, evidence: tuple[str, ...]) -> Hypothesis:
    return Hypothesis(
        cause=f"It crashes since {context.changes[0].what} was changed",
        category=Category.CONFIG,
        confidence=0.65,
        evidence=evidence,
        recommendations=(f"Compare {context.changes[0].what} with what it was, and restore it.",),
        options=tuple(restart(context, "Pods that started in between may hold an inconsistent configuration")),
    )


def _unexplained_crash(context: Context, found: tuple[Pod, Run] | None, evidence: tuple[str, ...]) -> Hypothesis:
    run = found[1] if found else None
    killed = run is not None and run.exit_code == KILLED
    says_config = logs.says(logs.CONFIG, context.logs)
    every = bool(context.pod_count) and context.unready_count >= context.pod_count
    cause = f"{unready(context).capitalize()} crash without a change before"
    if killed:
        cause = "Its containers are killed from outside, probably by a failing liveness probe"
    elif says_config:
        cause = f"It crashes at its configuration: {says_config}"
    return Hypothesis(
        cause=cause,
        category=Category.CONFIG if says_config else Category.CODE_BUG if run and not killed else Category.UNKNOWN,
        confidence=0.5 if run else 0.4,
        evidence=evidence,
        recommendations=("Read the log of the run before the last restart.",)
        + (() if context.can_roll_back else ("There is no earlier revision to go back to.",)),
        options=(
            *restart(context, "Fresh pods rule out a state that went bad"),
            *(contain(context, "Every pod crashes: stop it until a person repairs it") if every else ()),
        ),
    )


RULES = (out_of_memory, no_image, missing_configuration, crashing)
