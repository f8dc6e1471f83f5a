from datetime import UTC, datetime

import pytest

from incidents.detectors.cron import InvalidSchedule, parse_schedule
from tests.incidents.detectors.objects import NOON  # 2027-04-12 is a Monday


class TestPrevious:
    @pytest.mark.parametrize(
        ("schedule", "expected"),
        [
            ("* * * * *", datetime(2027, 4, 12, 11, 59, tzinfo=UTC)),
            ("*/15 * * * *", datetime(2027, 4, 12, 11, 45, tzinfo=UTC)),
            ("0 3 * * *", datetime(2027, 4, 12, 3, 0, tzinfo=UTC)),
            ("30 22 * * 5", datetime(2027, 4, 9, 22, 30, tzinfo=UTC)),
            ("0 0 * * SUN", datetime(2027, 4, 11, 0, 0, tzinfo=UTC)),
            ("0 0 * * 7", datetime(2027, 4, 11, 0, 0, tzinfo=UTC)),
            ("0 0 29 2 *", datetime(2024, 2, 29, 0, 0, tzinfo=UTC)),
            ("0 0 1 jan-mar *", datetime(2027, 3, 1, 0, 0, tzinfo=UTC)),
            ("0 0 1 * 6", datetime(2027, 4, 10, 0, 0, tzinfo=UTC)),
            ("5-20/5 8,9 * * *", datetime(2027, 4, 12, 9, 20, tzinfo=UTC)),
            ("@hourly", datetime(2027, 4, 12, 11, 0, tzinfo=UTC)),
            ("@every 1h30m", datetime(2027, 4, 12, 10, 30, tzinfo=UTC)),
        ],
    )
    def test_finds_the_newest_run(self, schedule, expected):
        assert parse_schedule(schedule).previous(NOON) == expected

    @pytest.mark.parametrize(("text", "zone"), [("0 8 * * *", "Asia/Tokyo"), ("TZ=Asia/Tokyo 0 8 * * *", "")])
    def test_reads_the_schedule_in_its_time_zone(self, text, zone):
        assert parse_schedule(text, zone).previous(NOON) == datetime(2027, 4, 11, 23, 0, tzinfo=UTC)

    def test_a_date_that_never_comes_has_no_run(self):
        assert parse_schedule("0 0 30 2 *").previous(NOON) is None


class TestParse:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "5-1 * * * *",
            "*/0 * * * *",
            "@every 0s",
            "a b c d e",
        ],
    )
    def test_refuses_what_is_no_schedule(self, text):
        with pytest.raises(InvalidSchedule):
            parse_schedule(text)

    @pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "\0"])
    def test_refuses_an_unknown_time_zone(self, zone):
        with pytest.raises(InvalidSchedule):
            parse_schedule("0 0 * * *", zone)
