"""Good and total events, ratios and latencies from PromQL."""

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta

from aiops.clients.errors import ClientError, ClientRefused, ClientUnavailable
from aiops.clients.prometheus import PrometheusClient, Samples, span
from slos import objectives, promql
from slos.models import SLO, SLOType
from slos.promql import PromQLError
from slos.slices import Slice, moment
from slos.sources.base import Answer, Question, Span, by_method, is_number

MOST_POINTS = 4_400  # per answer: three days of minutes, or two weeks of five minutes
COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}
MINUTE = timedelta(minutes=1)
PERCENT_FROM = 1.5  # a result that never falls below it is a percentage, whatever the query looks like


def measure(client: PrometheusClient, question: Question) -> Answer:
    """Ask for all slices of the question. Never raises for what the server does: the answer says so."""
    answer = Answer(question)
    reader = _Reader(client, question)
    try:
        answer.recent = reader.read(question.recent)
    except ClientUnavailable as error:
        answer.error, answer.is_away = error.message, True
        return answer
    except (ClientError, PromQLError) as error:
        answer.error = str(error)
        return answer
    answer.older = _older(reader, question)
    answer.warnings = tuple(reader.warnings)
    return answer


def _older(reader: "_Reader", question: Question) -> list[Slice]:
    """History is welcome, not needed: a server that cannot give it (too many samples, too slow) is not asked again."""
    found: list[Slice] = []
    try:
        for part in question.older:
            found += reader.read(part)
    except ClientError as error:
        reader.warnings.append(f"earlier history is missing: {error.message}")
    return found


class _Reader:
    """Asks one server the queries of one SLO."""

    def __init__(self, client: PrometheusClient, question: Question) -> None:
        self._client = client
        self._slo = question.slo
        self._width = timedelta(seconds=question.grid.width)
        self._labels = objectives.match_labels(question.slo)
        self.warnings: list[str] = []

    def read(self, whole: Span) -> list[Slice]:
        found: list[Slice] = []
        for start, end in span(whole.start, whole.end, whole.step, MOST_POINTS):
            part = Span(start, end, whole.step)
            found += by_method(self._slo, self._slices(part), part)
        return found

    def _slices(self, part: Span) -> Iterator[Slice]:
        return self._from_events(part) if self._slo.total_query else self._from_values(part)

    def _ask(self, expression: str, part: Span) -> Samples:
        samples = self._client.query_range(expression, start=part.start, end=part.end, step=part.step)
        self.warnings += [line for line in samples.warnings if line not in self.warnings]
        return samples

    def _from_events(self, part: Span) -> Iterator[Slice]:
        slo = self._slo
        total = self._ask(self._events(slo.total_query), part).values
        counts_bad = not slo.good_query
        counted = self._ask(self._events(slo.bad_query if counts_bad else slo.good_query), part).values
        if slo.good_query and not counted and any(events > 0 for events in total.values()):
            self._refuse_missing_bucket(part)
        latencies = self._latencies(part) if slo.type == SLOType.LATENCY else {}
        for end in part.ends():
            events = total.get(end)
            # a series of good or of bad events that was never born is none; without the total nothing is known
            some = counted.get(end, 0.0)
            if events is None or not is_number(events) or not is_number(some) or events < 0:
                continue
            yield Slice(end, events - some if counts_bad else some, events, latencies.get(end, math.nan))

    def _refuse_missing_bucket(self, part: Span) -> None:
        """A histogram has all of its buckets: without the one of the threshold nothing is known, it is not that all was slow."""
        bucket = promql.bucket(self._slo.good_query, self._labels)
        if bucket is None:
            return
        bounds = self._client.label_values(bucket.bounds, "le", moment(part.end))
        if bounds and bucket.bound not in bounds:
            near = ", ".join(_nearest(bucket.bound, bounds))
            raise ClientRefused(f"The histogram has no bucket le={bucket.bound}; the nearest ones are {near}")

    def _events(self, query: str) -> str:
        return promql.events(query, self._width, self._labels)

    def _latencies(self, part: Span) -> Mapping[int, float]:
        slo = self._slo
        if slo.query:
            factor = promql.milliseconds(slo.query)
            found = self._ask(promql.value(slo.query, self._width, self._labels), part).finite
            return {end: value * factor for end, value in found.items()}
        share = float(objectives.percentile(slo)) / 100
        expression = promql.quantile(slo.good_query, share, self._width, self._labels) if slo.good_query else None
        return self._ask(expression, part).finite if expression else {}

    def _from_values(self, part: Span) -> Iterator[Slice]:
        """Every slice weighs the same: a ready ratio does not say how many events it is of."""
        slo = self._slo
        values = self._ask(promql.value(slo.query, self._width, self._labels), part).values
        factor = promql.milliseconds(slo.query) if slo.type == SLOType.LATENCY else 1.0
        scale = self._scale(values)
        for end in part.ends():
            value = values.get(end)
            if value is None or math.isinf(value):
                continue
            if math.isnan(value):  # 0 of 0: it was looked at, and there was nothing
                yield Slice(end, 0.0, 0.0)
                continue
            yield self._judged(end, value * factor, scale)

    def _judged(self, end: int, value: float, scale: float) -> Slice:
        slo = self._slo
        latency = value if slo.type == SLOType.LATENCY else math.nan
        if slo.threshold_op and slo.threshold_value is not None:
            is_good = COMPARE[slo.threshold_op](value, slo.threshold_value)
            return Slice(end, float(is_good), 1.0, latency)
        if slo.type == SLOType.LATENCY:
            return Slice(end, float(value <= float(slo.target)), 1.0, latency)
        ratio = value / scale
        is_failure = slo.raw_type == "failure" or (slo.type == SLOType.ERROR_RATE and slo.raw_type != "success")
        return Slice(end, 1 - ratio if is_failure else ratio, 1.0)

    def _scale(self, values: Mapping[int, float]) -> float:
        if promql.is_percent(self._slo.query):
            return 100.0
        known = [value for value in values.values() if math.isfinite(value)]
        return 100.0 if known and min(known) > PERCENT_FROM else 1.0


def _nearest(bound: str, bounds: Iterable[str]) -> list[str]:
    """At most two, the smaller one first."""
    wanted = _bound(bound)
    close = sorted(bounds, key=lambda other: (abs(_bound(other) - wanted), _bound(other)))[:2]
    return sorted(close, key=_bound)


def _bound(text: str) -> float:
    """The upper bound of a bucket; labels may be anything."""
    try:
        found = float(text)
    except ValueError:
        return math.inf
    return math.inf if math.isnan(found) else found


def address(slo: SLO) -> str:
    """Which server to ask (X9.30). Raises `ClientRefused` when there is none."""
    url = slo.prometheus_url or (slo.cluster.prometheus_url if slo.cluster else "")
    if not url:
        raise ClientRefused("no Prometheus is named, neither by the SLO nor by its cluster")
    return url
