from datetime import timedelta

import pytest

from incidents.detectors import Verdict
from tests.incidents.detectors.objects import (
    NOON,
    Json,
    ago,
    condition,
    conditions_in,
    container_status,
    look,
    make_deployment,
    make_object,
    make_pod,
    make_replica_set,
    owned_by,
)


def make_stateful_set(*, wanted=3, ready=3, strategy=None, **status):
    return make_object(
        "StatefulSet",
        "db",
        metadata={"generation": 1},
        spec={"replicas": wanted, "updateStrategy": strategy or {"type": "RollingUpdate"}},
        status={"observedGeneration": 1, "readyReplicas": ready, "replicas": wanted, **status},
    )


def make_daemon_set(**status):
    counts = {
        "desiredNumberScheduled": 3,
        "currentNumberScheduled": 3,
        "numberAvailable": 3,
        "updatedNumberScheduled": 3,
    }
    return make_object("DaemonSet", "agent", spec={}, status=counts | status)


class TestDeployment:
    def test_all_replicas_available_is_healthy(self):
        assert look(make_deployment()).verdict is Verdict.HEALTHY

    @pytest.mark.parametrize("spec", [{"paused": True}, {"replicas": 0}])
    def test_what_a_person_decided_is_healthy(self, spec):
        assert look(make_deployment(available=0, spec=spec)).verdict is Verdict.HEALTHY

    def test_a_stale_status_is_not_judged(self):
        stuck = condition("Progressing", "False", "ProgressDeadlineExceeded")

        finding = look(make_deployment(status={"observedGeneration": 1, "conditions": [stuck]}))

        assert (finding.verdict, finding.signals) == (Verdict.PROGRESSING, ())

    def test_no_status_at_all_is_progressing(self):
        deployment = make_object("Deployment", metadata={"creationTimestamp": ago(seconds=2)}, spec={}, status={})

        assert look(deployment).verdict is Verdict.PROGRESSING

    def test_a_rollout_past_its_deadline_is_stuck(self):
        conditions = [condition("Progressing", "False", "ProgressDeadlineExceeded"), condition("Available", "False")]

        signal = look(make_deployment(available=2, status={"conditions": conditions})).signals[0]

        assert (signal.condition, signal.signal_type, signal.severity) == (
            "deployment_rollout_stuck",
            "deploy_failing",
            "high",
        )

    def test_is_milder_while_the_old_replicas_serve(self):
        conditions = [condition("Progressing", "False", "ProgressDeadlineExceeded"), condition("Available")]

        assert look(make_deployment(status={"conditions": conditions})).signals[0].severity == "medium"

    def test_a_rollout_within_its_deadline_is_progressing(self):
        rolling = condition("Progressing", reason="ReplicaSetUpdated", since=ago(minutes=8))
        conditions = [rolling, condition("Available", "False", "MinimumReplicasUnavailable")]

        assert look(make_deployment(available=0, status={"conditions": conditions})).verdict is Verdict.PROGRESSING

    def test_none_available_is_critical(self):
        signal = look(make_deployment(available=0)).signals[0]

        assert (signal.condition, signal.severity, signal.weight) == ("replicas_unavailable", "critical", 90)

    def test_too_few_for_the_minimum_is_high(self):
        conditions = [condition("Available", "False", "MinimumReplicasUnavailable", since=ago(minutes=6))]

        assert conditions_in(look(make_deployment(available=1, status={"conditions": conditions}))) == [
            "deployment_unavailable"
        ]

    def test_a_young_shortage_of_an_old_deployment_is_progressing(self):
        owner = {"ownerReferences": owned_by("ReplicaSet", "checkout-abc")}
        unready = [condition("Ready", "False", since=ago(minutes=3))]
        pod = make_pod("checkout-1", container_status(ready=False), metadata=owner, status={"conditions": unready})

        finding = look(make_deployment(available=2), make_replica_set(), pod)

        assert finding.verdict is Verdict.PROGRESSING

    def test_a_long_shortage_fires(self):
        assert conditions_in(look(make_deployment(available=2))) == ["replicas_unavailable"]

    def test_pods_that_cannot_be_created_fire(self):
        failure = condition("ReplicaFailure", reason="FailedCreate", message="exceeded quota")

        finding = look(make_deployment(status={"conditions": [failure]}))

        assert conditions_in(finding) == ["replicaset_create_failure"]

    def test_an_unobserved_generation_fires_only_when_seen_for_long(self):
        deployment = make_deployment(status={"observedGeneration": 1})

        finding = look(deployment, unchanged_since={"uid-Deployment-checkout": NOON - timedelta(minutes=16)})

        assert conditions_in(finding) == ["generation_not_observed"]


