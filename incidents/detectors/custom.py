"""Rules on namespaces, quotas, API extensions and custom resources (rule book 4.7, 70-76).

Kinds with known semantics have their own rule; any other kind is read by the conventions of `status.conditions` and
`status.phase`, and what is found there is context for people, never an incident alone.
"""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from incidents.detectors import fields
from incidents.detectors.base import Context, Outcome, Verdict, signal
from incidents.detectors.fields import ABSENT, Condition, Obj, mapping, parse_time, text

_FAILED_PHASES = frozenset(
    [
        "failed",
        "failure",
        "error",
        "errored",
        "degraded",
        "unhealthy",
        "lost",
        "invalid",
        "partiallyfailed",
        "failedvalidation",
        "crashloopbackoff",
        "red",
    ]
)
_MOVING_PHASES = frozenset(
    [
        "pending",
        "creating",
        "provisioning",
        "progressing",
        "inprogress",
        "updating",
        "upgrading",
        "installing",
        "initializing",
        "starting",
        "scaling",
        "deleting",
        "terminating",
        "reconciling",
        "waiting",
        "queued",
        "new",
        "restarting",
        "rollingupdate",
        "configuring",
        "issuing",
        "yellow",
        "setting-up",
        "building",
        "running_setup",
    ]
)
_PAUSED_PHASES = frozenset({"suspended", "paused", "stopped", "hibernated"})
# conditions that say how the object fares, most telling first
_GOOD = ("Ready", "Available", "Healthy", "Succeeded", "Synced", "Reconciled", "Accepted", "Established")
_BAD = (
    "Stalled",
    "Failed",
    "Failure",
    "Degraded",
    "Error",
    "ReconcileError",
    "Fallback",
    "InvalidSpec",
    "NonStructuralSchema",
)
_MOVING = ("Reconciling", "Issuing", "Progressing", "Updating", "InProgress")
_MOVING_REASONS = frozenset(
    {
        "Progressing",
        "InProgress",
        "Pending",
        "Creating",
        "Issuing",
        "Reconciling",
        "Provisioning",
        "Waiting",
        "Initializing",
        "Installing",
        "Updating",
        "DependencyNotReady",
        "NotReconciled",
        "AwaitingReconciliation",
        "ReconciliationInProgress",
        "Unknown",
    }
)
# kinds whose controller always writes a status: without one it has not looked yet
_WITH_STATUS = frozenset(
    [
        "Certificate",
        "CertificateRequest",
        "Issuer",
        "ClusterIssuer",
        "Machine",
        "MachineDeployment",
        "MachineSet",
        "Cluster",
        "NodeClaim",
        "NodePool",
        "ScaledObject",
        "ScaledJob",
        "Kustomization",
        "HelmRelease",
        "GitRepository",
        "HelmRepository",
        "OCIRepository",
        "Bucket",
        "Rollout",
        "Application",
        "ExternalSecret",
        "SecretStore",
        "ClusterSecretStore",
        "Kafka",
        "KafkaTopic",
        "KafkaUser",
        "PostgresCluster",
        "Elasticsearch",
        "VirtualMachine",
    ]
)
# while these steps are open, not being ready is part of coming up
_STEPS = ("Launched", "Registered", "Initialized")
_RUNS_TO_COMPLETION = frozenset({"Workflow", "PipelineRun", "TaskRun", "Backup", "Restore"})
_PAUSE_ANNOTATIONS = ("autoscaling.keda.sh/paused", "autoscaling.keda.sh/paused-replicas", "cluster.x-k8s.io/paused")
_CONDITION_OF_KIND = {
    "NodeClaim": "node_provisioning_failed",
    "Machine": "machine_failed",
    "ScaledObject": "autoscaler_not_ready",
    "ScaledJob": "autoscaler_not_ready",
    "HelmRelease": "helm_release_failed",
}


def judge_custom(resource: Obj, context: Context) -> Iterator[Outcome]:
    """Any kind without a rule of its own, by the conventions of conditions and phases."""
    if fields.is_deleting(resource) or fields.is_stale(resource):
        yield Verdict.PROGRESSING
        return
    spec, status = fields.spec(resource), fields.status(resource)
    conditions = fields.conditions(resource)
    if _is_paused(resource, conditions):
        return
    if not status:
        if text(resource.get("kind")) in _WITH_STATUS:
            yield Verdict.PROGRESSING
        return
    phases = _phases(resource)
    failed = next((phase for phase in phases if phase in _FAILED_PHASES), "")
    if failed:
        yield from _failed_phase(resource, failed, conditions)
    elif not _PAUSED_PHASES.isdisjoint(phases) or spec.get("stopped") is True:
        return
    else:
        if not _MOVING_PHASES.isdisjoint(phases):
            yield Verdict.PROGRESSING
        yield from _by_conditions(resource, conditions, context)


