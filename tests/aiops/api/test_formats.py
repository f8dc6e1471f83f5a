from datetime import UTC, datetime, timedelta

import pytest

from aiops.api.formats import format_age, format_duration, format_percent, format_time, parse_duration, parse_time


class TestTime:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2027-04-12T06:02:11Z", datetime(2027, 4, 12, 6, 2, 11, tzinfo=UTC)),
            ("2027-04-12t06:02:11z", datetime(2027, 4, 12, 6, 2, 11, tzinfo=UTC)),
            ("2027-04-12T08:02:11+02:00", datetime(2027, 4, 12, 6, 2, 11, tzinfo=UTC)),
            ("2027-04-12T06:02:11.123456789Z", datetime(2027, 4, 12, 6, 2, 11, 123456, tzinfo=UTC)),
            ("2027-04-12", datetime(2027, 4, 12, tzinfo=UTC)),
        ],
    )
    def test_is_read(self, text, expected):
        assert parse_time(text) == expected

    @pytest.mark.parametrize(
        "text",
        ["", "now", "2027-04-12T06:02:11", "20270412", "2027-W15-1", "2027-04-31", "2027-04-12T25:00:00Z", "2027-4-12",
         "2027-04-12 06:02", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "２０２７-04-12", "2027-04-12\n"],
    )  # fmt: skip
    def test_is_refused(self, text):
        with pytest.raises(ValueError):
            parse_time(text)

    def test_is_written_in_utc_and_whole_seconds(self):
        assert format_time(datetime(2027, 4, 12, 6, 2, 11, 999_999, tzinfo=UTC)) == "2027-04-12T06:02:11Z"

    def test_years_have_four_digits(self):
        assert format_time(datetime(415, 7, 18, tzinfo=UTC)) == "0415-07-18T00:00:00Z"


class TestDuration:
    @pytest.mark.parametrize(
        ("text", "canonical"),
        [
            ("90m", "1h30m"), ("1h30m", "1h30m"), ("1.5h", "1h30m"), ("60s", "1m"), ("0", "0s"), ("0s", "0s"),
            ("1500ms", "1s"), ("-45s", "-45s"), ("+1m", "1m"), ("25h", "25h"), (".5m", "30s"), ("1000000us", "1s"),
            ("1000000µs", "1s"), ("999ns", "0s"), ("1h1m1s", "1h1m1s"), ("1.m", "1m"),
        ],
    )  # fmt: skip
    def test_comes_back_in_canonical_form(self, text, canonical):
        assert format_duration(parse_duration(text)) == canonical

    @pytest.mark.parametrize(
        "text", ["", "1", "1d", "m", "1h 30m", "1H", "--1s", "1e3s", ".s", "9" * 30 + "h", "1s" * 40, "NaN", "-", "١s"]
    )
    def test_is_refused(self, text):
        with pytest.raises(ValueError):
            parse_duration(text)


class TestAge:
    @pytest.mark.parametrize(
        ("seconds", "expected"),
        [(-5, "0s"), (0, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (86_399, "23h"), (86_400, "1d"),
         (300 * 86_400, "300d")],
    )  # fmt: skip
    def test_has_one_unit_rounded_down(self, seconds, expected):
        assert format_age(timedelta(seconds=seconds)) == expected


class TestPercent:
    @pytest.mark.parametrize(
        ("value", "expected"), [(0, "0%"), (32.49, "32%"), (32.5, "33%"), (0.5, "1%"), (100, "100%")]
    )
    def test_rounds_half_up(self, value, expected):
        assert format_percent(value) == expected
