"""PromQL of SLOs: checked when it is saved; windows and labels are put in by walking the syntax tree.

The only module that knows the parser. Its own printer does not escape label values, so ours writes the tree out, and changes
it while it does. Text is touched in one case only: a placeholder such as `[{{.window}}]` is no PromQL until it is a duration.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import promql_parser as pql

LONGEST = 8192  # characters of a query
DEEPEST = 64  # brackets and operators; the parser and we recurse
NO_LABELS: Mapping[str, str] = MappingProxyType({})
_PLACEHOLDER = re.compile(
    r"\[\s*(?:\{\{\s*\.?[wW]indow\s*\}\}|\$\{?(?:window|W|__range|__rate_interval|__interval)\}?)\s*(?=[\]:])"
)
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,127}", re.ASCII)
_SENTINEL = timedelta(seconds=424_242_424)  # stands for the window where a placeholder was
_PER_SECOND = frozenset({"rate", "irate"})
_OPS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class PromQLError(ValueError):
    """The text is no query that an SLO can use. The message is for people."""


def is_label(name: str) -> bool:
    """Whether series can have a label of that name that we may ask for."""
    return _LABEL.fullmatch(name) is not None and not name.startswith("__")


def complaint_about(text: str) -> str:
    """What is wrong with the query; empty when nothing is."""
    try:
        _parse(text)
    except PromQLError as error:
        return str(error)
    return ""


def events(text: str, width: timedelta, labels: Mapping[str, str] = NO_LABELS) -> str:
    """The query for the number of events within `width`, of series that have the `labels`.

    Rates become increases, ranges become `width` (only the placeholders, where there are some), and a bare counter is summed
    up over its series. A selector that says something about a label itself keeps that. Raises `PromQLError`.
    """
    tree = _parse(text)
    ranges = _ranges(tree)
    if ranges:
        return _Printer(width=width, only_sentinel=_SENTINEL in ranges, as_increase=True, labels=labels).text(tree)
    inner = _Printer(width=width, wrap_selectors=True, labels=labels).text(tree)
    return inner if isinstance(_bare(tree), pql.AggregateExpr) else f"sum({inner})"


def value(text: str, width: timedelta, labels: Mapping[str, str] = NO_LABELS) -> str:
    """The query for a ratio or a latency over `width`, `labels` as in `events`. Raises `PromQLError`."""
    tree = _parse(text)
    return _Printer(width=width, only_sentinel=_SENTINEL in _ranges(tree), labels=labels).text(tree)


def sampled(text: str) -> str:
    """A query whose values are numbers of events at an instant, as the query for the events of a window: a value per minute.

    One that looks back counts over a window by itself. What is no PromQL stays as it is, for `complaint_about` to name.
    """
    if complaint_about(text) or looks_back(text):
        return text
    return f"sum_over_time(({text})[{{{{.window}}}}:1m])"


def looks_back(text: str) -> bool:
    """Whether the query is about a range of time; one that is not tells of an instant."""
    return bool(_ranges(_parse(text)))


def is_percent(text: str) -> bool:
    """Whether the query multiplies its result by 100, as in the contract's example."""
    return _is_multiplied(_parse(text), 100)


def milliseconds(text: str) -> float:
    """What a result is to be multiplied by to be milliseconds: Prometheus measures in seconds and names metrics so."""
    tree = _parse(text)
    if _is_multiplied(tree, 1000):
        return 1.0
    return 1000.0 if any("_seconds" in (name or "") for name in _names(tree)) else 1.0


def percentile(text: str) -> float | None:
    """The percentile that a `histogram_quantile` in the query asks for, from 0 to 100."""
    for node in _nodes(_parse(text)):
        if isinstance(node, pql.Call) and node.func.name == "histogram_quantile":
            argument = _bare(node.args[0])
            if isinstance(argument, pql.NumberLiteral):
                return round(argument.val * 100, 6)
    return None


def quantile(good: str, share: float, width: timedelta, labels: Mapping[str, str] = NO_LABELS) -> str | None:
    """From a query of the bucket below a threshold: the query for the quantile `share` in milliseconds; None without bucket."""
    for node in _nodes(_parse(good)):
        if isinstance(node, pql.VectorSelector) and (node.name or "").endswith("_bucket") and _threshold(node):
            selector = _Printer(without=frozenset({"le"}), labels=labels).selector(node)
            factor = " * 1000" if "_seconds" in (node.name or "") else ""
            window = pql.display_duration(width)
            return f"histogram_quantile({share:g}, sum by (le) (increase({selector}[{window}]))){factor}"
    return None