def _is_paused(resource: Obj, conditions: dict[str, Condition]) -> bool:
    spec, notes = fields.spec(resource), fields.annotations(resource)
    if spec.get("suspend") is True or spec.get("paused") is True or spec.get("suspended") is True:
        return True
    if conditions.get("Paused", ABSENT).is_true or conditions.get("Suspended", ABSENT).is_true:
        return True
    return any(note in notes and notes[note] != "false" for note in _PAUSE_ANNOTATIONS)


def _phases(resource: Obj) -> list[str]:
    """The words a controller sums the object up with, whichever of the usual places it writes them to."""
    status = fields.status(resource)
    health = status.get("health")
    words = (
        health if isinstance(health, str) else mapping(health).get("status"),
        status.get("phase"),
        status.get("state"),
    )
    phases = [text(word).replace(" ", "").lower() for word in words if text(word)]
    if text(resource.get("kind")) in _RUNS_TO_COMPLETION and "running" in phases:
        phases.append("progressing")
    return phases


def _fault(resource: Obj, condition: Condition, message: str) -> Iterator[Outcome]:
    """Known kinds raise their own signal; for unknown semantics the verdict stands but alarms nobody."""
    yield Verdict.ANOMALOUS
    yield signal(
        _CONDITION_OF_KIND.get(text(resource.get("kind")), "custom_resource_not_ready"),
        resource,
        reason=condition.reason or condition.type or "NotReady",
        message=message,
        at=condition.since,
        discriminator=condition.type,
    )


def _failed_phase(resource: Obj, phase: str, conditions: dict[str, Condition]) -> Iterator[Outcome]:
    status = fields.status(resource)
    ready = next((conditions[kind] for kind in _GOOD if conditions.get(kind, ABSENT).is_false), ABSENT)
    message = ready.message or text(status.get("message")) or text(status.get("failureMessage"))
    reason = text(status.get("failureReason")) or text(status.get("reason")) or phase.capitalize()
    yield from _fault(resource, ready._replace(reason=ready.reason or reason), f"Phase is {phase}: {message or reason}")


def _by_conditions(resource: Obj, conditions: dict[str, Condition], context: Context) -> Iterator[Outcome]:
    if any(conditions.get(kind, ABSENT).is_true for kind in _MOVING if kind != "Progressing"):
        yield Verdict.PROGRESSING
        return
    for kind in _BAD:
        bad = conditions.get(kind, ABSENT)
        if bad.is_true:
            yield from _fault(resource, bad, f"{kind}: {bad.message}")
            return
    for kind in _GOOD:
        good = conditions.get(kind, ABSENT)
        if good.is_false:
            yield from _not_good(resource, good, conditions, context)
            return
        if good.is_unknown:
            yield Verdict.PROGRESSING
            return
        if good.is_true and kind == "Ready" and not conditions.get("Synced", ABSENT).is_false:
            return


def _not_good(resource: Obj, good: Condition, conditions: dict[str, Condition], context: Context) -> Iterator[Outcome]:
    is_moving = good.reason in _MOVING_REASONS or conditions.get("Progressing", ABSENT).is_true
    is_moving = is_moving or any(conditions.get(step, ABSENT).is_unknown for step in _STEPS)
    is_young = good.since is not None and not context.held(good.since, context.thresholds.custom_resource)
    if is_moving or is_young:
        yield Verdict.PROGRESSING
        return
    yield from _fault(resource, good, f"{good.type} is false: {good.message or good.reason or 'no reason given'}")


def judge_certificate(certificate: Obj, context: Context) -> Iterator[Outcome]:
    """cert-manager: a renewal under way is no fault, a rejected one is, and the end date counts in any case."""
    if fields.is_deleting(certificate) or fields.is_stale(certificate):
        yield Verdict.PROGRESSING
        return
    conditions = fields.conditions(certificate)
    ready, issuing = conditions.get("Ready", ABSENT), conditions.get("Issuing", ABSENT)
    limits = context.thresholds
    expires = parse_time(fields.status(certificate).get("notAfter"))
    if issuing.is_true:
        yield Verdict.PROGRESSING
    elif ready.is_false or (issuing.is_false and issuing.reason == "Failed"):
        fault = ready if ready.is_false else issuing
        message = f"The certificate is not ready: {fault.message}"
        yield signal("certificate_not_ready", certificate, reason=fault.reason, message=message, at=fault.since)
    elif not ready.is_true:
        yield Verdict.PROGRESSING
    if expires is None or issuing.is_true or expires - context.now >= limits.certificate_warning:
        return
    is_close = expires - context.now < limits.certificate_critical
    yield signal(
        "certificate_expiring",
        certificate,
        reason="Expired" if expires <= context.now else "Expiring",
        message=f"The certificate ends at {expires:%Y-%m-%d %H:%M} UTC",
        at=expires - limits.certificate_warning,
        severity="critical" if is_close else None,
        weight=90 if is_close else None,
        evidence={"notAfter": expires.isoformat()},
    )


