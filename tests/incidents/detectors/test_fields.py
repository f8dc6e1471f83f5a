from datetime import UTC, datetime

import pytest

from incidents.detectors import fields
from tests.incidents.detectors.objects import condition


class TestParseTime:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2027-04-12T06:00:00Z", datetime(2027, 4, 12, 6, tzinfo=UTC)),
            ("2027-04-12T06:00:00.123456789Z", datetime(2027, 4, 12, 6, 0, 0, 123456, tzinfo=UTC)),
            ("2027-04-12T08:00:00+02:00", datetime(2027, 4, 12, 6, tzinfo=UTC)),
        ],
    )
    def test_reads_every_form_of_the_api(self, text, expected):
        assert fields.parse_time(text) == expected

    @pytest.mark.parametrize("value", [None, "", "soon", 0, True, [], "0001-01-01T00:00:00Z", "2027-13-01T00:00:00Z"])
    def test_everything_else_is_unset(self, value):
        assert fields.parse_time(value) is None


class TestConditions:
    def test_of_two_the_later_transition_counts(self):
        old, new = (
            condition("Ready", "False", since="2027-01-01T00:00:00Z"),
            condition("Ready", since="2027-01-02T00:00:00Z"),
        )

        assert fields.read_conditions([new, old])["Ready"].is_true
        assert fields.read_conditions([old, new])["Ready"].is_true

    def test_of_two_the_one_for_the_newer_generation_counts(self):
        current = condition("Ready", "True") | {"observedGeneration": 3}
        outdated = condition("Ready", "False") | {"observedGeneration": 2}

        assert fields.read_conditions([current, outdated])["Ready"].is_true

    def test_a_boolean_status_reads_as_its_word(self):
        assert fields.read_conditions([{"type": "Ready", "status": False}])["Ready"].is_false


class TestStale:
    @pytest.mark.parametrize(("observed", "stale"), [(1, True), (2, False), (None, False)])
    def test_compares_generations(self, observed, stale):
        assert fields.is_stale({"metadata": {"generation": 2}, "status": {"observedGeneration": observed}}) is stale
