"""One test per situation of the rule book: what is found, of which category, and what is suggested."""

from datetime import timedelta
from typing import Any

import pytest

from incidents.analysis.actions import ACTIONS, Attempted, unknown_parts
from incidents.analysis.conclusion import Conclusion, conclude
from incidents.analysis.context import Change, Node, Pod, Scaler, Workload
from tests.conftest import NOON
from tests.incidents.analysis.facts import (
    MIB,
    make_context,
    make_fault,
    make_log,
    make_pod,
    make_revision,
    make_rollout,
    make_template,
)

OOM: dict[str, Any] = {"ended": "OOMKilled", "exit_code": 137, "restarts": 3}
CRASH: dict[str, Any] = {"waiting": "CrashLoopBackOff", "ended": "Error", "exit_code": 1, "restarts": 4}


def of(*signals: str, **facts: Any) -> Conclusion:
    result = conclude(make_context(faults=tuple(make_fault(signal) for signal in signals), **facts))
    assert 0.3 <= result.confidence <= 0.9
    assert not [s for s in result.suggestions if unknown_parts(s.action, s.params)]
    return result


def suggested(result: Conclusion) -> tuple[str, dict[str, str]] | None:
    return (result.suggestions[0].action, dict(result.suggestions[0].params)) if result.suggestions else None


class TestOutOfMemory:
    def test_raises_the_limit_by_half(self):
        result = of("oom_kill", pods=(make_pod(**OOM),))

        assert result.category == "capacity"
        assert suggested(result) == ("AdjustResources", {"container": "app", "memoryLimit": "384Mi"})

    @pytest.mark.parametrize(("tried", "wanted"), [(["384Mi"], "512Mi"), (["384Mi", "512Mi"], "768Mi")])
    def test_raises_it_further_after_an_attempt_in_vain(self, tried, wanted):
        attempted = tuple(
            Attempted("AdjustResources", (("container", "app"), ("memoryLimit", limit))) for limit in tried
        )

        result = of("oom_kill", pods=(make_pod(**OOM),), attempted=attempted, attempt=1 + len(tried))

        assert suggested(result) == ("AdjustResources", {"container": "app", "memoryLimit": wanted})

    def test_never_goes_beyond_the_ceiling(self):
        huge = Workload("Deployment", "checkout", templates=(make_template(limits={"memory": 7 * 1024 * MIB}),))

        result = of("oom_kill", pods=(make_pod(**OOM),), workload=huge)

        assert suggested(result) == ("AdjustResources", {"container": "app", "memoryLimit": "8192Mi"})

    def test_undoes_a_rollout_that_lowered_the_limit(self):
        revisions = make_rollout(limits={"memory": 64 * MIB})

        result = of("oom_kill", pods=(make_pod(**OOM),), revisions=revisions)

        assert suggested(result) == ("RollbackDeployment", {"toRevision": "previous"})
        assert "memory limit 256Mi → 64Mi" in result.text

    def test_changes_nothing_without_a_limit(self):
        free = Workload("Deployment", "checkout", templates=(make_template(limits={}),))

        assert suggested(of("oom_kill", pods=(make_pod(**OOM),), workload=free)) is None

    def test_uses_the_action_of_the_kind(self):
        result = of("oom_kill", kind="StatefulSet", pods=(make_pod(**OOM),))

        assert suggested(result) == ("AdjustStatefulSetResources", {"container": "app", "memoryLimit": "384Mi"})


class TestImage:
    def test_goes_back_to_the_revision_before(self):
        pod = make_pod(waiting="ImagePullBackOff", message="manifest unknown")

        result = of("image_pull_error", pods=(pod,), revisions=make_rollout())

        assert suggested(result) == ("RollbackDeployment", {"toRevision": "previous"})
        assert "does not exist in the registry" in result.text

    def test_has_nothing_to_go_back_to_at_the_first_revision(self):
        result = of("image_pull_error", pods=(make_pod(waiting="ErrImagePull"),), revisions=(make_revision(),))

        assert suggested(result) is None


