import pytest

from aiops.simulator.problems import Problem
from aiops.simulator.resources import NODE, POD
from aiops.simulator.selectors import as_text, matches_selector, parse_fields, parse_labels

LABELS = {"app": "shop", "tier": "web"}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("app=shop", True),
        ("app==shop,tier=web", True),
        ("app!=shop", False),
        ("missing!=x", True),
        ("app in (shop, other)", True),
        ("app notin (shop,other)", False),
        ("missing notin (a)", True),
        ("tier", True),
        ("!tier", False),
        ("!missing,tier in (web),app=shop", True),
    ],
)
def test_label_selectors(selector: str, expected: bool) -> None:
    assert parse_labels(selector)(LABELS) is expected


@pytest.mark.parametrize("selector", ["app in shop", "=x", "app=(a", "a b c", ",".join(["a=b"] * 101)])
def test_bad_label_selectors_are_refused(selector: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_labels(selector)

    assert refused.value.code == 400


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("spec.nodeName=node-1", True),
        ("metadata.name=web,status.phase!=Failed", True),
        ("status.phase=Failed", False),
        ("spec.nodeName!=node-1", False),
    ],
)
def test_field_selectors(selector: str, expected: bool) -> None:
    pod = {"metadata": {"name": "web"}, "spec": {"nodeName": "node-1"}, "status": {"phase": "Running"}}

    assert parse_fields(selector, POD)(pod) is expected


def test_fields_a_kind_does_not_have_are_refused() -> None:
    with pytest.raises(Problem, match="is not a known field selector"):
        parse_fields("status.phase=Running", NODE)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"key": "app", "operator": "In", "values": ["shop"]}, True),
        ({"key": "app", "operator": "NotIn", "values": ["shop"]}, False),
        ({"key": "tier", "operator": "Exists"}, True),
        ({"key": "tier", "operator": "DoesNotExist"}, False),
    ],
)
def test_selector_objects(expression: dict[str, object], expected: bool) -> None:
    assert matches_selector({"matchExpressions": [expression]}, LABELS) is expected


def test_no_selector_selects_nothing_and_an_empty_one_everything() -> None:
    assert not matches_selector(None, LABELS)
    assert matches_selector({}, LABELS)


def test_selectors_are_written_as_text() -> None:
    selector = {"matchLabels": {"b": "2", "a": "1"}, "matchExpressions": [{"key": "c", "operator": "Exists"}]}

    assert as_text(selector) == "a=1,b=2,c"
