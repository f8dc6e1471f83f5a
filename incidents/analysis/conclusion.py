"""Weighs what the rules say and writes it down: the result of an analysis without a language model. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from incidents.analysis import logs
from incidents.analysis.actions import Suggestion
from incidents.analysis.context import Context
from incidents.analysis.hypothesis import Category, Hypothesis
from incidents.analysis.rules import RULES

LEAST, MOST = 0.3, 0.9
PER_ATTEMPT = 0.1  # every attempt in vain makes the explanation less likely
BLIND = 0.2  # what an analysis without a look at the cluster is worth less
MAX_EVENTS = 10
MAX_TEXT = 4_000


@dataclass(frozen=True, slots=True)
class Evidence:
    """One fact that the analysis rests on; a language model has to cite the ids."""

    id: str
    kind: str  # finding, log, event, signal, gap
    text: str

    def as_json(self) -> dict[str, str]:
        return {"id": self.id, "kind": self.kind, "text": self.text}


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What becomes an `AIInsight`. `rule` names the rule that spoke."""

    text: str
    category: str
    confidence: float
    recommendations: tuple[str, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    rule: str = ""
    provider: str = "rules"
    model: str = ""


def conclude(context: Context) -> Conclusion:
    """The best founded explanation, with the first of its options that no earlier attempt took in vain."""
    ranked = sorted(_answers(context), key=lambda pair: -pair[1].confidence)
    rule, best = ranked[0] if ranked else ("unknown", _unknown(context))
    suggestion = _untried(best.options, context)
    advice = list(best.recommendations)
    if best.options and suggestion is None:
        advice.insert(0, "What could be done automatically was tried without success: a person has to decide.")
    if suggestion and gitops(context):
        advice.append(f"{gitops(context)}: make the change there too, or it is reverted.")
    evidence = _evidence(best, context)
    return Conclusion(
        text=_text(best, [other for _, other in ranked[1:]], context),
        category=str(best.category),
        confidence=_confidence(best, context),
        recommendations=tuple(dict.fromkeys(advice)),
        suggestions=(suggestion,) if suggestion else (),
        evidence=evidence,
        rule=rule,
    )


def _answers(context: Context) -> list[tuple[str, Hypothesis]]:
    answers = [(rule.__name__, rule(context)) for rule in RULES]
    return [(name, answer) for name, answer in answers if answer is not None]


def _unknown(context: Context) -> Hypothesis:
    described = next((fault.description for fault in context.faults if fault.firing), "")
    return Hypothesis(
        cause=f"No known situation explains it: {described}" if described else "No known situation explains it",
        category=Category.UNKNOWN,
        confidence=LEAST,
        recommendations=("Look at the resource and its dependencies; note the cause in the postmortem.",),
    )


def _untried(options: Sequence[Suggestion], context: Context) -> Suggestion | None:
    tried = set(context.attempted)
    return next((option for option in options if option.identity not in tried), None)


def _confidence(best: Hypothesis, context: Context) -> float:
    confidence = best.confidence - PER_ATTEMPT * (context.attempt - 1)
    if context.workload is None and not context.nodes:
        confidence -= BLIND
    return round(min(max(confidence, LEAST), MOST), 2)


def _text(best: Hypothesis, others: Sequence[Hypothesis], context: Context) -> str:
    parts = [best.cause.rstrip(".") + "."]
    parts += [f"- {fact}" for fact in best.evidence if fact]
    if others:
        parts.append("Also seen: " + "; ".join(other.cause.rstrip(".") for other in others[:3]) + ".")
    if context.attempt > 1:
        tried = ", ".join(dict.fromkeys(attempt.action for attempt in context.attempted))
        parts.append(f"Attempt {context.attempt}: {tried or 'what was done before'} did not help.")
    if context.gaps:
        parts.append("Not known: " + "; ".join(context.gaps) + ".")
    return "\n".join(parts)[:MAX_TEXT]


def _evidence(best: Hypothesis, context: Context) -> tuple[Evidence, ...]:
    facts = [("finding", text) for text in best.evidence if text]
    facts += [("signal", fault.description) for fault in context.faults[:5]]
    facts += [("event", str(event)) for event in context.events[:5]]
    facts += [("log", line) for line in logs.error_lines(context.logs)[:5]]
    facts += [("gap", gap) for gap in context.gaps]
    unique: dict[str, str] = {}  # text → kind, each text once
    for kind, text in facts:
        unique.setdefault(text[:500], kind)
    return tuple(Evidence(f"E{number}", kind, text) for number, (text, kind) in enumerate(unique.items(), 1))


def related_events(context: Context) -> list[str]:
    """What else happened around it, newest first: warnings of the cluster, else the anomalies themselves."""
    events = sorted(context.events, key=lambda event: event.at or context.started_at, reverse=True)
    told = [f"{event} (×{event.times})" if event.times > 1 else str(event) for event in events]
    told += [f"{fault.object_kind}/{fault.object_name}: {fault.description}" for fault in context.faults]
    return [text[:500] for text in dict.fromkeys(told)][:MAX_EVENTS]


def blast_radius(context: Context) -> str:
    """Whom it touches, as the contract shows it: "6 pods, 1 service". Empty when nothing is known."""
    parts = [_count(context.pod_count, "pod")] if context.pod_count else []
    if context.services:
        parts.append(_count(len(context.services), "service"))
    return ", ".join(parts)


def gitops(context: Context) -> str:
    """Which tool keeps the workload as its repository or release says; empty when none does."""
    manager = context.workload.managed_by if context.workload else ""
    return f"{context.resource} is managed by {manager}" if manager else ""


def cascade(context: Context) -> str:
    """Other open incidents that may share the cause; the one that began first is named first."""
    if not context.neighbors:
        return ""
    ordered = sorted(context.neighbors, key=lambda neighbor: neighbor.started_at)
    told = [f"{one.name} on {one.resource} ({one.signal_type or 'unknown'}, same {one.shares})" for one in ordered]
    first = ordered[0]
    role = (
        f"{first.name} began earlier and may be the cause."
        if first.started_at < context.started_at
        else "This incident began first."
    )
    return f"{_count(len(told), 'other open incident')}: {'; '.join(told)}. {role}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