class TestCrash:
    def test_after_a_rollout_goes_back(self):
        result = of("crashloop_backoff", pods=(make_pod(**CRASH),), revisions=make_rollout())

        assert (result.category, suggested(result)) == ("code-bug", ("RollbackDeployment", {"toRevision": "previous"}))
        assert "image shop/checkout:1 → shop/checkout:2" in result.text

    def test_after_a_rollout_of_settings_is_configuration(self):
        revisions = make_rollout(env={"MODE": "fast"})

        assert of("crashloop_backoff", pods=(make_pod(**CRASH),), revisions=revisions).category == "config"

    def test_does_not_go_back_to_what_was_rolled_back_from(self):
        revisions = (make_revision(3, 600), make_revision(2, 2))

        result = of("crashloop_backoff", pods=(make_pod(**CRASH),), revisions=revisions)

        assert suggested(result) == ("RestartDeployment", {})

    def test_contains_when_going_back_did_not_help(self):
        tried = (Attempted("RollbackDeployment", (("toRevision", "previous"),)),)

        result = of(
            "crashloop_backoff", pods=(make_pod(**CRASH),), revisions=make_rollout(), attempted=tried, attempt=2
        )

        assert suggested(result) == ("ScaleDeployment", {"replicas": "0", "containment": "true"})
        assert result.confidence == 0.75

    def test_without_a_dependency_is_left_to_people(self):
        log = make_log("dial tcp 10.0.0.7:5432: connect: connection refused")

        result = of("crashloop_backoff", pods=(make_pod(**CRASH),), logs=(log,))

        assert (result.category, suggested(result)) == ("dependency", None)
        assert "connection refused" in result.text

    def test_with_a_name_that_does_not_resolve_is_infrastructure(self):
        log = make_log("lookup db.shop.svc: no such host")

        assert of("crashloop_backoff", pods=(make_pod(**CRASH),), logs=(log,)).category == "infrastructure"

    def test_after_a_changed_config_map_names_it(self):
        changes = (Change("ConfigMap checkout", NOON - timedelta(minutes=3)),)

        result = of("crashloop_backoff", pods=(make_pod(**CRASH),), changes=changes)

        assert (result.category, suggested(result)) == ("config", ("RestartDeployment", {}))

    def test_is_not_told_twice_when_memory_is_the_cause(self):
        result = of("crashloop_backoff", "oom_kill", pods=(make_pod(**OOM, waiting="CrashLoopBackOff"),))

        assert result.rule == "out_of_memory"


class TestConfiguration:
    def test_names_what_is_missing(self):
        pod = make_pod(waiting="CreateContainerConfigError", message='secret "db" not found')

        result = of("container_config_error", pods=(pod,))

        assert (result.category, suggested(result)) == ("config", None)
        assert 'secret "db" not found' in result.text

    def test_names_what_the_pod_waits_for(self):
        fault = make_fault(
            "missing_reference", description="The pod needs the ConfigMap settings, which does not exist"
        )

        result = conclude(make_context(faults=(fault,)))

        assert (result.category, suggested(result)) == ("config", None)
        assert "the ConfigMap settings, which does not exist" in result.text


class TestRollout:
    def test_that_is_stuck_is_undone(self):
        conditions = {"Progressing": ("False", "ProgressDeadlineExceeded", "timed out")}
        workload = Workload("Deployment", "checkout", templates=(make_template(),), conditions=conditions)

        result = of("deploy_failing", workload=workload, revisions=make_rollout())

        assert suggested(result) == ("RollbackDeployment", {"toRevision": "previous"})


class TestPlacement:
    def test_short_of_room_is_capacity_for_people(self):
        pod = Pod("checkout-1", phase="Pending", unschedulable="0/3 nodes are available: 3 Insufficient cpu.")

        result = of("pod_unschedulable", pods=(pod,))

        assert (result.category, suggested(result)) == ("capacity", None)


class TestReadiness:
    def test_one_of_many_is_replaced(self):
        result = of("pod_not_ready", pods=(make_pod("checkout-7"),), unready_count=1)

        assert suggested(result) == ("DeletePod", {"pod": "checkout-7"})

    def test_all_of_them_are_restarted(self):
        assert suggested(of("pod_not_ready", pods=(make_pod(),))) == ("RestartDeployment", {})


class TestSaturation:
    def test_of_the_autoscaler_raises_its_maximum(self):
        result = of("hpa_maxed", scaler=Scaler("checkout", 2, 6, 6))

        assert suggested(result) == ("AdjustHPA", {"hpa": "checkout", "maxReplicas": "9"})

    def test_of_the_cpu_raises_its_limit(self):
        assert suggested(of("cpu_high")) == ("AdjustResources", {"container": "app", "cpuLimit": "750m"})


