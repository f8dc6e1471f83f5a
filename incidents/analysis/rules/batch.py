"""Jobs, CronJobs and volumes."""

from incidents.analysis import logs
from incidents.analysis.actions import Suggestion
from incidents.analysis.context import Context
from incidents.analysis.hypothesis import Category, Hypothesis, quoted, raise_limit

FAILED = ("job_failed", "job_deadline_exceeded", "cronjob_last_run_failed")
MISSED = ("cronjob_missed", "cronjob_missed_schedule")
VOLUMES = ("pvc_pending", "pvc_lost", "volume_mount_failure", "volume_resize_failed")
LONGEST = 86_400  # seconds that a Job may be given by us


def job_failed(context: Context) -> Hypothesis | None:
    """Its retries are used up: often worth one more run, since what it needed may be back."""
    if not context.shows(*FAILED) or context.kind not in {"Job", "CronJob"}:
        return None
    condition = context.workload.conditions.get("Failed") if context.workload else None
    if condition and condition[1] == "DeadlineExceeded":
        return _too_slow(context, condition[2])
    run = next((run for _, run in context.runs if run.exit_code), None)
    line = next(iter(logs.error_lines(context.logs)), "") or next(iter(logs.last_lines(context.logs, 1)), "")
    dependency = logs.says(logs.DEPENDENCY, context.logs)
    bad_setup = logs.says(logs.CONFIG, context.logs)
    again = Suggestion("RetryJob", "Run it again", "Its template is unchanged; what it needed may be back")
    trigger = Suggestion("TriggerCronJob", "Run it now", "The last run failed, the next one is not due yet")
    options: tuple[Suggestion, ...] = (again,) if context.kind == "Job" else (trigger,)
    if run and run.ended == "OOMKilled":
        options = (*raise_limit(context, context.container(run.name), "memory", "It is killed at its limit"), *options)
    category = Category.DEPENDENCY if dependency else Category.CONFIG if bad_setup else Category.CODE_BUG
    return Hypothesis(
        cause=f"{context.resource} used up its retries"
        + (f" with exit code {run.exit_code}" if run else "")
        + (f": {line}" if line else ""),
        category=category if line else Category.UNKNOWN,
        confidence=0.65 if line else 0.5,
        evidence=(
            *((f"Failed: {condition[1]}, {condition[2]}",) if condition else ()),
            *quoted([line] if line else [], "Log"),
        ),
        recommendations=("If it fails again for the same reason, repair its input or program first.",),
        options=options,
    )


def _too_slow(context: Context, told: str) -> Hypothesis:
    deadline = context.workload.deadline_seconds if context.workload else None
    options: tuple[Suggestion, ...] = ()
    if deadline and deadline < LONGEST:
        more = str(min(2 * deadline, LONGEST))
        params = {"activeDeadlineSeconds": more}
        options = (Suggestion("AdjustJobDeadline", f"Allow {more} s", f"It had {deadline} s", params),)
    return Hypothesis(
        cause=f"{context.resource} did not finish before its deadline: {told}",
        category=Category.CAPACITY,
        confidence=0.65,
        evidence=(f"Failed: DeadlineExceeded, {told}",),
        recommendations=("See whether it works or waits; more time only helps the former.",),
        options=(*options, Suggestion("RetryJob", "Run it again", "A slow dependency may be fast again")),
    )


def schedule_missed(context: Context) -> Hypothesis | None:
    """A suspended CronJob is resumed first, then run."""
    if not context.shows(*MISSED):
        return None
    suspended = context.workload is not None and context.workload.paused
    resume = Suggestion("ResumeCronJob", "Resume the schedule", "It is suspended")
    trigger = Suggestion("TriggerCronJob", "Run it now", "Makes up for the missed run")
    return Hypothesis(
        cause=f"{context.resource} missed its schedule" + (": it is suspended" if suspended else ""),
        category=Category.CONFIG if suspended else Category.INFRASTRUCTURE,
        confidence=0.7 if suspended else 0.5,
        evidence=tuple(fault.description for fault in context.faults if fault.signal_type in MISSED)[:2],
        recommendations=("Check startingDeadlineSeconds and concurrencyPolicy: they can swallow runs.",),
        options=(resume, trigger) if suspended else (trigger,),
    )


def volume(context: Context) -> Hypothesis | None:
    """Storage is never touched by automation: data may be lost."""
    fault = context.fault(*VOLUMES)
    if fault is None or not fault.firing:
        return None
    told = next((event for event in context.events if "rovision" in event.reason or "Mount" in event.reason), None)
    return Hypothesis(
        cause=f"A volume cannot be used: {told.message if told else fault.description}",
        category=Category.INFRASTRUCTURE,
        confidence=0.65 if told else 0.5,
        evidence=(fault.description, *((f"Event {told}",) if told else ())),
        recommendations=("Check the storage class, its provisioner and where the volume may be attached.",),
    )


RULES = (job_failed, schedule_missed, volume)
