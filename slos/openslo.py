"""OpenSLO v1: reading what teams write, and writing it back without loss. Pure.

What is read becomes the body that `slos.definitions` validates, so a document is an SLO exactly when the same request would
be. What OpenSLO can say and we do not store (display names, lists of labels, notification targets) is kept beside the
columns (`imported`); what we store and OpenSLO cannot say stands in one annotation, `aiops/definition`. Export writes both
back, and importing an export changes nothing.

A data source that does not read PromQL cannot be asked: such an SLO is stored with its sources as they were written, is never
measured, and its queries are checked by nobody.

Unknown members are refused by their path. What other readers only warn of is a warning here, too.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from aiops.documents import Document
from slos import promql
from slos.shapes import (
    HOURS,
    MOST,
    Body,
    Candidate,
    Refused,
    go_duration,
    listed,
    mapping,
    minutes,
    only,
    slug,
    span,
    text,
)

API_VERSION = "openslo/v1"
EXTRAS = "aiops/definition"  # annotation: members of the body that OpenSLO has no word for
OURS = "aiops"  # the metric source type of an SLO that is not measured from Prometheus
OPENSLO = "OpenSLO v1"
UNSUPPORTED = "unsupported"
# parts of the names of metric source types whose queries are PromQL
PROMQL_TYPES = ("prometheus", "promql", "thanos", "cortex", "mimir", "victoriametrics", "victoria-metrics")
ANY = "any"  # a document that does not care
PROMETHEUS = "prometheus"
UNITS = {"d": "day", "w": "week", "M": "month", "Q": "quarter", "Y": "year"}
LETTERS = {unit: letter for letter, unit in UNITS.items()}
SEVERITIES = {"page": "critical", "ticket": "medium", "error": "high", "info": "low"}
KNOWN_SEVERITIES = frozenset({"critical", "high", "medium", "low", "warning"})
SHORT_SHARE = 12  # of the look-back window: the short window that says it is still happening

METADATA = frozenset({"name", "displayName", "labels", "annotations"})
SPECS: dict[str, frozenset[str]] = {
    "SLO": frozenset(
        {
            "description",
            "service",
            "indicator",
            "indicatorRef",
            "timeWindow",
            "budgetingMethod",
            "objectives",
            "alertPolicies",
        }
    ),
    "SLI": frozenset({"description", "thresholdMetric", "ratioMetric"}),
    "Service": frozenset({"description"}),
    "DataSource": frozenset({"description", "type", "connectionDetails"}),
    "AlertPolicy": frozenset(
        {
            "description",
            "alertWhenNoData",
            "alertWhenBreaching",
            "alertWhenResolved",
            "conditions",
            "notificationTargets",
        }
    ),
    "AlertCondition": frozenset({"description", "severity", "condition"}),
    "AlertNotificationTarget": frozenset({"description", "target"}),
}


# --- objects of a file -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Object:
    document: int
    content: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return str(self.content.get("kind"))

    @property
    def name(self) -> str:
        metadata = self.content.get("metadata")
        name = metadata.get("name") if isinstance(metadata, Mapping) else None
        return name[:253] if isinstance(name, str) else ""


Catalog = dict[tuple[str, str], Mapping[str, Any]]


def belongs(document: Document) -> bool:
    """Whether a document is OpenSLO's: an object of one of its versions, or a list that holds one."""
    return any(
        isinstance(one, Mapping) and str(one.get("apiVersion")).startswith("openslo") for one in _contents(document)
    )


def read(found: Sequence[Document]) -> list[Candidate]:
    """The SLOs of several documents, which may refer to each other's objects. A broken document is a candidate, too."""
    objects: list[_Object] = []
    broken: list[Candidate] = []
    for document in found:
        if document.problem:
            broken.append(Candidate(document.number, "", problem=document.problem))
            continue
        for content in _contents(document)[:MOST]:
            try:
                one = _Object(document.number, mapping(content, ""))
                _check_envelope(one.content)
                objects.append(one)
            except Refused as refused:
                name = _Object(document.number, content).name if isinstance(content, Mapping) else ""
                broken.append(Candidate(document.number, name, problem=str(refused)))
    catalog: Catalog = {(one.kind, one.name): one.content for one in objects}
    slos = [candidate for one in objects if one.kind == "SLO" for candidate in _read_slo(one, catalog)]
    return sorted([*slos, *broken], key=lambda candidate: candidate.document)


