"""What incidents and language models cost, on a small history whose bill is known."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from aiops.apikeys.roles import Role
from aiops.llm.models import LLMCall
from aiops.money import parse_rates
from analytics.services import rollups
from tests.analytics.api.conftest import Api, api_of
from tests.analytics.api.test_figures import MANUAL, MINUTE, _rolled_up, past, resolved
from tests.conftest import NOON
from tests.factories import make_plan

__all__ = ["_rolled_up"]

pytestmark = pytest.mark.django_db


def called(subject: str, *, cost: int, **facts: Any) -> None:
    facts = {"purpose": "analysis", "provider": "openai", "model": "m", "price": "*/*@1970-01-01", **facts}
    LLMCall.objects.create(
        **{"at": NOON, "outcome": "accepted", "prompt_tokens": 1_000, "completion_tokens": 200, **facts},
        subject=subject,
        cost=cost,
    )


@pytest.fixture(autouse=True)
def _rates(settings: Any) -> None:
    settings.AIOPS_OUTAGE_COST = parse_rates(
        {"default": 1, "severity/critical": 10, "namespace/media": 2, "namespace/media/low": 0, "service/till": 100}
    )
    settings.AIOPS_ENGINEER_COST = Decimal(60)


class TestCosts:
    def test_are_added_up(self, viewer: Api, _rolled_up: Any) -> None:
        # ten minutes each from the first signal
        by_plan = resolved(after=9, hours=2, severity="critical", namespace="shop")  # 100
        make_plan(incident=by_plan, state="Completed", created_at=NOON - timedelta(hours=2))
        resolved(
            after=19, hours=26, namespace="media", severity="high", annotations=MANUAL,
            acknowledged_at=NOON - timedelta(hours=26) + 4 * MINUTE,
        )  # 20 minutes at 2, 15 minutes of work at 1  # fmt: skip
        past(minutes=5, state="Escalated", severity="low", namespace="media")  # open: 7 minutes at 0
        resolved(after=9, hours=3, namespace="shop", severity="low", resource_name="till")  # 1,000
        resolved(after=9, hours=4, chaos_experiment="drill")
        resolved(after=9, hours=5, annotations={"aiops/merged-into": by_plan.name})
        called(by_plan.name, cost=2_500_000, namespace="shop", severity="critical")
        _rolled_up()

        costs = viewer.get("/analytics/costs").json()["costs"]

        assert {name: costs[name] for name in ("total", "downtime", "engineers", "llm", "incidents", "openIncidents")} == {
            "total": 1157.5, "downtime": 1140.0, "engineers": 15.0, "llm": 2.5, "incidents": 4, "openIncidents": 1,
        }  # fmt: skip
        assert (costs["downtimeMinutes"], costs["engineerMinutes"], costs["llmCalls"]) == (47.0, 15.0, 1)
        assert [(one["namespace"], one["total"]) for one in costs["byNamespace"]] == [("shop", 1102.5), ("media", 55.0)]
        assert {name: one["downtime"] for name, one in costs["bySeverity"].items()} == {
            "critical": 100.0, "high": 40.0, "medium": 0.0, "low": 1000.0,
        }  # fmt: skip
        assert [(one["date"], one["total"]) for one in costs["history"]] == [
            ("2027-04-12", 1102.5),
            ("2027-04-11", 55.0),
        ]
        assert (costs["engineerSamples"], costs["engineerCoverage"]) == (1, 0.25)

    def test_compare_automation_with_people(self, viewer: Api, _rolled_up: Any) -> None:
        for hours in (1, 2):
            incident = resolved(after=9, hours=hours, severity="critical", namespace="shop")
            make_plan(incident=incident, state="Completed", created_at=incident.detected_at)
        resolved(
            after=29, hours=3, annotations=MANUAL, acknowledged_at=NOON - timedelta(hours=3) + 9 * MINUTE
        )  # 30 minutes, 20 of work
        called(incident.name, cost=4_400_000)
        _rolled_up()

        found = viewer.get("/analytics/costs").json()["costs"]["returnOnInvestment"]

        # two incidents, each 20 minutes shorter at 10 a minute, and 20 minutes of work at 1 saved
        assert found == {
            "automatedIncidents": 2, "manualIncidents": 1, "meanTimeAutomated": "10m", "meanTimeManual": "30m",
            "downtimeSavedMinutes": 40.0, "engineerMinutesSaved": 40.0, "savings": 440.0, "spent": 4.4, "percent": 9900.0,
        }  # fmt: skip

    def test_say_nothing_without_data(self, viewer: Api) -> None:
        costs = viewer.get("/analytics/costs").json()["costs"]

        assert (costs["total"], costs["history"], costs["engineerCoverage"]) == (0.0, [], None)
        assert (costs["returnOnInvestment"]["savings"], costs["languageModels"]["coverage"]) == (None, None)

    def test_of_language_models_go_by_the_time_of_the_call(self, viewer: Api, settings: Any, _rolled_up: Any) -> None:
        settings.AIOPS_LLM_BUDGET_DAY = Decimal(2)
        old = resolved(after=9, hours=24 * 60)
        called(old.name, cost=1_500_000, cached_tokens=100)
        called(old.name, cost=200_000, model="n", outcome="rejected", price="")
        called(old.name, cost=9_000_000, at=NOON - timedelta(days=40))
        _rolled_up()

        document = viewer.get("/analytics/costs", period="7d").json()["costs"]

        models = document["languageModels"]
        assert (document["llm"], models["cost"], models["calls"], models["coverage"]) == (0.0, 1.7, 2, 0.5)
        assert [(one["model"], one["accepted"], one["cachedTokens"]) for one in models["byModel"]] == [
            ("m", 1, 100),
            ("n", 0, 0),
        ]
        assert models["budgets"] == [
            {"scope": "day", "since": "2027-04-12T00:00:00Z", "limit": 2.0, "used": 1.7, "state": "warning"},
            {"scope": "month", "since": "2027-04-01T00:00:00Z", "limit": None, "used": 1.7, "state": "unlimited"},
        ]

    def test_a_key_sees_its_namespaces_only(self, _rolled_up: Any) -> None:
        mine, other = resolved(after=9, hours=1, namespace="media"), resolved(after=9, hours=2, namespace="shop")
        called(mine.name, cost=1_000_000, namespace="media")
        called(other.name, cost=2_000_000, namespace="shop")
        _rolled_up()

        costs = api_of(Role.VIEWER, namespaces=["media"]).get("/analytics/costs").json()["costs"]

        assert [one["namespace"] for one in costs["byNamespace"]] == ["media"]
        assert (costs["llm"], costs["languageModels"]["cost"], costs["languageModels"]["budgets"]) == (1.0, 1.0, [])

    def test_take_as_many_queries_for_more(self, viewer: Api, django_assert_max_num_queries: Any) -> None:
        for days in range(20):
            resolved(after=9, hours=24 * days, resource_name="till")
        rollups.refresh(limit=1_000)

        with django_assert_max_num_queries(20):
            viewer.get("/analytics/costs")


def test_the_report_of_incidents_has_the_costs(viewer: Api) -> None:
    resolved(after=9, hours=1, namespace="media")
    resolved(after=9, hours=2, namespace="shop", severity="critical")

    found = viewer.get("/reports/incidents").json()["report"]

    figures = {one["name"]: one["value"] for one in found["figures"]}
    [table] = [one for one in found["tables"] if one["name"] == "costs"]
    assert (figures["cost"], figures["costOfDowntime"], figures["costOfModels"]) == (120.0, 120.0, 0.0)
    assert [(row["namespace"], row["total"]) for row in table["rows"]] == [("shop", 100.0), ("media", 20.0)]


class TestCostOfAnIncident:
    def test_is_the_bill_so_far(self, viewer: Api) -> None:
        incident = past(minutes=4, severity="critical", namespace="shop", state="Escalated")
        called(incident.name, cost=1_000_000)
        called(incident.name, cost=500_000, purpose="summary")

        document = viewer.get(f"/incidents/{incident.name}/cost").json()

        assert document["kind"] == "IncidentCost"
        assert document["cost"] | {"calls": []} == {
            "currency": "USD", "total": 61.5, "downtime": 60.0, "engineers": 0.0, "llm": 1.5, "downtimeMinutes": 6.0,
            "engineerMinutes": 0.0, "llmCalls": 2, "final": False, "chargedTo": None, "downtimePerMinute": 10.0,
            "engineerPerHour": 60.0, "calls": [],
        }  # fmt: skip
        assert [(one["purpose"], one["cost"]) for one in document["cost"]["calls"]] == [
            ("analysis", 1.0),
            ("summary", 0.5),
        ]

    def test_agrees_with_the_costs_of_all(self, viewer: Api) -> None:
        names = [
            resolved(after=9, hours=1, severity="critical", acknowledged_at=NOON - timedelta(minutes=55)).name,
            resolved(after=9, hours=2, resource_name="till").name,
            resolved(after=9, hours=3, annotations={"aiops/merged-into": "INC-1"}).name,
            past(hours=20, namespace="media").name,
        ]

        bills = [viewer.get(f"/incidents/{name}/cost").json()["cost"]["total"] for name in names]

        assert viewer.get("/analytics/costs").json()["costs"]["total"] == pytest.approx(sum(bills))

    def test_of_an_unknown_incident_is_not_found(self, viewer: Api) -> None:
        assert viewer.get("/incidents/INC-1/cost").status_code == 404
