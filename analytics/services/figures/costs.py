"""What incidents and language models cost.

An incident costs the minutes from its event to its resolution (or to now) at the rate of its place, the time of the person
who acknowledged it, and the calls of language models about it. Drills cost nothing, and a merged incident is paid for by the
one it was merged into. Rates are looked up when the question is asked, so a changed rate holds for the past too; the calls
keep the price of their day.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Count, Sum

from aiops import money
from aiops.llm import budget
from aiops.llm.models import LLMCall
from aiops.money import MILLION, Rates
from analytics.families import INCIDENTS, LLM, SHIFT, WORKLOADS
from analytics.metrics import mean, ratio
from analytics.models import Grain
from analytics.periods import DAY, HOUR, date_of, seconds_of
from analytics.services.questions import Question
from analytics.services.reading import Reader, Sums
from incidents.models import Incident
from incidents.services.merging import MERGED_INTO
from incidents.states import IncidentState, Severity

DOWN = ("downtime_sum", "unresolved", "running_since")
BILLED = ("charged", *DOWN, "handled_count", "handled_sum", "llm_calls", "llm_cost")
ENDS = ("automated_count", "automated_sum", "manual_count", "manual_sum")
MEASURES = (*BILLED, *ENDS)
CALLS = ("total", "accepted", "priced", "prompt_tokens", "completion_tokens", "cached_tokens", "cost")
NAMESPACES = 50  # the dearest ones
DAILY = 200 * DAY * HOUR  # seconds; longer histories are told by week

Members = dict[str, Any]


@dataclass(slots=True)
class Bill:
    """Amounts in the currency; times in seconds."""

    incidents: int = 0
    open: int = 0
    down: int = 0
    handled: int = 0  # incidents of which we know how long a person worked
    work: int = 0
    outage: Decimal = Decimal(0)
    calls: int = 0
    llm: int = 0  # millionths

    def add(self, other: "Bill") -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def engineers(self) -> Decimal:
        return Decimal(self.work) / HOUR * settings.AIOPS_ENGINEER_COST

    @property
    def total(self) -> Decimal:
        return self.outage + self.engineers + Decimal(self.llm) / MILLION

    def members(self) -> Members:
        return {
            "total": _amount(self.total),
            "downtime": _amount(self.outage),
            "engineers": _amount(self.engineers),
            "llm": money.shown(self.llm),
            "downtimeMinutes": round(self.down / 60, 1),
            "engineerMinutes": round(self.work / 60, 1),
            "llmCalls": self.calls,
            "incidents": self.incidents,
            "openIncidents": self.open,
        }


@dataclass(slots=True)
class Account:
    """All bills, and what a comparison of people with automation needs."""

    total: Bill = field(default_factory=Bill)
    by_severity: dict[str, Bill] = field(default_factory=dict)
    by_namespace: dict[str, Bill] = field(default_factory=dict)
    by_bucket: dict[int, Bill] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)  # sums of the four measures of who ended the incidents
    per_minute: Decimal = Decimal(0)  # sum of the rates of the automated incidents

    def enter(self, namespace: str, severity: str, bill: Bill) -> None:
        self.total.add(bill)
        self.by_severity.setdefault(severity, Bill()).add(bill)
        self.by_namespace.setdefault(namespace, Bill()).add(bill)

    def enter_later(self, bucket: int, bill: Bill) -> None:
        """The same bill, where the history tells it."""
        self.by_bucket.setdefault(bucket, Bill()).add(bill)


def costs(question: Question) -> Members:
    account = _account(question)
    history = [
        {"date": date_of(start), **bill.members()} for start, bill in sorted(account.by_bucket.items(), reverse=True)
    ]
    dearest = sorted(account.by_namespace.items(), key=lambda item: (-item[1].total, item[0]))
    total = account.total
    return {
        "currency": settings.AIOPS_CURRENCY,
        **total.members(),
        "engineerSamples": total.handled,
        "engineerCoverage": ratio(total.handled, total.incidents),
        "bySeverity": {name: account.by_severity.get(name, Bill()).members() for name in Severity.values},
        "byNamespace": [{"namespace": name, **bill.members()} for name, bill in dearest[:NAMESPACES]],
        "history": history,
        "languageModels": _language_models(question),
        "returnOnInvestment": _return(account),
        "assumptions": assumptions(),
    }


def assumptions() -> Members:
    """What the amounts rest on besides the data."""
    return {
        "downtimePerMinute": {place: float(rate) for place, rate in sorted(_rates().by_place.items())},
        "engineerPerHour": float(settings.AIOPS_ENGINEER_COST),
        "engineerHoursPerIncidentAtMost": SHIFT / HOUR,
    }


def _rates() -> Rates:
    rates: Rates = settings.AIOPS_OUTAGE_COST
    return rates


def _account(question: Question) -> Account:
    grain = int(Grain.DAY if question.span.length <= DAILY else Grain.WEEK)
    account, rates, now = Account(), _rates(), seconds_of(question.at)
    reader = Reader(INCIDENTS, question.span, question.where)
    for (namespace, severity), sums in reader.sums(*MEASURES, by=("namespace", "severity")).items():
        rate = rates.per_minute(namespace=namespace, severity=severity)
        account.enter(namespace, severity, _bill(sums, now, rate))
        account.per_minute += sums["automated_count"] * rate
        for name in ENDS:
            account.ends[name] = account.ends.get(name, 0) + sums[name]
    # a history by namespace has ten times the rows; only where their rates differ it is needed
    by = ("namespace", "severity") if rates.tell_namespaces else ("severity",)
    for (*place, severity, start), sums in reader.sums(*BILLED, by=by, per=grain).items():
        if sums["charged"] or sums["llm_calls"]:
            rate = rates.per_minute(namespace=place[0] if place else "", severity=severity)
            account.enter_later(start, _bill(sums, now, rate))
    if rates.services:
        _surcharge(account, question, rates, grain)
    return account


def _surcharge(account: Account, question: Question, rates: Rates, grain: int) -> None:
    """Services with a rate of their own: the difference to the rate by which they were charged already."""
    reader = Reader(WORKLOADS, question.span, question.where)
    found = reader.sums(*DOWN, by=("namespace", "severity", "name"), per=grain, among={"name": sorted(rates.services)})
    now = seconds_of(question.at)
    for (namespace, severity, name, start), sums in found.items():
        own = rates.per_minute(namespace=namespace, severity=severity, service=name)
        known = rates.per_minute(namespace=namespace, severity=severity)
        bill = Bill(outage=_outage(_down(sums, now), own - known))
        account.enter(namespace, severity, bill)
        account.enter_later(start, bill)


def _bill(sums: Sums, now: int, rate: Decimal) -> Bill:
    down = _down(sums, now)
    return Bill(
        incidents=sums["charged"],
        open=sums["unresolved"],
        down=down,
        handled=sums["handled_count"],
        work=sums["handled_sum"],
        outage=_outage(down, rate),
        calls=sums["llm_calls"],
        llm=sums["llm_cost"],
    )


def _down(sums: Mapping[str, int], now: int) -> int:
    """The open ones have been down since their events: together as many seconds as there are from the sum of these to now."""
    return sums["downtime_sum"] + max(0, sums["unresolved"] * now - sums["running_since"])


def _outage(seconds: int, per_minute: Decimal) -> Decimal:
    return Decimal(seconds) / 60 * per_minute


def _amount(value: Decimal) -> float:
    return float(round(value, 4))


# --- language models -------------------------------------------------------------------------------------------------------


def _language_models(question: Question) -> Members:
    """By the time of the calls, where the rest of the document goes by the time of the incident."""
    found = Reader(LLM, question.span, question.where).sums(*CALLS, by=("provider", "model", "purpose"))
    sums = {name: sum(one[name] for one in found.values()) for name in CALLS}
    everywhere = question.where.namespaces is None and question.where.clusters is None
    return {
        **_calls(sums),
        "coverage": ratio(sums["priced"], sums["total"]),
        "byModel": [
            {"provider": provider, "model": model, "purpose": purpose, **_calls(one)}
            for (provider, model, purpose), one in sorted(found.items(), key=lambda item: (-item[1]["cost"], item[0]))
        ],
        # budgets are of the whole platform: they say nothing about a part of it
        "budgets": _budgets(question.at) if everywhere else [],
    }


def _calls(sums: Sums) -> Members:
    return {
        "calls": sums["total"],
        "accepted": sums["accepted"],
        "promptTokens": sums["prompt_tokens"],
        "completionTokens": sums["completion_tokens"],
        "cachedTokens": sums["cached_tokens"],
        "cost": money.shown(sums["cost"]),
    }


def _budgets(at: datetime) -> list[Members]:
    return [
        {
            "scope": one.scope,
            "since": one.since,
            "limit": money.shown(one.limit) if one.limit else None,
            "used": money.shown(one.used),
            "state": one.state,
        }
        for one in budget.budgets(at=at)
    ]


# --- what automation is worth ----------------------------------------------------------------------------------------------


def _return(account: Account) -> Members:
    """What automation saved, measured by how long people took for what they resolved themselves in the same span.

    Nothing is said without incidents of both kinds: there would be nothing to compare with.
    """
    ends = {
        name: account.ends.get(name, 0) for name in ("automated_count", "automated_sum", "manual_count", "manual_sum")
    }
    automated, manual, total = ends["automated_count"], ends["manual_count"], account.total
    members: Members = {
        "automatedIncidents": automated,
        "manualIncidents": manual,
        "meanTimeAutomated": mean(ends["automated_sum"], automated) if automated else None,
        "meanTimeManual": mean(ends["manual_sum"], manual) if manual else None,
        **dict.fromkeys(("downtimeSavedMinutes", "engineerMinutesSaved", "savings", "percent")),
        "spent": money.shown(total.llm),
    }
    if not (automated and manual):
        return members
    faster = Decimal(ends["manual_sum"]) / manual - Decimal(ends["automated_sum"]) / automated
    work = Decimal(total.work) / total.handled * automated if total.handled else Decimal(0)
    savings = faster / 60 * account.per_minute + work / HOUR * settings.AIOPS_ENGINEER_COST
    spent = Decimal(total.llm) / MILLION
    return members | {
        "downtimeSavedMinutes": round(float(faster * automated / 60), 1),
        "engineerMinutesSaved": round(float(work / 60), 1),
        "savings": _amount(savings),
        "percent": round(float(100 * (savings - spent) / spent), 1) if spent else None,
    }


# --- one incident ----------------------------------------------------------------------------------------------------------


def cost_of(*, incident: Incident, at: datetime) -> Members:
    """The bill of one incident so far. Two queries at most."""
    found = LLMCall.objects.filter(subject=incident.name).order_by()
    llm = found.values("provider", "model", "purpose").annotate(
        calls=Count("pk"),
        prompt_tokens=Sum("prompt_tokens"),
        completion_tokens=Sum("completion_tokens"),
        cost=Sum("cost"),
    )
    calls = list(llm.order_by("-cost", "provider", "model", "purpose"))
    rate, bill = _rate_of(incident), Bill()
    bill.calls, bill.llm = sum(one["calls"] for one in calls), sum(one["cost"] for one in calls)
    if not incident.chaos_experiment and MERGED_INTO not in incident.annotations:
        _add_times(bill, incident, at)
        bill.outage = _outage(bill.down, rate)
    return {
        "currency": settings.AIOPS_CURRENCY,
        **{name: value for name, value in bill.members().items() if name not in {"incidents", "openIncidents"}},
        "final": incident.state == IncidentState.RESOLVED,
        "chargedTo": incident.annotations.get(MERGED_INTO),
        "downtimePerMinute": float(rate),
        "engineerPerHour": float(settings.AIOPS_ENGINEER_COST),
        "calls": [
            {
                "provider": one["provider"],
                "model": one["model"],
                "purpose": one["purpose"],
                "calls": one["calls"],
                "promptTokens": one["prompt_tokens"],
                "completionTokens": one["completion_tokens"],
                "cost": money.shown(one["cost"]),
            }
            for one in calls
        ],
    }


def _rate_of(incident: Incident) -> Decimal:
    return _rates().per_minute(namespace=incident.namespace, severity=incident.severity, service=incident.resource_name)


def _add_times(bill: Bill, incident: Incident, at: datetime) -> None:
    end = incident.resolved_at if incident.state == IncidentState.RESOLVED else at
    if end is None:
        return
    bill.down = max(0, seconds_of(end) - seconds_of(incident.started_at))
    if incident.state == IncidentState.RESOLVED and incident.acknowledged_at is not None:
        bill.work = min(SHIFT, max(0, seconds_of(end) - seconds_of(incident.acknowledged_at)))
