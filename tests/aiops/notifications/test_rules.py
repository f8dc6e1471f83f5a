import pytest

from aiops.errors import Invalid
from aiops.notifications.rules import check_rules, matches
from tests.aiops.notifications.makers import make_message


class TestMatches:
    @pytest.mark.parametrize(
        "match",
        [{}, {"severities": ["high"]}, {"namespaces": ["shop", "pay"], "events": []}, {"signalTypes": ["oom_kill"]}],
    )
    def test_holds(self, match):
        assert matches({"match": match}, make_message().context())

    @pytest.mark.parametrize("match", [{"severities": ["low"]}, {"severities": ["high"], "namespaces": ["pay"]}])
    def test_does_not_hold(self, match):
        assert not matches({"match": match}, make_message().context())


class TestCheckRules:
    def test_takes_a_good_policy(self):
        rules = [{"name": "all", "match": {"events": ["incident_created"]}, "channels": ["ops"]}]

        assert check_rules(rules, channels={"ops"}) == rules

    @pytest.mark.parametrize(
        ("rules", "member"),
        [
            ({}, "rules"),
            (["x"], "rules[0]"),
            ([{"channels": ["nobody"]}], "rules[0].channels"),
            ([{"channels": []}], "rules[0].channels"),
            ([{"channels": ["ops"], "match": {"severities": ["urgent"]}}], "rules[0].match.severities"),
            ([{"channels": ["ops"], "match": {"color": ["red"]}}], "rules[0].match.color"),
            ([{"channels": ["ops"], "template": "{{ 1 * 2 }}"}], "rules[0].template"),
            ([{"channels": ["ops"], "chanels": []}], "rules[0]"),
        ],
    )
    def test_names_the_offending_member(self, rules, member):
        with pytest.raises(Invalid) as caught:
            check_rules(rules, channels={"ops"})

        assert list(caught.value.fields) == [member]
