"""Roll-ups say what the raw rows say, whatever happens to these."""

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiops.llm.models import LLMCall
from analytics.families import FAMILIES, INCIDENTS, PLAN_FAMILY
from analytics.models import IncidentRollup, OutdatedHour
from analytics.periods import Span, seconds_of
from analytics.services import rollups
from analytics.services.reading import Reader, Where
from incidents.models import AIInsight, Anomaly, Incident
from incidents.states import IncidentState
from runbooks.models import ApprovalRequest, RemediationPlan
from runbooks.states import PlanState
from tests.conftest import NOON
from tests.factories import (
    make_anomaly,
    make_approval,
    make_incident,
    make_insight,
    make_plan,
    make_postmortem,
    make_step,
)

pytestmark = pytest.mark.django_db

AT = seconds_of(NOON)
DAYS = 86_400
WIDE = Span(AT - 60 * DAYS, AT + 60 * DAYS)


# --- a random history, and the same figures counted by hand ----------------------------------------------------------------


def _open(random: Random) -> None:
    detected = NOON - timedelta(seconds=random.randrange(40 * DAYS), microseconds=random.randrange(10**6))
    make_incident(
        detected_at=detected,
        started_at=detected - timedelta(seconds=random.randrange(-5, 900)),
        namespace=random.choice(["shop", "media"]),
        cluster_name=random.choice(["", "east", "west"]),
        severity=random.choice(["critical", "high", "medium", "low"]),
        signal_type=random.choice(["oom_kill", "latency"]),
        resource_name=random.choice(["api", "worker"]),
        chaos_experiment=random.choice(["", "", "", "drill"]),
    )


def _any(model: Any, random: Random) -> Any:
    rows = list(model.objects.order_by("pk"))
    return random.choice(rows) if rows else None


def _resolve(random: Random) -> None:
    incident = _any(Incident, random)
    if incident:
        took = timedelta(seconds=random.randrange(100_000))
        by_hand = {"aiops.chatcli.io/manual-resolution": "true"} if random.random() < 0.5 else {}
        Incident.objects.filter(pk=incident.pk).update(
            state="Resolved", resolved_at=incident.detected_at + took, annotations=by_hand
        )


def _reopen(random: Random) -> None:
    incident = _any(Incident, random)
    if incident:
        Incident.objects.filter(pk=incident.pk).update(state="Escalated", resolved_at=None)


def _reassess(random: Random) -> None:
    """The severity rises, an earlier signal joins, somebody answers."""
    incident = _any(Incident, random)
    if incident:
        Incident.objects.filter(pk=incident.pk).update(
            severity="critical", started_at=incident.started_at - timedelta(hours=1), risk_score=99,
            acknowledged_at=incident.detected_at + timedelta(seconds=random.randrange(500)),
        )  # fmt: skip


def _plan(random: Random) -> None:
    incident = _any(Incident, random)
    if incident:
        began = incident.detected_at + timedelta(seconds=random.randrange(3 * DAYS))
        plan = make_plan(
            incident=incident,
            created_at=began,
            runbook_name=random.choice(["", "undo"]),
            target_key=str(random.random()),
        )
        if random.random() < 0.7:
            make_step(plan=plan, action_type=random.choice(["RestartDeployment", "ScaleDeployment"]))
        if random.random() < 0.5:
            make_approval(plan=plan, created_at=began)


def _finish(random: Random) -> None:
    plan, approval = _any(RemediationPlan, random), _any(ApprovalRequest, random)
    if plan:
        state = random.choice([PlanState.COMPLETED, PlanState.FAILED, PlanState.ROLLED_BACK])
        ended = plan.created_at + timedelta(seconds=random.randrange(5_000))
        RemediationPlan.objects.filter(pk=plan.pk).update(state=state, started_at=plan.created_at, completed_at=ended)
    if approval:
        decided = approval.created_at + timedelta(seconds=random.randrange(3_000))
        ApprovalRequest.objects.filter(pk=approval.pk).update(state="Approved", decided_at=decided)


def _surround(random: Random) -> None:
    incident = _any(Incident, random)
    if incident:
        make_anomaly(incident=incident)
        if not AIInsight.objects.filter(incident=incident).exists():
            make_insight(
                incident=incident, generated_at=incident.detected_at + timedelta(seconds=random.randrange(400))
            )
        elif not hasattr(incident, "postmortem"):
            make_postmortem(incident=incident, requires_human_action=random.random() < 0.5)


def _ask_model(random: Random) -> None:
    incident = _any(Incident, random)
    if incident:
        LLMCall.objects.create(
            at=incident.detected_at, purpose="analysis", subject=incident.name, namespace=incident.namespace,
            provider="openai", model=random.choice(["small", "large"]), outcome="accepted", cost=random.randrange(10**7),
        )  # fmt: skip


def _merge(random: Random) -> None:
    one, other = _any(Incident, random), _any(Incident, random)
    if one and other:
        Anomaly.objects.filter(incident=one).update(incident=other)


def _delete(random: Random) -> None:
    incident = _any(Incident, random)
    if incident and random.random() < 0.5:
        incident.delete()


def _refresh(random: Random) -> None:
    rollups.refresh(limit=random.choice([1, 3, 100]))


EVENTS: list[Callable[[Random], None]] = [
    _open, _open, _open, _resolve, _resolve, _reopen, _reassess, _plan, _plan, _finish, _surround, _ask_model, _merge, _delete,
    _refresh,
]  # fmt: skip


