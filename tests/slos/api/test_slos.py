from datetime import timedelta

import pytest

from aiops.apikeys.roles import Role
from aiops.audit.models import AuditEvent
from slos.models import SLO, Adjustment, BurnAlert, DailyHistory, TargetChange
from tests.conftest import NOON
from tests.factories import make_cluster
from tests.slos.api.conftest import api_of
from tests.slos.factories import EVENTS, body, make_day, make_slo, measured

URL = "/slos"
ONE = f"{URL}/checkout-availability"


class TestList:
    def test_shows_what_was_measured(self, viewer):
        make_slo(columns=measured())

        answer = viewer.get(URL).json()

        assert answer["kind"] == "SLOList"
        assert answer["items"] == [
            {
                "name": "checkout-availability",
                "namespace": "default",
                "service": "checkout",
                "type": "availability",
                "target": 99.9,
                "targetUnit": "%",
                "current": 99.9625,
                "status": "healthy",
                "statusReason": None,
                "budgetRemaining": "63%",
                "window": "30d",
                "lastUpdated": "2027-04-12T12:00:00Z",
            }
        ]

    def test_knows_nothing_of_an_slo_that_was_never_measured(self, viewer):
        make_slo()

        item = viewer.get(URL).json()["items"][0]

        assert (item["current"], item["budgetRemaining"], item["lastUpdated"]) == (None, None, None)
        assert item["status"] == "warning"

    def test_filters(self, viewer):
        make_slo()
        make_slo(name="b", service="cart", columns=measured())

        def names(**query):
            return [item["name"] for item in viewer.get(URL, **query).json()["items"]]

        assert names(service="cart") == ["b"]
        assert names(status="HEALTHY") == ["b"]
        assert names(namespace="elsewhere") == []
        assert viewer.get(URL, status="great").status_code == 400

    def test_costs_the_same_for_many(self, viewer, django_assert_num_queries):
        for number in range(5):
            make_slo(name=f"slo-{number}", columns=measured())
        viewer.get(URL)

        with django_assert_num_queries(2):
            viewer.get(URL)

    def test_needs_a_key(self, nobody):
        assert nobody.get(URL).status_code == 401


