"""Takes alerts in: which cluster they speak of, who owns the pods they name, and then into correlation."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from aiops.audit.actor import SYSTEM, Actor
from federation.models import Cluster
from incidents.intake import Alert, Intake
from incidents.observations import Observation, digest
from incidents.services import correlation, owners
from incidents.services.correlation import Receipt


@dataclass(frozen=True, slots=True)
class Located:
    """An alert and the registered cluster it happened in, if that is known."""

    alert: Alert
    cluster: Cluster | None

    @property
    def namespace(self) -> str:
        """As the incident will show it."""
        return self.alert.resource.namespace or "default"


def locate(alerts: Iterable[Alert], *, cluster: Cluster | None) -> list[Located]:
    """Find the clusters: the given one for all, else the one that each alert names. One query."""
    alerts = list(alerts)
    if cluster is not None:
        return [Located(alert, cluster) for alert in alerts]
    wanted = {alert.cluster for alert in alerts if alert.cluster}
    known = {row.name: row for row in Cluster.objects.filter(name__in=wanted)} if wanted else {}
    return [Located(alert, known.get(alert.cluster)) for alert in alerts]


def receive(*, intake: Intake, alerts: Sequence[Located], at: datetime, actor: Actor = SYSTEM) -> Receipt:
    """Store `alerts` as one batch. When this returns, everything is stored."""
    pods = {pod: located.cluster for located in alerts if (pod := _pod(located)) and located.cluster}
    owned = owners.resolve(pods) if pods else {}
    observations = [_observation(intake, located, owned) for located in alerts]
    return correlation.observe(observations=observations, at=at, actor=actor)


def _pod(located: Located) -> owners.Pod | None:
    """The pod whose owner we want to know: an alert that ends is found by its fingerprint."""
    resource = located.alert.resource
    if resource.kind != "Pod" or located.cluster is None or not located.alert.firing:
        return None
    return owners.Pod(located.cluster.name, resource.namespace, resource.name)


def _observation(intake: Intake, located: Located, owned: Mapping[owners.Pod, owners.Owner]) -> Observation:
    alert, cluster = located.alert, located.cluster
    resource = alert.resource
    observation = Observation(
        origin=intake.origin,
        source=intake.source,
        signal_type=alert.signal_type,
        fingerprint=digest(intake.origin, cluster.name if cluster else alert.cluster, alert.identity),
        kind=resource.kind,
        name=resource.name,
        namespace=resource.namespace,
        cluster=cluster,
        description=alert.description,
        reason=str(alert.evidence.get("alertname", "")),
        severity=alert.severity,
        labels=alert.labels,
        evidence=alert.evidence,
        event_time=alert.starts_at,
        ended_at=alert.ends_at if not alert.firing else None,
        firing=alert.firing,
    )
    if resource.kind != "Pod":
        return observation
    observation = replace(observation, object_kind="Pod", object_name=resource.name)
    pod = _pod(located)
    owner = owned.get(pod) if pod else None
    return replace(observation, kind=owner.kind, name=owner.name) if owner else observation
