from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from incidents.analysis import diffs, reading

MIB = 1024 * 1024
DEPLOYMENT: dict[str, Any] = {
    "kind": "Deployment",
    "metadata": {"name": "checkout", "namespace": "shop"},
    "spec": {
        "replicas": 3,
        "selector": {
            "matchLabels": {"app": "checkout"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["web", "api"]},
                {"key": "canary", "operator": "DoesNotExist"},
            ],
        },
        "template": {
            "spec": {
                "volumes": [{"configMap": {"name": "settings"}}],
                "containers": [
                    {
                        "name": "web",
                        "image": "shop/checkout:1",
                        "resources": {"limits": {"memory": "256Mi", "cpu": "500m"}},
                        "envFrom": [{"configMapRef": {"name": "flags"}}],
                        "env": [
                            {"name": "DB_PASSWORD", "value": "hunter2"},
                            {"name": "DB_URL", "value": "postgres://shop:pa55word@db/shop"},
                            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "a"}}},
                            {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "flags", "key": "mode"}}},
                        ],
                    }
                ],
            }
        },
    },
    "status": {"readyReplicas": 1},
}


class TestWorkload:
    def test_knows_amounts_and_replicas(self):
        workload = reading.workload(DEPLOYMENT)

        assert (workload.replicas, workload.ready) == (3, 1)
        assert workload.templates[0].limits == {"memory": 256 * MIB, "cpu": Decimal("0.5")}

    def test_shows_no_secret(self):
        shown = str(reading.workload(DEPLOYMENT))

        assert "hunter2" not in shown and "pa55word" not in shown
        assert "from Secret keys" in shown

    def test_knows_the_config_maps_it_reads(self):
        assert reading.config_maps(reading.pod_template(DEPLOYMENT)) == ["settings", "flags"]

    def test_knows_the_tool_that_manages_it(self):
        annotations = {"argocd.argoproj.io/tracking-id": "storefront:apps/Deployment:shop/checkout"}

        assert reading.managed_by({"metadata": {"annotations": annotations}}) == "Argo CD (storefront)"
        assert reading.managed_by(DEPLOYMENT) == ""

    def test_writes_its_selector_as_lists_take_it(self):
        assert reading.selector_text(DEPLOYMENT) == "app=checkout,tier in (web,api),!canary"


class TestPod:
    def test_tells_how_it_ended(self):
        status = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "False"}],
            "containerStatuses": [
                {
                    "name": "web",
                    "ready": False,
                    "restartCount": 4,
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                    "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
                }
            ],
        }

        pod = reading.pod({"metadata": {"name": "checkout-1"}, "status": status})

        run = pod.runs[0]
        assert (run.waiting, run.ended, run.exit_code, pod.restarts) == ("CrashLoopBackOff", "OOMKilled", 137, 4)


class TestDifferences:
    def test_are_told_in_words(self):
        old = {"metadata": {"annotations": {reading.REVISION: "1"}}, "kind": "ReplicaSet", "spec": DEPLOYMENT["spec"]}
        container = {
            "name": "web",
            "image": "shop/checkout:2",
            "resources": {"limits": {"memory": "128Mi", "cpu": "500m"}},
        }
        new = {
            "metadata": {"annotations": {reading.REVISION: "2"}},
            "kind": "ReplicaSet",
            "spec": {"template": {"spec": {"containers": [container]}}},
        }

        told = diffs.differences(reading.revision_of_replica_set(new), reading.revision_of_replica_set(old))

        assert told[0] == "image shop/checkout:1 → shop/checkout:2"
        assert "memory limit 256Mi → 128Mi" in told
        assert "variable MODE was removed" in told


NAMES = st.sampled_from(
    [
        "kind",
        "metadata",
        "spec",
        "status",
        "template",
        "containers",
        "name",
        "image",
        "command",
        "args",
        "env",
        "value",
        "valueFrom",
        "resources",
        "limits",
        "selector",
        "matchLabels",
        "matchExpressions",
        "key",
        "operator",
        "values",
        "conditions",
        "type",
        "reason",
        "message",
        "containerStatuses",
        "state",
        "lastState",
        "waiting",
        "terminated",
        "exitCode",
        "restartCount",
        "volumes",
        "configMap",
        "data",
        "revision",
        "managedFields",
        "time",
        "jobTemplate",
    ]
)
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["Deployment", "CronJob", "In"])
)
GARBAGE = st.dictionaries(
    NAMES,
    st.recursive(
        LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=15
    ),
    max_size=6,
)


@settings(max_examples=200, deadline=None)
@given(GARBAGE)
def test_garbage_reads_as_if_it_were_absent(obj: dict[str, Any]):
    for read in (
        reading.workload,
        reading.pod,
        reading.node,
        reading.scaler,
        reading.warning,
        reading.changed_at,
        reading.selector_text,
        reading.revision_of_replica_set,
        reading.revision_of_controller,
    ):
        read(obj)
    reading.config_maps(reading.pod_template(obj))
    reading.selects(obj.get("selector"), {})
