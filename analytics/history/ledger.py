"""The audit records of what people did: who answered, decided and resolved. They hold as any record does (`verify_audit`)."""

from dataclasses import dataclass, field
from operator import attrgetter

from aiops.audit import records, services
from aiops.audit.actor import ActorKind
from aiops.audit.models import AuditChain, AuditEvent
from aiops.audit.records import AuditSubject
from analytics.history.tables import Table, as_json
from analytics.periods import moment_of

CHAIN = services.CHAINS  # of its own: no other writer waits while a million records are written
MICROSECONDS = "000000"


@dataclass(frozen=True, slots=True)
class Act:
    """`subject` is the kind of the object `name`."""

    at: int
    action: str
    event_type: str
    user: str
    subject: AuditSubject
    name: str
    namespace: str
    incident: str
    details: dict[str, str]


@dataclass
class Ledger:
    """Continues `chain`, which the caller holds locked and stores at the end."""

    chain: AuditChain
    table: Table = field(default_factory=lambda: Table(AuditEvent, with_id=True))

    def lines(self, acts: list[Act]) -> list[str]:
        """The acts as rows, in the order of their times."""
        return [self._line(act) for act in sorted(acts, key=attrgetter("at", "name", "action"))]

    def _line(self, act: Act) -> str:
        moment = moment_of(act.at)
        chain = self.chain
        chain.length += 1
        event = AuditEvent(
            id=f"audit-{moment:%Y%m%d-%H%M%S}{MICROSECONDS}-{chain.length:08x}",
            at=moment, action=act.action, event_type=act.event_type, user=act.user, role="operator",
            actor_type=ActorKind.USER.value, resource_type=act.subject.value, resource=act.name, namespace=act.namespace,
            correlation_id=act.incident, details=act.details, source_ip="192.0.2.10", user_agent="history",
            chain=chain.number, position=chain.length, previous=chain.head,
        )  # fmt: skip
        event.checksum = records.checksum(event)
        event.hash = chain.head = services.link(event)
        return self.table.line(
            {
                "id": event.id, "at": f"{moment:%Y-%m-%d %H:%M:%S}", "action": event.action, "event_type": event.event_type,
                "user": event.user, "role": event.role, "actor_type": event.actor_type,
                "resource_type": event.resource_type, "resource": event.resource, "namespace": event.namespace,
                "correlation_id": event.correlation_id, "details": as_json(event.details), "source_ip": event.source_ip,
                "user_agent": event.user_agent, "checksum": event.checksum, "chain": str(event.chain),
                "position": str(event.position), "previous": event.previous, "hash": event.hash,
            }
        )  # fmt: skip
