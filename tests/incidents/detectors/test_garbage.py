"""No object, however malformed, makes a rule raise."""

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incidents.detectors import JUDGES, ClusterView, Context, detect
from incidents.detectors.ownership import owner_of
from incidents.detectors.scan import scan
from tests.incidents.detectors.objects import (
    NOON,
    condition,
    container_status,
    ended,
    make_autoscaler,
    make_claim,
    make_cron_job,
    make_deployment,
    make_event,
    make_job,
    make_node,
    make_object,
    make_pod,
    make_replica_set,
    owned_by,
    waiting,
)

CRASHING = make_pod(
    "checkout-1",
    waiting("CrashLoopBackOff", lastState=ended("OOMKilled", 137)),
    container_status("other", ready=False, state=ended("Error", 1)),
    metadata={"ownerReferences": owned_by("ReplicaSet", "checkout-abc"), "labels": {"pod-template-hash": "abc"}},
    spec={"volumes": [{"persistentVolumeClaim": {"claimName": "data"}}], "readinessGates": [{"conditionType": "a/b"}]},
)
SAMPLES: list[dict[str, Any]] = [
    CRASHING,
    make_pod("checkout-2", container_status(ready=False)),
    make_pod(status={"phase": "Failed", "reason": "Evicted"}),
    make_pod("checkout-3", waiting("ImagePullBackOff")),
    make_pod("checkout-4", waiting("ContainerCreating"), status={"phase": "Pending"}),
    make_pod(
        "checkout-5",
        spec={"nodeName": ""},
        status={"conditions": [condition("PodScheduled", "False")], "phase": "Pending"},
    ),
    make_event(CRASHING, "Unhealthy", "Liveness probe failed", series={"count": 3}),
    make_deployment(available=1),
    make_replica_set(available=1),
    make_job("import", condition("Failed", reason="BackoffLimitExceeded")),
    make_cron_job(lastScheduleTime="2027-01-01T00:00:00Z"),
    make_node(
        "node-1", condition("Ready", "False"), spec={"taints": [{"key": "a"}]}, status={"capacity": {"pods": "110"}}
    ),
    make_claim("Pending"),
    make_autoscaler(condition("ScalingActive", "False", "FailedGetResourceMetric")),
    make_object("Service", spec={"type": "LoadBalancer", "selector": {"a": "b"}}, status={"loadBalancer": {}}),
    make_object("HTTPRoute", status={"parents": [{"conditions": [condition("Accepted", "False")]}]}),
    make_object("ResourceQuota", status={"hard": {"pods": "1"}, "used": {"pods": "1"}}),
    make_object("Certificate", status={"notAfter": "2027-04-13T00:00:00Z", "conditions": [condition("Ready")]}),
    make_object("Widget", spec={}, status={"phase": "Failed", "conditions": [condition("Ready", "False")]}),
]
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.just([]),
    st.just({}),
    st.just([None, 1, "x", [], {}]),
    st.just({"a": None, "type": [], "status": {}}),
    st.just("0001-01-01T00:00:00Z"),
    st.just(10**40),
)


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, child in children for found in ((*path, key), *paths_of(child, (*path, key)))]


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    obj: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(1, 4))):
        paths = paths_of(obj)
        if not paths:
            break
        *above, last = draw(st.sampled_from(paths))
        holder: Any = obj
        for key in above:
            holder = holder[key]
        holder[last] = copy.deepcopy(draw(JUNK))
    return obj


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(mutated(), min_size=1, max_size=4))
def test_mutated_objects_raise_nothing(objects):
    scan(
        objects,
        now=NOON,
        history={"uid-Pod-checkout-1": [(NOON, 0)]},
        unchanged_since={"uid-Deployment-checkout": NOON},
    )


@pytest.mark.parametrize("junk", [None, True, 3, "x", [], {}, [None, "x", {}], {"reason": []}], ids=str)
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: f"{sample['kind']}-{sample['metadata']['name']}")
def test_junk_in_any_one_place_raises_nothing(sample, junk):
    for *above, last in paths_of(sample):
        obj = copy.deepcopy(sample)
        holder: Any = obj
        for key in above:
            holder = holder[key]
        holder[last] = copy.deepcopy(junk)
        scan([obj], now=NOON)


@pytest.mark.parametrize("kind", [*JUDGES, "Widget"])
@pytest.mark.parametrize("rest", [{}, {"spec": None, "status": None}, {"metadata": [], "spec": "x", "status": 3}])
def test_empty_objects_raise_nothing(kind, rest):
    obj = {"kind": kind, **rest}
    view = ClusterView.of([obj])

    detect(obj, Context(now=NOON, related=view))
    owner_of(obj, view)


@pytest.mark.parametrize("kind", [None, 1, [], {}, ""])
def test_a_kind_of_the_wrong_type_is_no_kind(kind):
    assert detect({"kind": kind}, Context(now=NOON)).signals == ()
