"""What the tier of a cluster allows at most, whatever is set on the cluster itself. Pure."""

from dataclasses import dataclass

from federation.models import AUTOMATION_RANK, Automation, Tier


@dataclass(frozen=True, slots=True)
class TierPolicy:
    """`ceiling`: how far automation goes there at most; `concurrent`: plans at work at the same time at most."""

    ceiling: Automation
    concurrent: int


POLICIES = {
    Tier.CRITICAL.value: TierPolicy(Automation.APPROVE, 1),
    Tier.STANDARD.value: TierPolicy(Automation.AUTO, 3),
    Tier.NON_CRITICAL.value: TierPolicy(Automation.AUTO, 5),
}
# a tier that we do not know may be as critical as any
UNKNOWN = POLICIES[Tier.CRITICAL.value]


def policy(tier: str) -> TierPolicy:
    return POLICIES.get(tier, UNKNOWN)


def automation(wanted: str, tier: str) -> str:
    """The automation level in force: the lower one of the cluster's and the tier's."""
    ceiling = policy(tier).ceiling
    return str(min(wanted, ceiling, key=lambda level: AUTOMATION_RANK.get(level, 0)))


def concurrent(wanted: int, tier: str) -> int:
    """How many plans may be at work at the same time."""
    return min(wanted, policy(tier).concurrent)
