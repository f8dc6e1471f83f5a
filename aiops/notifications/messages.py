"""What apps hand over: one thing worth saying, about one object."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiops.notifications.models import Attachment

EVENTS = frozenset(
    {
        "incident_created",
        "incident_severity_raised",
        "incident_acknowledged",
        "incident_resolved",
        "incident_escalated",
        "incident_contained",
        "incident_failed",
        "remediation_started",
        "remediation_completed",
        "remediation_failed",
        "remediation_rolled_back",
        "approval_requested",
        "approval_reminder",
        "approval_decided",
        "approval_expired",
        "escalation_level",
        "sla_at_risk",
        "sla_breached",
        "cluster_disconnected",
        "cluster_credentials_expiring",
        "cluster_connected",
        "hub_cut_off",
        "hub_connected",
        "report",
        "slo_alert",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`subject_kind` and `subject_name` say what it is about; `incident_name` ties it to an incident's snooze and timeline.

    `occurrence` tells repetitions of one event on one subject apart (a level, an attempt); without it the time of the
    announcement does. `terminal` messages pass every throttle. `channels` names the recipients and bypasses the policies.
    """

    event: str
    subject_kind: str
    subject_name: str
    title: str
    body: str = ""
    incident_name: str = ""
    severity: str = ""
    signal_type: str = ""
    namespace: str = ""
    resource_kind: str = ""
    state: str = ""
    cluster: str = ""
    hold_until: datetime | None = None
    terminal: bool = False
    occurrence: str = ""
    channels: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    attachment: Attachment | None = None

    def context(self) -> dict[str, Any]:
        """What rules match on, templates may use and webhooks send."""
        return {
            "event": self.event,
            "subjectKind": self.subject_kind,
            "subject": self.subject_name,
            "incident": self.incident_name,
            "severity": self.severity,
            "signalType": self.signal_type,
            "namespace": self.namespace,
            "resourceKind": self.resource_kind,
            "state": self.state,
            "cluster": self.cluster,
            "title": self.title,
            "body": self.body,
            "facts": dict(self.facts),
        }