def _counted(span: Span, where: Where) -> dict[str, int]:
    """The plain recomputation: a loop over the rows."""
    found = dict.fromkeys(
        ("total", "chaos", "resolved", "resolve_count", "resolve_sum", "detect_sum", "remediated", "llm_cost"), 0
    )
    for incident in Incident.objects.all():
        detected, started = seconds_of(incident.detected_at), seconds_of(incident.started_at)
        if not span.lower <= detected < span.upper:
            continue
        if where.namespaces is not None and incident.namespace not in where.namespaces:
            continue
        if where.clusters is not None and incident.cluster_name not in where.clusters:
            continue
        if where.severities is not None and incident.severity not in where.severities:
            continue
        is_resolved = incident.state == IncidentState.RESOLVED
        found["total"] += 1
        found["chaos"] += bool(incident.chaos_experiment)
        found["resolved"] += is_resolved
        found["llm_cost"] += sum(LLMCall.objects.filter(subject=incident.name).values_list("cost", flat=True))
        found["remediated"] += incident.plans.exists()
        if not incident.chaos_experiment:
            found["detect_sum"] += max(0, detected - started)
            if is_resolved and incident.resolved_at:
                found["resolve_count"] += 1
                found["resolve_sum"] += max(0, seconds_of(incident.resolved_at) - started)
    return found


def _names(random: Random, choices: list[str]) -> frozenset[str] | None:
    return frozenset(random.sample(choices, random.randrange(1, len(choices)))) if random.random() < 0.4 else None


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(EVENTS), min_size=5, max_size=40), st.integers(0, 2**32))
def test_equal_the_rows_after_any_history(events: list[Callable[[Random], None]], seed: int) -> None:
    random = Random(seed)
    with transaction.atomic():
        for event in events:
            event(random)
            lower = AT - random.randrange(50 * DAYS)
            span = Span(lower, lower + random.randrange(50 * DAYS))
            where = Where(
                _names(random, ["", "east", "west"]), _names(random, ["shop", "media"]), _names(random, ["high", "low"])
            )
            expected = _counted(span, where)

            assert Reader(INCIDENTS, span, where).total(*expected) == expected

        rollups.refresh(limit=10_000)

        assert not OutdatedHour.objects.exists()
        assert list(rollups.differences()) == []
        assert Reader(INCIDENTS, WIDE).total(*_counted(WIDE, Where())) == _counted(WIDE, Where())
        transaction.set_rollback(True)


# --- single stories --------------------------------------------------------------------------------------------------------


class TestRefresh:
    def test_does_nothing_twice(self) -> None:
        make_incident()
        rollups.refresh()
        rows = list(IncidentRollup.objects.values_list("grain", "start", "cluster", "namespace", "total"))

        rollups.refresh()

        assert list(IncidentRollup.objects.values_list("grain", "start", "cluster", "namespace", "total")) == rows

    def test_corrects_an_earlier_day_when_its_incident_ends_late(self) -> None:
        long_ago = NOON - timedelta(days=20)
        incident = make_incident(detected_at=long_ago, started_at=long_ago)
        rollups.refresh()
        incident.move_to("Resolved", resolved_at=NOON)

        rollups.refresh()

        day = IncidentRollup.objects.get(grain=24, cluster="*", namespace="*")
        assert (day.resolve_count, day.resolve_sum) == (1, 20 * DAYS)

    def test_forgets_a_deleted_incident(self) -> None:
        incident = make_incident()
        rollups.refresh()
        incident.delete()

        rollups.refresh()

        assert not IncidentRollup.objects.exists()

    def test_leaves_the_days_beyond_its_limit_for_later(self) -> None:
        for days in range(3):
            make_incident(detected_at=NOON - timedelta(days=days))

        rollups.refresh(limit=1)

        assert OutdatedHour.objects.exists()
        assert Reader(INCIDENTS, WIDE).total("total") == {"total": 3}


class TestDifferences:
    def test_finds_a_row_that_is_wrong(self) -> None:
        make_incident()
        rollups.refresh()
        IncidentRollup.objects.filter(grain=24, cluster="*", namespace="*").update(total=7)

        assert [one.split(":")[0] for one in rollups.differences()] == ["incident"]

    def test_are_gone_after_a_rebuild(self) -> None:
        make_plan()
        rollups.refresh()
        for family in FAMILIES.values():
            family.rollup._default_manager.update(total=7)

        rollups.rebuild()

        assert list(rollups.differences()) == []


class TestReader:
    def test_groups_plans_by_action_and_runbook(self) -> None:
        plan = make_plan(state="Completed", runbook_name="undo")
        make_step(plan=plan, action_type="RollbackDeployment")
        rollups.refresh()

        found = Reader(PLAN_FAMILY, WIDE).sums("completed", by=("action", "runbook"))

        assert found == {("RollbackDeployment", "undo"): {"completed": 1}}

    def test_reads_no_more_queries_for_a_longer_span(self, django_assert_max_num_queries: Any) -> None:
        for days in range(30):
            make_incident(detected_at=NOON - timedelta(days=days))
        rollups.refresh(limit=1_000)

        with django_assert_max_num_queries(3):
            Reader(INCIDENTS, Span(AT - 31 * DAYS, AT + 1)).total("total", "resolved")