def _contents(document: Document) -> list[Any]:
    return document.content if isinstance(document.content, list) else [document.content]


def _check_envelope(content: Mapping[str, Any]) -> None:
    if content.get("apiVersion") != API_VERSION:
        raise Refused("apiVersion", f"only {API_VERSION} is supported")
    if content.get("kind") not in SPECS:
        raise Refused("kind", "is no kind of OpenSLO v1")
    only(content, {"apiVersion", "kind", "metadata", "spec"}, "", OPENSLO)
    metadata = mapping(content.get("metadata"), "metadata")
    only(metadata, METADATA, "metadata", OPENSLO)
    text(metadata.get("name"), "metadata.name")
    spec = mapping(content.get("spec"), "spec")
    only(spec, SPECS[content["kind"]], "spec", OPENSLO)
    if content["kind"] == "AlertPolicy":
        for number, condition in enumerate(listed(spec.get("conditions"), "spec.conditions")):
            mapping(condition, f"spec.conditions[{number}]")


# --- an SLO ----------------------------------------------------------------------------------------------------------------


def _read_slo(one: _Object, catalog: Catalog) -> Iterator[Candidate]:
    """One candidate per objective: several objectives are several targets of one indicator."""
    metadata, spec = one.content["metadata"], one.content["spec"]
    try:
        objectives = listed(spec.get("objectives"), "spec.objectives")
        if not objectives:
            raise Refused("spec.objectives", "at least one objective is expected")
    except Refused as refused:
        yield Candidate(one.document, one.name, problem=str(refused))
        return
    for number in range(len(objectives)):
        written = one.name if len(objectives) == 1 else f"{one.name}-{number + 1}"
        name = slug(written)
        candidate = Candidate(one.document, written)
        try:
            reader = _Reader(catalog, [])
            candidate.body, candidate.imported = reader.read(name, metadata, spec, number)
            renamed = [f"metadata.name: is no DNS label, the SLO is called {name} here"] if name != written else []
            candidate.warnings = renamed + list(dict.fromkeys(reader.warnings))
        except Refused as refused:
            candidate.problem = str(refused)
        yield candidate


