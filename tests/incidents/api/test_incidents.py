from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from aiops.apikeys.roles import Role
from aiops.audit.models import AuditEvent
from incidents.models import Decision, Incident, PostMortem
from tests.conftest import NOON
from tests.factories import make_anomaly, make_cluster, make_incident, make_insight, make_plan, make_runbook, make_step
from tests.incidents.api.conftest import Api, api_of
from tests.slos.factories import make_slo

pytestmark = pytest.mark.django_db
ACTIONS: dict[str, dict[str, Any]] = {
    "acknowledge": {"acknowledgedBy": "ines"},
    "snooze": {"duration": "1h", "reason": "deploy", "snoozedBy": "ines"},
    "unsnooze": {},
    "resolve": {},
    "comment": {"author": "ines", "message": "looking"},
    "assign": {"assignedTo": "docks", "assignedBy": "ines"},
    "merge": {"into": "INC-20270412-999"},
    "remediate": {"runbook": "undo", "requestedBy": "ines"},
}


class TestList:
    def test_shows_items_newest_first(self, viewer: Api) -> None:
        make_incident(name="INC-20270412-001", detected_at=NOON)
        make_incident(name="INC-20270412-002", detected_at=NOON + timedelta(seconds=1))

        document = viewer.get("/incidents").json()

        assert document["kind"] == "IncidentList"
        assert [item["name"] for item in document["items"]] == ["INC-20270412-002", "INC-20270412-001"]

    def test_item_has_every_member_of_the_contract(self, viewer: Api) -> None:
        labels, annotations = {"app": "checkout"}, {"aiops/recurrence-of": "INC-20270411-001"}
        make_incident(cluster_name="east", resource_name="checkout", labels=labels, annotations=annotations)

        item = viewer.get("/incidents").json()["items"][0]

        assert item["resource"] == "Deployment/checkout"
        assert item["resourceRef"] == {"kind": "Deployment", "name": "checkout", "namespace": "shop"}
        assert item["cluster"] == "east"
        assert (item["source"], item["signalType"]) == ("watcher", "crashloop_backoff")
        assert (item["labels"], item["annotations"]) == (labels, annotations)
        assert item["assignedTo"] is item["resolution"] is None
        assert item["acknowledged"] is item["snoozed"] is item["chaosInduced"] is False
        assert item["age"].endswith("s") or item["age"][-1] in "mhd"

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ({"severity": "CRITICAL"}, {"a"}),
            ({"state": "contained"}, {"b"}),
            ({"namespace": "harbor"}, {"a"}),
            ({"resource": "deployment/ledger"}, {"b"}),
            ({"resource": "ledger"}, {"b"}),
            ({"cluster": "east"}, {"a"}),
            ({"signalType": "oom_kill"}, {"b"}),
            ({"acknowledged": "true"}, {"a"}),
            ({"acknowledged": "0"}, {"b"}),
            ({"assignedTo": "docks"}, {"b"}),
            ({"q": "HEAP"}, {"b"}),
            ({"q": "Deployment/led"}, {"b"}),
            ({"since": "2027-04-12T12:00:01Z"}, {"b"}),
            ({"until": "2027-04-12T12:00:00Z"}, {"a"}),
            ({"severity": "", "unknown": "x"}, {"a", "b"}),
        ],
    )
    def test_filters(self, viewer: Api, query: dict[str, str], names: set[str]) -> None:
        make_incident(
            name="a", namespace="harbor", severity="critical", cluster_name="east", acknowledged_at=NOON,
            resource_name="checkout",
        )  # fmt: skip
        make_incident(
            name="b", state="Contained", signal_type="oom_kill", assigned_to="docks", description="heap full",
            resource_name="ledger", detected_at=NOON + timedelta(seconds=1),
        )  # fmt: skip

        assert {item["name"] for item in viewer.get("/incidents", **query).json()["items"]} == names

    @pytest.mark.parametrize(
        "query", [{"severity": "bad"}, {"state": "x"}, {"acknowledged": "maybe"}, {"since": "x"}, {"page": "0"}]
    )
    def test_refuses_bad_values_by_name(self, viewer: Api, query: dict[str, str]) -> None:
        response = viewer.get("/incidents", **query)

        assert response.status_code == 400
        assert set(response.json()["error"]["fields"]) == set(query)

    def test_costs_three_queries_whatever_the_size(self, viewer: Api, django_assert_num_queries: Any) -> None:
        viewer.get("/incidents")  # the key is remembered
        for _ in range(30):
            make_incident()

        with django_assert_num_queries(3):  # stamp, count, page; the count is remembered outside a transaction
            viewer.get("/incidents")

    def test_shows_what_lies_in_the_scope_of_the_key(self) -> None:
        make_incident(name="a", namespace="harbor")
        make_incident(name="b", namespace="shop")
        scoped = api_of(Role.VIEWER, namespaces=["shop"])

        assert [item["name"] for item in scoped.get("/incidents").json()["items"]] == ["b"]
        assert scoped.get("/incidents/a").status_code == 404

    def test_is_not_created_by_hand(self, operator: Api) -> None:
        assert operator.post("/incidents", {}).status_code == 405


