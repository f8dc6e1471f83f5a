from datetime import timedelta

import pytest

from runbooks.metrics import measure
from tests.conftest import NOON
from tests.factories import make_approval, make_plan, make_step

pytestmark = pytest.mark.django_db


def test_counts_actions_plans_and_approvals(django_assert_num_queries):
    plan = make_plan(state="Completed", started_at=NOON, completed_at=NOON + timedelta(seconds=90))
    make_step(plan=plan, state="Completed")
    make_step(plan=plan, state="Failed", action_type="DeletePod")
    make_approval(plan=plan, state="Approved")

    with django_assert_num_queries(4):
        gauges = {gauge.name.removeprefix("chatcli_operator_"): dict(gauge.rows) for gauge in measure()}

    assert gauges["remediation_actions_total"] == {("RollbackDeployment", "success"): 1, ("DeletePod", "failed"): 1}
    assert gauges["remediation_duration_seconds"] == {("RollbackDeployment",): 90.0, ("DeletePod",): 90.0}
    assert gauges["remediation_plans"] == {("Completed",): 1}
    assert gauges["approvals_total"] == {("approved",): 1}
