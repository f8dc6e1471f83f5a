"""Whether it is us who are cut off: when many clusters fall silent at once, their networks did not all fail, ours did."""

from datetime import datetime, timedelta

from django.db.models import Count, Q

from federation.models import Cluster, Health, Phase

FEWEST = 3  # clusters that fall silent, until it says something about us
AT_ONCE = timedelta(minutes=30)
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