@dataclass(slots=True)
class _Reader:
    catalog: Catalog
    warnings: list[str]
    sources: dict[str, Any] = field(default_factory=dict)  # unsupported ones as they were written

    def read(
        self, name: str, metadata: Mapping[str, Any], spec: Mapping[str, Any], number: int
    ) -> tuple[Body, dict[str, Any]]:
        labels, lists = _labels(metadata.get("labels"))
        annotations = dict(mapping(metadata.get("annotations") or {}, "metadata.annotations"))
        extras = _extras(annotations.pop(EXTRAS, None))
        sli, kept_sli = self._indicator(spec)
        path = f"spec.objectives[{number}]"
        objective = mapping(listed(spec["objectives"], "spec.objectives")[number], path)
        body: Body = {
            "name": name,
            "service": text(spec.get("service"), "spec.service"),
            "type": "availability",
            "description": spec.get("description"),
            "labels": labels,
            **self._window(spec),
            **self._indicator_body(sli),
        }
        self._objective(body, objective, path, spec)
        rules, policies = self._alerting(spec)
        body["alerting"] = {"burnRateThresholds": rules}
        kept = {
            "displayName": metadata.get("displayName"),
            "labelLists": lists,
            "annotations": annotations,
            "metricSources": self.sources,
            "calendar": self._idle_calendar(spec),
            "indicator": {} if kept_sli == {"metadata": {"name": indicator_name(name)}} else kept_sli,
            "objective": {"displayName": objective["displayName"]} if objective.get("displayName") else {},
            "alertPolicies": [] if _is_generated(policies, name) else policies,
        }
        return _deep_merge(body, extras), {member: value for member, value in kept.items() if value}

    # --- the window

    def _window(self, spec: Mapping[str, Any]) -> Body:
        windows = listed(spec.get("timeWindow"), "spec.timeWindow")
        if not windows:
            return {}
        if len(windows) > 1:
            raise Refused("spec.timeWindow", "exactly one window is expected")
        window = mapping(windows[0], "spec.timeWindow[0]")
        only(window, {"duration", "isRolling", "calendar"}, "spec.timeWindow[0]", OPENSLO)
        count, letter = span(window.get("duration"), "spec.timeWindow[0].duration")
        calendar = window.get("calendar")
        if calendar is None or window.get("isRolling") is True:
            if calendar is not None:
                self.warnings.append("spec.timeWindow[0].calendar: a rolling window has no calendar, it is ignored")
            elif window.get("isRolling") is False:
                self.warnings.append("spec.timeWindow[0].isRolling: there is no calendar, so the window rolls")
            return {"window": _rolling(count, letter)}
        if letter not in UNITS:
            raise Refused(
                "spec.timeWindow[0].duration", "a calendar window lasts days, weeks, months, quarters or years"
            )
        calendar = mapping(calendar, "spec.timeWindow[0].calendar")
        only(calendar, {"startTime", "timeZone"}, "spec.timeWindow[0].calendar", OPENSLO)
        return {
            "window": f"{count * HOURS[letter] // 24}d",
            "calendar": {
                "unit": UNITS[letter],
                "count": count,
                "startTime": calendar.get("startTime"),
                "timeZone": calendar.get("timeZone"),
            },
        }

    def _idle_calendar(self, spec: Mapping[str, Any]) -> Any:
        """The calendar that stands beside a rolling window."""
        window = spec["timeWindow"][0] if spec.get("timeWindow") else {}
        return window.get("calendar") if window.get("isRolling") is True else None

    # --- the indicator

    def _indicator(self, spec: Mapping[str, Any]) -> tuple[Mapping[str, Any], dict[str, Any]]:
        """The spec of the SLI, and how it was written."""
        inline, reference = spec.get("indicator"), spec.get("indicatorRef")
        if (inline is None) == (reference is None):
            raise Refused("spec.indicator", "exactly one of indicator and indicatorRef is expected")
        if reference is not None:
            name = text(reference, "spec.indicatorRef")
            found = self.catalog.get(("SLI", name))
            if found is None:
                raise Refused("spec.indicatorRef", f"there is no SLI {name!r} among the documents")
            inline = {"metadata": found["metadata"], "spec": found["spec"]}
        inline = mapping(inline, "spec.indicator")
        only(inline, {"apiVersion", "kind", "metadata", "spec"}, "spec.indicator", OPENSLO)
        sli = mapping(inline.get("spec"), "spec.indicator.spec")
        only(sli, SPECS["SLI"], "spec.indicator.spec", OPENSLO)
        metadata = mapping(inline.get("metadata") or {}, "spec.indicator.metadata")
        only(metadata, METADATA, "spec.indicator.metadata", OPENSLO)
        kept = {"metadata": dict(metadata), "description": sli.get("description")}
        return sli, {member: value for member, value in kept.items() if value}

    def _indicator_body(self, sli: Mapping[str, Any]) -> Body:
        ratio, threshold = sli.get("ratioMetric"), sli.get("thresholdMetric")
        path = "spec.indicator.spec"
        if (ratio is None) == (threshold is None):
            raise Refused(path, "exactly one of ratioMetric and thresholdMetric is expected")
        if threshold is not None:
            path += ".thresholdMetric"
            threshold = mapping(threshold, path)
            only(threshold, {"metricSource"}, path, OPENSLO)
            # the operator and the value stand in the objective
            return {"indicator": {**self._source({"query": threshold.get("metricSource")}, path), "threshold": None}}
        path += ".ratioMetric"
        ratio = mapping(ratio, path)
        only(ratio, {"counter", "good", "bad", "total", "raw", "rawType"}, path, OPENSLO)
        return {"indicator": self._ratio(ratio, path)}

    def _ratio(self, ratio: Mapping[str, Any], path: str) -> Body:
        if ratio.get("raw") is not None:
            if {"good", "bad", "total"} & set(ratio):
                raise Refused(f"{path}.raw", "a ready ratio stands alone")
            if ratio.get("rawType") not in {"success", "failure"}:
                raise Refused(f"{path}.rawType", "success or failure is expected")
            raw = mapping(ratio["raw"], f"{path}.raw")
            return {**self._source({"query": raw.get("metricSource")}, f"{path}.raw"), "rawType": ratio["rawType"]}
        if ratio.get("total") is None:
            raise Refused(f"{path}.total", "is expected")
        if (ratio.get("good") is None) == (ratio.get("bad") is None):
            raise Refused(path, "exactly one of good and bad is expected")
        first, member = ("good", "goodEventsQuery") if ratio.get("good") is not None else ("bad", "badEventsQuery")
        sources = {}
        for part, query in ((first, member), ("total", "totalEventsQuery")):
            wrapper = mapping(ratio[part], f"{path}.{part}")
            only(wrapper, {"metricSource"}, f"{path}.{part}", OPENSLO)
            sources[query] = wrapper.get("metricSource")
        found = self._source(sources, path)
        if ratio.get("counter") is False and found["source"] == PROMETHEUS:
            found |= {member: promql.sampled(found[member]) for member in sources}
        return found

    def _source(self, sources: Mapping[str, Any], path: str) -> Body:
        """The members of an indicator: queries, and the source that all of them ask."""
        source_path = f"{path}.metricSource"
        for source in sources.values():
            only(mapping(source, source_path), {"type", "metricSourceRef", "spec"}, source_path, OPENSLO)
        kinds = [self._type(source) for source in sources.values()]
        known = {kind == OURS or _is_promql(kind) for kind in kinds}
        if len(known) > 1:
            raise Refused(path, "all queries of an indicator must ask the same data source")
        if known == {False}:
            return self._unsupported(sources, kinds, source_path)
        found: Body = {"source": PROMETHEUS}
        addresses: set[str] = set()
        for member, source in sources.items():
            spec = mapping(source.get("spec"), f"{source_path}.spec")
            if source.get("type") == OURS:
                return {"source": spec.get("source")}
            found[member] = text(spec.get("query"), f"{source_path}.spec.query")
            addresses.add(self._address(source, source_path))
        if len(addresses) > 1:
            raise Refused(path, "all queries of an indicator must ask the same data source")
        address = addresses.pop()
        return {**found, "prometheus": address} if address else found

    def _type(self, source: Mapping[str, Any]) -> str:
        """What the query is for: as the source says, else as the data source does that it refers to."""
        referred = self.catalog.get(("DataSource", str(source.get("metricSourceRef"))), {})
        kind = source.get("type") or referred.get("spec", {}).get("type") or PROMETHEUS
        return " ".join(str(kind).split())

    def _unsupported(self, sources: Mapping[str, Any], kinds: Sequence[str], path: str) -> Body:
        """Nothing of it can be asked, so all of it is kept as it is. What asks by one text each shows its queries."""
        kind = ", ".join(dict.fromkeys(kinds))
        self.warnings.append(f"{path}.type: {kind} is not supported, the SLO is stored and never measured")
        for (member, source), own in zip(sources.items(), kinds, strict=True):
            mapping(source.get("spec") or {}, f"{path}.spec")
            self.sources[member] = {**source, "type": own}
        return {"source": UNSUPPORTED, "dataSource": kind, **queries_of(self.sources)}

    def _address(self, source: Mapping[str, Any], path: str) -> str:
        reference = source.get("metricSourceRef")
        if reference is None:
            return ""
        found = self.catalog.get(("DataSource", text(reference, f"{path}.metricSourceRef")))
        if found is None:
            self.warnings.append(f"{path}.metricSourceRef: there is no DataSource {reference!r} among the documents")
            return ""
        if not _is_promql(str(found["spec"].get("type"))):
            raise Refused(f"{path}.metricSourceRef", "the data source is no Prometheus")
        details = mapping(found["spec"].get("connectionDetails") or {}, f"{path}.metricSourceRef.connectionDetails")
        return str(details.get("url") or details.get("address") or "")

    # --- the objective

    def _objective(self, body: Body, objective: Mapping[str, Any], path: str, spec: Mapping[str, Any]) -> None:
        known = {"displayName", "op", "value", "target", "targetPercent", "timeSliceTarget", "timeSliceWindow"}
        composite = {"indicator", "indicatorRef", "compositeWeight"} & set(objective)
        if composite:
            raise Refused(f"{path}.{sorted(composite)[0]}", "composite SLOs are not supported")
        only(objective, known, path, OPENSLO)
        body["target"] = _percent(objective, path)
        if "threshold" in body["indicator"]:
            if len(spec["objectives"]) > 1:
                raise Refused("spec.objectives", "a thresholdMetric has exactly one objective")
            body["indicator"]["threshold"] = _threshold(objective, path)
        else:
            for member in sorted({"op", "value"} & set(objective)):
                self.warnings.append(f"{path}.{member}: is only for thresholdMetric, it is ignored")
        method = spec.get("budgetingMethod")
        if method not in {"Occurrences", "Timeslices", "RatioTimeslices"}:
            raise Refused("spec.budgetingMethod", "Occurrences, Timeslices or RatioTimeslices is expected")
        body["budgeting"] = {"method": method}
        if method != "Occurrences":
            width = minutes(objective.get("timeSliceWindow"), f"{path}.timeSliceWindow")
            body["budgeting"]["timeSliceWindow"] = f"{width}m"
        if method == "Timeslices":
            target = objective.get("timeSliceTarget")
            if not isinstance(target, int | float) or isinstance(target, bool) or not 0 < target <= 1:
                raise Refused(f"{path}.timeSliceTarget", "a ratio greater than 0, at most 1, is expected")
            body["budgeting"]["timeSliceTarget"] = target

    # --- alerting

    def _alerting(self, spec: Mapping[str, Any]) -> tuple[list[Body], list[Any]]:
        """The burn-rate rules of the policies, and the policies as they were written."""
        policies = listed(spec.get("alertPolicies"), "spec.alertPolicies")
        rules: list[Body] = []
        for number, policy in enumerate(policies):
            path = f"spec.alertPolicies[{number}]"
            if isinstance(policy, str):
                self.warnings.append(f"{path}: an object is expected, the name is kept and no rule follows from it")
                continue
            spec_path = f"{path}.spec"
            written = self._policy(mapping(policy, path), path)
            conditions = listed(
                mapping(written.get("spec") or {}, spec_path).get("conditions"), f"{spec_path}.conditions"
            )
            for index, condition in enumerate(conditions):
                rule = self._condition(mapping(condition, spec_path), f"{spec_path}.conditions[{index}]")
                if rule is not None and rule not in rules:
                    rules.append(rule)
        return rules, policies

    def _policy(self, written: Mapping[str, Any], path: str) -> Mapping[str, Any]:
        if "alertPolicyRef" not in written:
            return written
        return self._referred("AlertPolicy", written["alertPolicyRef"], f"{path}.alertPolicyRef") or {}

    def _referred(self, kind: str, name: Any, path: str) -> Mapping[str, Any] | None:
        found = self.catalog.get((kind, text(name, path)))
        if found is None:
            self.warnings.append(f"{path}: there is no {kind} {name!r} among the documents, it is ignored")
        return found

    def _condition(self, written: Mapping[str, Any], path: str) -> Body | None:
        if "conditionRef" in written:
            written = self._referred("AlertCondition", written["conditionRef"], f"{path}.conditionRef") or {}
            if not written:
                return None
        spec = mapping(written.get("spec"), f"{path}.spec")
        condition = mapping(spec.get("condition"), f"{path}.spec.condition")
        path += ".spec.condition"
        if str(condition.get("kind")).lower() != "burnrate":
            self.warnings.append(f"{path}.kind: only burnrate is known, the condition is ignored")
            return None
        only(condition, {"kind", "op", "threshold", "lookbackWindow", "alertAfter"}, path, OPENSLO)
        if condition.get("op") not in {"gt", "gte"}:
            raise Refused(f"{path}.op", "gt or gte is expected")
        threshold = condition.get("threshold")
        if not isinstance(threshold, int | float) or isinstance(threshold, bool) or not threshold > 0:
            raise Refused(f"{path}.threshold", "a number greater than 0 is expected")
        long = minutes(condition.get("lookbackWindow"), f"{path}.lookbackWindow")
        severity = str(spec.get("severity")).lower()
        return {
            "severity": severity if severity in KNOWN_SEVERITIES else SEVERITIES.get(severity, "medium"),
            "shortWindow": go_duration(max(1, round(long / SHORT_SHARE))),
            "longWindow": go_duration(long),
            "burnRate": float(threshold),
        }


