"""Against a simulated cluster over HTTP, from a sick workload to the insight."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aiops.encryption import encrypt
from aiops.simulator.embedded import SimulatedCluster
from incidents.models import AIInsight, Decision, Incident, TimelineEvent
from incidents.services import analysis, lifecycle
from tests.conftest import NOON
from tests.factories import make_anomaly, make_cluster, make_incident, make_insight
from tests.processes import eventually
from tests.servers import Answer, http_server
from tests.threads import at_once, postgresql_only

pytestmark = pytest.mark.django_db


def waits_for(cluster: SimulatedCluster, namespace: str, name: str, reason: str) -> bool:
    """Whether a pod of the workload has a container that waits with `reason`."""
    pods = [pod for pod in cluster.list("Pod", namespace) if pod["metadata"]["name"].startswith(name)]
    states = [
        status["state"].get("waiting", {}) for pod in pods for status in pod["status"].get("containerStatuses", [])
    ]
    return any(state.get("reason") == reason for state in states)


def sick_incident(cluster: SimulatedCluster, *, signal: str, condition: str = "", **overrides: Any) -> Incident:
    now = datetime.now(UTC)
    row = make_cluster(kubeconfig=encrypt(cluster.kubeconfig), server=cluster.url)
    values: dict[str, Any] = {
        "cluster": row,
        "cluster_name": row.name,
        "namespace": "shop",
        "signal_type": signal,
        "started_at": now,
        "detected_at": now,
        "due_at": NOON,
    }
    incident = make_incident(**values | overrides)
    make_anomaly(incident=incident, signal_type=signal, condition=condition or signal, first_seen_at=now)
    return incident


def analyzed(incident: Incident) -> AIInsight:
    insight = analysis.analyze(incident=incident, at=NOON, now=lambda: NOON)
    assert insight is not None
    return insight


def actions(insight: AIInsight) -> list[tuple[str, dict[str, str]]]:
    return [(action["action"], action["params"]) for action in insight.suggested_actions]


class TestSituations:
    def test_crash_loop_after_a_rollout_is_rolled_back(self):
        with SimulatedCluster(scenario="crash-loop", speed=50) as cluster:
            eventually(lambda: waits_for(cluster, "shop", "checkout", "CrashLoopBackOff"))

            insight = analyzed(sick_incident(cluster, signal="crashloop_backoff", resource_name="checkout"))

        assert actions(insight) == [("RollbackDeployment", {"toRevision": "previous"})]
        assert "checkout:1.4.0" in insight.analysis
        assert "configuration is invalid" in insight.log_analysis
        assert insight.category == "config"
        assert insight.blast_radius_prediction.endswith("1 service")
        assert insight.confidence == 0.85

    def test_memory_limit_is_raised_after_oom_kills(self):
        with SimulatedCluster(scenario="oom", speed=50) as cluster:
            eventually(lambda: waits_for(cluster, "shop", "ledger", "CrashLoopBackOff"))

            insight = analyzed(sick_incident(cluster, signal="oom_kill", resource_name="ledger"))

        assert actions(insight)[0][0] == "AdjustResources"
        assert actions(insight)[0][1]["memoryLimit"] == "384Mi"
        assert insight.category == "capacity"

    def test_missing_image_is_rolled_back(self):
        with SimulatedCluster(scenario="image-pull-error", speed=50) as cluster:
            eventually(lambda: waits_for(cluster, "shop", "checkout", "ImagePullBackOff"))

            insight = analyzed(sick_incident(cluster, signal="image_pull_error", resource_name="checkout"))

        assert actions(insight) == [("RollbackDeployment", {"toRevision": "previous"})]
        assert "checkout:missing" in insight.analysis

    def test_stuck_rollout_is_rolled_back(self):
        def stuck() -> bool:
            conditions = (cluster.get("Deployment", "shop", "catalog") or {}).get("status", {}).get("conditions", [])
            return any(item.get("reason") == "ProgressDeadlineExceeded" for item in conditions)

        with SimulatedCluster(scenario="stuck-rollout", speed=50) as cluster:
            eventually(stuck)

            insight = analyzed(
                sick_incident(
                    cluster, signal="deploy_failing", condition="deployment_rollout_stuck", resource_name="catalog"
                )
            )

        assert actions(insight) == [("RollbackDeployment", {"toRevision": "previous"})]

    def test_failed_job_is_run_again(self):
        def failed() -> bool:
            conditions = (cluster.get("Job", "shop", "import-feed") or {}).get("status", {}).get("conditions", [])
            return any(item.get("type") == "Failed" for item in conditions)

        with SimulatedCluster(scenario="failed-job", speed=50) as cluster:
            eventually(failed)

            insight = analyzed(
                sick_incident(cluster, signal="job_failed", resource_kind="Job", resource_name="import-feed")
            )

        assert actions(insight) == [("RetryJob", {})]
        assert "feed returned 503" in insight.analysis

    def test_lost_node_is_cordoned(self):
        def lost() -> bool:
            conditions = (cluster.get("Node", "", "node-2") or {}).get("status", {}).get("conditions", [])
            return any(item["type"] == "Ready" and item["status"] == "Unknown" for item in conditions)

        with SimulatedCluster(scenario="node-failure", speed=50) as cluster:
            eventually(lost)

            insight = analyzed(
                sick_incident(cluster, signal="node_not_ready", resource_kind="Node", resource_name="node-2")
            )

        assert actions(insight) == [("CordonNode", {"node": "node-2"})]
        assert "pods" in insight.blast_radius_prediction

    def test_a_missing_workload_is_a_gap(self):
        with SimulatedCluster() as cluster:
            insight = analyzed(sick_incident(cluster, signal="crashloop_backoff", resource_name="ghost"))

        assert "Deployment/ghost does not exist" in insight.analysis


class TestAnalyze:
    def test_moves_the_incident_on(self):
        incident = make_incident(due_at=NOON)
        make_anomaly(incident=incident)

        insight = analyzed(incident)

        incident.refresh_from_db()
        assert (incident.state, incident.due_at, incident.analysis_tries) == ("Analyzing", NOON, 0)
        assert insight.name == f"insight-{incident.name.lower()}"
        types = list(incident.timeline.values_list("type", flat=True))
        assert types == ["Detection", "Analysis", "Analysis"]
        assert incident.timeline_count == 3
        assert Decision.objects.get().stage == "analyze"

    def test_does_with_the_anomalies_when_the_cluster_is_away(self):
        with SimulatedCluster() as cluster:
            incident = sick_incident(cluster, signal="crashloop_backoff", resource_name="checkout")

        insight = analyzed(incident)

        assert "does not answer" in insight.analysis
        assert insight.confidence <= 0.4
        assert insight.suggested_actions == [] or actions(insight)[0][0] == "RestartDeployment"

    def test_does_nothing_before_the_incident_is_due(self):
        incident = make_incident(state="Analyzing", due_at=NOON + timedelta(seconds=30))

        assert analysis.analyze(incident=incident, at=NOON) is None

    def test_does_nothing_twice(self):
        incident = make_incident(state="Analyzing", due_at=NOON)
        make_insight(incident=incident)

        assert analysis.analyze(incident=incident, at=NOON) is None

    def test_goes_on_although_a_signal_was_written_meanwhile(self):
        incident = make_incident(due_at=NOON)
        Incident.objects.get(pk=incident.pk).change(description="worse", updated_at=NOON)

        assert analysis.analyze(incident=incident, at=NOON, now=lambda: NOON) is not None

    def test_leaves_it_to_the_worker_who_took_it_meanwhile(self):
        stale = make_incident(due_at=NOON)
        lifecycle.begin_analysis(incident=Incident.objects.get(pk=stale.pk), at=NOON, due_at=NOON + analysis.LEASE)

        assert analysis.analyze(incident=stale, at=NOON, now=lambda: NOON) is None
        assert not AIInsight.objects.exists()

    def test_escalates_where_automation_is_off(self):
        incident = make_incident(cluster=make_cluster(automation="off"), due_at=NOON)

        assert analysis.analyze(incident=incident, at=NOON) is None

        incident.refresh_from_db()
        assert incident.state == "Escalated"
        assert TimelineEvent.objects.filter(message__contains="switched off").exists()

    def test_suggests_something_else_after_an_attempt_in_vain(self):
        with SimulatedCluster(scenario="oom", speed=50) as cluster:
            eventually(lambda: waits_for(cluster, "shop", "ledger", "CrashLoopBackOff"))
            incident = sick_incident(cluster, signal="oom_kill", resource_name="ledger", state="Analyzing")
            incident.change(remediation_attempts=1)
            params = {"container": "app", "memoryLimit": "384Mi"}
            make_insight(incident=incident)
            container = cluster.get("Deployment", "shop", "ledger")["spec"]["template"]["spec"]["containers"][0]["name"]  # type: ignore[index]
            params["container"] = container
            TimelineEvent.objects.create(
                incident=incident,
                at=NOON,
                type="RemediationAction",
                source="runbook-engine",
                message="done",
                details={"action": "AdjustResources", "params": params},
            )

            insight = analyzed(incident)

        assert insight.name == f"insight-{incident.name.lower()}-2"
        assert actions(insight)[0][1]["memoryLimit"] == "512Mi"
        assert "did not help" in insight.analysis

    def test_leaves_an_incident_alone_that_was_resolved_meanwhile(self):
        incident = make_incident(due_at=NOON)

        def resolved_meanwhile() -> datetime:
            row = Incident.objects.get(pk=incident.pk)
            if row.state != "Resolved":
                lifecycle.recover(incident=row, resolution="recovered", at=NOON)
            return NOON

        assert analysis.analyze(incident=incident, at=NOON, now=resolved_meanwhile) is None
        assert AIInsight.objects.count() == 0

    def test_names_incidents_that_may_share_the_cause(self):
        incident = make_incident(due_at=NOON)
        other = make_incident(started_at=incident.started_at - timedelta(minutes=2))

        insight = analyzed(incident)

        assert other.name in insight.cascade_analysis


class TestDue:
    def test_finds_incidents_without_the_insight_of_their_attempt(self):
        waiting = make_incident(due_at=NOON)
        make_insight(incident=make_incident(state="Analyzing", due_at=NOON))
        again = make_incident(state="Analyzing", due_at=NOON, remediation_attempts=1)
        make_insight(incident=again)
        make_incident(due_at=NOON + timedelta(minutes=1))
        make_incident(state="Escalated", due_at=NOON)

        assert sorted(analysis.due(at=NOON)) == sorted([waiting.pk, again.pk])


@pytest.mark.django_db(transaction=True)
@pytest.mark.services
class TestRace:
    def test_two_workers_write_one_insight(self):
        postgresql_only()
        incident = make_incident(due_at=NOON)

        def work(_: int) -> AIInsight | None:
            row = Incident.objects.get(pk=incident.pk)
            return analysis.analyze(incident=row, at=NOON, now=lambda: NOON)

        outcomes = at_once(4, work)

        assert len([outcome for outcome in outcomes if isinstance(outcome, AIInsight)]) == 1
        assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        assert AIInsight.objects.count() == 1


class TestLanguageModel:
    ANSWER = (
        b'{"choices": [{"message": {"role": "assistant", "content": "{\\"analysis\\": \\"The cache outgrew its limit.\\",'
        b' \\"confidence\\": 0.8, \\"evidence\\": [\\"E1\\"], \\"recommendations\\": [], \\"actions\\": []}"}}]}'
    )

    def test_words_the_analysis(self, settings):
        incident = make_incident(due_at=NOON)
        make_anomaly(incident=incident)
        with http_server(Answer(body=self.ANSWER, headers={"Content-Type": "application/json"})) as server:
            settings.AIOPS_LLM_BASE_URL, settings.AIOPS_LLM_MODEL = server.url, "analyst"
            insight = analyzed(incident)

        assert (insight.provider, insight.model) == ("openai", "analyst")
        assert insight.analysis == "The cache outgrew its limit."
        assert actions(insight) == [("RestartDeployment", {})]

    def test_is_done_without_when_it_talks_nonsense(self, settings):
        incident = make_incident(due_at=NOON)
        with http_server(Answer(body=b"nonsense")) as server:
            settings.AIOPS_LLM_BASE_URL, settings.AIOPS_LLM_MODEL = server.url, "analyst"
            insight = analyzed(incident)

        assert (insight.provider, insight.model) == ("rules", "")
