"""Roll-ups: sums per hour, day and week.

A row belongs to a bucket (`grain`, `start`) and to one value of each dimension. `ALL` in a dimension is the sum over it, kept
so that a question without a filter reads a handful of rows. Which sums are kept stands in analytics.families.

Times are whole seconds, as the API shows them, so sums are exact.
"""

from django.db import models

ALL = "*"  # no name of a cluster, namespace, severity or signal


class Grain(models.IntegerChoices):
    """The length of a bucket, in hours. Days are UTC, weeks begin on Monday."""

    HOUR = 1
    DAY = 24
    WEEK = 168


class OutdatedHour(models.Model):
    """An hour whose roll-ups no longer say what the raw rows say. Appended by database triggers (analytics.triggers).

    A queue, not a set: two transactions that touch the same hour must not wait for each other.
    """

    family = models.CharField(max_length=16)  # a key of analytics.families.FAMILIES
    hour = models.IntegerField()  # since 1970

    class Meta:
        indexes = [models.Index(fields=["family", "hour"], name="outdated_hour_of_family")]

    def __str__(self) -> str:
        return f"{self.family} {self.hour}"


class Rollup(models.Model):
    """`start` counts hours since 1970: reports read thousands of rows, and integers are cheaper than times."""

    grain = models.PositiveSmallIntegerField(choices=Grain)
    start = models.IntegerField()
    cluster = models.CharField(max_length=253)
    namespace = models.CharField(max_length=253)
    severity = models.CharField(max_length=16)
    total = models.IntegerField(default=0)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{Grain(self.grain).name} {self.start}: {self.total}"


class IncidentRollup(Rollup):
    """Incidents by the time of their detection. Times to detect and to resolve leave chaos experiments out (ANA-5)."""

    chaos = models.IntegerField(default=0)
    detected = models.IntegerField(default=0)
    analyzing = models.IntegerField(default=0)
    remediating = models.IntegerField(default=0)
    contained = models.IntegerField(default=0)
    resolved = models.IntegerField(default=0)
    escalated = models.IntegerField(default=0)
    failed = models.IntegerField(default=0)
    auto_resolved = models.IntegerField(default=0)  # without a resolve call
    self_healed = models.IntegerField(default=0)  # resolved although no plan completed and nobody resolved it
    remediated = models.IntegerField(default=0)  # has a plan
    resolved_by_remediation = models.IntegerField(default=0)  # of these, resolved
    acted_on = models.IntegerField(default=0)  # acknowledged, resolved by hand, or a plan completed
    attempts = models.IntegerField(default=0)  # of remediation
    sla_promised = models.IntegerField(default=0)  # an incident SLA promised something
    # that broke a promise of an incident SLA, whichever or this one
    sla_broken = models.IntegerField(default=0)
    response_broken = models.IntegerField(default=0)
    mitigation_broken = models.IntegerField(default=0)
    resolution_broken = models.IntegerField(default=0)
    risk_sum = models.BigIntegerField(default=0)
    anomalies = models.IntegerField(default=0)

    detect_count = models.IntegerField(default=0)
    detect_sum = models.BigIntegerField(default=0)  # seconds from the event to the detection
    resolve_count = models.IntegerField(default=0)
    resolve_sum = models.BigIntegerField(default=0)  # seconds from the event to the resolution
    unresolved = models.IntegerField(default=0)  # neither chaos nor resolved: their time is still running
    # the phases of the resolved ones; what is left of `resolve_sum` is remediation
    detection_sum = models.BigIntegerField(default=0)
    analyzed_count = models.IntegerField(default=0)
    analysis_sum = models.BigIntegerField(default=0)
    asked_count = models.IntegerField(default=0)
    approval_sum = models.BigIntegerField(default=0)
    acknowledge_count = models.IntegerField(default=0)
    acknowledge_sum = models.BigIntegerField(default=0)  # seconds from the detection to the acknowledgement

    # costs leave chaos experiments and merged incidents out
    charged = models.IntegerField(default=0)  # incidents that may cost something
    downtime_sum = models.BigIntegerField(default=0)  # seconds from the event to the resolution
    running_since = models.BigIntegerField(default=0)  # sum of the events of those not resolved, seconds since 1970
    handled_count = models.IntegerField(default=0)
    handled_sum = models.BigIntegerField(default=0)  # seconds that a person worked, from the acknowledgement on
    automated_count = models.IntegerField(default=0)
    automated_sum = models.BigIntegerField(default=0)  # downtime of those that a plan ended
    manual_count = models.IntegerField(default=0)
    manual_sum = models.BigIntegerField(default=0)  # downtime of those that a person ended
    llm_calls = models.IntegerField(default=0)
    llm_cost = models.BigIntegerField(default=0)  # millionths of the currency

    detect_histogram = models.BinaryField(default=bytes)  # analytics.histograms
    resolve_histogram = models.BinaryField(default=bytes)
    # the phases, in fewer steps
    detection_histogram = models.BinaryField(default=bytes)
    analysis_histogram = models.BinaryField(default=bytes)
    approval_histogram = models.BinaryField(default=bytes)
    remediation_histogram = models.BinaryField(default=bytes)
    acknowledge_histogram = models.BinaryField(default=bytes)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["grain", "cluster", "namespace", "start", "severity"], name="incident_rollup_is_unique"
            )
        ]
        indexes = [models.Index(fields=["grain", "start"], name="incident_rollup_by_start")]


