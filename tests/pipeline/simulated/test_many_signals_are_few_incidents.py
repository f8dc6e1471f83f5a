from collections.abc import Callable

import pytest

from tests.pipeline.simulated.journey import Journey, name_of
from tests.processes import eventually

pytestmark = pytest.mark.journey

WORKLOADS = 50


@pytest.fixture(scope="module")
def flapping(begin: Callable[..., Journey]) -> Journey:
    return begin("flapping", speed=5)  # ready and unready for six seconds each


@pytest.fixture(scope="module")
def lost_node(begin: Callable[..., Journey], flapping: Journey) -> Journey:
    return begin("node-failure")


def test_lost_node_explains_its_pods_and_is_cordoned_when_a_person_agrees(lost_node):
    incident = lost_node.incident("Remediating")
    approval = lost_node.approval(incident)
    eventually(lambda: "Deployment/checkout" in explained(lost_node), or_say="its pods are explained by it")
    lost_node.looked()

    assert [row["resource"] for row in lost_node.incidents()] == ["Node/node-2"]
    assert "Kubelet stopped posting node status" in lost_node.root_cause(incident)
    assert [action["type"] for action in approval["spec"]["requestedActions"]] == ["CordonNode"]
    assert not is_cordoned(lost_node)

    lost_node.platform.post(f"/approvals/{name_of(approval)}/approve", approvedBy="kim")
    eventually(lambda: is_cordoned(lost_node), or_say="the node is cordoned")


def test_flapping_workload_is_a_chain_of_incidents_at_most(flapping):
    first = flapping.incident("Resolved", "Escalated")
    flapping.looked(5)

    incidents = [flapping.platform.get(f"/incidents/{row['name']}") for row in flapping.incidents()]
    assert {row["spec"]["resource"] for row in incidents} == {"Deployment/catalog"}
    assert {row["spec"]["correlationId"] for row in incidents} == {first["spec"]["correlationId"]}
    assert sum(row["status"]["state"] != "Resolved" for row in incidents) <= 1
    assert len(incidents) <= 3


def test_storm_of_500_sick_pods_is_one_incident_per_workload(begin):
    storm = begin("storm")

    eventually(lambda: len(storm.incidents()) >= WORKLOADS, every=1, or_say="50 incidents")
    storm.looked()

    incidents = storm.incidents()
    assert len(incidents) == WORKLOADS
    assert len({(row["namespace"], row["resource"]) for row in incidents}) == WORKLOADS
    assert {row["resourceRef"]["kind"] for row in incidents} == {"Deployment"}


def explained(journey: Journey) -> set[str]:
    """The resources whose signals the incident of the node has taken."""
    (incident,) = journey.incidents(q="node-2")
    return {row["resource"] for row in journey.platform.items(f"/incidents/{incident['name']}/anomalies")}


def is_cordoned(journey: Journey) -> bool:
    return bool(journey.simulated.fetch("Node", "", "node-2")["spec"].get("unschedulable"))
