"""Rules on Services, Ingresses, routes and admission webhooks (rule book 4.7)."""

from collections.abc import Iterator

from incidents.detectors import fields
from incidents.detectors.base import Context, Outcome, Verdict, signal
from incidents.detectors.fields import ABSENT, Condition, Obj, integer, mapping, objects, read_conditions, text

_LEADER = "control-plane.alpha.kubernetes.io/leader"
_ROUTE_CONDITIONS = ("Accepted", "ResolvedRefs")
_WAITING_REASONS = frozenset({"Pending", "Waiting"})


def judge_service(service: Obj, context: Context) -> Iterator[Outcome]:
    if fields.is_deleting(service):
        yield Verdict.PROGRESSING
        return
    spec = fields.spec(service)
    if spec.get("type") == "LoadBalancer":
        yield from _load_balancer(service, context)
    if mapping(spec.get("selector")) and spec.get("type") != "ExternalName":
        yield from _endpoints(service, context)


def _load_balancer(service: Obj, context: Context) -> Iterator[Outcome]:
    if mapping(fields.status(service).get("loadBalancer")).get("ingress"):
        return
    since = fields.created_at(service)
    failures = [
        event
        for event in context.related.events_with(service, frozenset({"SyncLoadBalancerFailed"}))
        if event.is_warning and context.is_recent(event.at, context.thresholds.event_age)
    ]
    if not failures and (since is None or not context.held(since, context.thresholds.load_balancer)):
        yield Verdict.PROGRESSING
        return
    yield signal(
        "loadbalancer_pending",
        service,
        reason=failures[-1].reason if failures else "Pending",
        message=failures[-1].message if failures else "The load balancer has not given the Service an address",
        at=since,
    )


def _endpoints(service: Obj, context: Context) -> Iterator[Outcome]:
    view = context.related
    if not (view.knows("EndpointSlice") or view.knows("Endpoints")) or _LEADER in fields.annotations(service):
        return
    meta = fields.metadata(service)
    entry = view.endpoints.get((text(meta.get("namespace")), text(meta.get("name"))))
    if entry is not None and entry.ready:
        return
    # without any pod nothing is meant to stand behind it, as far as we can see: scaled to zero or not yet deployed
    is_idle = entry is None or not entry.not_ready
    since = fields.latest(fields.created_at(service), entry.changed_at if entry else None)
    if not context.held(since, context.thresholds.service_endpoints):
        yield Verdict.PROGRESSING
        return
    yield signal(
        "service_no_endpoints",
        service,
        reason="NoEndpoints" if is_idle else "NoReadyEndpoints",
        message="No pod stands behind the Service" if is_idle else "None of the Service's pods is ready",
        at=since,
        severity="low" if is_idle else None,
        weight=20 if is_idle else None,
        informational=is_idle,
        evidence={"notReadyEndpoints": entry.not_ready if entry else 0},
    )


def judge_ingress(ingress: Obj, context: Context) -> Iterator[Outcome]:
    if fields.is_deleting(ingress):
        yield Verdict.PROGRESSING
        return
    missing = _missing_backends(ingress, context)
    since = fields.created_at(ingress)
    if missing and context.held(since, context.thresholds.ingress_backend):
        yield signal(
            "ingress_backend_missing",
            ingress,
            reason="BackendNotFound",
            message=f"The Ingress points to what does not exist: {', '.join(sorted(missing)[:5])}",
            at=since,
        )
        return
    if missing or not mapping(fields.status(ingress).get("loadBalancer")).get("ingress"):
        yield Verdict.PROGRESSING


def _missing_backends(ingress: Obj, context: Context) -> set[str]:
    view, spec = context.related, fields.spec(ingress)
    namespace = text(fields.metadata(ingress).get("namespace"))
    missing: set[str] = set()
    if view.knows("Service"):
        names = {name for backend in _backends(spec) if (name := _service_name(backend))}
        missing |= {f"Service {name}" for name in names if not view.exists("Service", namespace, name)}
    if view.knows("Secret"):
        secrets = {text(entry.get("secretName")) for entry in objects(spec.get("tls"))} - {""}
        missing |= {f"Secret {name}" for name in secrets if not view.exists("Secret", namespace, name)}
    return missing


