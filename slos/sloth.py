"""Sloth's `prometheus/v1` documents: reading them as the bodies that `slos.definitions` validates. Pure.

A document holds several SLOs of one service. Sloth's window placeholder (`{{.window}}`) stays in the queries: it is filled in
when they are asked.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from aiops.documents import Document
from slos import burn_rate, windows
from slos.shapes import Body, Candidate, Refused, only, slug, text

VERSION = "prometheus/v1"
SLOTH = f"Sloth's {VERSION}"
WINDOW = "30d"  # Sloth's default period
MOST_SLOS = 500
TOP = frozenset({"version", "service", "labels", "slos"})
SLO = frozenset({"name", "description", "objective", "labels", "sli", "alerting"})
ALERTING = frozenset({"name", "labels", "annotations", "page_alert", "ticket_alert"})


def belongs(document: Document) -> bool:
    return isinstance(document.content, Mapping) and document.content.get("version") == VERSION


def read(document: Document) -> list[Candidate]:
    """The SLOs of a document; a broken one is rejected alone, a broken document as a whole."""
    content = document.content
    try:
        only(content, TOP, "", SLOTH)
        service = text(content.get("service"), "service")
        labels = _labels(content.get("labels"), "labels")
        slos = content.get("slos")
        if not isinstance(slos, list) or not 0 < len(slos) <= MOST_SLOS:
            raise Refused("slos", f"a list of 1 to {MOST_SLOS} SLOs is expected")
    except Refused as refused:
        return [Candidate(document.number, "", problem=str(refused))]
    return list(_candidates(document, service, labels, slos))


def _candidates(document: Document, service: str, labels: dict[str, str], slos: list[Any]) -> Iterator[Candidate]:
    for number, written in enumerate(slos):
        path = f"slos[{number}]"
        given = written.get("name") if isinstance(written, Mapping) else None
        called = f"{service}-{given}"[:253] if isinstance(given, str) else ""
        candidate = Candidate(document.number, called)
        try:
            if not isinstance(written, Mapping):
                raise Refused(path, "an object is expected")
            candidate.body, candidate.imported = _read_slo(written, service, labels, path)
            name = candidate.body["name"]
            if called != name:
                candidate.warnings.append(f"{path}.name: is no DNS label, the SLO is called {name} here")
            alerting = candidate.imported.get("sloth", {}).get("alerting", {})
            if all((alerting.get(part) or {}).get("disable") for part in ("page_alert", "ticket_alert")):
                candidate.warnings.append(f"{path}.alerting: both alerts are disabled, here the default rules apply")
        except Refused as refused:
            candidate.problem = str(refused)
        yield candidate


def _read_slo(
    written: Mapping[str, Any], service: str, labels: dict[str, str], path: str
) -> tuple[Body, dict[str, Any]]:
    only(written, SLO, path, SLOTH)
    name = text(written.get("name"), f"{path}.name")
    objective = written.get("objective")
    if not isinstance(objective, int | float) or isinstance(objective, bool) or not 0 < objective < 100:
        raise Refused(f"{path}.objective", "a percentage greater than 0 and less than 100 is expected")
    alerting = written.get("alerting") or {}
    body: Body = {
        "name": slug(f"{service}-{name}"),
        "service": service,
        "type": "availability",
        "target": float(objective),
        "window": WINDOW,
        "description": written.get("description"),
        "labels": labels | _labels(written.get("labels"), f"{path}.labels"),
        "indicator": _indicator(written.get("sli"), f"{path}.sli"),
        "alerting": {"burnRateThresholds": _rules(alerting, objective, f"{path}.alerting")},
    }
    return body, {"sloth": {"alerting": alerting}} if alerting else {}


def _indicator(sli: Any, path: str) -> Body:
    if not isinstance(sli, Mapping) or len(sli) != 1:
        raise Refused(path, "exactly one of events and raw is expected")
    kind, written = next(iter(sli.items()))
    if kind == "plugin":
        raise Refused(f"{path}.plugin", "SLI plug-ins are programs, they are not supported")
    if kind not in {"events", "raw"} or not isinstance(written, Mapping):
        raise Refused(path, "exactly one of events and raw is expected")
    path = f"{path}.{kind}"
    if kind == "raw":
        only(written, {"error_ratio_query"}, path, SLOTH)
        query = text(written.get("error_ratio_query"), f"{path}.error_ratio_query")
        return {"source": "prometheus", "query": query, "rawType": "failure"}
    only(written, {"error_query", "total_query"}, path, SLOTH)
    return {
        "source": "prometheus",
        "badEventsQuery": text(written.get("error_query"), f"{path}.error_query"),
        "totalEventsQuery": text(written.get("total_query"), f"{path}.total_query"),
    }


def _rules(alerting: Any, objective: float, path: str) -> list[Body]:
    """Sloth's alerts have the default windows; a disabled half of them leaves the other."""
    if not isinstance(alerting, Mapping):
        raise Refused(path, "an object is expected")
    only(alerting, ALERTING, path, SLOTH)
    keeps = {part: not _is_disabled(alerting.get(part), f"{path}.{part}") for part in ("page_alert", "ticket_alert")}
    if all(keeps.values()) or not any(keeps.values()):
        return []
    budget = 1 - Decimal(str(objective)) / 100
    return [
        {
            "severity": rule.severity,
            "shortWindow": windows.spell(rule.short),
            "longWindow": windows.spell(rule.long),
            "burnRate": rule.factor,
        }
        for rule in burn_rate.derive(windows.parse(WINDOW), budget)
        if rule.is_page is keeps["page_alert"]
    ]


def _is_disabled(written: Any, path: str) -> bool:
    if not isinstance(written or {}, Mapping):
        raise Refused(path, "an object is expected")
    return (written or {}).get("disable") is True


def _labels(written: Any, path: str) -> dict[str, str]:
    if not isinstance(written or {}, Mapping):
        raise Refused(path, "an object is expected")
    return {str(key): str(value) for key, value in (written or {}).items()}