class TestRetrieve:
    def test_shows_spec_and_status(self, viewer):
        slo = make_slo(indicator=EVENTS, columns=measured())
        make_day(slo, 0, good=9991, total=10_000)
        make_day(slo, 1, good=10_000, total=10_000)

        document = viewer.get(ONE).json()

        assert document["kind"] == "SLO"
        assert document["spec"]["indicator"]["goodEventsQuery"] == EVENTS["goodEventsQuery"]
        status = document["status"]
        assert status["current"] == 99.9625
        assert (status["budgetTotal"], status["budgetConsumed"], status["budgetRemaining"]) == (43.2, 16.2, 27.0)
        assert status["budgetRemainingPercent"] == "63%"
        assert status["burnRate"] == {"1h": 0.4, "6h": 1.3, "24h": 0.9, "72h": 1.1}
        assert (status["windowStart"], status["windowEnd"]) == ("2027-03-13T12:00:00Z", "2027-04-12T12:00:00Z")
        assert status["history"] == [
            {"date": "2027-04-12", "value": 99.91},
            {"date": "2027-04-11", "value": 100.0},
        ]

    def test_shows_the_default_rules_of_the_window(self, viewer):
        make_slo()

        rules = viewer.get(ONE).json()["spec"]["alerting"]["burnRateThresholds"]

        assert [(rule["shortWindow"], rule["longWindow"], rule["burnRate"]) for rule in rules] == [
            ("5m", "1h", 14.4),
            ("30m", "6h", 6.0),
            ("2h", "24h", 3.0),
            ("6h", "72h", 1.0),
        ]

    def test_is_unknown_throughout_while_it_cannot_be_measured(self, viewer):
        make_slo(columns=measured(current=None, budget_consumed=None, status="warning", status_reason="no data"))

        document = viewer.get(ONE).json()

        status = document["status"]
        assert status["budgetTotal"] == 43.2
        for member in ("current", "targetMet", "budgetConsumed", "budgetRemaining", "budgetRemainingPercent"):
            assert status[member] is None
        assert set(status["burnRate"].values()) == {None}
        assert (status["status"], status["statusReason"]) == ("warning", "no data")
        assert document["metadata"]["annotations"]["aiops/invalid"] == "true"

    def test_shows_alerts_that_fire_and_no_others(self, viewer):
        slo = make_slo(columns=measured())
        facts = {"slo": slo, "severity": "critical", "threshold": 14.4, "burn_rate": 20.0, "fired_at": NOON}
        BurnAlert.objects.create(window="5m/1h", **facts)
        BurnAlert.objects.create(window="30m/6h", cleared_at=NOON, **facts)

        alerts = viewer.get(ONE).json()["status"]["activeAlerts"]

        assert alerts == [
            {"window": "5m/1h", "burnRate": 20.0, "severity": "critical", "firedAt": "2027-04-12T12:00:00Z"}
        ]

    @pytest.mark.parametrize(
        ("members", "total"),
        [
            ({"type": "error_rate", "target": 0.5}, 216.0),
            ({"type": "latency", "target": 300, "indicator": {"latencyPercentile": "p95"}}, 2160.0),
            ({"type": "throughput", "target": 99, "window": "24h"}, 14.4),
        ],
    )
    def test_allows_what_the_type_promises(self, viewer, members, total):
        make_slo(**members)

        assert viewer.get(ONE).json()["status"]["budgetTotal"] == total

    def test_is_missing_outside_the_scope_of_the_key(self):
        make_slo()

        stranger = api_of(Role.VIEWER, namespaces=["web"])

        assert stranger.get(ONE).status_code == 404

    test_is_missing_outside_the_scope_of_the_key = pytest.mark.django_db(test_is_missing_outside_the_scope_of_the_key)


class TestBudget:
    def test_agrees_with_the_other_documents(self, viewer):
        slo = make_slo(columns=measured())
        make_day(slo, 0, good=99_900, total=100_000)
        make_day(slo, 1, good=99_950, total=100_000)

        budget = viewer.get(f"{ONE}/budget").json()["budget"]

        assert (budget["totalMinutes"], budget["allowedDowntimeMinutes"]) == (43200, 43.2)
        assert (budget["consumedDowntimeMinutes"], budget["remainingDowntimeMinutes"]) == (16.2, 27.0)
        assert budget["remainingPercent"] == 62.5
        assert budget["burnRate"]["current72h"] == 1.1
        # 100 bad events of a million are 4.32 of 43200 minutes
        assert budget["history"] == [
            {"date": "2027-04-12", "consumed": 4.32, "cumulative": 16.2, "remainingPercent": 62.5, "adjustment": 0},
            {"date": "2027-04-11", "consumed": 2.16, "cumulative": 11.88, "remainingPercent": 72.5, "adjustment": 0},
        ]

    def test_adds_days_up_to_weeks(self, viewer):
        slo = make_slo(columns=measured())
        for days_ago in (0, 1, 2):  # Monday, Sunday, Saturday
            make_day(slo, days_ago, good=99_900, total=100_000)

        history = viewer.get(f"{ONE}/budget", granularity="weekly").json()["budget"]["history"]

        assert [(entry["date"], entry["consumed"]) for entry in history] == [("2027-04-12", 4.32), ("2027-04-05", 8.64)]

    def test_dates_hours_as_times(self, viewer):
        slo = make_slo(columns=measured())
        slo.hours.create(hour=NOON - timedelta(hours=1), good=900, total=1000, slices=60)

        history = viewer.get(f"{ONE}/budget", granularity="hourly").json()["budget"]["history"]

        assert [entry["date"] for entry in history] == ["2027-04-12T11:00:00Z"]

    def test_keeps_only_the_totals_while_nothing_is_known(self, viewer):
        make_slo()

        budget = viewer.get(f"{ONE}/budget").json()["budget"]

        assert (budget["totalMinutes"], budget["allowedDowntimeMinutes"]) == (43200, 43.2)
        assert budget["remainingPercent"] is None
        assert budget["history"] == []

    def test_refuses_another_granularity_before_it_looks(self, viewer):
        assert viewer.get("/slos/nothing/budget", granularity="yearly").status_code == 400
        assert viewer.get("/slos/nothing/budget").status_code == 404

    def test_never_shows_less_than_nothing(self, viewer):
        make_slo(columns=measured(error_rate=0.002, status="breached"))

        budget = viewer.get(f"{ONE}/budget").json()["budget"]

        assert (budget["remainingDowntimeMinutes"], budget["remainingPercent"]) == (0, 0)
        assert budget["consumedDowntimeMinutes"] == 86.4


