import csv
import io
import re
from datetime import datetime, timedelta
from xml.etree import ElementTree

import pytest

from aiops.errors import Invalid
from analytics.models import ReportKind
from analytics.reports import charts, html
from analytics.reports import csv as sheets
from analytics.reports.document import Chart, ChartKind, Column, Figure, Report, Series, Table, Unit
from analytics.reports.texts import plain, readable
from tests.conftest import NOON

TABLE = Table(
    "perDay",
    "Per day",
    [Column("date", "Day"), Column("mttr", "Time", Unit.SECONDS), Column("at", "At", Unit.TIME)],
    [("2027-04-12", 65.0, NOON), ("<b>=1+1</b>", None, None)],
)
BARS = Chart("Incidents <per> day", ChartKind.BARS, ["04-11", "04-12"], [Series("a&b", [1, 2]), Series("c", [0, None])])


def make_report(**overrides: object) -> Report:
    values: dict[str, object] = {
        "kind": ReportKind.INCIDENTS,
        "title": "Incidents <script>",
        "since": NOON - timedelta(days=7),
        "until": NOON,
        "generated_at": NOON,
        "filters": {"namespace": "shop"},
        "figures": [Figure("mttr", "Mean time", None, Unit.SECONDS, 0), Figure("total", "Incidents", 1234)],
        "tables": [TABLE],
        "charts": [BARS],
        "notes": ["A note"],
    }
    return Report(**values | overrides)  # type: ignore[arg-type]


class TestTexts:
    @pytest.mark.parametrize(
        ("value", "unit", "text"),
        [
            (None, Unit.COUNT, "–"),
            (0, Unit.COUNT, "0"),
            (1234, Unit.COUNT, "1,234"),
            (3905.4, Unit.SECONDS, "1h5m5s"),
            (83.333, Unit.PERCENT, "83.3 %"),
            (True, Unit.TEXT, "yes"),
            (NOON, Unit.TIME, "2027-04-12 12:00"),
            (0.5, Unit.RATIO, "0.50"),
        ],
    )
    def test_readable(self, value: object, unit: Unit, text: str) -> None:
        assert readable(value, unit) == text  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("value", "text"),
        [(None, ""), (-1.5, "-1.5"), ("=1+1", "'=1+1"), (NOON, "2027-04-12T12:00:00Z"), (False, "false")],
    )
    def test_plain(self, value: str | float | datetime | None, text: str) -> None:
        assert plain(value) == text


NO_BASIS = {"samples": "", "coverage": ""}


class TestCsv:
    def test_holds_one_value_per_line(self) -> None:
        rows = list(csv.DictReader(io.StringIO(sheets.write(make_report()).decode())))

        total = {"section": "figures", "row": "", "measure": "total", "value": "1234", "unit": "count"} | NO_BASIS
        assert rows[1] == total
        assert rows[3] == {
            "section": "perDay", "row": "1", "measure": "mttr", "value": "65.0", "unit": "seconds", **NO_BASIS,
        }  # fmt: skip
        assert (rows[0]["measure"], rows[0]["value"], rows[0]["samples"]) == ("mttr", "", "0")

    def test_holds_one_table_on_demand(self) -> None:
        content = sheets.write(make_report(), "perDay").decode()

        assert content == "date,mttr,at\r\n2027-04-12,65.0,2027-04-12T12:00:00Z\r\n<b>=1+1</b>,,\r\n"

    def test_refuses_a_table_that_is_not_there(self) -> None:
        with pytest.raises(Invalid) as refusal:
            sheets.write(make_report(), "perYear")

        assert set(refusal.value.fields) == {"table"}


class TestHtml:
    def test_needs_nothing_from_elsewhere(self) -> None:
        page = html.write(make_report()).decode()

        assert "<script" not in page and "<link" not in page and "<img" not in page
        assert not re.findall(r"(?:src|href)=|url\(|@import", page)
        assert re.findall(r"https?://[^\"' ]+", page) == ["http://www.w3.org/2000/svg"]

    def test_escapes_what_comes_from_outside(self) -> None:
        page = html.write(make_report()).decode()

        assert "<b>" not in page and "&lt;b&gt;" in page
        assert "Incidents &lt;script&gt;" in page

    def test_says_how_many_rows_are_left_out(self) -> None:
        table = Table("x", "X", [Column("n", "N", Unit.COUNT)], [(n,) for n in range(250)], total=1000)

        assert "800 more are not shown." in html.write(make_report(tables=[table])).decode()

    def test_says_what_a_figure_rests_on(self) -> None:
        resting = Figure("mttr", "Mean time", 65.0, Unit.SECONDS, 1200, 0.87)

        assert "<small>1,200 samples, 87% covered</small>" in html.write(make_report(figures=[resting])).decode()

    def test_breaks_only_words_that_no_column_could_hold(self) -> None:
        table = Table("x", "X", [Column("n", "N")], [("Approved",), ("pod-" * 9,)])

        page = html.write(make_report(tables=[table])).decode()

        assert "<td>Approved</td>" in page
        assert f'<td class="long">{"pod-" * 9}</td>' in page

    def test_prints(self) -> None:
        page = html.write(make_report()).decode()

        assert "@media print" in page and "@page" in page and "table-header-group" in page


class TestCharts:
    @pytest.mark.parametrize(
        "chart",
        [
            BARS,
            Chart("Lines", ChartKind.LINES, ["a", "b", "c"], [Series("x", [1.0, None, 3.0])], Unit.SECONDS),
            Chart("Ranking", ChartKind.RANKING, ["Deployment/x" * 10, "<y>"], [Series("x", [4, 2])]),
            Chart("Nothing", ChartKind.LINES, ["a"], [Series("x", [None])]),
            Chart("No labels", ChartKind.RANKING, [], [Series("x", [])]),
            Chart("Zeros", ChartKind.BARS, ["a"], [Series("x", [0])]),
        ],
        ids=lambda chart: chart.title,
    )
    def test_is_well_formed(self, chart: Chart) -> None:
        root = ElementTree.fromstring(charts.svg(chart))

        assert root.tag.endswith("svg") and root.attrib["aria-label"] == chart.title

    def test_draws_nothing_across_a_gap(self) -> None:
        gap = Chart("Lines", ChartKind.LINES, ["a", "b", "c"], [Series("x", [1.0, None, 3.0])])

        drawn = charts.svg(gap)

        assert drawn.count("<circle") == 2
        assert 'stroke-width="2"' not in drawn

    def test_says_that_there_is_no_data(self) -> None:
        assert "no data" in charts.svg(Chart("Nothing", ChartKind.BARS, ["a"], [Series("x", [None])]))

    @pytest.mark.parametrize(
        ("highest", "found"),
        [(7, [0, 2, 4, 6, 8]), (0, [0, 1]), (100, [0, 25, 50, 75, 100]), (0.3, [0, 0.1, 0.2, 0.3])],
    )
    def test_ticks_are_round(self, highest: float, found: list[float]) -> None:
        assert charts.ticks(highest) == pytest.approx(found)

    @pytest.mark.parametrize(
        ("highest", "shown"),
        [
            (3, ["0s", "1s", "2s", "3s"]),
            (1_300, ["0s", "10m", "20m", "30m"]),
            (100_000, ["0s", "12h", "24h", "36h"]),
            (400_000, ["0s", "48h", "96h", "144h"]),
        ],
    )
    def test_ticks_of_times_are_round_as_people_tell_time(self, highest: float, shown: list[str]) -> None:
        assert [readable(tick, Unit.SECONDS) for tick in charts.ticks(highest, Unit.SECONDS)] == shown