class TestRetrieve:
    def test_shows_spec_and_status(self, viewer: Api) -> None:
        incident = make_incident(name="INC-20270412-003", runbook="undo")
        make_insight(incident=incident, recommendations=["Undo it"], related_events=["BackOff"], confidence=0.84)

        response = viewer.get("/incidents/INC-20270412-003")

        document = response.json()
        assert response["ETag"] == '"1"'
        assert document["spec"]["runbook"] == "undo"
        assert document["spec"]["escalationPolicy"] is None
        assert document["status"]["timelineCount"] == 1
        assert document["status"]["analysisResult"] == {
            "rootCause": "The newest revision crashes",
            "recommendation": "Undo it",
            "confidence": 0.84,
            "relatedEvents": ["BackOff"],
        }

    def test_shows_the_newest_analysis(self, viewer: Api) -> None:
        incident = make_incident(name="a")
        make_insight(incident=incident, attempt=1, analysis="first")
        make_insight(incident=incident, attempt=2, analysis="second")

        assert viewer.get("/incidents/a").json()["status"]["analysisResult"]["rootCause"] == "second"

    def test_shows_the_budgets_it_burned(self, viewer: Api) -> None:
        incident = make_incident(name="a")
        quick, slow = make_slo(name="quick"), make_slo(name="slow", columns={"budget_total": 40})
        for slo, day, minutes in ((quick, 0, 1), (slow, 0, 6), (slow, 1, 4)):
            slo.attributions.create(
                incident=incident, day=(NOON - timedelta(days=day)).date(), bad=60, minutes=minutes, updated_at=NOON
            )

        burned = viewer.get("/incidents/a").json()["status"]["budgetBurned"]

        assert burned == [
            {"slo": "slow", "namespace": "default", "minutes": 10.0, "percent": 25.0},
            {"slo": "quick", "namespace": "default", "minutes": 1.0, "percent": None},  # not evaluated yet
        ]

    def test_costs_one_query(self, viewer: Api, django_assert_num_queries: Any) -> None:
        make_incident(name="a")
        viewer.get("/incidents/a")

        with django_assert_num_queries(1):
            viewer.get("/incidents/a")

    def test_reads_as_a_command_answers(self, operator: Api) -> None:
        make_insight(
            incident=make_incident(name="a"), confidence=0.25, recommendations=["100 % of 'it'"], related_events=["x"]
        )

        answered = operator.post("/incidents/a/acknowledge", {"acknowledgedBy": "ann"})
        read = operator.get("/incidents/a")

        assert read.json() == answered.json()
        assert read["ETag"] == answered["ETag"]

    def test_unknown(self, viewer: Api) -> None:
        assert viewer.get("/incidents/nope").status_code == 404
        make_incident(name="a")
        assert viewer.get("/incidents/a", namespace="elsewhere").status_code == 404