def queries_of(sources: Mapping[str, Any]) -> dict[str, str]:
    """The query of every unsupported source by its member, if each of them asks by one text."""
    given = {member: (source.get("spec") or {}).get("query") for member, source in sources.items()}
    found = {member: query.strip() for member, query in given.items() if isinstance(query, str) and query.strip()}
    return found if len(found) == len(given) else {}


def _is_promql(kind: str) -> bool:
    return kind.lower() == ANY or any(word in kind.lower() for word in PROMQL_TYPES)


def _rolling(count: int, letter: str) -> str:
    hours, rest = divmod(count, 60) if letter == "m" else (HOURS[letter] * count, 0)
    if rest or not hours:
        raise Refused("spec.timeWindow[0].duration", "must be whole hours")
    return f"{hours}h" if letter in "mh" else f"{hours // 24}d"


# --- parts -------------------------------------------------------------------------------------------------------------------


def _percent(objective: Mapping[str, Any], path: str) -> float:
    """The objective in percent. Decimal arithmetic: 0.9995 is 99.95, not 99.94999999999999."""
    given = {"target", "targetPercent"} & set(objective)
    if len(given) != 1:
        raise Refused(f"{path}.target", "exactly one of target and targetPercent is expected")
    member = given.pop()
    number = objective[member]
    if not isinstance(number, int | float) or isinstance(number, bool):
        raise Refused(f"{path}.{member}", "a number is expected")
    most = 1 if member == "target" else 100
    if not 0 < number < most:
        hint = ", is it a percentage? Write targetPercent" if member == "target" and 1 < number <= 100 else ""
        raise Refused(f"{path}.{member}", f"must be greater than 0 and less than {most}{hint}")
    return float(Decimal(str(number)) * (100 if member == "target" else 1))


