from datetime import timedelta

import pytest

from incidents.detectors import Thresholds, Verdict
from incidents.detectors.pods import scheduling_cause
from tests.incidents.detectors.objects import (
    NOON,
    ago,
    condition,
    conditions_in,
    container_status,
    ended,
    look,
    make_event,
    make_job,
    make_pod,
    owned_by,
    waiting,
)

UNREADY = container_status(ready=False)


def make_unready(since, **members):
    return make_pod("checkout-1", UNREADY, status={"conditions": [condition("Ready", "False", since=since)]}, **members)


def make_unscheduled(since, reason="Unschedulable", message="0/3 nodes are available: 3 Insufficient cpu."):
    scheduled = condition("PodScheduled", "False", reason, message, since=since)
    return make_pod(
        spec={"nodeName": ""}, status={"phase": "Pending", "conditions": [scheduled], "containerStatuses": None}
    )


class TestHealthy:
    def test_a_running_ready_pod_is_healthy(self):
        assert look(make_pod()).verdict is Verdict.HEALTHY

    def test_a_succeeded_pod_is_healthy(self):
        pod = make_pod(
            "checkout-1", container_status(ready=False, state=ended("Completed", 0)), status={"phase": "Succeeded"}
        )

        assert look(pod).verdict is Verdict.HEALTHY


class TestUnschedulable:
    def test_fires_after_the_grace_and_names_the_cause(self):
        signal = look(make_unscheduled(ago(minutes=2))).signals[0]

        assert (signal.condition, signal.evidence["cause"], signal.remediation) == (
            "pod_unschedulable",
            "cpu",
            "scale_out",
        )

    def test_is_progressing_before(self):
        assert look(make_unscheduled(ago(seconds=30))).verdict is Verdict.PROGRESSING

    def test_waits_for_nodes_that_an_autoscaler_is_adding(self):
        pod = make_unscheduled(ago(minutes=8))
        scaling = make_event(pod, "TriggeredScaleUp", type="Normal", at=ago(minutes=7))

        assert look(pod, scaling).verdict is Verdict.PROGRESSING

    def test_a_gate_is_deliberate(self):
        finding = look(make_unscheduled(ago(hours=2), "SchedulingGated"))

        assert finding.verdict is Verdict.PROGRESSING
        assert finding.signals[0].informational

    @pytest.mark.parametrize(
        ("message", "cause"),
        [
            ("1 Insufficient nvidia.com/gpu", "gpu"),
            ("2 node(s) had untolerated taint {dedicated: db}", "taint"),
            ("pod has unbound immediate PersistentVolumeClaims", "unbound_pvc"),
            ("2 node(s) had volume node affinity conflict", "volume_affinity"),
            ("3 node(s) didn't match Pod's node affinity/selector", "affinity"),
            ("2 Too many pods", "pod_count"),
            ("", "unknown"),
        ],
    )
    def test_reads_the_scheduler(self, message, cause):
        assert scheduling_cause(message) == cause


class TestNotReady:
    def test_fires_after_fifteen_minutes(self):
        finding = look(make_unready(ago(minutes=16)))

        assert conditions_in(finding) == ["pod_not_ready"]
        assert finding.signals[0].event_time == NOON - timedelta(minutes=16)

    def test_is_progressing_before(self):
        assert look(make_unready(ago(minutes=14))).verdict is Verdict.PROGRESSING

    def test_the_grace_can_be_shortened(self):
        finding = look(make_unready(ago(minutes=1)), thresholds=Thresholds(pod_not_ready=timedelta(seconds=20)))

        assert conditions_in(finding) == ["pod_not_ready"]

    def test_pods_of_jobs_need_not_become_ready(self):
        pod = make_unready(ago(hours=1), metadata={"ownerReferences": owned_by("Job", "import")})

        assert look(pod).signals == ()

    def test_an_unmet_gate_is_named_and_informational(self):
        pod = make_pod(
            spec={"readinessGates": [{"conditionType": "lb.example/attached"}]},
            status={
                "conditions": [condition("Ready", "False", "ReadinessGatesNotReady"), condition("ContainersReady")]
            },
        )

        finding = look(pod)

        assert finding.verdict is Verdict.PROGRESSING
        assert "lb.example/attached" in finding.signals[0].message

    def test_ready_containers_in_an_unready_pod_mean_a_lost_node(self):
        lost = [condition("Ready", "False", since=ago(minutes=16)), condition("ContainersReady")]

        assert conditions_in(look(make_pod(status={"conditions": lost}))) == ["pod_not_ready"]

    def test_a_more_specific_fault_speaks_alone(self):
        assert conditions_in(look(make_pod("checkout-1", waiting("CrashLoopBackOff")))) == ["pod_crash_loop"]


class TestProbes:
    def test_a_failing_readiness_probe_is_named(self):
        pod = make_unready(ago(minutes=3))
        event = make_event(pod, "Unhealthy", "Readiness probe failed: HTTP 503")

        signal = look(pod, event).signals[0]

        assert (signal.condition, signal.signal_type) == ("readiness_probe_failing", "pod_not_ready")

    def test_a_slow_probe_gets_its_own_time(self):
        probe = {"periodSeconds": 60, "failureThreshold": 10}
        pod = make_unready(ago(minutes=3), spec={"containers": [{"name": "web", "readinessProbe": probe}]})

        assert look(pod, make_event(pod, "Unhealthy", "Readiness probe failed")).verdict is Verdict.PROGRESSING

    def test_two_liveness_failures_are_a_signal(self):
        pod = make_pod()

        finding = look(pod, make_event(pod, "Unhealthy", "Liveness probe failed: timeout", count=2))

        assert conditions_in(finding) == ["liveness_probe_failing"]

    def test_an_old_liveness_failure_is_not(self):
        pod = make_pod()

        assert (
            look(pod, make_event(pod, "Unhealthy", "Liveness probe failed", count=5, at=ago(minutes=30))).signals == ()
        )