class TestActions:
    @pytest.mark.parametrize("action", ACTIONS)
    def test_need_a_key_and_the_role(self, nobody: Api, viewer: Api, action: str) -> None:
        assert nobody.post(f"/incidents/a/{action}", ACTIONS[action]).status_code == 401
        assert viewer.post(f"/incidents/a/{action}", ACTIONS[action]).status_code == 403

    @pytest.mark.parametrize("action", ACTIONS)
    def test_unknown_incident(self, operator: Api, action: str) -> None:
        assert operator.post(f"/incidents/a/{action}", ACTIONS[action]).status_code == 404

    @pytest.mark.parametrize("action", sorted(set(ACTIONS) - {"comment"}))
    def test_refuse_a_resolved_incident(self, operator: Api, action: str) -> None:
        make_incident(name="INC-20270412-999")
        make_incident(name="a", state="Resolved", resolved_at=NOON)

        make_runbook(name="undo")

        response = operator.post(f"/incidents/a/{action}", ACTIONS[action])

        assert response.status_code == 409
        assert not AuditEvent.objects.exists()

    @pytest.mark.parametrize(
        ("action", "body", "member"),
        [
            ("acknowledge", {}, "acknowledgedBy"),
            ("acknowledge", {"acknowledgedBy": " "}, "acknowledgedBy"),
            ("acknowledge", {"acknowledgedBy": 5}, "acknowledgedBy"),
            ("acknowledge", {"acknowledgedBy": "x" * 254}, "acknowledgedBy"),
            ("acknowledge", {"acknowledgedBy": "x", "message": "x" * 1025}, "message"),
            ("snooze", {"reason": "x", "snoozedBy": "x"}, "duration"),
            ("snooze", {"duration": "25h", "reason": "x", "snoozedBy": "x"}, "duration"),
            ("snooze", {"duration": "0s", "reason": "x", "snoozedBy": "x"}, "duration"),
            ("snooze", {"duration": "-1h", "reason": "x", "snoozedBy": "x"}, "duration"),
            ("snooze", {"duration": "1d", "reason": "x", "snoozedBy": "x"}, "duration"),
            ("resolve", {"resolution": "x" * 4097}, "resolution"),
            ("comment", {"author": "x"}, "message"),
            ("assign", {"assignedBy": "x"}, "assignedTo"),
            ("merge", {}, "into"),
            ("remediate", {"runbook": "x"}, "requestedBy"),
        ],
    )
    def test_refuse_bad_bodies_by_member(self, operator: Api, action: str, body: Any, member: str) -> None:
        make_incident(name="a")

        response = operator.post(f"/incidents/a/{action}", body)

        assert response.status_code == 400
        assert set(response.json()["error"]["fields"]) == {member}
        assert Incident.objects.get().version == 1

    def test_acknowledge(self, operator: Api) -> None:
        make_incident(name="a")

        document = operator.post("/incidents/a/acknowledge", {"acknowledgedBy": "ines", "message": "on it"}).json()

        assert document["status"]["acknowledged"] is True
        assert document["status"]["acknowledgedBy"] == "ines"
        assert document["status"]["message"] == "on it"
        assert document["status"]["state"] == "Detected"
        annotations = document["metadata"]["annotations"]
        assert annotations["aiops.chatcli.io/acknowledged-by"] == "operator"
        assert annotations["aiops.chatcli.io/acknowledged"] == "true"

    def test_an_acknowledgement_is_few_statements(self, operator: Api, django_assert_num_queries: Any) -> None:
        make_insight(incident=make_incident(name="a"), analysis="a bad image")
        make_incident(name="b")
        operator.post("/incidents/b/acknowledge", {"acknowledgedBy": "ines"})  # the key is known, the chain begun

        # savepoint, the row with all that the answer shows, change and event, windows, channels, the chain, its end
        with django_assert_num_queries(7 if connection.vendor == "postgresql" else 10):
            document = operator.post("/incidents/a/acknowledge", {"acknowledgedBy": "ines"}).json()

        assert document["status"]["analysisResult"]["rootCause"] == "a bad image"

    def test_a_second_acknowledgement_is_refused(self, operator: Api) -> None:
        make_incident(name="a")
        operator.post("/incidents/a/acknowledge", {"acknowledgedBy": "ines"})

        assert operator.post("/incidents/a/acknowledge", {"acknowledgedBy": "olaf"}).status_code == 409
        assert Incident.objects.get().acknowledged_by == "ines"

    def test_snooze_and_unsnooze(self, operator: Api) -> None:
        make_incident(name="a")

        snoozed = operator.post("/incidents/a/snooze", ACTIONS["snooze"]).json()["status"]
        woken = operator.post("/incidents/a/unsnooze").json()["status"]

        assert snoozed["snoozed"] is True
        assert snoozed["snoozeReason"] == "deploy"
        assert woken["snoozed"] is False
        assert operator.post("/incidents/a/unsnooze").status_code == 409

    def test_a_snooze_ends_by_itself(self, operator: Api) -> None:
        make_incident(name="a", snooze_until=timezone.now() - timedelta(seconds=1), snooze_reason="deploy")

        status = operator.get("/incidents/a").json()["status"]
        assert (status["snoozed"], status["snoozeReason"]) == (False, "deploy")

    @pytest.mark.parametrize("state", ["Detected", "Analyzing", "Remediating", "Contained", "Escalated", "Failed"])
    def test_resolve_from_every_open_state(self, operator: Api, state: str) -> None:
        make_incident(name="a", state=state, requires_human_action=True, required_action="restore it")

        document = operator.post("/incidents/a/resolve", {"resolution": " "}).json()

        assert document["status"]["state"] == "Resolved"
        assert document["status"]["resolution"] == "Manually resolved via dashboard"
        assert document["status"]["requiresHumanAction"] is False
        assert document["status"]["requiredAction"] == "restore it"
        assert document["metadata"]["annotations"]["aiops.chatcli.io/manual-resolution"] == "true"
        assert PostMortem.objects.filter(incident__name="a").count() == 1

    def test_each_writes_one_audit_record_of_the_named_person(self, operator: Api) -> None:
        make_incident(name="a")

        operator.post("/incidents/a/acknowledge", {"acknowledgedBy": "ines"})
        operator.post("/incidents/a/resolve")

        records = AuditEvent.objects.order_by("at").values_list("action", "user", "role", "event_type")
        assert list(records) == [
            ("incident.acknowledge", "ines", "operator", ""),
            ("incident.resolve", "olaf@example.com", "operator", "issue_resolved"),
        ]

    def test_comment_is_allowed_after_the_end(self, operator: Api) -> None:
        make_incident(name="a", state="Resolved", resolved_at=NOON)

        response = operator.post("/incidents/a/comment", ACTIONS["comment"])

        assert response.status_code == 201
        assert response.json()["kind"] == "Incident"
        event = operator.get("/incidents/a/timeline").json()["events"][-1]
        assert (event["type"], event["message"]) == ("Comment", "looking")

    def test_assign_and_withdraw(self, operator: Api) -> None:
        make_incident(name="a")

        assigned = operator.post("/incidents/a/assign", ACTIONS["assign"]).json()
        withdrawn = operator.post("/incidents/a/assign", {"assignedTo": None, "assignedBy": "ines"}).json()

        assert assigned["status"]["assignedTo"] == "docks"
        assert withdrawn["status"]["assignedTo"] is None

    def test_merge_moves_the_anomalies(self, operator: Api) -> None:
        make_anomaly(incident=make_incident(name="a"))
        make_incident(name="b")

        document = operator.post("/incidents/a/merge", {"into": "b", "reason": "same cause"}).json()

        assert document["metadata"]["name"] == "b"
        assert operator.get("/incidents/b/anomalies").json()["metadata"]["totalCount"] == 1
        ended = operator.get("/incidents/a").json()["status"]
        assert ended["state"] == "Resolved"
        assert ended["resolution"].startswith("Merged into b")
        assert AuditEvent.objects.filter(action="incident.merge").count() == AuditEvent.objects.count() == 1

    @pytest.mark.parametrize(("into", "status"), [("a", 400), ("nope", 400), ("done", 409)])
    def test_merge_refuses(self, operator: Api, into: str, status: int) -> None:
        make_incident(name="a")
        make_incident(name="done", state="Resolved", resolved_at=NOON)

        response = operator.post("/incidents/a/merge", {"into": into})

        assert response.status_code == status
        assert (status == 400) == ("fields" in response.json()["error"])
        assert Incident.objects.get(name="a").state == "Detected"

    def test_if_match_of_another_version_changes_nothing(self, operator: Api) -> None:
        make_incident(name="a")

        response = operator.post("/incidents/a/resolve", {}, **{"If-Match": '"7"'})

        assert response.status_code == 409
        assert Incident.objects.get().state == "Detected"


