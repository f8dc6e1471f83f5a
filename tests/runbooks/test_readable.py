from runbooks import readable

POD = {
    "status": {"phase": "Running"},
    "spec": {
        "containers": [{"name": "web", "env": [{"name": "API_TOKEN", "value": "abc"}, {"name": "MODE", "value": "x"}]}]
    },
    "metadata": {
        "name": "web-1",
        "resourceVersion": "7",
        "managedFields": [{}],
        "annotations": {readable.LAST_APPLIED: "{}", "aiops.io/plan": "p", "team": "shop"},
    },
    "kind": "Pod",
}


def test_whole_begins_with_what_people_look_at() -> None:
    text = readable.whole(POD)

    assert text.startswith("kind: Pod\nmetadata:\n")
    assert text.index("status:") < text.index("spec:")
    assert "managedFields" not in text
    assert readable.LAST_APPLIED not in text


def test_wanted_leaves_out_what_every_write_changes() -> None:
    text = readable.wanted(POD)

    assert "resourceVersion" not in text
    assert "status" not in text
    assert "aiops.io" not in text
    assert "team: shop" in text


def test_secret_variables_are_masked() -> None:
    text = readable.whole(POD)

    assert "abc" not in text
    assert "value: x" in text
