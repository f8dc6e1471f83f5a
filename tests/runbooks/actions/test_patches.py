import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.actions.patches import ABSENT, Edit, inverse, operations, pointer, recorded, split, value_at


@given(st.lists(st.text(max_size=8), max_size=5))
def test_pointers_name_any_key(parts):
    assert split(pointer(*parts)) == (parts if parts else [])


def test_reads_values_in_objects_and_lists():
    document = {"a": [{"b/c": 1}]}

    assert value_at(document, pointer("a", 0, "b/c")) == 1
    assert value_at(document, "/a/1") is ABSENT
    assert value_at(document, "/a/0/x/y") is ABSENT


def test_creates_the_parents_that_are_missing():
    made = operations({"metadata": {}}, [Edit("/metadata/annotations/x", "1"), Edit("/metadata/annotations/y", "2")])

    assert made == [
        {"op": "add", "path": "/metadata/annotations", "value": {}},
        {"op": "add", "path": "/metadata/annotations/x", "value": "1"},
        {"op": "add", "path": "/metadata/annotations/y", "value": "2"},
    ]


def test_removes_only_what_is_there():
    assert operations({"spec": {}}, [Edit("/spec/unschedulable", ABSENT)]) == []
    assert operations({"spec": {"unschedulable": True}}, [Edit("/spec/unschedulable", ABSENT)]) == [
        {"op": "remove", "path": "/spec/unschedulable"}
    ]


class TestInverse:
    entries = recorded({"n": 3}, {"n": 5, "m": 1}, ["/n", "/m"])

    def test_restores_what_still_holds_our_value(self):
        assert inverse({"n": 5, "m": 1}, self.entries) == ([Edit("/n", 3), Edit("/m", ABSENT)], [])

    def test_leaves_what_is_restored_already(self):
        assert inverse({"n": 3}, self.entries) == ([], [])

    @pytest.mark.parametrize("current", [{"n": 7, "m": 1}, {"m": 1}])
    def test_names_what_somebody_else_changed(self, current):
        assert inverse(current, self.entries)[1] == ["/n"]
