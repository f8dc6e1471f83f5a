import pytest

from runbooks import health


def deployment(**status):
    counts = {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3}
    return {"kind": "Deployment", "metadata": {"generation": 2}, "spec": {"replicas": 3}, "status": counts | status}


def pod(ready: bool, uid: str = "u", restarts: int = 0):
    return {
        "kind": "Pod",
        "metadata": {"uid": uid, "name": uid},
        "status": {
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [{"restartCount": restarts}],
        },
    }


def test_a_deployment_with_all_replicas_is_well():
    assert health.of(deployment(), []).ok


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"observedGeneration": 1}, "has not seen the change"),
        ({"updatedReplicas": 1}, "1 of 3 updated"),
        ({"readyReplicas": 2, "availableReplicas": 2}, "2 of 3 ready"),
        ({"availableReplicas": None}, "0 of 3 available"),
        ({"replicas": 4}, "1 old pods"),
    ],
)
def test_a_deployment_is_not_well(status, reason):
    verdict = health.of(deployment(**status), [])

    assert not verdict.ok
    assert reason in verdict.reason


def test_a_silenced_deployment_is_as_wanted():
    obj = deployment(replicas=0, updatedReplicas=0, readyReplicas=0, availableReplicas=0)
    obj["spec"]["replicas"] = 0

    assert health.of(obj, []).ok


def test_the_score_is_the_share_that_works():
    assert health.of(deployment(readyReplicas=1, availableReplicas=1), []).score == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("kind", "spec", "status", "ok"),
    [
        ("StatefulSet", {"replicas": 2}, {"readyReplicas": 2, "updatedReplicas": 2}, True),
        ("StatefulSet", {"replicas": 2}, {"readyReplicas": 2, "updatedReplicas": 1}, False),
        (
            "StatefulSet",
            {"replicas": 2, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}},
            {"readyReplicas": 2, "updatedReplicas": 1},
            True,
        ),
        (
            "DaemonSet",
            {},
            {"desiredNumberScheduled": 2, "numberReady": 2, "numberAvailable": 2, "updatedNumberScheduled": 2},
            True,
        ),
        (
            "DaemonSet",
            {},
            {"desiredNumberScheduled": 2, "numberReady": 1, "numberAvailable": 1, "updatedNumberScheduled": 2},
            False,
        ),
        ("Job", {}, {"conditions": [{"type": "Complete", "status": "True"}]}, True),
        ("Job", {}, {"conditions": [{"type": "Failed", "status": "True"}]}, False),
        ("Job", {}, {"active": 1}, False),
        ("CronJob", {"suspend": True}, {}, True),
        ("CronJob", {}, {}, False),
        ("Node", {}, {"conditions": [{"type": "Ready", "status": "True"}]}, True),
        ("Node", {}, {"conditions": [{"type": "Ready", "status": "Unknown"}]}, False),
        (
            "Node",
            {},
            {"conditions": [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "True"}]},
            False,
        ),
    ],
)
def test_other_kinds(kind, spec, status, ok):
    assert health.of({"kind": kind, "metadata": {}, "spec": spec, "status": status}, []).ok is ok


def test_a_kind_without_rules_is_judged_by_its_pods():
    service = {"kind": "ReplicaSet", "metadata": {}, "spec": {}}

    assert health.of(service, [pod(True)]).ok
    assert not health.of(service, [pod(True), pod(False)]).ok
    assert not health.of(service, []).ok


def test_counts_restarts_per_pod():
    assert health.restarts([pod(True, "a", 2), pod(True, "b")]) == {"a": 2, "b": 0}
