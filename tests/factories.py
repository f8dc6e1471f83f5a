"""Rows for tests: plain functions, which take only the fields that the test is about."""

import hashlib
import itertools
from datetime import timedelta
from typing import Any

from aiops.encryption import encrypt
from federation.models import Cluster
from incidents.models import AIInsight, Anomaly, Incident, PostMortem, TimelineEvent
from runbooks.models import ApprovalRequest, PlanStep, RemediationPlan, Runbook
from tests.conftest import NOON

_numbers = itertools.count(1)


def _digest(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def make_cluster(**overrides: Any) -> Cluster:
    number = next(_numbers)
    values: dict[str, Any] = {
        "name": f"cluster-{number}",
        "automation": "auto",
        "tier": "non-critical",  # where nobody has to be asked
        "kubeconfig": encrypt("apiVersion: v1\nkind: Config\n"),
        "kubeconfig_digest": _digest(number),
        "server": "https://192.0.2.1:6443",
        "phase": "Connected",
        "health": "Connected",
        "next_poll_at": NOON,
        "created_at": NOON,
        "updated_at": NOON,
    }
    return Cluster.objects.create(**values | overrides)


def make_incident(**overrides: Any) -> Incident:
    number = next(_numbers)
    values: dict[str, Any] = {
        "name": f"INC-20270412-{number:03d}",
        "namespace": "shop",
        "correlation_key": _digest("key", number),
        "correlation_id": f"corr-{number:06x}",
        "severity": "high",
        "risk_score": 60,
        "signal_type": "crashloop_backoff",
        "detection_source": "k8s-watcher",
        "description": "checkout crashes",
        "resource_kind": "Deployment",
        "resource_name": f"checkout-{number}",
        "started_at": NOON - timedelta(minutes=1),
        "detected_at": NOON,
        "created_at": NOON,
        "updated_at": NOON,
        "timeline_count": 1,
    }
    incident = Incident.objects.create(**values | overrides)
    if incident.timeline_count:
        TimelineEvent.objects.create(
            incident=incident,
            at=incident.detected_at,
            type="Detection",
            source="k8s-watcher",
            message="checkout crashes",
        )
    return incident


def make_anomaly(**overrides: Any) -> Anomaly:
    incident = overrides.get("incident") or make_incident()
    values: dict[str, Any] = {
        "incident": incident,
        "cluster": incident.cluster,
        "source": "watcher",
        "origin": "k8s-watcher",
        "signal_type": incident.signal_type,
        "condition": "pod_crash_loop",
        "fingerprint": _digest(next(_numbers)),
        "namespace": incident.namespace,
        "resource_kind": incident.resource_kind,
        "resource_name": incident.resource_name,
        "description": "checkout crashes",
        "severity": "high",
        "weight": 75,
        "first_seen_at": NOON,
        "last_seen_at": NOON,
        "detected_at": NOON,
    }
    return Anomaly.objects.create(**values | overrides)


def make_insight(**overrides: Any) -> AIInsight:
    incident = overrides.get("incident") or make_incident(state="Analyzing")
    number = next(_numbers)
    values: dict[str, Any] = {
        "name": f"insight-{incident.name.lower()}-{number}",
        "namespace": incident.namespace,
        "incident": incident,
        "provider": "rules",
        "analysis": "The newest revision crashes",
        "confidence": 0.7,
        "generated_at": NOON,
        "created_at": NOON,
        "updated_at": NOON,
    }
    return AIInsight.objects.create(**values | overrides)


def make_postmortem(**overrides: Any) -> PostMortem:
    number = next(_numbers)
    incident = overrides.get("incident") or make_incident(state="Resolved", resolved_at=NOON)
    values: dict[str, Any] = {
        "name": f"PM-20270412-{number:03d}",
        "namespace": incident.namespace,
        "incident": incident,
        "severity": incident.severity,
        "title": "checkout crashed",
        "detected_at": incident.detected_at,
        "generated_at": NOON,
        "created_at": NOON,
        "updated_at": NOON,
    }
    return PostMortem.objects.create(**values | overrides)


STEP: dict[str, Any] = {
    "name": "undo",
    "description": "Go back to the previous revision",
    "action": "RollbackDeployment",
    "command": None,
    "timeout": "1m",
    "continueOnFailure": False,
    "params": {},
}


def make_runbook(**overrides: Any) -> Runbook:
    values: dict[str, Any] = {
        "name": f"runbook-{next(_numbers)}",
        "category": "crashloop",
        "description": "Undo the rollout",
        "severity": ["critical", "high", "medium", "low"],
        "automated": True,
        "approval_required": False,
        "steps": [STEP],
        "match_conditions": {"resourceTypes": [], "descriptionPatterns": [], "namespaces": []},
        "created_by": "tests",
        "created_at": NOON,
        "updated_at": NOON,
    }
    return Runbook.objects.create(**values | overrides)


def make_plan(**overrides: Any) -> RemediationPlan:
    incident = overrides.get("incident") or make_incident(state="Remediating")
    number = next(_numbers)
    values: dict[str, Any] = {
        "name": f"remediation-{incident.name.lower()}-{number}",
        "namespace": incident.namespace,
        "incident": incident,
        "cluster": incident.cluster,
        "attempt": number,
        "strategy": "Undo the rollout",
        "target_key": incident.correlation_key,
        "target_kind": incident.resource_kind,
        "target_name": incident.resource_name,
        "actions_digest": _digest(number),
        "created_at": NOON,
        "updated_at": NOON,
    }
    return RemediationPlan.objects.create(**values | overrides)


def make_step(**overrides: Any) -> PlanStep:
    plan = overrides.get("plan") or make_plan()
    number = next(_numbers)
    values: dict[str, Any] = {
        "plan": plan,
        "index": number,
        "name": f"undo-{number}",
        "description": "Go back",
        "action": "RollbackDeployment",
        "action_type": "RollbackDeployment",
        "key": _digest("step", number),
    }
    return PlanStep.objects.create(**values | overrides)


def make_approval(**overrides: Any) -> ApprovalRequest:
    plan = overrides.get("plan") or make_plan(state="WaitingApproval")
    values: dict[str, Any] = {
        "name": f"APR-20270412-{next(_numbers):03d}",
        "namespace": plan.namespace,
        "incident": plan.incident,
        "plan": plan,
        "action": "Roll back Deployment/checkout",
        "action_type": "RollbackDeployment",
        "actions_digest": plan.actions_digest,
        "target": {"kind": plan.target_kind, "name": plan.target_name, "namespace": plan.namespace},
        "risk_score": 60,
        "severity": "high",
        "expires_at": NOON + timedelta(minutes=30),
        "created_at": NOON,
        "updated_at": NOON,
    }
    return ApprovalRequest.objects.create(**values | overrides)
