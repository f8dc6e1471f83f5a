from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slos import sla
from slos.sla import ALWAYS, Calendar, Shift

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
OFFICE = (Shift(9 * 60, 18 * 60),)
OFFICE_WEEK = (OFFICE,) * 5 + ((), ())
BERLIN = Calendar(zone="Europe/Berlin", week=OFFICE_WEEK)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class TestDueAt:
    def test_is_plain_addition_around_the_clock(self):
        assert sla.due_at(ALWAYS, utc("2027-04-12T06:00"), 4 * HOUR) == utc("2027-04-12T10:00")

    def test_counts_only_office_hours(self):
        friday_16_local = utc("2027-04-09T14:00")

        # two hours on Friday, two on Monday from 9 local time
        assert sla.due_at(BERLIN, friday_16_local, 4 * HOUR) == utc("2027-04-12T09:00")

    def test_begins_with_the_next_shift_when_nobody_works(self):
        saturday = utc("2027-04-10T12:00")

        assert sla.due_at(BERLIN, saturday, HOUR) == utc("2027-04-12T08:00")

    def test_skips_public_holidays_of_the_country(self):
        calendar = Calendar(zone="Europe/Berlin", week=OFFICE_WEEK, country="DE")
        thursday_before_easter_17_local = utc("2027-03-25T16:00")

        # Good Friday and Easter Monday are holidays, and the clocks changed on the Sunday between
        assert sla.due_at(calendar, thursday_before_easter_17_local, 2 * HOUR) == utc("2027-03-30T08:00")

    def test_skips_dates_of_the_company(self):
        calendar = Calendar(zone="UTC", week=OFFICE_WEEK, dates=frozenset({date(2027, 4, 12)}))

        assert sla.due_at(calendar, utc("2027-04-12T09:00"), HOUR) == utc("2027-04-13T10:00")

    def test_works_through_midnight(self):
        night = Calendar(week=((Shift(22 * 60, 6 * 60),),) * 7)

        assert sla.due_at(night, utc("2027-04-12T23:00"), 8 * HOUR) == utc("2027-04-13T23:00")

    def test_finishes_the_shift_that_began_the_day_before(self):
        night = Calendar(week=((Shift(22 * 60, 6 * 60),),) * 7)

        assert sla.due_at(night, utc("2027-04-13T05:00"), 30 * MINUTE) == utc("2027-04-13T05:30")

    def test_knows_several_shifts_a_day(self):
        siesta = Calendar(week=((Shift(8 * 60, 12 * 60), Shift(16 * 60, 20 * 60)),) * 7)

        assert sla.due_at(siesta, utc("2027-04-12T11:00"), 2 * HOUR) == utc("2027-04-12T17:00")

    def test_is_moved_by_pauses(self):
        pause = (utc("2027-04-12T06:30"), utc("2027-04-12T07:30"))

        assert sla.due_at(ALWAYS, utc("2027-04-12T06:00"), HOUR, [pause]) == utc("2027-04-12T08:00")

    def test_counts_overlapping_pauses_once(self):
        pauses = [
            (utc("2027-04-12T06:30"), utc("2027-04-12T07:00")),
            (utc("2027-04-12T06:45"), utc("2027-04-12T07:30")),
        ]

        assert sla.due_at(ALWAYS, utc("2027-04-12T06:00"), HOUR, pauses) == utc("2027-04-12T08:00")

    def test_is_never_when_nobody_ever_works(self):
        assert sla.due_at(Calendar(week=((),) * 7), utc("2027-04-12T06:00"), HOUR) is None

    @pytest.mark.parametrize(
        ("since", "due"),
        [
            # the night of 28 March 2027 has no hour from 2 to 3, the one of 31 October 2027 has it twice
            ("2027-03-27T23:00", "2027-03-28T04:00"),
            ("2027-10-30T22:00", "2027-10-31T03:00"),
        ],
    )
    def test_counts_real_hours_when_clocks_change(self, since, due):
        whole_days = Calendar(zone="Europe/Berlin", week=((Shift(0, 24 * 60),),) * 7)

        assert sla.due_at(whole_days, utc(since), 5 * HOUR) == utc(due)


class TestWarnAt:
    def test_comes_after_three_quarters_of_the_working_time(self):
        assert sla.warn_at(BERLIN, utc("2027-04-12T07:00"), 4 * HOUR) == utc("2027-04-12T10:00")


class TestElapsed:
    def test_leaves_out_the_weekend(self):
        assert sla.elapsed(BERLIN, utc("2027-04-09T14:00"), utc("2027-04-12T09:00")) == 4 * HOUR

    def test_is_nothing_before_the_start(self):
        assert sla.elapsed(ALWAYS, utc("2027-04-12T09:00"), utc("2027-04-12T08:00")) == timedelta(0)

    @settings(max_examples=60, deadline=None)
    @given(
        minutes=st.integers(min_value=1, max_value=6_000),
        offset=st.integers(min_value=0, max_value=60 * 24 * 400),
        pause=st.tuples(st.integers(min_value=-500, max_value=5_000), st.integers(min_value=0, max_value=3_000)),
    )
    def test_equals_the_allowance_when_it_is_due(self, minutes, offset, pause):
        since = utc("2027-01-01T00:00") + offset * MINUTE
        begin = since + pause[0] * MINUTE
        pauses = [(begin, begin + pause[1] * MINUTE)]

        due = sla.due_at(BERLIN, since, minutes * MINUTE, pauses)

        assert due is not None
        assert sla.elapsed(BERLIN, since, due, pauses) == minutes * MINUTE


class TestReadCalendar:
    def test_is_around_the_clock_when_nothing_is_written(self):
        assert sla.read_calendar({}) == ALWAYS

    def test_defaults_to_working_days_from_nine_to_six(self):
        assert sla.read_calendar({"timezone": "Europe/Berlin"}) == BERLIN

    def test_reads_shifts_and_holidays(self):
        written = {
            "workDays": ["Saturday"],
            "shifts": [{"start": "22:00", "end": "06:00"}],
            "holidays": {"country": "AT", "dates": ["2027-12-31"]},
        }

        calendar = sla.read_calendar(written)

        assert calendar.week == ((),) * 5 + ((Shift(1320, 360),), ())
        assert (calendar.country, calendar.dates) == ("AT", frozenset({date(2027, 12, 31)}))


class TestComplaints:
    def test_finds_nothing_in_a_calendar(self):
        assert sla.complaints({"timezone": "Asia/Tokyo", "startHour": 8, "holidays": {"country": "JP"}}) == {}

    @pytest.mark.parametrize(
        ("written", "member"),
        [
            ({"timezone": "Berlin"}, "timezone"),
            ({"timezone": "../etc/passwd"}, "timezone"),
            ({"workDays": ["Mon"]}, "workDays"),
            ({"startHour": 18, "endHour": 9}, "endHour"),
            ({"startHour": True}, "startHour"),
            ({"shifts": [{"start": "9:00", "end": "18:00"}]}, "shifts[0]"),
            ({"holidays": {"country": "XX"}}, "holidays.country"),
            ({"holidays": {"country": "DE", "subdivision": "CA"}}, "holidays.subdivision"),
            ({"holidays": {"dates": ["31.12.2027"]}}, "holidays.dates"),
            ({"hours": 9}, "hours"),
        ],
    )
    def test_names_what_is_wrong(self, written, member):
        assert list(sla.complaints(written)) == [member]
