from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aiops.errors import Invalid
from federation import maintenance
from federation.maintenance import Place
from federation.models import MaintenanceWindow
from tests.conftest import NOON

HOUR = timedelta(hours=1)


def window(**columns: Any) -> MaintenanceWindow:
    """Noon is a Monday."""
    return MaintenanceWindow(**{"name": "w", "starts_at": NOON, "ends_at": NOON + HOUR} | columns)


class TestOpenUntil:
    def test_once(self):
        once = window()

        assert maintenance.open_until(once, NOON - timedelta(seconds=1)) is None
        assert maintenance.open_until(once, NOON) == NOON + HOUR
        assert maintenance.open_until(once, NOON + HOUR) is None

    def test_every_monday(self):
        weekly = window(rrule="FREQ=WEEKLY;BYDAY=MO")
        later = NOON + timedelta(days=7)

        assert maintenance.open_until(weekly, later + HOUR / 2) == later + HOUR
        assert maintenance.open_until(weekly, later + timedelta(days=1)) is None
        assert maintenance.next_start(weekly, NOON + HOUR) == later

    def test_ends_with_the_rule(self):
        weekly = window(rrule="FREQ=DAILY;COUNT=2")

        assert maintenance.open_until(weekly, NOON + timedelta(days=1)) is not None
        assert maintenance.open_until(weekly, NOON + timedelta(days=2)) is None
        assert maintenance.next_start(weekly, NOON + timedelta(days=2)) is None

    def test_stays_at_its_local_time_when_the_clocks_change(self):
        start = datetime(2027, 3, 26, 1, tzinfo=UTC)  # two in the morning in Berlin, in winter
        daily = window(starts_at=start, ends_at=start + HOUR, rrule="FREQ=DAILY", timezone="Europe/Berlin")
        summer = datetime(2027, 4, 1, 0, 30, tzinfo=UTC)  # half past two there, in summer

        assert maintenance.open_until(daily, summer) == datetime(2027, 4, 1, 1, tzinfo=UTC)


class TestCovers:
    PLACE = Place("east", "prod", "critical", "shop", {"team": "docks"})

    @pytest.mark.parametrize(
        ("columns", "wanted"),
        [
            ({}, True),
            ({"clusters": ["east", "west"]}, True),
            ({"clusters": ["west"]}, False),
            ({"environments": ["staging"]}, False),
            ({"tiers": ["critical"], "namespaces": ["shop"]}, True),
            ({"tiers": ["critical"], "namespaces": ["bank"]}, False),
            ({"match_labels": {"team": "docks"}}, True),
            ({"match_labels": {"team": "docks", "app": "x"}}, False),
        ],
    )
    def test_what_all_criteria_fit(self, columns, wanted):
        assert maintenance.covers(window(**columns), self.PLACE) is wanted


class TestCheck:
    @pytest.mark.parametrize(
        "rule",
        ["FREQ=WEEKLY;BYDAY=SA,SU", "FREQ=MONTHLY;BYDAY=1SU", "FREQ=MONTHLY;BYMONTHDAY=-1,15", "RRULE:FREQ=DAILY;INTERVAL=2",
         "FREQ=DAILY;UNTIL=20280101T000000Z"],
    )  # fmt: skip
    def test_takes_rules_that_can_be_followed(self, rule):
        repeated = window(rrule=rule)

        maintenance.check(repeated)

        maintenance.open_until(repeated, NOON + timedelta(days=400))

    @pytest.mark.parametrize(
        "rule",
        ["every monday", "FREQ=SECONDLY", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=MONTHLY;BYMONTHDAY=31",
         "FREQ=DAILY;FREQ=DAILY", "FREQ=WEEKLY;BYDAY=1MO", "FREQ=DAILY;INTERVAL=0", "FREQ=DAILY;BYSETPOS=1",
         "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "FREQ=DAILY\nEXRULE:FREQ=DAILY"],
    )  # fmt: skip
    def test_refuses_others(self, rule):
        with pytest.raises(Invalid) as refusal:
            maintenance.check(window(rrule=rule))

        assert set(refusal.value.fields) == {"rrule"}