@dataclass(frozen=True, slots=True)
class Bucket:
    """The bucket of a histogram that a query of good events selects, and the query for the bounds that there are."""

    bound: str
    bounds: str


def bucket(good: str, labels: Mapping[str, str] = NO_LABELS) -> Bucket | None:
    """None when the query selects none."""
    for node in _nodes(_parse(good)):
        if isinstance(node, pql.VectorSelector) and (node.name or "").endswith("_bucket"):
            bound = _threshold(node)
            if bound is not None:
                selector = _Printer(without=frozenset({"le"}), labels=labels).selector(node)
                return Bucket(bound, f"group by (le) ({selector})")
    return None


def _threshold(node: pql.VectorSelector) -> str | None:
    return next((m.value for m in node.matchers.matchers if m.name == "le" and _word(m.op) == "Equal"), None)


# --- reading ---------------------------------------------------------------------------------------------------------


def _parse(text: str) -> pql.Expr:
    if not text.strip():
        raise PromQLError("The query is empty")
    if len(text) > LONGEST:
        raise PromQLError(f"The query is longer than {LONGEST} characters")
    if sum(map(text.count, "([{+-*/^")) > 4 * DEEPEST or _depth(text) > DEEPEST:
        raise PromQLError("The query is nested too deeply")
    readable = _PLACEHOLDER.sub(f"[{int(_SENTINEL.total_seconds())}s", text)
    try:
        tree: pql.Expr = pql.parse(readable)
    except ValueError as error:
        raise PromQLError(f"It is no PromQL: {error}") from error
    nodes = _nodes(tree)
    if isinstance(_bare(tree), pql.MatrixSelector | pql.SubqueryExpr):
        raise PromQLError("The query gives a range of samples; wrap it in a function such as increase()")
    if not any(isinstance(node, pql.VectorSelector | pql.MatrixSelector) for node in nodes):
        raise PromQLError("The query selects no series")
    return tree


def _depth(text: str) -> int:
    deepest = depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest


def _nodes(tree: pql.Expr) -> list[pql.Expr]:
    """Every node; the parser's own walk does not enter a range's selector twice."""
    found: list[pql.Expr] = []
    pql.walk(tree, found.append)
    return found


def _bare(tree: Any) -> Any:
    while isinstance(tree, pql.ParenExpr):
        tree = tree.expr
    return tree


def _ranges(tree: pql.Expr) -> list[timedelta]:
    return [
        node.range for node in _nodes(tree) if isinstance(node, pql.MatrixSelector | pql.SubqueryExpr) and node.range
    ]


def _names(tree: pql.Expr) -> list[str | None]:
    return [node.name for node in _nodes(tree) if isinstance(node, pql.VectorSelector)]


def _is_multiplied(tree: pql.Expr, by: float) -> bool:
    node = _bare(tree)
    if not isinstance(node, pql.BinaryExpr) or str(node.op) != "*":
        return False
    return any(isinstance(side, pql.NumberLiteral) and side.val == by for side in (_bare(node.lhs), _bare(node.rhs)))


def _word(value: object) -> str:
    """The bare name of a member of the parser's enumerations."""
    return str(value).rpartition(".")[2]


# --- writing ---------------------------------------------------------------------------------------------------------


def quote(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(character, character) for character in text) + '"'


