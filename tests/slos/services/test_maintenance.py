from datetime import timedelta

import pytest

from aiops.audit.actor import SYSTEM
from aiops.audit.models import AuditEvent
from aiops.errors import Invalid
from federation.models import MaintenanceWindow
from slos.models import SLO, Exclusion
from slos.services import evaluation, maintenance
from tests.conftest import NOON
from tests.slos.prometheus import Server
from tests.slos.rows import measured_row

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def plan(slo: SLO | None = None, namespace: str = "") -> Exclusion:
    """Around the hour in which requests failed."""
    return maintenance.plan(
        slo=slo,
        namespace=namespace,
        starts_at=NOON - 130 * MINUTE,
        ends_at=NOON - 50 * MINUTE,
        reason="New database",
        actor=SYSTEM,
        at=NOON,
    )


def look(slo: SLO) -> SLO:
    (found,) = evaluation.evaluate(slos=[slo], at=NOON)
    return found


class TestPlan:
    @pytest.mark.parametrize("window", ["24h", "30d"])
    def test_reports_both_figures(self, prometheus: Server, window: str) -> None:
        slo = measured_row(prometheus.url, bad_query="morning_total", window=window)
        plan(slo)

        found = look(slo)

        assert found.sli == pytest.approx(1)
        assert found.sli_with_maintenance is not None
        assert found.sli_with_maintenance < 0.9999
        assert found.budget_consumed == pytest.approx(0, abs=1e-6)
        assert found.budget_consumed_with_maintenance is not None
        assert found.budget_consumed_with_maintenance > 1

    def test_works_afterwards(self, prometheus: Server) -> None:
        slo = look(measured_row(prometheus.url, bad_query="morning_total"))
        before = slo.sli

        plan(namespace="shop")

        assert before is not None
        assert before < 0.9999
        assert look(slo).sli == pytest.approx(1)

    def test_burns_nothing(self, prometheus: Server) -> None:
        slo = measured_row(prometheus.url, bad_query="morning_total")
        plan(slo)

        assert look(slo).burn_rates["6h"] == pytest.approx(0, abs=1e-9)

    def test_is_audited(self, prometheus: Server) -> None:
        plan(measured_row(prometheus.url))

        assert AuditEvent.objects.filter(action="slo.maintenance.create").exists()

    def test_refuses_what_ends_before_it_starts(self) -> None:
        with pytest.raises(Invalid):
            maintenance.plan(namespace="shop", starts_at=NOON, ends_at=NOON, reason="Never", actor=SYSTEM, at=NOON)

    def test_refuses_to_cover_nothing(self) -> None:
        with pytest.raises(Invalid):
            maintenance.plan(starts_at=NOON, ends_at=NOON + HOUR, reason="Nothing", actor=SYSTEM, at=NOON)


class TestCallOff:
    def test_counts_it_again(self, prometheus: Server) -> None:
        slo = measured_row(prometheus.url, bad_query="morning_total")
        exclusion = plan(slo)
        look(slo)

        maintenance.call_off(exclusion=exclusion, actor=SYSTEM, at=NOON)

        assert look(slo).sli == look(slo).sli_with_maintenance


class TestMaintenanceWindow:
    def test_of_the_fleet_counts_as_well(self, prometheus: Server) -> None:
        MaintenanceWindow.objects.create(
            name="nightly",
            namespaces=["shop"],
            # every day around the hour in which requests failed
            starts_at=NOON - timedelta(days=10, minutes=130),
            ends_at=NOON - timedelta(days=10, minutes=50),
            rrule="FREQ=DAILY",
            created_at=NOON,
            updated_at=NOON,
        )

        found = look(measured_row(prometheus.url, bad_query="morning_total"))

        assert found.sli == pytest.approx(1)
        assert found.sli_with_maintenance is not None
        assert found.sli_with_maintenance < 0.9999

    def test_of_others_does_not(self, prometheus: Server) -> None:
        MaintenanceWindow.objects.create(
            name="elsewhere",
            namespaces=["other"],
            starts_at=NOON - 130 * MINUTE,
            ends_at=NOON - 50 * MINUTE,
            created_at=NOON,
            updated_at=NOON,
        )

        found = look(measured_row(prometheus.url, bad_query="morning_total"))

        assert found.sli == found.sli_with_maintenance