class TestReplicaSet:
    def test_an_old_revision_is_healthy(self):
        assert look(make_replica_set(wanted=0, available=0)).verdict is Verdict.HEALTHY

    def test_a_shortage_fires_without_its_deployment(self):
        assert conditions_in(look(make_replica_set(available=0))) == ["replicas_unavailable"]

    def test_the_deployment_speaks_for_it(self):
        finding = look(make_replica_set(available=0), make_deployment(available=0))

        assert (finding.verdict, finding.signals) == (Verdict.PROGRESSING, ())


class TestStatefulSet:
    def test_a_shortage_fires_after_its_grace(self):
        assert conditions_in(look(make_stateful_set(ready=2))) == ["replicas_unavailable"]

    def test_absent_counts_are_zero(self):
        stateful_set = make_stateful_set()
        del stateful_set["status"]["readyReplicas"]

        assert look(stateful_set).signals[0].severity == "critical"

    def test_an_update_that_stands_still_names_the_blocking_pod(self):
        unready = [condition("Ready", "False", since=ago(minutes=20))]
        owner = {"ownerReferences": owned_by("StatefulSet", "db")}
        pod = make_pod("db-2", container_status(ready=False), metadata=owner, status={"conditions": unready})
        stateful_set = make_stateful_set(currentRevision="db-1", updateRevision="db-2", updatedReplicas=1)

        finding = look(stateful_set, pod)

        assert conditions_in(finding) == ["statefulset_update_stuck"]
        assert finding.signals[0].evidence["blockingPod"] == "db-2"

    @pytest.mark.parametrize(
        "strategy", [{"type": "OnDelete"}, {"type": "RollingUpdate", "rollingUpdate": {"partition": 3}}]
    )
    def test_a_held_back_update_is_intended(self, strategy):
        stateful_set = make_stateful_set(
            strategy=strategy, currentRevision="db-1", updateRevision="db-2", updatedReplicas=0
        )

        assert look(stateful_set).verdict is Verdict.HEALTHY


class TestDaemonSet:
    def test_all_available_is_healthy(self):
        assert look(make_daemon_set()).verdict is Verdict.HEALTHY

    def test_missing_pods_fire(self):
        assert conditions_in(look(make_daemon_set(numberAvailable=2))) == ["daemonset_unavailable"]

    def test_unscheduled_nodes_fire(self):
        assert conditions_in(look(make_daemon_set(currentNumberScheduled=2))) == ["daemonset_not_scheduled"]

    def test_misscheduled_pods_are_informational(self):
        finding = look(make_daemon_set(numberMisscheduled=1))

        assert (finding.verdict, conditions_in(finding)) == (Verdict.HEALTHY, ["daemonset_misscheduled"])

    def test_an_update_under_way_is_progressing(self):
        assert look(make_daemon_set(updatedNumberScheduled=1)).verdict is Verdict.PROGRESSING


class TestZeroReplicas:
    LABELS = {"app": "checkout", "tier": "web"}

    def idle(self, kind: str = "Deployment") -> Json:
        return make_object(kind, spec={"replicas": 0, "template": {"metadata": {"labels": self.LABELS}}}, status={})

    def service(self, **selector: str) -> Json:
        return make_object("Service", spec={"selector": selector})

    def autoscaler(self, target: str) -> Json:
        return make_object("HorizontalPodAutoscaler", spec={"scaleTargetRef": {"kind": "Deployment", "name": target}})

    @pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
    def test_are_a_hint_when_a_service_points_there(self, kind):
        finding = look(self.idle(kind), self.service(app="checkout"), self.autoscaler("another"))

        assert (finding.verdict, conditions_in(finding)) == (Verdict.HEALTHY, ["workload_zero_replicas"])

    def test_are_none_of_our_business_otherwise(self):
        for others in (
            [self.service(app="cart"), self.autoscaler("another")],
            [self.service(app="checkout"), self.autoscaler("checkout")],  # the autoscaler's doing
            [self.service(app="checkout")],  # whether there is an autoscaler is not known
        ):
            assert look(self.idle(), *others).signals == ()
