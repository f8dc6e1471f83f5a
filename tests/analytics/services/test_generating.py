"""An invented past is one that could have happened."""

from dataclasses import replace
from datetime import timedelta

import pytest

from aiops.audit import services as audit
from aiops.audit.models import AuditEvent
from analytics.services import rollups
from analytics.services.generating import Order, generate
from incidents.models import Incident
from runbooks.models import ApprovalDecision
from tests.conftest import NOON

pytestmark = pytest.mark.django_db

ORDER = Order(incidents=60, since=NOON - timedelta(days=3), until=NOON, seed=7)


class TestGenerate:
    def test_writes_a_record_for_every_act_of_a_person(self) -> None:
        generate(ORDER)

        acknowledged = Incident.objects.exclude(acknowledged_by="").count()
        assert AuditEvent.objects.filter(action="incident.acknowledge").count() == acknowledged > 0
        decisions = AuditEvent.objects.filter(action__in=("approval.approve", "approval.reject"))
        assert decisions.count() == ApprovalDecision.objects.count() > 0

    def test_keeps_the_audit_log_whole_when_another_past_is_added(self) -> None:
        generate(ORDER)
        generate(replace(ORDER, seed=8))

        assert list(audit.verify()) == []
        assert Incident.objects.count() == 2 * ORDER.incidents

    def test_leaves_roll_ups_that_are_right(self) -> None:
        generate(ORDER)

        assert list(rollups.differences()) == []
