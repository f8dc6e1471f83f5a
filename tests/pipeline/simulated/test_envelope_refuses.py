import pytest

from aiops.audit.actor import SYSTEM
from federation.models import Cluster
from runbooks.services import governance
from tests.conftest import NOON
from tests.pipeline.simulated.journey import Journey
from tests.runbooks.simulated import settled

pytestmark = pytest.mark.journey


def refused(journey: Journey) -> str:
    """The result of the plan that was not carried out."""
    incident = journey.incident("Escalated")
    (plan,) = journey.plans(incident)
    assert plan["status"]["state"] == "Failed"
    assert journey.changes() == []
    return str(plan["status"]["result"])


def crash(journey: Journey, namespace: str, **annotations: str) -> None:
    """Release something that crashes over something that ran."""
    journey.run(namespace, "api", annotations=annotations)
    settled(journey.simulated, "api", namespace)
    journey.simulated.break_workload(namespace, "api", "crash-loop")


def test_a_protected_namespace(begin):
    journey = begin("healthy")

    crash(journey, "kube-system")

    assert "protected-namespace: namespace kube-system is protected" in refused(journey)


def test_a_workload_that_opted_out(begin):
    journey = begin("healthy")

    crash(journey, "shop", **{"aiops.io/remediation": "disabled"})

    assert "opt-out: Deployment/api carries the annotation" in refused(journey)


def test_a_cluster_whose_kill_switch_is_thrown(begin):
    journey = begin("crash-loop")
    cluster = Cluster.objects.get(name=journey.cluster)

    governance.switch(cluster=cluster, stopped=True, reason="audit week", actor=SYSTEM, at=NOON)

    assert "kill-switch" in (result := refused(journey))
    assert "audit week" in result
