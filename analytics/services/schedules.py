"""Report schedules: checked and audited when people change them, sent when they are due."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import transaction

from aiops.audit.actor import SYSTEM, Actor
from aiops.audit.services import Record, record
from aiops.errors import Invalid, LostRace
from aiops.notifications.models import Attachment, Channel
from aiops.notifications.services import Message, announce
from aiops.nudges import nudge
from analytics.models import ReportKind, ReportSchedule
from analytics.reports import html
from analytics.reports.document import Report
from analytics.reports.texts import readable
from analytics.schedules import complaint, newest_run, next_run
from analytics.services import reports
from analytics.services.questions import Question
from analytics.services.reading import Where
from analytics.windows import SHORT, span_until

MOST_CHANNELS = 20
LOOKED_AT = 100  # rows of one sweep
TOLD = 8  # figures in the body of the message
SEND = "analytics.tasks.send_report"


# --- what people change --------------------------------------------------------------------------------------------------


def check(schedule: ReportSchedule, *, at: datetime) -> None:
    """Raises `Invalid` whose `fields` name the offending members."""
    fields: dict[str, list[str]] = {}
    if schedule.report not in ReportKind.values:
        fields["report"] = [f"Must be one of: {', '.join(ReportKind.values)}."]
    if schedule.period not in SHORT:
        fields["period"] = [f"Must be one of: {', '.join(SHORT)}."]
    fields |= complaint(schedule.cron, schedule.time_zone, at=at)
    fields |= _channel_complaint(schedule.channels, set(Channel.objects.values_list("name", flat=True)))
    if fields:
        raise Invalid("Invalid report schedule", fields=fields)


def _channel_complaint(channels: Any, known: Collection[str]) -> dict[str, list[str]]:
    if not isinstance(channels, list) or not 0 < len(channels) <= MOST_CHANNELS:
        return {"channels": [f"A list of 1 to {MOST_CHANNELS} channels is expected."]}
    unknown = [name for name in channels if not isinstance(name, str) or name not in known]
    return {"channels": [f"There is no channel {str(unknown[0])[:100]!r}."]} if unknown else {}


@transaction.atomic
def save(*, schedule: ReportSchedule, actor: Actor, at: datetime) -> ReportSchedule:
    """Create or change a schedule. Raises `Invalid`, or `LostRace` when somebody changed it meanwhile."""
    check(schedule, at=at)
    members = {
        "report": schedule.report,
        "period": schedule.period,
        "cron": schedule.cron,
        "time_zone": schedule.time_zone,
        "channels": schedule.channels,
        "cluster": schedule.cluster,
        "report_namespace": schedule.report_namespace,
        "enabled": schedule.enabled,
    }
    due_at = next_run(schedule.cron, schedule.time_zone, after=at) if schedule.enabled else None
    if schedule.pk is None:
        schedule.created_at = schedule.updated_at = at
        schedule.due_at = due_at
        schedule.save(force_insert=True)
        _record("create", schedule, actor, at, members)
    else:
        schedule.change(**members, labels=schedule.labels, due_at=due_at, updated_at=at)
        _record("update", schedule, actor, at, members)
    return schedule


@transaction.atomic
def remove(*, schedule: ReportSchedule, actor: Actor, at: datetime) -> None:
    """Delete it. Raises `LostRace` when somebody changed or deleted it meanwhile."""
    deleted, _ = ReportSchedule.objects.filter(pk=schedule.pk, version=schedule.version).delete()
    if not deleted:
        raise LostRace(f"{schedule} changed meanwhile", "Read it again and repeat the request.")
    _record("delete", schedule, actor, at, {})


def _record(verb: str, schedule: ReportSchedule, actor: Actor, at: datetime, details: dict[str, Any]) -> None:
    record(
        Record(
            action=f"report-schedule.{verb}",
            actor=actor,
            resource_type=ReportSchedule.KIND,
            resource=schedule.name,
            namespace=schedule.namespace,
            event_type="config_changed" if verb != "send" else "",
            details=details,
        ),
        at=at,
    )


# --- what workers do -----------------------------------------------------------------------------------------------------


def sweep(*, at: datetime) -> int:
    """Nudge what is due; returns how many that are."""
    due = ReportSchedule.objects.filter(enabled=True, due_at__lte=at).order_by("due_at", "pk")
    found = list(due.values_list("pk", flat=True)[:LOOKED_AT])
    for pk in found:
        nudge(SEND, schedule_id=pk)
    return len(found)


def send_due(*, schedule: ReportSchedule, at: datetime) -> bool:
    """Send the report of the newest run that is due, once. False when nothing is due or another worker was first."""
    if not schedule.enabled or schedule.due_at is None or schedule.due_at > at:
        return False
    run = newest_run(schedule.cron, schedule.time_zone, due_at=schedule.due_at, at=at)
    following = next_run(schedule.cron, schedule.time_zone, after=max(run, at))
    try:
        _send(schedule, run=run, actor=SYSTEM, at=at, due_at=following)
    except LostRace:
        return False
    return True


def send_now(*, schedule: ReportSchedule, actor: Actor, at: datetime) -> None:
    """Send it out of turn, up to this moment; the next run stays as it was. Raises `LostRace`."""
    _send(schedule, run=at, actor=actor, at=at)


def _send(schedule: ReportSchedule, *, run: datetime, actor: Actor, at: datetime, **changes: Any) -> None:
    # made before the transaction begins: a report takes longer than anybody should wait for a lock
    report = reports.build(schedule.report, _question(schedule, run, at))
    page = html.write(report)
    with transaction.atomic():
        missing = _missing(schedule)
        schedule.change(last_run_at=at, last_error=missing, **changes)
        attachment = Attachment.objects.create(
            name=f"{schedule.report}-{run:%Y%m%d}.html", media_type="text/html", content=page, created_at=at
        )
        announce(_message(schedule, report, attachment, run), at=at)
        _record("send", schedule, actor, at, {"run": run.isoformat(), "bytes": len(page)})


def _question(schedule: ReportSchedule, run: datetime, at: datetime) -> Question:
    where = Where(
        clusters=frozenset([schedule.cluster]) if schedule.cluster else None,
        namespaces=frozenset([schedule.report_namespace]) if schedule.report_namespace else None,
    )
    return Question(span=span_until(run, schedule.period), where=where, at=at)


def _missing(schedule: ReportSchedule) -> str:
    """A channel may be gone or disabled since the schedule was saved."""
    usable = set(Channel.objects.filter(enabled=True, name__in=schedule.channels).values_list("name", flat=True))
    gone = [name for name in schedule.channels if name not in usable]
    return f"no such channel, or disabled: {', '.join(gone)}"[:1024] if gone else ""


def _message(schedule: ReportSchedule, report: Report, attachment: Attachment, run: datetime) -> Message:
    lines = [f"{one.label}: {readable(one.value, one.unit)}" for one in report.figures[:TOLD]]
    period = f"{report.since:%Y-%m-%d %H:%M} to {report.until:%Y-%m-%d %H:%M} UTC"
    return Message(
        event="report",
        subject_kind=ReportSchedule.KIND,
        subject_name=schedule.name,
        title=f"Report {report.title}, {period}",
        body="\n".join(lines),
        cluster=schedule.cluster,
        namespace=schedule.report_namespace,
        occurrence=run.isoformat(),
        channels=tuple(schedule.channels),
        attachment=attachment,
    )