@dataclass(slots=True)
class _Printer:
    """Writes a tree as PromQL, with the changes that its fields say."""

    width: timedelta | None = None  # what ranges become; None: they stay
    only_sentinel: bool = False  # and only those that were placeholders
    as_increase: bool = False  # rates become increases
    wrap_selectors: bool = False  # bare selectors become increases
    labels: Mapping[str, str] = field(default_factory=dict)  # matchers to add
    without: frozenset[str] = frozenset()  # labels whose matchers to drop
    inside_range: bool = False

    def text(self, node: Any) -> str:
        writer = _WRITERS.get(type(node))
        if writer is None:
            raise PromQLError(f"{type(node).__name__} is not supported here")
        return writer(self, node)

    def paren(self, node: pql.ParenExpr) -> str:
        return f"({self.text(node.expr)})"

    def unary(self, node: pql.UnaryExpr) -> str:
        return f"-{self.text(node.expr)}"

    def number(self, node: pql.NumberLiteral) -> str:
        return {"inf": "Inf", "-inf": "-Inf", "nan": "NaN"}.get(repr(node.val), repr(node.val))

    def string(self, node: pql.StringLiteral) -> str:
        return quote(node.val)

    def aggregate(self, node: pql.AggregateExpr) -> str:
        modifier = ""
        if node.modifier is not None:
            modifier = f" {_word(node.modifier.type).lower()} ({', '.join(node.modifier.labels)})"
        parameter = f"{self.text(node.param)}, " if node.param is not None else ""
        return f"{node.op}{modifier} ({parameter}{self.text(node.expr)})"

    def binary(self, node: pql.BinaryExpr) -> str:
        return f"{self.text(node.lhs)} {node.op}{_matching(node.modifier)} {self.text(node.rhs)}"

    def call(self, node: pql.Call) -> str:
        name = node.func.name
        if self.as_increase and not self.inside_range and name in _PER_SECOND:
            name = "increase"
        return f"{name}({', '.join(self.text(argument) for argument in node.args)})"

    def instant(self, node: pql.VectorSelector) -> str:
        if self.wrap_selectors:
            window = pql.display_duration(self.width or timedelta())
            return f"increase({self.selector(node)}[{window}]{_shift(node)})"
        return f"{self.selector(node)}{_shift(node)}"

    def selector(self, node: pql.VectorSelector) -> str:
        given = node.matchers
        if given.or_matchers:
            groups = [self._matchers(group) for group in given.or_matchers]
            return f"{node.name or ''}{{{' or '.join(groups)}}}"
        inner = self._matchers(given.matchers)
        return f"{node.name or ''}{{{inner}}}" if inner or not node.name else node.name

    def _matchers(self, given: Sequence[pql.Matcher]) -> str:
        kept = [m for m in given if m.name not in self.without]
        written = [f"{m.name}{_OPS[_word(m.op)]}{quote(m.value)}" for m in kept]
        known = {m.name for m in given}
        written += [f"{name}={quote(text)}" for name, text in self.labels.items() if name not in known]
        return ",".join(written)

    def matrix(self, node: pql.MatrixSelector) -> str:
        inner = node.vector_selector
        return f"{self.selector(inner)}[{self._range(node.range)}]{_shift(inner)}"

    def subquery(self, node: pql.SubqueryExpr) -> str:
        window = self._range(node.range or timedelta())
        # the outermost range is the window; what is looked at inside of it is the person's business
        outside, self.inside_range = self.inside_range, True
        inner = self.text(node.expr)
        self.inside_range = outside
        step = pql.display_duration(node.step) if node.step else ""
        return f"{inner}[{window}:{step}]{_shift(node)}"

    def _range(self, given: timedelta) -> str:
        is_window = given == _SENTINEL if self.only_sentinel else not self.inside_range
        return pql.display_duration(self.width if self.width is not None and is_window else given)


def _matching(modifier: pql.BinModifier | None) -> str:
    if modifier is None:
        return ""
    fill = modifier.fill_values
    if fill is not None and (fill.lhs is not None or fill.rhs is not None):
        raise PromQLError("Fill modifiers are not supported")
    text = " bool" if modifier.return_bool else ""
    if modifier.matching is not None:
        word = "on" if _word(modifier.matching.type) == "Include" else "ignoring"
        text += f" {word} ({', '.join(modifier.matching.labels)})"
    side = {"ManyToOne": "group_left", "OneToMany": "group_right"}.get(_word(modifier.card))
    if side is not None:
        text += f" {side} ({', '.join(modifier.group_labels or [])})"
    return text


def _shift(node: Any) -> str:
    """The `offset` and `@` of a selector or subquery."""
    text = ""
    if node.at is not None:
        kind = _word(node.at.type)
        text += f" @ {node.at.at.timestamp():.3f}" if kind == "At" else f" @ {kind.lower()}()"
    if node.offset:
        sign = "-" if node.offset < timedelta() else ""
        text += f" offset {sign}{pql.display_duration(abs(node.offset))}"
    return text


_WRITERS: dict[type, Callable[[_Printer, Any], str]] = {
    pql.ParenExpr: _Printer.paren,
    pql.UnaryExpr: _Printer.unary,
    pql.NumberLiteral: _Printer.number,
    pql.StringLiteral: _Printer.string,
    pql.AggregateExpr: _Printer.aggregate,
    pql.BinaryExpr: _Printer.binary,
    pql.Call: _Printer.call,
    pql.VectorSelector: _Printer.instant,
    pql.MatrixSelector: _Printer.matrix,
    pql.SubqueryExpr: _Printer.subquery,
}
