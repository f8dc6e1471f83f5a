import pytest
from django.core.management import call_command

from aiops.tallies import reading
from aiops.tallies.models import Change
from incidents.models import Incident


@pytest.mark.django_db(transaction=True)
class TestGeneratedHistory:
    def test_is_counted_though_its_rows_go_around_the_triggers(self) -> None:
        stamp = reading.stamp_of(["incidents.Incident"])

        call_command("generate_history", incidents=60, days=3, until="2027-04-12T12:00:00Z", verbosity=0)

        assert reading.count("incidents.Incident", {}) == Incident.objects.count() == 60
        resolved = Incident.objects.filter(state="Resolved").count()
        assert reading.count("incidents.Incident", {"state": ["Resolved"]}) == resolved
        assert reading.stamp_of(["incidents.Incident"]) != stamp
        assert not Change.objects.exists()