class TestCreate:
    def test_answers_with_the_slo_and_its_defaults(self, admin):
        answer = admin.post(URL, body())

        assert answer.status_code == 201
        assert answer["Location"] == "/api/v1/slos/checkout-availability"
        spec = answer.json()["spec"]
        assert (spec["window"], spec["targetUnit"], spec["enabled"]) == ("30d", "%", True)
        assert spec["indicator"]["source"] == "issues"
        assert AuditEvent.objects.get().action == "slo.create"

    @pytest.mark.parametrize(
        ("members", "field"),
        [
            ({"name": "Checkout"}, "name"),
            ({"name": "import"}, "name"),
            ({"service": " "}, "service"),
            ({"type": "speed"}, "type"),
            ({"target": 100}, "target"),
            ({"target": 0}, "target"),
            ({"target": "99.9"}, "target"),
            ({"targetUnit": "ms"}, "targetUnit"),
            ({"type": "latency", "target": 300, "targetUnit": "%"}, "targetUnit"),
            ({"window": "0d"}, "window"),
            ({"window": "4w"}, "window"),
            ({"indicator": {"source": "prometheus"}}, "indicator.query"),
            ({"indicator": EVENTS | {"totalEventsQuery": None}}, "indicator.totalEventsQuery"),
            ({"indicator": EVENTS | {"goodEventsQuery": "sum("}}, "indicator.goodEventsQuery"),
            ({"indicator": {"source": "issues", "query": "up"}}, "indicator.query"),
            ({"indicator": EVENTS | {"prometheus": "ftp://prometheus"}}, "indicator.prometheus"),
            ({"indicator": EVENTS | {"matchLabels": {"a-b": "c"}}}, "indicator.matchLabels"),
            ({"indicator": EVENTS | {"matchLabels": {"__name__": "c"}}}, "indicator.matchLabels"),
            ({"indicator": {"matchLabels": {"a": "b"}}}, "indicator.matchLabels"),
            ({"indicator": {"source": "unsupported"}}, "indicator.dataSource"),
            ({"indicator": EVENTS | {"dataSource": "acme"}}, "indicator.dataSource"),
            ({"cluster": "nowhere"}, "cluster"),
            ({"labels": {"a": 1}}, "labels.a"),
            (
                {"alerting": {"burnRateThresholds": [{"severity": "critical", "shortWindow": "5m", "burnRate": 2}]}},
                "alerting.burnRateThresholds[0].longWindow",
            ),
            ({"budgeting": {"method": "Timeslices", "timeSliceWindow": "1m"}}, "budgeting.timeSliceTarget"),
            ({"calendar": {"unit": "month", "timeZone": "Berlin"}}, "calendar.timeZone"),
        ],
    )
    def test_names_the_member_that_is_wrong(self, admin, members, field):
        answer = admin.post(URL, body(**members))

        assert answer.status_code == 400
        assert field in answer.json()["error"]["fields"]
        assert not SLO.objects.exists()

    def test_refuses_a_name_that_is_taken(self, admin):
        make_slo()

        assert admin.post(URL, body()).status_code == 409
        assert admin.post(URL, body(namespace="web")).status_code == 201

    def test_is_for_admins(self, operator):
        assert operator.post(URL, body()).status_code == 403

    @pytest.mark.django_db
    def test_stays_within_the_scope_of_the_key(self):
        stranger = api_of(Role.ADMIN, namespaces=["web"])

        assert stranger.post(URL, body()).status_code == 403
        assert stranger.post(URL, body(namespace="web")).status_code == 201

    def test_takes_the_cluster_by_name(self, admin):
        make_cluster(name="harbor")

        assert admin.post(URL, body(cluster="harbor")).json()["spec"]["cluster"] == "harbor"


