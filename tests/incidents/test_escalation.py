from datetime import timedelta

import pytest

from aiops.errors import Invalid
from incidents import escalation
from incidents.escalation import Step

MINUTE = timedelta(minutes=1)
LEVELS = [
    {"name": "first", "timeoutMinutes": 15, "notifyChannels": ["ops"], "repeatIntervalMinutes": 6},
    {"name": "second", "timeoutMinutes": 30, "notifyChannels": ["lead"]},
    {"name": "last", "notifyChannels": ["all"], "repeatIntervalMinutes": 60},
]


class TestFollowing:
    def test_repeats_within_the_time_of_the_level_then_climbs(self):
        steps = [Step(0)]
        while len(steps) < 5 and (following := escalation.following(LEVELS, steps[-1])):
            steps.append(following)

        assert [(step, escalation.wait_after(LEVELS, step)) for step in steps] == [
            (Step(0, 0), 6 * MINUTE),
            (Step(0, 1), 6 * MINUTE),
            (Step(0, 2), 3 * MINUTE),
            (Step(1, 0), 30 * MINUTE),
            (Step(2, 0), 60 * MINUTE),
        ]

    def test_ends_after_a_last_level_that_does_not_repeat(self):
        assert escalation.following(LEVELS[:2], Step(1)) is None
        assert escalation.wait_after(LEVELS[:2], Step(1)) is None

    def test_does_not_repeat_for_ever(self):
        assert escalation.following(LEVELS, Step(2, escalation.MAX_REPEATS)) is None

    def test_ends_when_the_policy_became_shorter(self):
        assert escalation.following(LEVELS[:1], Step(2)) is None


class TestCheckPolicy:
    def test_takes_a_good_policy(self):
        escalation.check_policy(severities=["critical"], namespaces=[], levels=LEVELS, channels={"ops", "lead", "all"})

    @pytest.mark.parametrize(
        ("changes", "member"),
        [
            ({"severities": ["urgent"]}, "severities"),
            ({"namespaces": "shop"}, "namespaces"),
            ({"levels": []}, "levels"),
            ({"levels": ["x"]}, "levels[0]"),
            ({"levels": [{"notifyChannels": ["ops"]}]}, "levels[0].name"),
            ({"levels": [{"name": "a", "notifyChannels": ["nobody"]}]}, "levels[0].notifyChannels"),
            ({"levels": [{"name": "a", "notifyChannels": []}]}, "levels[0].notifyChannels"),
            ({"levels": [{"name": "a", "notifyChannels": ["ops"], "timeoutMinutes": 0}]}, "levels[0].timeoutMinutes"),
            (
                {"levels": [{"name": "a", "notifyChannels": ["ops"], "targets": [{"type": "pet"}]}]},
                "levels[0].targets[0]",
            ),
        ],
    )
    def test_names_the_offending_member(self, changes, member):
        values = {"severities": [], "namespaces": [], "levels": LEVELS[:1]} | changes

        with pytest.raises(Invalid) as caught:
            escalation.check_policy(**values, channels={"ops"})

        assert list(caught.value.fields) == [member]
