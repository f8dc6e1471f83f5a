"""Rules on Jobs and CronJobs (rule book 4.3). The Job's conditions decide; failed pods alone are only retries."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from incidents.detectors import fields
from incidents.detectors.base import Context, Outcome, Verdict, ref_of, signal
from incidents.detectors.cron import InvalidSchedule, Schedule, parse_schedule
from incidents.detectors.fields import ABSENT, Obj, integer, parse_time, text
from incidents.detectors.view import JobState, owner_reference

_MISS_EVENTS = frozenset({"MissSchedule", "TooManyMissedTimes"})
_DEFAULT_BACKOFF_LIMIT = 6
_SHORTEST_DEADLINE = 10  # the controller looks every ten seconds; a shorter deadline may skip every run
_MAX_DEADLINE = 366 * 86_400


def judge_job(job: Obj, context: Context) -> Iterator[Outcome]:
    spec, status = fields.spec(job), fields.status(job)
    conditions = fields.conditions(job)
    if conditions.get("Complete", ABSENT).is_true or conditions.get("SuccessCriteriaMet", ABSENT).is_true:
        return
    failed = conditions.get("Failed", ABSENT)
    if failed.is_true:
        if not _is_superseded(job, context):
            yield signal(
                "job_deadline_exceeded" if failed.reason == "DeadlineExceeded" else "job_failed",
                job,
                reason=failed.reason or "Failed",
                message=f"Job failed: {failed.message or failed.reason or 'no reason given'}",
                at=failed.since,
                evidence={"failedPods": integer(status.get("failed")), "backoffLimit": _backoff_limit(job)},
            )
        return
    if fields.is_deleting(job):
        yield Verdict.PROGRESSING
        return
    if spec.get("suspend") is True:
        return
    yield Verdict.PROGRESSING
    yield from _retrying(job)
    yield from _not_completing(job, context)


def _backoff_limit(job: Obj) -> int:
    return integer(fields.spec(job).get("backoffLimit"), _DEFAULT_BACKOFF_LIMIT)


def _is_superseded(job: Obj, context: Context) -> bool:
    """A newer run of the same CronJob succeeded, so the failure is history."""
    owner, _ = owner_reference(job)
    created = fields.created_at(job)
    if owner is None or created is None:
        return False
    runs = context.related.cron_jobs.get(owner, ())
    return any(run.completed and run.created_at is not None and run.created_at > created for run in runs)


def _retrying(job: Obj) -> Iterator[Outcome]:
    failed, limit = integer(fields.status(job).get("failed")), _backoff_limit(job)
    if failed > 0 and failed * 2 >= limit:
        yield signal(
            "job_retrying",
            job,
            reason="Retrying",
            message=f"{failed} pods failed, the Job gives up after {limit} retries",
            at=parse_time(fields.status(job).get("startTime")),
        )


def _not_completing(job: Obj, context: Context) -> Iterator[Outcome]:
    status = fields.status(job)
    started = parse_time(status.get("startTime"))
    if (
        started is None
        or integer(status.get("active")) <= 0
        or not context.held(started, context.thresholds.job_runtime)
    ):
        return
    yield signal(
        "job_not_completing",
        job,
        reason="Running",
        message=f"Job has been running since {started:%Y-%m-%d %H:%M} UTC",
        at=started,
    )


def judge_cron_job(cron_job: Obj, context: Context) -> Iterator[Outcome]:
    spec, status = fields.spec(cron_job), fields.status(cron_job)
    if fields.is_deleting(cron_job):
        yield Verdict.PROGRESSING
        return
    if spec.get("suspend") is True:
        return
    try:
        schedule = parse_schedule(text(spec.get("schedule")), text(spec.get("timeZone")))
    except InvalidSchedule as error:
        yield _invalid(cron_job, f"The schedule {text(spec.get('schedule'))!r} is not valid: {error}")
        return
    deadline = spec.get("startingDeadlineSeconds")
    if deadline is not None and integer(deadline) < _SHORTEST_DEADLINE:
        yield _invalid(cron_job, f"startingDeadlineSeconds {integer(deadline)} is shorter than the controller's round")
    if status.get("active"):
        return
    yield from _last_run_failed(cron_job, schedule, context)
    yield from _missed(cron_job, schedule, context)


def _invalid(cron_job: Obj, message: str) -> Outcome:
    return signal("cronjob_invalid_schedule", cron_job, reason="InvalidSchedule", message=message)


def _period(schedule: Schedule, context: Context) -> tuple[datetime, timedelta] | None:
    """The newest due time and the distance to the one before it."""
    last = schedule.previous(context.now)
    before = schedule.previous(last) if last else None
    return (last, last - before) if last and before else None


def _last_run_failed(cron_job: Obj, schedule: Schedule, context: Context) -> Iterator[Outcome]:
    status = fields.status(cron_job)
    scheduled = parse_time(status.get("lastScheduleTime"))
    succeeded = parse_time(status.get("lastSuccessfulTime"))
    if scheduled is None or (succeeded is not None and succeeded >= scheduled):
        return
    runs = context.related.cron_jobs.get(ref_of(cron_job), [])
    newest = max(runs, key=_created, default=None)
    if context.related.knows("Job") and (newest is None or not newest.failed):
        return
    rhythm = _period(schedule, context)
    if rhythm is None or not context.held(scheduled, rhythm[1]):
        yield Verdict.PROGRESSING
        return
    yield signal(
        "cronjob_last_run_failed",
        cron_job,
        reason="LastRunFailed",
        message="The last run did not succeed" if succeeded else "No run has succeeded yet",
        at=scheduled,
    )


def _created(run: JobState) -> float:
    return run.created_at.timestamp() if run.created_at else 0.0


def _missed(cron_job: Obj, schedule: Schedule, context: Context) -> Iterator[Outcome]:
    """Two due times passed without a run, plus the time a run may start late."""
    spec, status = fields.spec(cron_job), fields.status(cron_job)
    last = parse_time(status.get("lastScheduleTime")) or fields.created_at(cron_job)
    rhythm = _period(schedule, context)
    if last is None or rhythm is None:
        return
    seconds = integer(spec.get("startingDeadlineSeconds"))
    late = max(timedelta(seconds=min(max(seconds, 0), _MAX_DEADLINE)), context.thresholds.cronjob_start)
    if context.now - last <= 2 * rhythm[1] + late or last >= rhythm[0]:
        return
    events = [event for event in context.related.events_with(cron_job, _MISS_EVENTS) if event.is_warning]
    yield signal(
        "cronjob_missed_schedule",
        cron_job,
        reason=events[-1].reason if events else "MissSchedule",
        message=f"No run since {last:%Y-%m-%d %H:%M} UTC, one was due at {rhythm[0]:%Y-%m-%d %H:%M} UTC",
        at=rhythm[0],
    )
