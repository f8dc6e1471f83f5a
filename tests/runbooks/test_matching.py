import time
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from runbooks.matching import BUILT_IN, Facts, best, found_in, judge, rank

FACTS = Facts(
    signal_type="oom_kill",
    severity="high",
    kind="Deployment",
    namespace="shop",
    description="OOM kill in checkout-6c9f-x1",
    signals=frozenset({"oom_kill", "pod_restart"}),
)


@dataclass
class Book:
    name: str = "book"
    namespace: str = "default"
    category: str = "oomkill"
    severity: list[str] = field(default_factory=lambda: ["critical", "high", "medium", "low"])
    match_conditions: dict[str, Any] = field(default_factory=dict)
    trigger: dict[str, Any] | None = None
    auto_generated: bool = False
    labels: dict[str, str] = field(default_factory=dict)


class TestBest:
    def test_takes_the_more_specific(self) -> None:
        general = Book("general")
        special = Book("special", match_conditions={"namespaces": ["shop"], "resourceTypes": ["deployment"]})

        match = best([general, special], FACTS)

        assert match is not None
        assert match.runbook is special
        assert match.score == pytest.approx(0.5)
        assert match.reasons == ("kind Deployment", "namespace shop", "category oomkill stands for oom_kill")

    def test_takes_none_when_none_fits(self) -> None:
        assert best([Book(category="disk")], FACTS) is None

    def test_everything_named_is_a_perfect_score(self) -> None:
        book = Book(
            severity=["high"],
            trigger={"signalType": "oom_kill", "severity": "high", "resourceKind": "Deployment"},
            match_conditions={"namespaces": ["shop"], "descriptionPatterns": ["(?i)oom"]},
        )

        match = best([book], FACTS)

        assert match is not None
        assert match.score == 1.0


class TestRank:
    def test_equal_fits_people_first_then_built_in_then_generated(self) -> None:
        generated = Book("a", auto_generated=True)
        built_in = Book("b", labels={BUILT_IN: "true"})
        ours, also_ours = Book("d"), Book("c")

        ranking = rank([generated, built_in, ours, also_ours], FACTS)

        assert [match.runbook.name for match in ranking] == ["c", "d", "b", "a"]

    def test_the_leading_signal_counts_more_than_another(self) -> None:
        leading = Book("leading", trigger={"signalType": "oom_kill"})
        other = Book("other", trigger={"signalType": "pod_restart"})

        assert [match.runbook.name for match in rank([other, leading], FACTS)] == ["leading", "other"]

    @pytest.mark.parametrize(
        ("first", "others", "leading"),
        [
            ("crashloop_backoff", {"oom_kill"}, "oom_kill"),
            ("deploy_failing", {"crashloop_backoff"}, "crashloop_backoff"),
            ("pod_not_ready", {"deploy_failing", "pod_restart"}, "deploy_failing"),
            ("pod_not_ready", set(), "pod_not_ready"),
            ("job_failed", {"oom_kill"}, "job_failed"),
        ],
    )
    def test_a_cause_leads_over_its_symptom(self, first: str, others: set[str], leading: str) -> None:
        facts = replace(FACTS, signal_type=first, signals=frozenset({first, *others}))
        books = [Book(signal, trigger={"signalType": signal}) for signal in (first, *others)]

        assert rank(books, facts)[0].runbook.name == leading


class TestJudge:
    @pytest.mark.parametrize(
        ("book", "reason"),
        [
            (Book(severity=["low"]), "not meant for severity high"),
            (Book(trigger={"severity": "critical"}), "triggered by severity critical"),
            (Book(trigger={"signalType": "latency"}), "triggered by latency"),
            (Book(trigger={"resourceKind": "StatefulSet"}), "not meant for a Deployment"),
            (Book(match_conditions={"resourceTypes": ["Node"]}), "not meant for a Deployment"),
            (Book(match_conditions={"namespaces": ["bank", "shop-*"]}), "not meant for namespace shop"),
            (Book(match_conditions={"descriptionPatterns": ["disk"]}), "none of its patterns"),
            (Book(category="latency"), "does not stand for oom_kill"),
            (Book(category="custom"), "only started by people"),
        ],
    )
    def test_says_why_one_does_not_fit(self, book: Book, reason: str) -> None:
        assert reason in judge(book, FACTS).mismatch

    @pytest.mark.parametrize(
        "book",
        [
            Book(category="custom", match_conditions={"resourceTypes": ["Deployment"]}),
            Book(category="latency", match_conditions={"descriptionPatterns": ["(?i)oom kill"]}),
            Book(match_conditions={"namespaces": ["sh*"]}),
            Book(category="crashloop"),  # stands for pod_restart, which the incident has as well
        ],
    )
    def test_accepts(self, book: Book) -> None:
        assert not judge(book, FACTS).mismatch

    def test_kind_is_compared_without_case(self) -> None:
        assert not judge(Book(match_conditions={"resourceTypes": ["DEPLOYMENT"]}), FACTS).mismatch


class TestFoundIn:
    def test_a_runaway_pattern_is_cut_off(self) -> None:
        started = time.monotonic()

        found = found_in(r"(a|aa)+$", "a" * 60 + "b")

        assert not found
        assert time.monotonic() - started < 60

    def test_an_invalid_pattern_is_not_found(self) -> None:
        assert not found_in("(", "(")

    def test_facts_without_signals(self) -> None:
        assert best([Book()], replace(FACTS, signals=frozenset())) is not None
