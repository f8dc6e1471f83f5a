"""Whether it is us who are cut off: when many clusters fall silent at once, their networks did not all fail, ours did."""

import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Case, DateTimeField, F, Q, When

from aiops.audit import services as audit
from aiops.audit.actor import SYSTEM
from aiops.health import leases
from aiops.notifications import services as notifications
from federation.models import Cluster, Health, Phase

FEWEST = 3  # clusters that fall silent, until it says something about us
AT_ONCE = timedelta(minutes=30)
STALE = timedelta(seconds=60)  # without a word of a cluster, until what is known of it counts as out of date
CUT_OFF = "hub_cut_off"
CONNECTED = "hub_connected"
LASTS = timedelta(days=1)  # then people are told again
QUIET_AFTER = timedelta(minutes=5)  # while clusters come back one after the other
MAX_NAMES = 20
_TOLD, _OVER = "hub-cut-off", "hub-came-back"
SILENT = ("dns", "connect", "timeout", "tls")  # nobody answered; a refusal is an answer


def frozen(*, at: datetime) -> tuple[str, ...]:
    """The reason why automation rests everywhere; empty when it does not. One query.

    It does as long as at least three clusters, and at least half of all that were ever reached, are silent that fell silent
    within half an hour: what we believe of them is out of date. Whoever knows better disables those that are gone.
    """
    silent = Q(phase=Phase.DISCONNECTED) | Q(check_failures__gt=0)
    rows = (
        Cluster.objects.filter(enabled=True)
        .exclude(health=Health.PENDING)
        .order_by()
        .values_list(
            Case(When(silent & Q(check_error_class__in=SILENT), then=F("health_since")), output_field=DateTimeField())
        )
    )
    since = [began for (began,) in rows]
    count = _most_at_once(sorted(began for began in since if began is not None and began <= at))
    if count < FEWEST or 2 * count < len(since):
        return ()
    return (f"{count} of {len(since)} clusters fell silent at once: the hub is probably cut off",)


def _most_at_once(moments: list[datetime]) -> int:
    """How many of them, which are in order, lie within half an hour."""
    most = start = 0
    for end, moment in enumerate(moments):
        while moment - moments[start] > AT_ONCE:
            start += 1
        most = max(most, end - start + 1)
    return most


def stale(cluster: Cluster, *, at: datetime) -> str:
    """Why nothing should begin in this one cluster: nothing was heard of it for a minute, or for two looks. Empty when it may;
    one that was never heard of has no data that could be old."""
    longest = max(STALE, timedelta(seconds=2 * settings.AIOPS_POLL_INTERVAL))
    heard = cluster.last_heartbeat_at
    if heard is None or at - heard <= longest:
        return ""
    return (
        f"nothing was heard of {cluster.name} since {heard:%Y-%m-%d %H:%M:%S} UTC, what is known of it is out of date"
    )


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
    """Title and text of the end; some may go on being silent, but no longer so many."""
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