class TestUpdate:
    def test_merges(self, admin):
        make_slo(description="Buying works")

        answer = admin.put(ONE, {"target": 99.5})

        assert answer.status_code == 200
        spec = answer.json()["spec"]
        assert (spec["target"], spec["description"]) == (99.5, "Buying works")
        assert answer.json()["metadata"]["resourceVersion"] == "2"
        change = TargetChange.objects.get()
        assert (float(change.was), float(change.becomes), change.changed_by) == (99.9, 99.5, "ada@example.com")

    def test_changes_nothing_when_nothing_differs(self, admin):
        make_slo()
        records = AuditEvent.objects.count()

        answer = admin.put(ONE, {"target": 99.9, "indicator": {"source": "issues"}})

        assert answer.json()["metadata"]["resourceVersion"] == "1"
        assert AuditEvent.objects.count() == records

    def test_resets_a_member_that_is_null(self, admin):
        make_slo(window="7d", description="Buying works")

        spec = admin.put(ONE, {"window": None, "description": None}).json()["spec"]

        assert (spec["window"], spec["description"]) == ("30d", None)

    def test_forgets_what_another_query_measured(self, admin):
        slo = make_slo(indicator=EVENTS, columns=measured())
        make_day(slo, 0, good=1, total=1)

        document = admin.put(ONE, {"indicator": {"source": "issues"}}).json()

        assert document["status"]["current"] is None
        assert not DailyHistory.objects.exists()

    def test_refuses_another_name(self, admin):
        make_slo()

        answer = admin.put(ONE, {"name": "other"})

        assert answer.status_code == 400
        assert "name" in answer.json()["error"]["fields"]

    def test_refuses_a_version_that_is_not_current(self, admin):
        make_slo()

        assert admin.put(ONE, {"target": 99.5}, **{"If-Match": '"7"'}).status_code == 409
        assert admin.put(ONE, {"target": 99.5}, **{"If-Match": '"1"'}).status_code == 200

    def test_refuses_a_percentage_for_a_type_that_has_none(self, admin):
        make_slo(type="latency", target=300)

        answer = admin.put(ONE, {"type": "availability"})

        assert answer.status_code == 400
        assert "target" in answer.json()["error"]["fields"]

    def test_withdraws_the_lease_of_an_evaluation_under_way(self, admin):
        make_slo(columns={"claim": "6f0d6a38-5d0e-4a8f-9a3c-1d5be1f0c7aa", "lease_until": NOON + timedelta(hours=1)})

        admin.put(ONE, {"target": 99.5})

        assert SLO.objects.get().claim is None


class TestDelete:
    def test_removes_the_slo(self, admin):
        make_slo()

        answer = admin.delete(ONE)

        assert answer.json()["status"]["message"] == "SLO deleted"
        assert admin.get(ONE).status_code == 404
        assert AuditEvent.objects.filter(action="slo.delete").count() == 1

    def test_is_for_admins(self, operator):
        make_slo()

        assert operator.delete(ONE).status_code == 403