def judge_application(application: Obj, context: Context) -> Iterator[Outcome]:
    """Argo CD has judged the application's parts already; a failed or overdue sync comes on top."""
    status = fields.status(application)
    health = mapping(status.get("health"))
    state = text(health.get("status"))
    if fields.is_deleting(application) or not state or state in ("Progressing", "Unknown"):
        yield Verdict.PROGRESSING
    changed = parse_time(health.get("lastTransitionTime"))
    if state in ("Degraded", "Missing"):
        message = text(health.get("message")) or f"The application is {state.lower()}"
        yield signal("argocd_degraded", application, reason=state, message=message, at=changed)
    operation = mapping(status.get("operationState"))
    finished = parse_time(operation.get("finishedAt"))
    out_of_sync = mapping(status.get("sync")).get("status") == "OutOfSync"
    if out_of_sync and context.held(finished or fields.created_at(application), context.thresholds.argo_out_of_sync):
        yield signal(
            "argocd_out_of_sync",
            application,
            reason="OutOfSync",
            message=f"The application differs from its source: {text(operation.get('message')) or 'no sync has run'}",
            at=finished,
            informational=operation.get("phase") not in ("Failed", "Error"),
        )


def judge_api_service(service: Obj, context: Context) -> Iterator[Outcome]:
    available = fields.conditions(service).get("Available", ABSENT)
    if available.is_true:
        return
    if (
        not available.is_false
        or available.since is None
        or not context.held(available.since, context.thresholds.api_service)
    ):
        yield Verdict.PROGRESSING
        return
    yield signal(
        "apiservice_unavailable",
        service,
        reason=available.reason or "Unavailable",
        message=f"The aggregated API does not answer: {available.message}",
        at=available.since,
    )


def judge_definition(definition: Obj, context: Context) -> Iterator[Outcome]:
    conditions = fields.conditions(definition)
    established = conditions.get("Established", ABSENT)
    if not conditions or conditions.get("Terminating", ABSENT).is_true:
        yield Verdict.PROGRESSING
        return
    faults = [conditions.get("NamesAccepted", ABSENT), established]
    fault = next((one for one in faults if one.is_false and one.reason != "Installing"), ABSENT)
    schema = conditions.get("NonStructuralSchema", ABSENT)
    fault = schema if schema.is_true else fault
    if fault.type and context.held(fault.since, context.thresholds.crd):
        message = f"{fault.type}: {fault.message}"
        yield signal("crd_not_established", definition, reason=fault.reason, message=message, at=fault.since)
    elif fault.type or not established.is_true:
        yield Verdict.PROGRESSING


def judge_namespace(namespace: Obj, context: Context) -> Iterator[Outcome]:
    deleted = fields.deleted_at(namespace)
    if fields.status(namespace).get("phase") != "Terminating" and deleted is None:
        return
    yield Verdict.PROGRESSING
    if deleted is None or not context.held(deleted, context.thresholds.namespace_terminating):
        return
    told = [one for one in fields.conditions(namespace).values() if one.is_true]
    yield signal(
        "namespace_stuck_terminating",
        namespace,
        reason=told[0].reason if told else "Terminating",
        message=told[0].message if told else "The namespace does not terminate",
        at=deleted,
    )


def judge_quota(quota: Obj, context: Context) -> Iterator[Outcome]:
    """A full quota is a limit doing its work until a controller fails to create pods because of it."""
    status = fields.status(quota)
    hard, used = mapping(status.get("hard")), mapping(status.get("used"))
    full = [
        str(name) for name, limit in hard.items() if _amount(limit) > 0 and _amount(used.get(name)) >= _amount(limit)
    ]
    if not full:
        return
    yield signal(
        "quota_exhausted",
        quota,
        reason="QuotaExhausted",
        message=f"The quota is used up: {', '.join(sorted(full)[:5])}",
        severity="low",
        weight=25,
        informational=True,
    )


_SUFFIXES = {
    "m": Decimal("0.001"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "": Decimal(1),
}


def _amount(value: object) -> Decimal:
    """A Kubernetes quantity as a plain number; what does not parse counts as zero."""
    written = str(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else ""
    digits = written.rstrip("mkMGTKi")
    factor = _SUFFIXES.get(written[len(digits) :])
    if factor is None or not digits or len(digits) > 30:
        return Decimal(0)
    try:
        number = Decimal(digits)
    except InvalidOperation:
        return Decimal(0)
    return number * factor if number.is_finite() else Decimal(0)
