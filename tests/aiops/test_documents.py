from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops import documents
from aiops.errors import Invalid

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=["\x00"]), max_size=30)
SCALARS = st.one_of(TEXTS, st.booleans(), st.none(), st.integers(-(10**6), 10**6))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=12,
)


class TestRead:
    def test_several_documents_and_their_lines(self) -> None:
        found = documents.read("a: 1\n---\nb: yes\nc: 2027-01-01\n---\n")

        assert [(document.number, document.line, document.content) for document in found] == [
            (1, 1, {"a": 1}),
            (2, 3, {"b": "yes", "c": "2027-01-01"}),
        ]

    def test_json(self) -> None:
        assert documents.read('{"a": [1, 2.5, null, true]}')[0].content == {"a": [1, 2.5, None, True]}

    def test_names_the_line_of_a_mistake(self) -> None:
        with pytest.raises(Invalid) as caught:
            documents.read("a: [1\nb: 2")

        assert "line 2" in caught.value.details

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("a: &x [1]\nb: *x", "line 1: aliases"),
            ("a: 1\na: 2", "line 2: 'a' is given twice"),
            ("a: !!python/name:os.system x", "the tag"),
            ("? [1]\n: 2", "a key must be"),
            ('a: "\\0"', "NUL"),
            ('"\\ud800": 1', "surrogates"),
            ("a: " + "[" * 40 + "]" * 40, "nested too deeply"),
        ],
    )
    def test_refuses_one_document_and_says_why(self, text: str, problem: str) -> None:
        (document,) = documents.read(text)

        assert problem in document.problem

    def test_the_other_documents_stand(self) -> None:
        broken, fine = documents.read("a: 1\na: 2\n---\nb: 1")

        assert broken.problem
        assert fine.content == {"b": 1}

    def test_deep_nesting_ends_well(self) -> None:
        with pytest.raises(Invalid):
            documents.read("[" * 5000)

    def test_too_many(self) -> None:
        with pytest.raises(Invalid, match="too many"):
            documents.read("---\na\n" * 600)

    @given(st.text())
    @settings(max_examples=100, deadline=None)
    def test_raises_nothing_but_invalid(self, text: str) -> None:
        try:
            documents.read(text)
        except Invalid:
            return


class TestWrite:
    @given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4))
    @settings(max_examples=150, deadline=None)
    def test_is_read_back_unchanged(self, content: dict[str, Any]) -> None:
        (document,) = documents.read(documents.write(content))

        assert document.content == content

    def test_writes_texts_of_several_lines_as_blocks(self) -> None:
        assert documents.write({"a": "one\ntwo\n"}) == "a: |\n  one\n  two\n"
