from datetime import UTC, datetime, timedelta

import pytest

from slos import windows
from slos.windows import Calendar
from tests.conftest import NOON


class TestParse:
    @pytest.mark.parametrize(
        ("text", "length"),
        [
            ("5m", timedelta(minutes=5)),
            ("1h30m", timedelta(minutes=90)),
            ("3d", timedelta(days=3)),
            ("2w", timedelta(days=14)),
        ],
    )
    def test_reads_units(self, text: str, length: timedelta) -> None:
        assert windows.parse(text) == length

    @pytest.mark.parametrize("text", ["", "5", "m", "5x", "-5m", "5 m", "0h"])
    def test_refuses_what_is_no_length(self, text: str) -> None:
        with pytest.raises(ValueError):
            windows.parse(text)


class TestSpell:
    @pytest.mark.parametrize("text", ["45s", "5m", "1h", "24h", "72h", "7d", "30d"])
    def test_is_what_was_read(self, text: str) -> None:
        assert windows.spell(windows.parse(text)) == text


class TestPeriod:
    def test_is_the_month_in_the_zone(self) -> None:
        window = windows.period(Calendar("month", time_zone="Europe/Berlin"), NOON)

        assert (window.start, window.end) == (
            datetime(2027, 3, 31, 22, tzinfo=UTC),
            datetime(2027, 4, 30, 22, tzinfo=UTC),
        )

    def test_begins_on_monday(self) -> None:
        window = windows.period(Calendar("week"), datetime(2027, 4, 18, 23, 59, tzinfo=UTC))

        assert window.start == datetime(2027, 4, 12, tzinfo=UTC)

    def test_begins_anew_at_the_boundary(self) -> None:
        window = windows.period(Calendar("month"), datetime(2027, 5, 1, tzinfo=UTC))

        assert window.start == datetime(2027, 5, 1, tzinfo=UTC)
        assert window.elapsed == timedelta()

    @pytest.mark.parametrize(
        ("day", "hours"), [(datetime(2027, 3, 28, 12), 23), (datetime(2027, 10, 31, 12), 25), (NOON, 24)]
    )
    def test_has_days_of_23_and_25_hours(self, day: datetime, hours: int) -> None:
        window = windows.period(Calendar("day", time_zone="Europe/Berlin"), day.replace(tzinfo=UTC))

        assert window.length == timedelta(hours=hours)

    @pytest.mark.parametrize(("year", "days"), [(2027, 28), (2028, 29)])
    def test_knows_leap_days(self, year: int, days: int) -> None:
        window = windows.period(Calendar("month"), datetime(year, 2, 20, tzinfo=UTC))

        assert window.length == timedelta(days=days)

    @pytest.mark.parametrize(("unit", "start"), [("quarter", (2027, 4, 1)), ("year", (2027, 1, 1))])
    def test_knows_longer_units(self, unit: str, start: tuple[int, int, int]) -> None:
        assert windows.period(Calendar(unit), NOON).start == datetime(*start, tzinfo=UTC)

    def test_is_anchored_by_the_start(self) -> None:
        calendar = Calendar("month", start="2027-01-31 00:00:00")

        window = windows.period(calendar, datetime(2027, 3, 1, tzinfo=UTC))

        assert window.start == datetime(2027, 2, 28, tzinfo=UTC)
        assert window.end == datetime(2027, 3, 31, tzinfo=UTC)

    def test_counts_units(self) -> None:
        calendar = Calendar("week", count=2, start="2027-04-05 09:00:00", time_zone="America/New_York")

        window = windows.period(calendar, NOON)

        assert window.start == datetime(2027, 4, 5, 13, tzinfo=UTC)
        assert window.length == timedelta(days=14)

    def test_works_before_its_anchor(self) -> None:
        calendar = Calendar("month", start="2028-01-15 00:00:00")

        assert windows.period(calendar, NOON).start == datetime(2027, 3, 15, tzinfo=UTC)

    @pytest.mark.parametrize(
        "calendar",
        [Calendar("fortnight"), Calendar("day", time_zone="Mars/Base"), Calendar("day", start="yesterday")],
    )
    def test_refuses_what_does_not_exist(self, calendar: Calendar) -> None:
        with pytest.raises(ValueError):
            windows.period(calendar, NOON)