def _backends(spec: Obj) -> Iterator[Obj]:
    yield mapping(spec.get("defaultBackend"))
    yield mapping(spec.get("backend"))
    for rule in objects(spec.get("rules")):
        for path in objects(mapping(rule.get("http")).get("paths")):
            yield mapping(path.get("backend"))


def _service_name(backend: Obj) -> str:
    """A backend names its Service in two API versions' ways, or names none (`resource`)."""
    return text(mapping(backend.get("service")).get("name")) or text(backend.get("serviceName"))


def judge_route(route: Obj, context: Context) -> Iterator[Outcome]:
    """Gateway API routes carry one list of conditions per parent."""
    if fields.is_deleting(route):
        yield Verdict.PROGRESSING
        return
    parents = list(objects(fields.status(route).get("parents")))
    if not parents:
        yield Verdict.PROGRESSING
    for parent in parents:
        where = text(mapping(parent.get("parentRef")).get("name"))
        yield from _gateway_conditions(route, read_conditions(parent.get("conditions")), where, context)


def judge_gateway(gateway: Obj, context: Context) -> Iterator[Outcome]:
    if fields.is_deleting(gateway):
        yield Verdict.PROGRESSING
        return
    conditions = fields.conditions(gateway)
    if not conditions:
        yield Verdict.PROGRESSING
    yield from _gateway_conditions(gateway, conditions, "", context)
    for listener in objects(fields.status(gateway).get("listeners")):
        yield from _gateway_conditions(
            gateway, read_conditions(listener.get("conditions")), text(listener.get("name")), context
        )


def _gateway_conditions(obj: Obj, conditions: dict[str, Condition], where: str, context: Context) -> Iterator[Outcome]:
    generation = integer(fields.metadata(obj).get("generation"))
    if not conditions:
        yield Verdict.PROGRESSING
    for kind in _ROUTE_CONDITIONS:
        condition = conditions.get(kind, ABSENT)
        if condition.type and condition.generation and condition.generation < generation:
            yield Verdict.PROGRESSING  # said about an older specification
        elif condition.is_false and condition.reason not in _WAITING_REASONS:
            if not context.held(condition.since, context.thresholds.route_backend):
                yield Verdict.PROGRESSING
                continue
            yield signal(
                "route_backend_missing",
                obj,
                reason=condition.reason or kind,
                message=f"{kind} is false{f' at {where}' if where else ''}: {condition.message}",
                at=condition.since,
                discriminator=f"{where}/{kind}" if where else kind,
            )
        elif condition.is_false or condition.is_unknown:
            yield Verdict.PROGRESSING
    if conditions.get("Programmed", ABSENT).is_false:
        yield Verdict.PROGRESSING


def judge_webhooks(configuration: Obj, context: Context) -> Iterator[Outcome]:
    """An admission webhook that must answer (`failurePolicy: Fail`) and cannot blocks every write it is asked about."""
    view = context.related
    if not view.knows("Service"):
        return
    for webhook in objects(configuration.get("webhooks")):
        service = mapping(mapping(webhook.get("clientConfig")).get("service"))
        namespace, name = text(service.get("namespace")), text(service.get("name"))
        if not name or not _is_down(namespace, name, context):
            continue
        entry = view.endpoints.get((namespace, name))
        since = fields.latest(fields.created_at(configuration), entry.changed_at if entry else None)
        if not context.held(since, context.thresholds.webhook_backend):
            yield Verdict.PROGRESSING
            continue
        is_optional = webhook.get("failurePolicy") == "Ignore"
        yield signal(
            "webhook_backend_down",
            configuration,
            reason="BackendDown",
            message=f"Webhook {text(webhook.get('name'))} cannot be answered by Service {namespace}/{name}",
            discriminator=text(webhook.get("name")),
            severity="low" if is_optional else None,
            weight=20 if is_optional else None,
            informational=is_optional,
        )


def _is_down(namespace: str, name: str, context: Context) -> bool:
    view = context.related
    if not view.exists("Service", namespace, name):
        return True
    if not view.knows("EndpointSlice"):
        return False
    entry = view.endpoints.get((namespace, name))
    return entry is None or not entry.ready
