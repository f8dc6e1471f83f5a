from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aiops.audit.models import AuditEvent
from incidents.models import Anomaly, Decision, Incident, PostMortem, TimelineEvent
from incidents.observations import Observation, digest
from incidents.services import correlation, lifecycle
from incidents.states import Severity, Source
from tests.conftest import NOON
from tests.factories import make_cluster
from tests.incidents.actors import PERSON

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def sighting(name: str = "checkout", signal_type: str = "crashloop_backoff", **overrides: Any) -> Observation:
    values: dict[str, Any] = {
        "origin": "k8s-watcher",
        "source": Source.WATCHER,
        "signal_type": signal_type,
        "condition": signal_type,
        "fingerprint": digest(name, signal_type, overrides.get("object_name", "")),
        "kind": "Deployment",
        "namespace": "shop",
        "name": name,
        "object_kind": "Pod",
        "description": f"{name} shows {signal_type}",
        "event_time": NOON - MINUTE,
    }
    return Observation(**values | overrides)


def alert(name: str = "checkout", **overrides: Any) -> Observation:
    values = {"origin": "alertmanager", "source": Source.PROMETHEUS, "signal_type": "error_rate", "object_kind": ""}
    return sighting(name, **values | overrides)


def observe(*observations: Observation, at: Any = NOON) -> correlation.Receipt:
    return correlation.observe(observations=observations, at=at)


class TestOpening:
    def test_one_incident_per_workload(self) -> None:
        receipt = observe(sighting(), sighting(signal_type="deploy_failing"), sighting("ledger"))

        assert (receipt.received, receipt.opened, receipt.updated) == (3, 2, 1)
        assert receipt.incidents == ["INC-20270412-001", "INC-20270412-002"]

    def test_the_row_says_what_and_since_when(self) -> None:
        observe(sighting())

        incident = Incident.objects.get()
        assert incident.state == "Detected"
        assert incident.resource == "Deployment/checkout"
        assert incident.started_at == NOON - MINUTE
        assert incident.detected_at == incident.due_at == NOON
        assert incident.risk_score == 30
        assert incident.labels["platform.chatcli.io/signal"] == "crashloop_backoff"

    def test_leaves_timeline_decision_and_audit_record(self) -> None:
        observe(sighting())

        incident = Incident.objects.get()
        assert TimelineEvent.objects.get().type == "Detection"
        assert incident.timeline_count == 1
        assert Decision.objects.get().stage == "open"
        assert AuditEvent.objects.get().event_type == "issue_created"

    def test_information_alone_opens_nothing(self) -> None:
        receipt = observe(sighting(informational=True))

        assert receipt.suppressed == 1
        assert not Incident.objects.exists()

    def test_information_joins_what_is_opened_beside_it(self) -> None:
        receipt = observe(sighting(signal_type="job_retrying", informational=True), sighting())

        assert receipt.outcomes == ["updated", "opened"]

    def test_clusters_are_kept_apart(self) -> None:
        receipt = observe(
            sighting(cluster=make_cluster(name="east"), fingerprint="a"),
            sighting(cluster=make_cluster(name="west"), fingerprint="b"),
        )

        assert receipt.opened == 2

    def test_a_time_in_the_future_counts_as_now(self) -> None:
        observe(sighting(event_time=NOON + MINUTE))

        assert Incident.objects.get().started_at == NOON
        assert Anomaly.objects.get().first_seen_at == NOON + MINUTE

    def test_node_signals_ignore_the_namespace_of_their_exporter(self) -> None:
        receipt = observe(
            sighting("node-1", "node_not_ready", kind="Node", namespace=""),
            alert("node-1", kind="Node", namespace="monitoring"),
        )

        assert receipt.opened == 1


class TestJoining:
    def test_raises_risk_and_severity(self) -> None:
        observe(sighting(signal_type="pod_restart", severity=Severity.LOW))
        receipt = observe(
            sighting(signal_type="deploy_failing", severity=Severity.LOW),
            sighting(signal_type="pod_not_ready", severity=Severity.LOW),
        )

        incident = Incident.objects.get()
        assert receipt.updated == 2
        assert (incident.risk_score, incident.severity) == (70, "high")
        assert Decision.objects.filter(stage="severity").count() == 1

    def test_a_frozen_severity_stays(self) -> None:
        observe(sighting(signal_type="pod_restart"))
        Incident.objects.update(severity_frozen=True)
        observe(sighting(signal_type="oom_kill"))

        assert Incident.objects.get().severity == "low"

    def test_severity_never_falls(self) -> None:
        observe(sighting(severity=Severity.CRITICAL))
        observe(sighting(signal_type="pvc_pending", severity=Severity.LOW))

        assert Incident.objects.get().severity == "critical"

    def test_timeline_and_count_agree(self) -> None:
        observe(sighting())
        observe(sighting(signal_type="deploy_failing"))

        assert Incident.objects.get().timeline_count == TimelineEvent.objects.count() == 2

    def test_a_resolved_incident_takes_nothing(self) -> None:
        observe(sighting())
        lifecycle.resolve(incident=Incident.objects.get(), actor=PERSON, at=NOON)
        receipt = observe(sighting(), at=NOON + MINUTE)

        assert receipt.opened == 1

    def test_an_escalated_incident_goes_on_taking(self) -> None:
        observe(sighting())
        lifecycle.escalate(incident=Incident.objects.get(), reason="no runbook", at=NOON)

        assert observe(sighting(signal_type="deploy_failing")).updated == 1