def _threshold(objective: Mapping[str, Any], path: str) -> Body:
    if objective.get("op") not in {"lt", "lte", "gt", "gte"}:
        raise Refused(f"{path}.op", "lt, lte, gt or gte is expected for thresholdMetric")
    value = objective.get("value")
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Refused(f"{path}.value", "a number is expected for thresholdMetric")
    return {"op": objective["op"], "value": float(value)}


def _labels(written: Any) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Labels as texts (a list becomes one text), and the lists as they were."""
    labels: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    for key, value in mapping(written or {}, "metadata.labels").items():
        if isinstance(value, list):
            lists[key] = [str(one) for one in value]
            labels[key] = ",".join(lists[key])
        elif isinstance(value, str | int | float):
            labels[key] = str(value)
        else:
            raise Refused(f"metadata.labels.{key}", "a text or a list of texts is expected")
    return labels, lists


def indicator_name(slo: str) -> str:
    """The name that an export gives to an indicator that has none of its own."""
    return f"{slo}-indicator"


def policy_name(slo: str) -> str:
    return f"{slo}-burn-rate"


def _is_generated(policies: list[Any], name: str) -> bool:
    """Whether an export of ours wrote the policies from the rules, so that nothing is lost without them."""
    return (
        len(policies) == 1
        and isinstance(policies[0], Mapping)
        and policies[0].get("metadata") == {"name": policy_name(name)}
    )


def _extras(text: Any) -> Body:
    if text is None:
        return {}
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refused(f"metadata.annotations.{EXTRAS}", "is no JSON object")
    return found


def _deep_merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> Body:
    merged = dict(base)
    for member, value in over.items():
        mine = merged.get(member)
        merged[member] = _deep_merge(mine, value) if isinstance(mine, dict) and isinstance(value, dict) else value
    return merged


def rules_of(policies: list[Any]) -> list[Body]:
    """The rules that written policies amount to, as far as they stand for themselves."""
    try:
        return _Reader({}, [])._alerting({"alertPolicies": policies})[0]
    except Refused:
        return []
