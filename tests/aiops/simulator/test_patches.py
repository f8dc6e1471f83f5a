from typing import Any

import pytest

from aiops.simulator.patches import json_patch, merge, strategic_merge
from aiops.simulator.problems import Problem

DOCUMENT: dict[str, Any] = {
    "metadata": {"labels": {"app": "shop"}, "finalizers": ["a"]},
    "spec": {
        "containers": [
            {"name": "web", "image": "web:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
            {"name": "log", "image": "log:1"},
        ],
        "tolerations": [{"key": "a"}],
    },
}


class TestMerge:
    def test_replaces_lists_as_a_whole(self) -> None:
        assert merge(DOCUMENT, {"spec": {"containers": [{"name": "x"}]}})["spec"]["containers"] == [{"name": "x"}]

    def test_removes_what_is_null(self) -> None:
        assert "labels" not in merge(DOCUMENT, {"metadata": {"labels": None}})["metadata"]

    def test_leaves_the_original_alone(self) -> None:
        merge(DOCUMENT, {"metadata": {"labels": {"app": "other"}}})

        assert DOCUMENT["metadata"]["labels"] == {"app": "shop"}


class TestStrategicMerge:
    def test_merges_containers_by_name(self) -> None:
        result = strategic_merge(DOCUMENT, {"spec": {"containers": [{"name": "log", "image": "log:2"}]}})

        assert [c["image"] for c in result["spec"]["containers"]] == ["web:1", "log:2"]

    def test_merges_environments_inside_containers(self) -> None:
        change = {"name": "web", "env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]}

        result = strategic_merge(DOCUMENT, {"spec": {"containers": [change]}})

        assert [e["value"] for e in result["spec"]["containers"][0]["env"]] == ["1", "3", "4"]

    def test_deletes_a_list_item_on_demand(self) -> None:
        result = strategic_merge(DOCUMENT, {"spec": {"containers": [{"name": "log", "$patch": "delete"}]}})

        assert [c["name"] for c in result["spec"]["containers"]] == ["web"]

    def test_replaces_a_map_on_demand(self) -> None:
        result = strategic_merge(DOCUMENT, {"metadata": {"labels": {"$patch": "replace", "tier": "one"}}})

        assert result["metadata"]["labels"] == {"tier": "one"}

    def test_replaces_lists_without_a_merge_key(self) -> None:
        result = strategic_merge(DOCUMENT, {"spec": {"tolerations": [{"key": "b"}]}})

        assert result["spec"]["tolerations"] == [{"key": "b"}]

    def test_joins_finalizers(self) -> None:
        assert strategic_merge(DOCUMENT, {"metadata": {"finalizers": ["b"]}})["metadata"]["finalizers"] == ["a", "b"]

    def test_ignores_order_hints(self) -> None:
        patch = {"spec": {"$setElementOrder/containers": [{"name": "log"}, {"name": "web"}]}}

        assert strategic_merge(DOCUMENT, patch)["spec"] == DOCUMENT["spec"]

    def test_deletes_from_a_list_of_words(self) -> None:
        patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}

        assert strategic_merge(DOCUMENT, patch)["metadata"]["finalizers"] == []


class TestJsonPatch:
    @pytest.mark.parametrize(
        ("operations", "expected"),
        [
            ([{"op": "replace", "path": "/a", "value": 2}], {"a": 2, "l": [1, 2]}),
            ([{"op": "add", "path": "/l/-", "value": 3}], {"a": 1, "l": [1, 2, 3]}),
            ([{"op": "add", "path": "/l/0", "value": 0}], {"a": 1, "l": [0, 1, 2]}),
            ([{"op": "remove", "path": "/l/0"}], {"a": 1, "l": [2]}),
            ([{"op": "copy", "from": "/a", "path": "/b"}], {"a": 1, "b": 1, "l": [1, 2]}),
            ([{"op": "move", "from": "/a", "path": "/b~1c"}], {"b/c": 1, "l": [1, 2]}),
            ([{"op": "test", "path": "/a", "value": 1}], {"a": 1, "l": [1, 2]}),
        ],
    )
    def test_applies(self, operations: list[dict[str, object]], expected: dict[str, object]) -> None:
        assert json_patch({"a": 1, "l": [1, 2]}, operations) == expected

    @pytest.mark.parametrize(
        "operation",
        [
            {"op": "test", "path": "/a", "value": 2},
            {"op": "replace", "path": "/missing", "value": 2},
            {"op": "remove", "path": "/l/7"},
            {"op": "add", "path": "/l/9", "value": 1},
            {"op": "replace", "path": "a", "value": 1},
            {"op": "add", "path": "/x"},
        ],
    )
    def test_refuses_what_does_not_apply(self, operation: dict[str, object]) -> None:
        with pytest.raises(Problem) as refused:
            json_patch({"a": 1, "l": [1, 2]}, [operation])

        assert refused.value.code == 422

    @pytest.mark.parametrize("operations", [{"op": "add"}, [{"op": "explode", "path": "/a"}], ["add"]])
    def test_refuses_what_is_no_patch(self, operations: object) -> None:
        with pytest.raises(Problem) as refused:
            json_patch({"a": 1}, operations)

        assert refused.value.code == 400