class TestGate:
    def test_opens_while_enough_is_left(self, viewer):
        make_slo(columns=measured())

        document = viewer.get(f"{ONE}/gate").json()

        assert document["kind"] == "SLOGate"
        assert document["spec"] == {"minimumBudgetPercent": 10}
        assert document["status"]["allow"] is True

    def test_closes_below_the_minimum(self, viewer):
        make_slo(columns=measured())

        assert viewer.get(f"{ONE}/gate", minimumBudget="70").json()["status"]["allow"] is False

    def test_closes_while_the_budget_is_unknown(self, viewer):
        make_slo()

        status = viewer.get(f"{ONE}/gate").json()["status"]

        assert status["allow"] is False
        assert "unknown" in status["reason"]

    @pytest.mark.parametrize("minimum", ["ten", "-1", "101", "nan"])
    def test_refuses_what_is_no_percentage(self, viewer, minimum):
        make_slo()

        assert viewer.get(f"{ONE}/gate", minimumBudget=minimum).status_code == 400


class TestAdjustments:
    def test_spends_budget_at_once(self, admin):
        make_slo(columns=measured())

        answer = admin.post(f"{ONE}/adjustments", {"minutes": 10, "reason": "Outage that nobody measured"})

        assert answer.status_code == 201
        assert answer.json()["kind"] == "SLOAdjustment"
        assert answer.json()["metadata"]["createdBy"] == "ada@example.com"
        assert admin.get(ONE).json()["status"]["budgetConsumed"] == 26.2
        assert AuditEvent.objects.filter(action="slo.adjust").count() == 1

    def test_stands_in_the_history_of_its_day(self, admin):
        make_slo(columns=measured())

        admin.post(f"{ONE}/adjustments", {"minutes": 5, "reason": "r", "at": "2027-04-10T08:00:00Z"})

        history = admin.get(f"{ONE}/budget").json()["budget"]["history"]
        assert [(entry["date"], entry["adjustment"], entry["consumed"]) for entry in history] == [("2027-04-10", 5, 5)]

    def test_gives_back_no_more_than_was_consumed(self, admin):
        make_slo(columns=measured())

        admin.post(f"{ONE}/adjustments", {"minutes": -100, "reason": "It was the load test"})

        assert admin.get(ONE).json()["status"]["budgetConsumed"] == 0

    def test_stands_in_the_history_before_the_next_evaluation(self, admin):
        make_slo(columns=measured())

        admin.post(f"{ONE}/adjustments", {"minutes": 5, "reason": "r"})

        [today] = admin.get(f"{ONE}/budget").json()["budget"]["history"]
        assert (today["date"], today["adjustment"], today["cumulative"]) == ("2027-04-12", 5, 21.2)

    def test_shows_what_the_next_evaluation_will_find(self, admin):
        make_slo(columns=measured())
        admin.post(f"{ONE}/adjustments", {"minutes": -100, "reason": "It was the load test"})

        admin.post(f"{ONE}/adjustments", {"minutes": 3, "reason": "Three of them were real"})

        assert admin.get(ONE).json()["status"]["budgetConsumed"] == 0

    def test_is_not_about_the_future(self, admin):
        make_slo(columns=measured())

        answer = admin.post(f"{ONE}/adjustments", {"minutes": 5, "reason": "r", "at": "2027-04-13T00:00:00Z"})

        assert answer.status_code == 400
        assert list(answer.json()["error"]["fields"]) == ["at"]

    def test_may_exhaust_the_budget(self, admin):
        make_slo(columns=measured())

        admin.post(f"{ONE}/adjustments", {"minutes": 27, "reason": "r"})

        assert admin.get(ONE).json()["status"]["status"] == "breached"

    @pytest.mark.parametrize("sent", [{"minutes": 5}, {"reason": "r"}, {"minutes": 0, "reason": "r"}])
    def test_needs_minutes_and_a_reason(self, admin, sent):
        make_slo()

        assert admin.post(f"{ONE}/adjustments", sent).status_code == 400
        assert not Adjustment.objects.exists()

    def test_is_for_admins(self, operator):
        make_slo()

        assert operator.post(f"{ONE}/adjustments", {"minutes": 5, "reason": "r"}).status_code == 403
