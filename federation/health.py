"""When a cluster counts as well: three states with hysteresis. Pure.

One or two failures in a row make it Degraded, three Unreachable; two successes in a row bring it back. One that answers slowly,
or that does not let us see everything, is Degraded as long as it does. Health checks and looks
(polls) fail for reasons of their own, so each has its own count and the worse one decides; a success of either counts
towards recovery, but only once neither fails any more.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from federation.models import CHECK_FAILURES, Cluster, Health, Phase

FAILURES = CHECK_FAILURES
SUCCESSES = 2  # in a row, until it counts as well again
WARN_BEFORE = timedelta(days=14)  # the end of a certificate or token
OLDEST, NEWEST = 25, 37  # minor versions of Kubernetes 1 whose APIs we speak and know
SLOW = 2_000  # milliseconds; an answer that takes longer is one, but no good one


class Origin(StrEnum):
    """Who looked; the name of the column that counts its failures."""

    CHECK = "check_failures"
    POLL = "poll_failures"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is remembered of a cluster from one result to the next."""

    health: str
    check_failures: int = 0
    poll_failures: int = 0
    successes: int = 0

    @property
    def failures(self) -> int:
        return max(self.check_failures, self.poll_failures)


def after(
    was: Standing, *, origin: Origin, succeeded: bool, latency_ms: int | None = None, has_gaps: bool = False
) -> Standing:
    """The standing once a result is known; `has_gaps`: there are kinds that we may not or cannot list."""
    if not succeeded:
        now = _counted(was, origin, getattr(was, origin.value) + 1, successes=0)
        if was.health == Health.PENDING or now.failures >= FAILURES:
            return replace(now, health=Health.UNREACHABLE)  # one that was never reached has nothing to flap between
        return replace(now, health=was.health if was.health == Health.UNREACHABLE else Health.DEGRADED)
    now = _counted(was, origin, 0, successes=min(was.successes + 1, SUCCESSES))
    if has_gaps or (latency_ms is not None and latency_ms > SLOW):
        # it answers, so it is no longer unreachable once it has done so twice
        is_away = was.health == Health.UNREACHABLE and (now.failures or now.successes < SUCCESSES)
        return replace(now, health=Health.UNREACHABLE if is_away else Health.DEGRADED)
    if was.health == Health.PENDING or (not now.failures and now.successes >= SUCCESSES):
        return replace(now, health=Health.CONNECTED)
    return now


def _counted(was: Standing, origin: Origin, failures: int, *, successes: int) -> Standing:
    if origin is Origin.CHECK:
        return replace(was, check_failures=failures, successes=successes)
    return replace(was, poll_failures=failures, successes=successes)


def phase(health: str, *, has_answered: bool) -> Phase:
    """The contract's word. Degraded is connected; an unreachable one that answers, though badly, is an Error."""
    if health == Health.PENDING:
        return Phase.PENDING
    if health == Health.UNREACHABLE:
        return Phase.ERROR if has_answered else Phase.DISCONNECTED
    return Phase.CONNECTED


def warnings(cluster: Cluster, at: datetime) -> Iterator[str]:
    """What people should see to before it becomes an outage, in sentences."""
    version = re.match(r"1\.(\d+)", cluster.kubernetes_version)
    if version and not OLDEST <= int(version[1]) <= NEWEST:
        yield f"Kubernetes {cluster.kubernetes_version} is outside of the supported versions 1.{OLDEST} to 1.{NEWEST}"
    if cluster.coverage_gaps:
        yield f"Not visible, so nothing is known about them: {', '.join(cluster.coverage_gaps)}"
    for what, end in (
        ("The certificate of the API server", cluster.certificate_expires_at),
        ("The client certificate or token", cluster.credentials_expire_at),
    ):
        if end is not None and end - at <= WARN_BEFORE:
            yield f"{what} {'ended' if end <= at else 'ends'} at {end:%Y-%m-%d %H:%M} UTC"