class TestStarting:
    def make_pod(self, minutes):
        return make_pod(
            "checkout-1", waiting("ContainerCreating"), status={"phase": "Pending", "startTime": ago(minutes=minutes)}
        )

    def test_creating_is_normal_for_a_while(self):
        assert look(self.make_pod(10)).verdict is Verdict.PROGRESSING

    def test_creating_for_long_is_stuck(self):
        assert conditions_in(look(self.make_pod(16))) == ["pod_stuck_creating"]

    def test_a_big_image_may_take_longer(self):
        pod = self.make_pod(16)

        assert look(pod, make_event(pod, "Pulling", type="Normal")).verdict is Verdict.PROGRESSING

    @pytest.mark.parametrize(
        ("reason", "expected"),
        [
            ("FailedMount", "volume_mount_failure"),
            ("FailedCreatePodSandBox", "sandbox_create_failure"),
            ("FailedToRetrieveImagePullSecret", "pod_stuck_creating"),
        ],
    )
    def test_a_warning_tells_what_fails(self, reason, expected):
        pod = self.make_pod(3)

        assert conditions_in(look(pod, make_event(pod, reason, "no such volume"))) == [expected]

    def test_a_scheduled_pod_without_statuses_is_progressing(self):
        pod = make_pod(
            status={"phase": "Pending", "startTime": ago(seconds=10), "containerStatuses": None, "conditions": []}
        )

        assert look(pod).verdict is Verdict.PROGRESSING


class TestTerminating:
    def test_a_deletion_alone_is_no_fault(self):
        pod = make_pod("checkout-1", waiting("CrashLoopBackOff"), metadata={"deletionTimestamp": ago(minutes=1)})

        finding = look(pod)

        assert (finding.verdict, finding.signals) == (Verdict.PROGRESSING, ())

    def test_a_pod_that_outlives_its_grace_names_its_finalizers(self):
        pod = make_pod(metadata={"deletionTimestamp": ago(minutes=10), "finalizers": ["example.com/backup"]})

        finding = look(pod)

        assert conditions_in(finding) == ["pod_stuck_terminating"]
        assert "example.com/backup" in finding.signals[0].message


class TestRestartStorm:
    def look(self, *counts):
        pod = make_pod("checkout-1", container_status(restartCount=10))
        samples = [(NOON - timedelta(minutes=minutes), count) for minutes, count in counts]
        return look(pod, history={"uid-Pod-checkout-1": samples})

    def test_three_restarts_in_ten_minutes_fire(self):
        assert conditions_in(self.look((9, 7), (5, 9))) == ["restart_storm"]

    def test_five_restarts_in_an_hour_fire(self):
        assert conditions_in(self.look((50, 5), (9, 9))) == ["restart_storm"]

    def test_an_unchanged_count_is_history(self):
        assert self.look((50, 10), (9, 10)).signals == ()

    def test_a_count_that_dropped_is_another_pod(self):
        assert self.look((9, 40)).signals == ()


class TestFailedPods:
    def test_nobody_replaces_an_unowned_pod(self):
        pod = make_pod("checkout-1", container_status(ready=False, state=ended("Error", 3)), status={"phase": "Failed"})

        signal = look(pod).signals[0]

        assert (signal.condition, signal.severity, signal.evidence["exitCode"]) == ("unmanaged_pod_failed", "high", 3)

    def test_an_evicted_pod_with_an_owner_is_informational(self):
        owner = {"ownerReferences": owned_by("ReplicaSet", "checkout-abc")}
        pod = make_pod(metadata=owner, status={"phase": "Failed", "reason": "Evicted", "containerStatuses": []})

        finding = look(pod)

        assert finding.verdict is Verdict.HEALTHY
        assert (conditions_in(finding), finding.signals[0].informational) == (["pod_evicted"], True)

    def test_the_job_decides_about_its_pods(self):
        pod = make_pod(metadata={"ownerReferences": owned_by("Job", "import")}, status={"phase": "Failed"})

        finding = look(pod, make_job(status={"active": 1, "failed": 1}))

        assert finding.verdict is Verdict.HEALTHY

    def test_a_pod_of_a_failed_job_is_sick_but_raises_nothing_of_its_own(self):
        pod = make_pod(metadata={"ownerReferences": owned_by("Job", "import")}, status={"phase": "Failed"})

        finding = look(pod, make_job("import", condition("Failed", reason="BackoffLimitExceeded")))

        assert finding.verdict is Verdict.ANOMALOUS
        assert all(signal.informational for signal in finding.signals)

    def test_a_lost_pod_is_unknown_after_five_minutes(self):
        pod = make_pod(status={"phase": "Unknown", "conditions": [condition("Ready", "False", since=ago(minutes=6))]})

        assert conditions_in(look(pod)) == ["pod_unknown"]


class TestResize:
    def test_an_infeasible_resize_is_a_signal(self):
        pending = condition("PodResizePending", reason="Infeasible")

        assert conditions_in(look(make_pod(status={"conditions": [condition("Ready"), pending]}))) == [
            "resize_infeasible"
        ]

    def test_a_deferred_one_has_half_an_hour(self):
        pending = condition("PodResizePending", reason="Deferred", since=ago(minutes=10))

        assert look(make_pod(status={"conditions": [condition("Ready"), pending]})).verdict is Verdict.PROGRESSING
