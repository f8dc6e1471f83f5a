"""The states of incidents and postmortems and the legal moves between them. Pure; values are the words of the API contract."""

from django.db import models


class Severity(models.TextChoices):
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


SEVERITY_RANK = {"critical": 4, "high": 3, "medium": 2, "low": 1}


class Source(models.TextChoices):
    PROMETHEUS = "prometheus"
    EVENTS = "events"
    LOGS = "logs"
    WEBHOOK = "webhook"
    WATCHER = "watcher"


class IncidentState(models.TextChoices):
    DETECTED = "Detected"
    ANALYZING = "Analyzing"
    REMEDIATING = "Remediating"
    CONTAINED = "Contained"
    RESOLVED = "Resolved"
    ESCALATED = "Escalated"
    FAILED = "Failed"


class PostMortemState(models.TextChoices):
    OPEN = "Open"
    IN_REVIEW = "InReview"
    CLOSED = "Closed"


S, P = IncidentState, PostMortemState

# api.md §3.8, and: a person may start a plan from an escalated, contained or failed incident (X3 remediate), and automation
# may find at any open state that there is no way forward
INCIDENT_TRANSITIONS: dict[str, frozenset[str]] = {
    S.DETECTED: frozenset({S.ANALYZING, S.REMEDIATING, S.ESCALATED, S.RESOLVED}),
    S.ANALYZING: frozenset({S.REMEDIATING, S.ESCALATED, S.RESOLVED}),
    S.REMEDIATING: frozenset({S.ANALYZING, S.CONTAINED, S.ESCALATED, S.FAILED, S.RESOLVED}),
    S.CONTAINED: frozenset({S.REMEDIATING, S.ESCALATED, S.RESOLVED}),
    S.ESCALATED: frozenset({S.REMEDIATING, S.RESOLVED}),
    S.FAILED: frozenset({S.REMEDIATING, S.RESOLVED}),
    S.RESOLVED: frozenset(),
}
OPEN = frozenset(S) - {S.RESOLVED}
ACTIVE = OPEN - {S.FAILED}

POSTMORTEM_TRANSITIONS: dict[str, frozenset[str]] = {
    P.OPEN: frozenset({P.IN_REVIEW, P.CLOSED}),
    P.IN_REVIEW: frozenset({P.IN_REVIEW, P.CLOSED}),
    P.CLOSED: frozenset(),
}