class WorkloadRollup(Rollup):
    """Incidents by the thing that had them and by signal."""

    kind = models.CharField(max_length=63)
    name = models.CharField(max_length=253)
    signal = models.CharField(max_length=63)
    acted_on = models.IntegerField(default=0)
    anomalies = models.IntegerField(default=0)
    resolve_count = models.IntegerField(default=0)
    resolve_sum = models.BigIntegerField(default=0)
    downtime_sum = models.BigIntegerField(default=0)
    unresolved = models.IntegerField(default=0)
    running_since = models.BigIntegerField(default=0)
    last = models.BigIntegerField(default=0)  # detection of the newest, seconds since 1970

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["grain", "start", "cluster", "namespace", "kind", "name", "signal", "severity"],
                name="workload_rollup_is_unique",
            )
        ]


class PlanRollup(Rollup):
    """Remediation plans by the time of their creation."""

    action = models.CharField(max_length=255)  # ANA-10
    runbook = models.CharField(max_length=253)
    completed = models.IntegerField(default=0)
    failed = models.IntegerField(default=0)
    rolled_back = models.IntegerField(default=0)
    duration_count = models.IntegerField(default=0)  # finished plans that know when they began and ended
    duration_sum = models.BigIntegerField(default=0)
    verified_count = models.IntegerField(default=0)
    verification_sum = models.BigIntegerField(default=0)
    verification_histogram = models.BinaryField(default=bytes)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["grain", "cluster", "namespace", "start", "severity", "action", "runbook"],
                name="plan_rollup_is_unique",
            )
        ]
        indexes = [models.Index(fields=["grain", "start"], name="plan_rollup_by_start")]


class ApprovalRollup(Rollup):
    """Approval requests by the time of the request."""

    approved = models.IntegerField(default=0)
    auto_approved = models.IntegerField(default=0)  # of the approved
    rejected = models.IntegerField(default=0)
    expired = models.IntegerField(default=0)
    decision_count = models.IntegerField(default=0)
    decision_sum = models.BigIntegerField(default=0)  # seconds until approved or rejected

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["grain", "cluster", "namespace", "start", "severity"], name="approval_rollup_is_unique"
            )
        ]
        indexes = [models.Index(fields=["grain", "start"], name="approval_rollup_by_start")]


class PostMortemRollup(Rollup):
    """Postmortems by the time of their creation."""

    requiring_action = models.IntegerField(default=0)  # a person has to act, and has not closed it

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["grain", "cluster", "namespace", "start", "severity"], name="postmortem_rollup_is_unique"
            )
        ]
        indexes = [models.Index(fields=["grain", "start"], name="postmortem_rollup_by_start")]


class AuditRollup(Rollup):
    """Audit records by their time. They name no cluster, and their severity is that of the log: info, warning, critical."""

    event_type = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["grain", "cluster", "namespace", "start", "severity", "event_type"],
                name="audit_rollup_is_unique",
            )
        ]
        indexes = [models.Index(fields=["grain", "start"], name="audit_rollup_by_start")]


class LLMRollup(Rollup):
    """Calls of language models by their time; cluster, namespace and severity are those of the incident at that moment."""

    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=128)
    purpose = models.CharField(max_length=64)
    accepted = models.IntegerField(default=0)
    priced = models.IntegerField(default=0)
    prompt_tokens = models.BigIntegerField(default=0)
    completion_tokens = models.BigIntegerField(default=0)
    cached_tokens = models.BigIntegerField(default=0)
    cost = models.BigIntegerField(default=0)  # millionths of the currency

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["grain", "cluster", "namespace", "start", "severity", "provider", "model", "purpose"],
                name="llm_rollup_is_unique",
            )
        ]
        indexes = [models.Index(fields=["grain", "start"], name="llm_rollup_by_start")]
