"""Whether it is us who are cut off: when many clusters fall silent at once, their networks did not all fail, ours did."""

import secrets
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Q

from aiops.audit import services as audit
from aiops.audit.actor import SYSTEM
from aiops.health import leases
from aiops.notifications import services as notifications
from federation.models import Cluster, Health, Phase

FEWEST = 3  # clusters that fall silent, until it says something about us
AT_ONCE = timedelta(minutes=30)
CUT_OFF = "hub_cut_off"
CONNECTED = "hub_connected"
LASTS = timedelta(days=1)  # then people are told again
QUIET_AFTER = timedelta(minutes=5)  # while clusters come back one after the other
MAX_NAMES = 20
_TOLD, _OVER = "hub-cut-off", "hub-came-back"
SILENT = ("dns", "connect", "timeout", "tls")  # nobody answered; a refusal is an answer


def frozen(*, at: datetime) -> tuple[str, ...]:
    """The reason why automation rests everywhere; empty when it does not. One query.

    It does while at least three clusters, and at least half of all that were ever reached, fell silent within half an hour:
    what we believe of them may be long out of date.
    """
    silent = Q(phase=Phase.DISCONNECTED) | Q(check_failures__gt=0)
    counts = (
        Cluster.objects.filter(enabled=True)
        .exclude(health=Health.PENDING)
        .aggregate(
            total=Count("pk"),
            silent=Count("pk", filter=silent & Q(check_error_class__in=SILENT, health_since__gt=at - AT_ONCE)),
        )
    )
    if counts["silent"] < FEWEST or 2 * counts["silent"] < counts["total"]:
        return ()
    return (f"{counts['silent']} of {counts['total']} clusters fell silent at once: the hub is probably cut off",)


def tell(*, at: datetime) -> bool:
    """Announce once that we are cut off, and once that it is over and who is still silent. True when there was news."""
    reasons = frozen(at=at)
    holder = leases.living(prefix=_TOLD, at=at).get(_TOLD)
    if bool(reasons) == (holder is not None):
        return False
    with transaction.atomic():
        if holder is None:
            # of several workers that see it, one gets the lease
            if not leases.hold(name=_TOLD, holder=secrets.token_hex(8), lasts=LASTS, at=at):
                return False
            _announce(
                CUT_OFF, "Many clusters fell silent at once", f"{reasons[0]}. Automation rests until it is back.", at
            )
        else:
            if not leases.release(name=_TOLD, holder=holder):
                return False
            leases.hold(name=_OVER, holder=_OVER, lasts=QUIET_AFTER, at=at)
            _announce(CONNECTED, *_outcome(), at)
    return True


def is_told(*, at: datetime) -> bool:
    """Whether people know of all clusters together, so that a message about each of them would be noise."""
    return bool(leases.living(prefix="hub-", at=at)) or bool(frozen(at=at))


def _outcome() -> tuple[str, str]:
    """Title and text of the end. The silence of half an hour is no longer a sign of ours, though it may go on."""
    silent = Cluster.objects.filter(enabled=True, phase=Phase.DISCONNECTED, check_error_class__in=SILENT)
    gone = list(silent.order_by("name").values_list("name", flat=True))
    if not gone:
        return "The clusters can be reached again", "All of them answer."
    more = f" and {len(gone) - MAX_NAMES} more" if len(gone) > MAX_NAMES else ""
    return "Automation no longer rests", f"Still silent: {', '.join(gone[:MAX_NAMES])}{more}."


def _announce(event: str, title: str, body: str, at: datetime) -> None:
    is_over = event == CONNECTED
    notifications.announce(
        notifications.Message(
            event=event,
            subject_kind="Fleet",
            subject_name="fleet",
            title=title,
            body=body,
            severity="low" if is_over else "critical",
        ),
        at=at,
    )
    audit.record(
        audit.Record(
            action="fleet.connectivity",
            actor=SYSTEM,
            resource_type="Fleet",
            resource="fleet",
            event_type=event,
            severity="info" if is_over else "critical",
            details={"reason": body},
        ),
        at=at,
    )
