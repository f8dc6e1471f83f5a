from incidents.models.anomaly import Anomaly
from incidents.models.escalation import EscalationPolicy, EscalationRun
from incidents.models.fleet import FleetCorrelation
from incidents.models.incident import Decision, Incident, IncidentQuerySet, TimelineEvent
from incidents.models.insight import AIInsight
from incidents.models.postmortem import PostMortem
from incidents.models.suppressed import SuppressedSignal

__all__ = [
    "AIInsight",
    "Anomaly",
    "Decision",
    "EscalationPolicy",
    "EscalationRun",
    "FleetCorrelation",
    "Incident",
    "IncidentQuerySet",
    "PostMortem",
    "SuppressedSignal",
    "TimelineEvent",
]