class TestRepetition:
    def test_a_further_sighting_counts_but_changes_no_version(self) -> None:
        observe(sighting())
        version = Incident.objects.get().version
        receipt = observe(sighting(), at=NOON + MINUTE)

        anomaly = Anomaly.objects.get()
        assert receipt.updated == 1
        assert (anomaly.count, anomaly.last_seen_at) == (2, NOON + MINUTE)
        assert Incident.objects.get().version == version
        assert TimelineEvent.objects.count() == 1

    def test_the_same_alert_again_changes_nothing(self) -> None:
        observe(alert())
        before = Anomaly.objects.values().get()
        receipt = observe(alert(), at=NOON + MINUTE)

        assert receipt.duplicates == 1
        assert receipt.incidents == []
        assert Anomaly.objects.values().get() == before

    def test_the_same_alert_twice_in_one_batch(self) -> None:
        assert observe(alert(), alert()).outcomes == ["opened", "duplicate"]

    def test_an_alert_that_began_anew_is_an_update_once(self) -> None:
        observe(alert())
        again = alert(event_time=NOON)

        assert observe(again, at=NOON + MINUTE).updated == 1
        assert observe(again, at=NOON + 2 * MINUTE).duplicates == 1

    def test_firing_again_after_the_end_with_the_same_start_is_a_duplicate(self) -> None:
        observe(alert())
        observe(alert(firing=False))

        assert observe(alert()).duplicates == 1

    def test_after_a_resolution_by_hand_the_same_alert_opens_again(self) -> None:
        observe(alert())
        lifecycle.resolve(incident=Incident.objects.get(), actor=PERSON, at=NOON)

        assert observe(alert(), at=NOON + MINUTE).opened == 1

    def test_an_old_oom_kill_is_not_news(self) -> None:
        kill = sighting(signal_type="oom_kill", condition="oom_killed")
        observe(kill)
        lifecycle.recover(incident=Incident.objects.get(), resolution="limit raised", at=NOON)

        assert observe(kill, at=NOON + MINUTE).duplicates == 1
        newer = sighting(signal_type="oom_kill", condition="oom_killed", event_time=NOON + MINUTE)
        assert observe(newer, at=NOON + 2 * MINUTE).opened == 1


class TestEnds:
    def test_the_last_anomaly_takes_the_incident_with_it(self) -> None:
        observe(alert())
        receipt = observe(alert(firing=False), at=NOON + MINUTE)

        incident = Incident.objects.get()
        assert receipt.resolved == 1
        assert receipt.incidents == [incident.name]
        assert (incident.state, incident.resolved_at, incident.due_at) == ("Resolved", NOON + MINUTE, None)
        assert "Recovered" in incident.resolution
        assert incident.timeline_count == incident.timeline.count() == 2
        assert PostMortem.objects.get().incident == incident

    def test_another_open_anomaly_keeps_it_open(self) -> None:
        observe(alert(), sighting())
        observe(alert(firing=False))

        assert Incident.objects.get().state == "Detected"

    @pytest.mark.parametrize("state", ["Remediating", "Contained"])
    def test_a_plan_at_work_decides_itself(self, state: str) -> None:
        observe(alert())
        Incident.objects.update(state=state)
        observe(alert(firing=False))

        assert Incident.objects.get().state == state
        assert not correlation.firing(Incident.objects.get()).exists()

    def test_an_unknown_end_is_a_duplicate(self) -> None:
        receipt = observe(alert(firing=False))

        assert receipt.duplicates == 1

    def test_the_late_end_of_an_earlier_time_is_a_duplicate(self) -> None:
        observe(alert(event_time=NOON))

        assert observe(alert(firing=False, ended_at=NOON - MINUTE)).duplicates == 1

    def test_begin_and_end_in_one_batch(self) -> None:
        receipt = observe(alert(), alert(firing=False))

        assert receipt.outcomes == ["opened", "resolved"]
        assert Incident.objects.get().state == "Resolved"
        assert Anomaly.objects.get().cleared_at == NOON


class TestRecurrence:
    def test_within_half_an_hour_carries_the_correlation(self) -> None:
        observe(alert())
        observe(alert(firing=False))
        first = Incident.objects.get()
        observe(alert(event_time=NOON), at=NOON + 30 * MINUTE)

        second = Incident.objects.latest("detected_at")
        assert second.correlation_id == first.correlation_id
        assert second.annotations == {"aiops/recurrence-of": first.name}
        assert second.decisions.filter(stage="recur").exists()

    def test_later_is_a_new_story(self) -> None:
        observe(alert())
        observe(alert(firing=False))
        observe(alert(event_time=NOON), at=NOON + 31 * MINUTE)

        first, second = Incident.objects.order_by("pk")
        assert second.correlation_id != first.correlation_id
        assert second.annotations == {}