class TestSymptoms:
    def test_after_a_rollout_point_to_it(self):
        assert suggested(of("error_rate", revisions=make_rollout())) == (
            "RollbackDeployment",
            {"toRevision": "previous"},
        )

    def test_without_a_change_are_not_explained(self):
        result = of("latency")

        assert (result.category, result.confidence, suggested(result)) == ("unknown", 0.35, None)


class TestNodes:
    def test_that_do_not_report_are_cordoned(self):
        node = Node("node-1", ready="Unknown", message="Kubelet stopped posting node status.")

        result = of("node_not_ready", kind="Node", name="node-1", nodes=(node,))

        assert (result.category, suggested(result)) == ("infrastructure", ("CordonNode", {"node": "node-1"}))

    def test_are_never_cordoned_twice(self):
        node = Node("node-1", ready="False", cordoned=True)

        assert suggested(of("node_not_ready", kind="Node", name="node-1", nodes=(node,))) is None

    def test_that_are_healthy_again_are_opened(self):
        node = Node("node-1", ready="True", cordoned=True)

        result = of("node_cordoned_long", kind="Node", name="node-1", nodes=(node,))

        assert suggested(result) == ("UncordonNode", {"node": "node-1"})

    def test_under_pressure_take_no_more_pods(self):
        node = Node("node-1", ready="True", pressures=("DiskPressure",))

        result = of("disk_pressure", kind="Node", name="node-1", nodes=(node,))

        assert (result.category, suggested(result)) == ("capacity", ("CordonNode", {"node": "node-1"}))

    def test_explain_the_pods_on_them(self):
        result = of("pod_not_ready", nodes=(Node("node-1", ready="Unknown"),), pods=(make_pod(),))

        assert result.rule == "pods_of_a_lost_node"


class TestBatch:
    def test_a_failed_job_is_run_again(self):
        result = of(
            "job_failed", kind="Job", pods=(make_pod(exit_code=3, ended="Error"),), logs=(make_log("error: boom"),)
        )

        assert suggested(result) == ("RetryJob", {})
        assert "error: boom" in result.text

    def test_a_job_past_its_deadline_gets_more_time(self):
        conditions = {"Failed": ("True", "DeadlineExceeded", "Job was active longer than specified deadline")}
        job = Workload("Job", "import", conditions=conditions, deadline_seconds=600)

        result = of("job_failed", kind="Job", workload=job)

        assert suggested(result) == ("AdjustJobDeadline", {"activeDeadlineSeconds": "1200"})

    def test_a_suspended_schedule_is_resumed(self):
        result = of("cronjob_missed", kind="CronJob", workload=Workload("CronJob", "nightly", paused=True))

        assert suggested(result) == ("ResumeCronJob", {})

    def test_volumes_are_left_to_people(self):
        assert suggested(of("pvc_pending", kind="PersistentVolumeClaim")) is None


class TestConclude:
    def test_says_so_when_nothing_fits(self):
        result = of("certificate_expiring")

        assert (result.rule, result.category, result.confidence) == ("unknown", "unknown", 0.3)

    def test_is_less_sure_without_a_look_at_the_cluster(self):
        sure, blind = of("pod_not_ready"), of("pod_not_ready", workload=None)

        assert blind.confidence == pytest.approx(sure.confidence - 0.15)

    def test_calls_for_a_person_when_everything_was_tried(self):
        tried = (Attempted("RestartDeployment"),)

        result = of("pod_not_ready", pods=(make_pod(),), attempted=tried, attempt=2)

        assert result.suggestions == ()
        assert "a person has to decide" in result.recommendations[0]

    def test_warns_of_a_tool_that_reverts_changes(self):
        workload = Workload("Deployment", "checkout", templates=(make_template(),), managed_by="Argo CD (shop)")

        result = of("oom_kill", pods=(make_pod(**OOM),), workload=workload)

        assert result.recommendations[-1].startswith("Deployment/checkout is managed by Argo CD (shop)")

    def test_lists_evidence_once_and_in_order(self):
        result = of("crashloop_backoff", pods=(make_pod(**CRASH),), logs=(make_log("panic: boom"),))

        assert [fact.id for fact in result.evidence] == [f"E{n}" for n in range(1, len(result.evidence) + 1)]
        assert len({fact.text for fact in result.evidence}) == len(result.evidence)


def test_every_known_action_has_camel_case_parameters():
    assert len(ACTIONS) == 55
    assert not [name for names in ACTIONS.values() for name in names if "_" in name]