class TestSubDocuments:
    def test_timeline_counts_agree(self, operator: Api) -> None:
        make_incident(name="a")
        operator.post("/incidents/a/acknowledge", {"acknowledgedBy": "ines", "message": "on it"})
        operator.post("/incidents/a/resolve")

        timeline = operator.get("/incidents/a/timeline").json()
        status = operator.get("/incidents/a").json()["status"]

        assert [event["type"] for event in timeline["events"]] == ["Detection", "Acknowledgement", "Resolution"]
        assert timeline["metadata"]["eventCount"] == len(timeline["events"]) == status["timelineCount"]
        assert timeline["events"][1]["details"] == {"message": "on it"}

    def test_a_timeline_costs_one_query(self, viewer: Api, django_assert_num_queries: Any) -> None:
        make_incident(name="a").timeline.all().delete()
        empty = viewer.get("/incidents/a/timeline").json()

        assert (empty["metadata"]["eventCount"], empty["events"]) == (0, [])
        assert viewer.get("/incidents/a/timeline", namespace="elsewhere").status_code == 404
        with django_assert_num_queries(1):
            viewer.get("/incidents/a/timeline")

    def test_anomalies(self, viewer: Api) -> None:
        incident = make_incident(name="a", cluster=make_cluster(name="east"))
        make_anomaly(incident=incident, count=3, labels={"app": "checkout"})

        item = viewer.get("/incidents/a/anomalies").json()["items"][0]

        assert item["count"] == 3
        assert item["cluster"] == "east"
        assert item["clearedAt"] is None
        assert item["resource"] == incident.resource

    def test_decisions(self, viewer: Api) -> None:
        incident = make_incident(name="a")
        Decision.objects.create(incident=incident, at=NOON, stage="open", rule="no-open-incident", verdict="opened")

        document = viewer.get("/incidents/a/decisions").json()

        assert document["kind"] == "DecisionList"
        assert document["items"][0]["rule"] == "no-open-incident"

    def test_similar_ones_best_first(self, viewer: Api) -> None:
        make_incident(name="a", resource_name="checkout")
        make_incident(name="twin", resource_name="checkout", detected_at=NOON - timedelta(days=1), resolution="undone")
        make_incident(name="cousin", resource_name="ledger", description="other", detected_at=NOON - timedelta(days=1))
        make_incident(name="later", resource_name="checkout", detected_at=NOON + timedelta(days=1))

        document = viewer.get("/incidents/a/similar").json()

        assert document["kind"] == "IncidentList"
        assert [item["name"] for item in document["items"]] == ["twin", "cousin"]
        assert document["items"][0]["similarity"] == 1
        assert document["items"][0]["resolution"] == "undone"

    def test_remediation(self, viewer: Api) -> None:
        incident = make_incident(name="a", state="Remediating")
        assert viewer.get("/incidents/a/remediation").status_code == 404

        make_step(plan=make_plan(incident=incident, name="plan-1", attempt=1))
        document = viewer.get("/incidents/a/remediation").json()

        assert document["kind"] == "Remediation"
        assert document["metadata"] == {"name": "a", "namespace": "shop", "plan": "plan-1"}
        assert len(document["status"]["steps"]) == 1
