import pytest

from incidents.detectors import Verdict
from tests.incidents.detectors.objects import (
    ago,
    conditions_in,
    container_status,
    ended,
    look,
    make_pod,
    waiting,
)


class TestCrashLoop:
    def test_fires_and_keeps_the_last_end_as_evidence(self):
        status = waiting("CrashLoopBackOff", restartCount=4, lastState=ended("Error", 1, message="no database"))

        finding = look(make_pod("checkout-1", status))

        assert finding.verdict is Verdict.ANOMALOUS
        signal = finding.signals[0]
        assert (signal.signal_type, signal.severity, signal.discriminator) == ("crashloop_backoff", "high", "web")
        assert signal.evidence["exitCode"] == 1
        assert signal.evidence["terminationMessage"] == "no database"

    def test_fires_for_a_command_that_ends_with_success(self):
        status = waiting("CrashLoopBackOff", restartCount=1, lastState=ended("Completed", 0))

        assert conditions_in(look(make_pod("checkout-1", status))) == ["pod_crash_loop"]

    def test_reports_each_sick_container_once(self):
        statuses = [
            waiting("CrashLoopBackOff", **{"name": "one"}),
            waiting("CrashLoopBackOff", **{"name": "two"}),
            waiting("ContainerCreating", **{"name": "three"}),
            container_status("four"),
        ]

        finding = look(make_pod("checkout-1", *statuses))

        assert [signal.discriminator for signal in finding.signals] == ["one", "two"]

    def test_many_restarts_of_a_container_that_runs_are_history(self):
        status = container_status(restartCount=1000, lastState=ended("Error", 1, ago(days=9)))

        assert look(make_pod("checkout-1", status)).verdict is Verdict.HEALTHY


class TestOutOfMemory:
    def test_fires_for_the_present_end(self):
        pod = make_pod(
            "checkout-1",
            container_status(ready=False, state=ended("OOMKilled", 137)),
            spec={"containers": [{"name": "web", "resources": {"limits": {"memory": "64Mi"}}}]},
        )

        signal = look(pod).signals[0]

        assert signal.condition == "oom_killed"
        assert signal.evidence["memoryLimit"] == "64Mi"
        assert "64Mi" in signal.message

    def test_fires_for_a_recent_last_end_although_the_container_runs_again(self):
        status = container_status(restartCount=1, lastState=ended("OOMKilled", 137, ago(minutes=20)))

        assert conditions_in(look(make_pod("checkout-1", status))) == ["oom_killed"]

    def test_a_last_end_an_hour_ago_is_history(self):
        status = container_status(restartCount=1, lastState=ended("OOMKilled", 137, ago(minutes=61)))

        assert look(make_pod("checkout-1", status)).verdict is Verdict.HEALTHY

    def test_exit_code_137_alone_proves_nothing(self):
        status = container_status(restartCount=1, lastState=ended("Error", 137, ago(minutes=2)))

        assert look(make_pod("checkout-1", status)).verdict is Verdict.HEALTHY

    def test_is_reported_beside_the_crash_loop_it_causes(self):
        status = waiting("CrashLoopBackOff", restartCount=3, lastState=ended("OOMKilled", 137))

        assert conditions_in(look(make_pod("checkout-1", status))) == ["oom_killed", "pod_crash_loop"]

    def test_counts_for_init_containers(self):
        pod = make_pod(
            status={
                "phase": "Pending",
                "initContainerStatuses": [container_status("migrate", ready=False, state=ended("OOMKilled", 137))],
                "containerStatuses": [waiting("PodInitializing")],
            }
        )

        finding = look(pod)

        assert conditions_in(finding) == ["oom_killed"]
        assert finding.signals[0].evidence["containerType"] == "initContainer"


