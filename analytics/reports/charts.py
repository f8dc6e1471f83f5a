"""Charts as inline SVG: no script, no font, no file from elsewhere, so that a mail or a printer shows what a browser does."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import floor, log10

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from analytics.reports.document import Chart, ChartKind, Series, Unit
from analytics.reports.texts import readable

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 28, 34
BAR = 22  # height of one bar of a ranking
NAMES = 240  # width of the names of a ranking
LABEL_MAX = 36  # characters
LABELS_SHOWN = 10
# told apart by eyes that confuse red and green, and in gray
COLORS = ("#1b4f72", "#d35400", "#7fb3d5", "#7d6608", "#7d3c98", "#626567")
STEPS = (1, 2, 2.5, 5, 10)
MINUTE, HOUR, DAY = 60, 3_600, 86_400
TIMES = (
    1,
    2,
    5,
    10,
    15,
    30,
    *(MINUTE * n for n in (1, 2, 5, 10, 15, 30)),
    *(HOUR * n for n in (1, 2, 3, 6, 12)),
)  # seconds


def svg(chart: Chart) -> SafeString:
    """The chart as an `svg` element. All texts are escaped here."""
    draw = {ChartKind.BARS: _bars, ChartKind.LINES: _lines, ChartKind.RANKING: _ranking}[chart.kind]
    height = TOP + BAR * max(1, len(chart.labels)) + 8 if chart.kind is ChartKind.RANKING else HEIGHT
    body = "".join(draw(chart)) if _has_data(chart) else _text(WIDTH / 2, height / 2, "no data", anchor="middle")
    title = escape(chart.title)
    return mark_safe(  # noqa: S308 - every text in it went through `escape`
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{title}</title>{body}</svg>"
    )


def _has_data(chart: Chart) -> bool:
    return any(value is not None for series in chart.series for value in series.values)


def ticks(highest: float, unit: Unit = Unit.COUNT, count: int = 4) -> list[float]:
    """Round values from 0 to at least `highest`; times are round in minutes, hours or days."""
    if highest <= 0:
        return [0.0, 1.0]
    step = _step(highest / count, unit)
    found = [0.0]
    while found[-1] < highest * 0.999999:
        found.append(round(found[-1] + step, 10))
    return found


def _step(least: float, unit: Unit) -> float:
    least *= 0.999999
    if unit is Unit.SECONDS and least <= TIMES[-1]:
        return next(step for step in TIMES if step >= least)
    base = DAY if unit is Unit.SECONDS else 1
    magnitude: float = base * 10 ** floor(log10(least / base))
    return next(step * magnitude for step in STEPS if step * magnitude >= least)


def _text(x: float, y: float, text: str, *, anchor: str = "start", color: str = "#333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}">{escape(text)}</text>'


def _short(text: str) -> str:
    return text if len(text) <= LABEL_MAX else f"{text[: LABEL_MAX - 1]}…"


def _frame(chart: Chart, marks: Sequence[float]) -> Iterator[str]:
    """Legend, horizontal lines with their values, and labels below."""
    x = float(LEFT)
    for number, series in enumerate(chart.series if len(chart.series) > 1 else ()):
        yield f'<rect x="{x:.1f}" y="6" width="10" height="10" fill="{_color(number)}"/>'
        yield _text(x + 14, 15, _short(series.label))
        x += 24 + 6.5 * len(_short(series.label))
    for mark in marks:
        y = _y(mark, marks[-1])
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
        yield _text(LEFT - 6, y + 4, _mark(mark, chart.unit), anchor="end")
    every = max(1, -(-len(chart.labels) // LABELS_SHOWN))
    for position, label in enumerate(chart.labels):
        if position % every == 0:
            yield _text(_x(position, len(chart.labels)), HEIGHT - BOTTOM + 18, label, anchor="middle")


def _mark(value: float, unit: Unit) -> str:
    if unit in {Unit.COUNT, Unit.NUMBER} and value != int(value):
        return f"{value:g}"
    return readable(value, unit)


def _color(number: int) -> str:
    return COLORS[number % len(COLORS)]


def _y(value: float, highest: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / highest


def _x(position: int, count: int) -> float:
    """The middle of the place of a label."""
    return LEFT + (WIDTH - LEFT - RIGHT) * (position + 0.5) / count


def _bars(chart: Chart) -> Iterator[str]:
    count = len(chart.labels)
    stacks = [sum(series.values[position] or 0 for series in chart.series) for position in range(count)]
    marks = ticks(max(stacks), chart.unit)
    yield from _frame(chart, marks)
    width = max(1.0, (WIDTH - LEFT - RIGHT) / count * 0.7)
    for position in range(count):
        base = 0.0
        for number, series in enumerate(chart.series):
            value = series.values[position] or 0
            if value:
                top, bottom = _y(base + value, marks[-1]), _y(base, marks[-1])
                yield (
                    f'<rect x="{_x(position, count) - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" '
                    f'height="{bottom - top:.1f}" fill="{_color(number)}">{_hint(chart, series, position)}</rect>'
                )
            base += value


def _hint(chart: Chart, series: Series, position: int) -> str:
    value = readable(series.values[position], chart.unit)
    return f"<title>{escape(f'{chart.labels[position]} {series.label}: {value}')}</title>"


def _lines(chart: Chart) -> Iterator[str]:
    marks = ticks(max(value for series in chart.series for value in series.values if value is not None), chart.unit)
    yield from _frame(chart, marks)
    count = len(chart.labels)
    for number, series in enumerate(chart.series):
        points = [
            None if value is None else (_x(position, count), _y(value, marks[-1]))
            for position, value in enumerate(series.values)
        ]
        # nothing is drawn across a gap: what is unknown is not in between
        for one, other in pairwise(points):
            if one and other:
                yield (
                    f'<line x1="{one[0]:.1f}" y1="{one[1]:.1f}" x2="{other[0]:.1f}" y2="{other[1]:.1f}" '
                    f'stroke="{_color(number)}" stroke-width="2"/>'
                )
        for position, point in enumerate(points):
            if point:
                yield (
                    f'<circle cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="2.5" fill="{_color(number)}">'
                    f"{_hint(chart, series, position)}</circle>"
                )


def _ranking(chart: Chart) -> Iterator[str]:
    series = chart.series[0]
    highest = max((value or 0 for value in series.values), default=0) or 1
    room = WIDTH - NAMES - 80
    for position, (label, value) in enumerate(zip(chart.labels, series.values, strict=True)):
        y = TOP + BAR * position
        yield _text(NAMES - 6, y + BAR - 8, _short(label), anchor="end")
        if value is not None:
            length = max(0.0, room * value / highest)
            yield f'<rect x="{NAMES}" y="{y + 2}" width="{length:.1f}" height="{BAR - 6}" fill="{COLORS[0]}"/>'
            yield _text(NAMES + length + 6, y + BAR - 8, readable(value, chart.unit))
