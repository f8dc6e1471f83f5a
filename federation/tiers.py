"""What the tier of a cluster allows at most, whatever is set on the cluster itself or in an approval policy. Pure."""

from dataclasses import dataclass

from federation.models import AUTOMATION_RANK, Automation, Tier

# what the other severities need less of; one that we do not know may be as grave as any
MILD = frozenset({"low", "medium"})


@dataclass(frozen=True, slots=True)
class TierPolicy:
    """`ceiling`: how far automation goes there at most; `concurrent`: plans at work at the same time at most.

    The rest says how many people have to agree: to any plan, to one for a high or critical incident, to one that acts on a
    node. The largest number that applies counts.
    """

    ceiling: Automation
    concurrent: int
    approvers: int
    approvers_of_grave: int
    approvers_of_nodes: int


POLICIES = {
    Tier.CRITICAL.value: TierPolicy(Automation.APPROVE, 1, approvers=1, approvers_of_grave=2, approvers_of_nodes=1),
    Tier.STANDARD.value: TierPolicy(Automation.AUTO, 3, approvers=0, approvers_of_grave=1, approvers_of_nodes=1),
    Tier.NON_CRITICAL.value: TierPolicy(Automation.AUTO, 5, approvers=0, approvers_of_grave=0, approvers_of_nodes=0),
}
# a tier that we do not know may be as critical as any
UNKNOWN = POLICIES[Tier.CRITICAL.value]


@dataclass(frozen=True, slots=True)
class Consent:
    """How many people have to agree to a plan, and why."""

    approvers: int = 0
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "; ".join(self.reasons)

    def __or__(self, other: "Consent") -> "Consent":
        """What satisfies both."""
        return Consent(max(self.approvers, other.approvers), self.reasons + other.reasons)


def policy(tier: str) -> TierPolicy:
    return POLICIES.get(tier, UNKNOWN)


def automation(wanted: str, tier: str) -> str:
    """The automation level in force: the lower one of the cluster's and the tier's."""
    ceiling = policy(tier).ceiling
    return str(min(wanted, ceiling, key=lambda level: AUTOMATION_RANK.get(level, 0)))


def concurrent(wanted: int, tier: str) -> int:
    """How many plans may be at work at the same time."""
    return min(wanted, policy(tier).concurrent)


def consent(tier: str, *, severity: str, on_node: bool) -> Consent:
    """Who has to agree to a plan for an incident of this severity; `on_node`: it acts on a node."""
    here = policy(tier)
    needed = Consent()
    if here.approvers:
        needed |= Consent(here.approvers, (f"tier {tier}: every plan {_asks(here.approvers)}",))
    if here.approvers_of_grave > here.approvers and severity not in MILD:
        text = f"tier {tier}: a plan for a {severity} incident {_asks(here.approvers_of_grave)}"
        needed |= Consent(here.approvers_of_grave, (text,))
    if here.approvers_of_nodes > here.approvers and on_node:
        text = f"tier {tier}: a change of a node {_asks(here.approvers_of_nodes)}"
        needed |= Consent(here.approvers_of_nodes, (text,))
    return needed


def sentences(tier: str) -> list[str]:
    """The policy for people."""
    here = policy(tier)
    asked = [_agreement(here.approvers, "any plan"), _agreement(here.approvers_of_grave, "high and critical incidents")]
    nodes = (
        _agreement(here.approvers_of_nodes, "node actions")
        if here.approvers_of_nodes
        else "node actions by itself, a few an hour"
    )
    return [
        f"Tier {tier}: automation up to {here.ceiling}, {here.concurrent} at work at a time",
        f"Tier {tier}: {', '.join(asked)}, {nodes}",
    ]


def _asks(people: int) -> str:
    return "needs an approval" if people == 1 else f"needs {people} approvals"


def _agreement(people: int, what: str) -> str:
    return f"{people or 'no'} approval{'' if people == 1 else 's'} for {what}"