class TestParents:
    node = ("Node", "", "node-1")

    def test_a_dead_node_absorbs_its_pods(self) -> None:
        observe(sighting("node-1", "node_not_ready", kind="Node", namespace="", object_kind="Node"))
        receipt = observe(sighting(parent=self.node))

        assert receipt.updated == 1
        assert Decision.objects.get(stage="absorb").rule == "explained-by-parent"

    def test_also_in_the_same_batch_whatever_the_order(self) -> None:
        receipt = observe(sighting(parent=self.node), sighting("node-1", "node_not_ready", kind="Node", namespace=""))

        assert receipt.opened == 1
        assert Incident.objects.get().resource == "Node/node-1"

    def test_an_incident_of_its_own_comes_first(self) -> None:
        observe(sighting())
        observe(sighting("node-1", "node_not_ready", kind="Node", namespace=""))
        observe(sighting(signal_type="pod_not_ready", parent=self.node))

        assert Anomaly.objects.get(signal_type="pod_not_ready").incident.resource == "Deployment/checkout"

    def test_without_the_cause_it_stands_for_itself(self) -> None:
        assert observe(sighting(parent=self.node)).opened == 1


class TestMissing:
    def look(self, cluster: Any, seen: set[str] | None = None, covered: Any = ("Pod",), at: Any = NOON) -> int:
        return correlation.clear_missing(
            cluster=cluster, origin="k8s-watcher", seen=seen or set(), covered=covered, at=at
        )

    def test_three_misses_clear_and_resolve(self) -> None:
        cluster = make_cluster()
        observe(sighting(cluster=cluster))

        assert [self.look(cluster) for _ in range(3)] == [0, 0, 1]
        assert Incident.objects.get().state == "Resolved"

    def test_a_sighting_starts_the_count_anew(self) -> None:
        cluster = make_cluster()
        observe(sighting(cluster=cluster))
        self.look(cluster)
        self.look(cluster)
        observe(sighting(cluster=cluster))
        self.look(cluster)

        assert Anomaly.objects.get().misses == 1

    def test_a_miss_is_not_firing(self) -> None:
        cluster = make_cluster()
        observe(sighting(cluster=cluster))
        self.look(cluster)

        assert not correlation.firing(Incident.objects.get()).exists()

    def test_of_what_was_not_looked_at_nothing_is_known(self) -> None:
        cluster = make_cluster()
        observe(sighting(cluster=cluster))
        self.look(cluster, covered=lambda kind: kind == "Node")

        assert Anomaly.objects.get().misses == 0

    def test_alerts_and_other_clusters_are_left_alone(self) -> None:
        cluster = make_cluster()
        observe(alert(cluster=cluster), sighting("ledger", cluster=make_cluster(name="other")))
        self.look(cluster)

        assert set(Anomaly.objects.values_list("misses", flat=True)) == {0}


class TestCost:
    def statements(self, prefix: str, count: int) -> list[int]:
        """Of opening, repeating and ending `count` incidents."""
        begins = [alert(f"{prefix}-{number}") for number in range(count)]
        ends = [alert(f"{prefix}-{number}", firing=False) for number in range(count)]
        costs = []
        for batch in (begins, begins, ends):
            with CaptureQueriesContext(connection) as queries:
                observe(*batch)
            costs.append(len([query for query in queries if "SAVEPOINT" not in query["sql"]]))
        return costs

    def test_does_not_grow_with_the_batch(self) -> None:
        self.statements("first", 1)  # of the day: makes the day's rows

        one, two, hundred = self.statements("one", 1), self.statements("two", 2), self.statements("hundred", 100)
        if connection.vendor == "postgresql":
            assert two == hundred
        assert hundred[1] == 1
        assert one[0] <= 16
        assert one[2] <= 21

    def test_does_not_grow_with_the_incidents_that_are_open(self) -> None:
        """A condition on the state lets PostgreSQL walk through the index of all that are open."""
        observe(alert())

        with CaptureQueriesContext(connection) as queries:
            observe(alert(signal_type="latency", fingerprint=digest("another")))

        asked = [one["sql"].partition("WHERE")[2] for one in queries if 'FROM "incidents_incident"' in one["sql"]]
        assert asked
        assert not any('"state"' in condition for condition in asked)

    def test_does_not_grow_with_the_signals_of_an_incident_that_is_as_bad_as_can_be(self) -> None:
        def statements() -> int:
            with CaptureQueriesContext(connection) as queries:
                observe(alert(signal_type="latency", fingerprint=digest(str(Anomaly.objects.count()))))
            return len(queries)

        observe(alert())
        before = statements()
        Incident.objects.update(risk_score=100, severity="critical")

        assert statements() == before - 1
        incident = Incident.objects.get()
        assert (incident.risk_score, incident.severity, incident.anomalies.count()) == (100, "critical", 3)

    @pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL (DATABASE_URL)")
    def test_leaves_the_indexes_of_incidents_alone(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT reloptions FROM pg_class WHERE relname = 'incidents_incident'")

            assert cursor.fetchone() == (["fillfactor=70"],)