class TestImagePull:
    def test_fires_after_two_minutes(self):
        pod = make_pod("checkout-1", waiting("ImagePullBackOff"), status={"startTime": ago(minutes=3)})

        finding = look(pod)

        assert finding.signals[0].signal_type == "image_pull_error"
        assert finding.signals[0].evidence["image"] == "registry.example/web:1"

    def test_is_progressing_before(self):
        pod = make_pod("checkout-1", waiting("ErrImagePull", "not found"), status={"startTime": ago(minutes=1)})

        assert look(pod).verdict is Verdict.PROGRESSING

    @pytest.mark.parametrize("reason", ["InvalidImageName", "ErrImageNeverPull"])
    def test_does_not_wait_for_what_waiting_cannot_mend(self, reason):
        pod = make_pod("checkout-1", waiting(reason), status={"startTime": ago(seconds=5)})

        assert conditions_in(look(pod)) == ["image_pull_failure"]

    def test_gives_a_slow_registry_more_time(self):
        pod = make_pod("checkout-1", waiting("ErrImagePull", "i/o timeout"), status={"startTime": ago(minutes=3)})

        assert look(pod).verdict is Verdict.PROGRESSING


class TestConfigError:
    def test_fires_after_a_minute(self):
        pod = make_pod("checkout-1", waiting("CreateContainerConfigError", 'secret "db" not found'))

        signal = look(pod).signals[0]

        assert signal.condition == "container_config_error"
        assert 'secret "db" not found' in signal.message

    def test_a_kubelet_that_still_fills_its_cache_heals_itself(self):
        message = "failed to sync configmap cache: timed out waiting for the condition"

        assert (
            look(make_pod("checkout-1", waiting("CreateContainerConfigError", message))).verdict is Verdict.PROGRESSING
        )


class TestStartError:
    @pytest.mark.parametrize("reason", ["RunContainerError", "CreateContainerError", "PostStartHookError"])
    def test_fires_at_once(self, reason):
        assert conditions_in(look(make_pod("checkout-1", waiting(reason)))) == ["container_start_error"]

    def test_fires_for_a_command_that_cannot_run(self):
        status = container_status(ready=False, state=ended("ContainerCannotRun", 127))

        assert conditions_in(look(make_pod("checkout-1", status))) == ["container_start_error"]

    def test_lets_a_restarting_runtime_retry_once(self):
        pod = make_pod("checkout-1", waiting("RunContainerError", "grpc: the connection is closing"))

        assert look(pod).verdict is Verdict.PROGRESSING


class TestTermination:
    def test_an_error_exit_between_restarts_is_a_signal(self):
        status = container_status(ready=False, state=ended("Error", 2))

        assert conditions_in(look(make_pod("checkout-1", status))) == ["container_terminated_error"]

    def test_a_moment_after_the_exit_the_restart_is_waited_for(self):
        status = container_status(ready=False, state=ended("Error", 2, ago(seconds=20)))

        assert look(make_pod("checkout-1", status, ready=True)).verdict is Verdict.PROGRESSING

    @pytest.mark.parametrize("policy", ["OnFailure", "Never"])
    def test_is_left_to_the_job_under_other_policies(self, policy):
        status = container_status(ready=False, state=ended("Error", 2))

        assert look(make_pod("checkout-1", status, spec={"restartPolicy": policy})).signals == ()


class TestInitContainers:
    def make_pod(self, init, **definition):
        return make_pod(
            spec={"initContainers": [{"name": "migrate", **definition}]},
            status={
                "phase": "Pending",
                "initContainerStatuses": [init],
                "containerStatuses": [waiting("PodInitializing")],
            },
        )

    def test_running_for_long_blocks_the_pod(self):
        running = {"running": {"startedAt": ago(minutes=11)}}

        finding = look(self.make_pod(container_status("migrate", ready=False, state=running)))

        assert conditions_in(finding) == ["init_container_failure"]

    def test_a_sidecar_keeps_running_by_design(self):
        running = {"running": {"startedAt": ago(minutes=11)}}

        finding = look(self.make_pod(container_status("migrate", state=running), restartPolicy="Always"))

        assert "init_container_failure" not in conditions_in(finding)

    def test_an_error_exit_is_a_failure(self):
        finding = look(self.make_pod(container_status("migrate", ready=False, state=ended("Error", 1))))

        assert conditions_in(finding) == ["init_container_failure"]
