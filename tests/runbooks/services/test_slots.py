from datetime import timedelta
from typing import Any

import pytest

from aiops.errors import LostRace
from federation.models import Cluster
from runbooks.models import RemediationPlan
from runbooks.services import leases, slots
from tests.conftest import NOON
from tests.factories import make_approval, make_cluster, make_incident, make_plan
from tests.threads import at_once, postgresql_only

pytestmark = pytest.mark.django_db
SAME = {"target_kind": "Deployment", "target_name": "checkout", "actions_digest": "d" * 64}


@pytest.fixture
def canary_soak(settings) -> timedelta:
    settings.AIOPS_CANARY_SOAK = 600
    return timedelta(seconds=600)


def executing(cluster: Cluster, **overrides: Any) -> Any:
    incident = make_incident(cluster=cluster, state="Remediating")
    return make_plan(incident=incident, state="Executing", started_at=NOON, **overrides)


def take(plan: RemediationPlan, at: Any = NOON) -> slots.Turn:
    claimed = leases.claim(plan_id=plan.pk, at=at, holder=f"worker-{plan.pk}")
    assert claimed is not None
    return slots.take(claimed, at)


def end(plan: RemediationPlan, state: str, at: Any = NOON) -> None:
    RemediationPlan.objects.filter(pk=plan.pk).update(state=state, completed_at=at, verification={"slot": True})


class TestRoom:
    @pytest.mark.parametrize(
        ("tier", "own", "most", "named"),
        [
            ("critical", 3, 1, "tier critical"),
            ("standard", 9, 3, "tier standard"),
            ("non-critical", 9, 5, "tier non-critical"),
            ("non-critical", 2, 2, "cluster east"),
        ],
    )
    def test_is_what_cluster_and_tier_allow(self, tier, own, most, named):
        cluster = make_cluster(name="east", tier=tier, max_concurrent_remediations=own)
        turns = [take(executing(cluster)) for _ in range(most + 1)]

        assert [turn.reason == "" for turn in turns] == [True] * most + [False]
        assert named in turns[-1].reason
        assert turns[-1].due_at == NOON + slots.LOOK

    def test_there_is_none_where_nothing_is_heard_of_the_cluster(self):
        cluster = make_cluster(last_heartbeat_at=NOON - timedelta(minutes=5))
        plan = executing(cluster)

        assert "nothing was heard" in take(plan).reason
        Cluster.objects.update(last_heartbeat_at=NOON)
        assert take(plan).reason == ""

    def test_a_finished_plan_makes_room(self):
        cluster = make_cluster(tier="critical")
        first, second = executing(cluster), executing(cluster)
        take(first)
        waits = take(second)
        end(first, "Completed")

        assert (waits.reason != "", take(second).reason) == (True, "")

    def test_the_wait_and_its_end_are_told_once(self):
        cluster = make_cluster(tier="critical")
        first, second = executing(cluster), executing(cluster)
        take(first)
        take(second)
        take(second)
        end(first, "Completed")
        take(second)

        told = second.incident.decisions.filter(stage="turn").order_by("pk")
        assert [row.verdict for row in told] == ["waits", "allowed"]
        assert "tier critical allows: 1" in told[0].reason

    def test_of_a_cluster_that_is_gone_by_now_is_asked_for_again(self):
        plan = executing(make_cluster())
        claimed = leases.claim(plan_id=plan.pk, at=NOON, holder="worker")
        assert claimed is not None
        Cluster.objects.all().delete()

        with pytest.raises(LostRace):
            slots.take(claimed, NOON)


class TestCanary:
    @pytest.fixture
    def pair(self) -> tuple[Any, Any]:
        east, west = (make_cluster(name=name, environment="prod") for name in ("east", "west"))
        return executing(east, **SAME), executing(west, **SAME)

    def test_one_prod_cluster_at_a_time(self, pair):
        first, second = map(take, pair)

        assert first.reason == ""
        assert "at work in another prod cluster, east" in second.reason

    def test_the_others_follow_after_the_soak(self, pair, canary_soak):
        take(pair[0])
        end(pair[0], "Completed")

        soon, later = take(pair[1], NOON + timedelta(minutes=9)), take(pair[1], NOON + canary_soak)

        assert soon.due_at == NOON + canary_soak
        assert later.reason == ""

    def test_a_canary_that_fails_stops_the_others(self, pair, canary_soak):
        take(pair[0])
        end(pair[0], "RolledBack")

        turn = take(pair[1], NOON + timedelta(minutes=20))

        assert "failed in another prod cluster, east" in turn.reason
        assert turn.due_at is None

    def test_who_agrees_after_the_failure_knows_of_it(self, pair):
        take(pair[0])
        end(pair[0], "Failed")
        make_approval(plan=pair[1], state="Approved", decided_at=NOON + timedelta(minutes=1))

        assert take(pair[1], NOON + timedelta(minutes=2)).reason == ""

    @pytest.mark.parametrize(
        "other", [{"target_name": "cart"}, {"actions_digest": "e" * 64}, {"target_kind": "StatefulSet"}]
    )
    def test_another_remedy_does_not_wait(self, pair, other):
        take(pair[0])
        different = executing(pair[1].cluster, **SAME | other)

        assert take(different).reason == ""

    def test_outside_of_prod_nobody_waits(self):
        pair = [executing(make_cluster(environment="staging"), **SAME) for _ in range(2)]

        assert [take(plan).reason for plan in pair] == ["", ""]


class TestRaces:
    pytestmark = pytest.mark.django_db(transaction=True)

    def test_no_more_than_the_limit_get_a_slot(self):
        postgresql_only()
        cluster = make_cluster(tier="standard", max_concurrent_remediations=9)
        plans = [executing(cluster) for _ in range(12)]

        turns = at_once(12, lambda n: take(plans[n]))

        assert sum(turn == slots.Turn() for turn in turns) == 3
        assert not [turn for turn in turns if isinstance(turn, Exception)]
        assert RemediationPlan.objects.filter(verification__slot=True).count() == 3

    def test_one_of_many_prod_clusters_goes_first(self):
        postgresql_only()
        plans = [executing(make_cluster(environment="prod"), **SAME) for _ in range(8)]

        turns = at_once(8, lambda n: take(plans[n]))

        assert sum(turn == slots.Turn() for turn in turns) == 1
        assert not [turn for turn in turns if isinstance(turn, Exception)]
