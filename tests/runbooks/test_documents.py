import pytest

from aiops import documents as yaml
from aiops.errors import Invalid
from runbooks import documents

FULL = "apiVersion: v1\nkind: Runbook\nmetadata: {name: a}\nspec: {category: custom}\n"


def only(text: str) -> yaml.Document:
    (document,) = yaml.read(text)
    return document


class TestBodyOf:
    def test_joins_metadata_and_spec(self) -> None:
        assert documents.body_of(only(FULL)) == {"name": "a", "category": "custom"}

    def test_metadata_has_the_say_about_the_name(self) -> None:
        text = FULL.replace("category: custom", "name: b")

        assert documents.body_of(only(text)) == {"name": "a"}

    @pytest.mark.parametrize(
        "text",
        [
            "just text",
            "[1, 2]",
            FULL.replace("v1", "v2"),
            FULL.replace("Runbook", "Pod"),
            FULL.replace("{name: a}", "a"),
            FULL.replace("spec", "status"),
            FULL + "kind: Runbook\n",
        ],
    )
    def test_refuses_what_is_no_runbook(self, text: str) -> None:
        with pytest.raises(Invalid, match=r"line \d"):
            documents.body_of(only(text))


@pytest.mark.parametrize(
    ("text", "name"), [(FULL, "a"), ("kind: Pod\nmetadata: {name: b}", "b"), ("[]", ""), ("metadata: {name: 5}", "")]
)
def test_name_of_even_a_broken_document(text: str, name: str) -> None:
    assert documents.name_of(only(text)) == name


def test_no_difference_is_empty() -> None:
    assert documents.diff(FULL, FULL) == ""
