"""Every endpoint of api.md §9 against a plain recomputation from what the lists show, on generated histories."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

import pytest
from django.core.management import call_command

from aiops.api.formats import format_duration, parse_time
from analytics.models import OutdatedHour
from analytics.services import rollups
from incidents.models import Incident
from tests.analytics.api.conftest import Api
from tests.conftest import NOON

pytestmark = pytest.mark.django_db

Item = dict[str, Any]


@pytest.fixture(autouse=True)
def _no_limit(settings: Any) -> None:
    settings.AIOPS_RATE_LIMITS = {"viewer": 100_000}


SEVERITIES = ("critical", "high", "medium", "low")
STATES = ("Detected", "Analyzing", "Remediating", "Contained", "Resolved", "Escalated", "Failed")
MANUAL = "aiops.chatcli.io/manual-resolution"
NOW = NOON + timedelta(minutes=1)
FINISHED = ("Completed", "Failed", "RolledBack")


def all_of(api: Api, path: str, **query: Any) -> list[Item]:
    items: list[Item] = []
    while True:
        found = api.get(path, pageSize=100, page=len(items) // 100 + 1, **query).json()
        items += found["items"]
        if len(items) >= found["metadata"]["totalCount"]:
            return items


def seconds(start: str | None, end: str | None) -> int:
    assert start and end
    return max(0, int((parse_time(end) - parse_time(start)).total_seconds()))


def mean(values: list[int]) -> str:
    return format_duration(timedelta(seconds=int(sum(values) / len(values) + 0.5) if values else 0))


def rank(values: list[int], percentile: int) -> str:
    ordered = sorted(values)
    return format_duration(timedelta(seconds=ordered[ceil(len(ordered) * percentile / 100) - 1] if ordered else 0))


def percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 0.0


def counted(values: Iterable[str], names: Iterable[str]) -> dict[str, int]:
    found = Counter(values)
    return {name: found[name] for name in names}


def without_basis(members: Item) -> Item:
    """Without what a figure rests on."""
    return {name: value for name, value in members.items() if not name.lower().endswith(("samples", "coverage"))}


def day(text: str) -> str:
    return text[:10]


def week(text: str) -> str:
    date = parse_time(text).astimezone(UTC).date()
    return (date - timedelta(days=date.weekday())).isoformat()


@dataclass
class History:
    """What the lists show. An incident also knows its first signal (`event`), a plan and an approval its incident."""

    incidents: list[Item]
    plans: list[Item]
    approvals: list[Item]
    postmortems: list[Item]

    @classmethod
    def read(cls, api: Api) -> "History":
        incidents = all_of(api, "/incidents")
        by_name = {one["name"]: one for one in incidents}
        for one in incidents:
            signals = all_of(api, f"/incidents/{one['name']}/anomalies")
            one["event"] = min((signal["firstSeenAt"] for signal in signals), default=one["creationTimestamp"])
            one["plans"] = []
        plans = all_of(api, "/remediations")
        for plan in plans:
            plan["of"] = by_name[plan["issueRef"]]
            plan["of"]["plans"].append(plan)
        return cls(
            incidents,
            plans,
            [one | {"of": by_name[one["incident"]]} for one in all_of(api, "/approvals")],
            [one | {"of": by_name[one["issueRef"]]} for one in all_of(api, "/postmortems")],
        )

    def part(self, since: datetime, until: datetime, where: dict[str, str]) -> "History":
        def within(incident: Item, time: str) -> bool:
            return since <= parse_time(time) <= until and all(incident[name] == value for name, value in where.items())

        return History(
            [one for one in self.incidents if within(one, one["detectedAt"])],
            [one for one in self.plans if within(one["of"], one["creationTimestamp"])],
            [one for one in self.approvals if within(one["of"], one["requestedAt"])],
            [one for one in self.postmortems if within(one["of"], one["creationTimestamp"])],
        )

    @property
    def undrilled(self) -> list[Item]:
        return [one for one in self.incidents if not one["chaosInduced"]]

    @property
    def resolved(self) -> list[Item]:
        return [one for one in self.undrilled if one["state"] == "Resolved"]


def to_detect(one: Item) -> int:
    return seconds(one["event"], one["detectedAt"])


def to_resolve(one: Item) -> int:
    return seconds(one["event"], one["resolvedAt"])


# --- the recomputations ------------------------------------------------------------------------------------------------------


def summary(api: Api, known: History, query: Item) -> None:
    found = api.get("/analytics/summary", **query).json()["summary"]
    states = [one["state"] for one in known.incidents]
    by_hand = [one for one in known.incidents if MANUAL in one["annotations"] and one["state"] == "Resolved"]
    total, resolved = len(states), states.count("Resolved")

    assert without_basis(found["incidents"]) == {
        "total": total,
        "bySeverity": counted((one["severity"] for one in known.incidents), SEVERITIES),
        "byState": {name.lower(): count for name, count in counted(states, STATES).items()},
        "autoResolved": resolved - len(by_hand),
        "autoResolvedPercent": percent(resolved - len(by_hand), total),
        "avgTimeToDetect": mean([to_detect(one) for one in known.undrilled]),
        "avgTimeToResolve": mean([to_resolve(one) for one in known.resolved]),
    }
    plans = Counter(one["state"] for one in known.plans)
    failed = plans["Failed"] + plans["RolledBack"]
    ended = [one for one in known.plans if one["state"] in FINISHED and one["startedAt"] and one["completedAt"]]
    assert without_basis(found["remediations"]) | {"topRunbooks": []} == {
        "total": len(known.plans),
        "successful": plans["Completed"],
        "failed": failed,
        "successRate": percent(plans["Completed"], plans["Completed"] + failed),
        "avgExecutionTime": mean([seconds(one["startedAt"], one["completedAt"]) for one in ended]),
        "topRunbooks": [],
    }
    words = Counter(one["state"] for one in known.approvals)
    decided = [one for one in known.approvals if one["state"] in {"Approved", "Rejected"}]
    assert without_basis(found["approvals"]) == {
        "total": len(known.approvals),
        "approved": words["Approved"],
        "rejected": words["Rejected"],
        "expired": words["Expired"],
        "avgDecisionTime": mean([seconds(one["requestedAt"], one["decidedAt"]) for one in decided]),
    }
    remediated = [one for one in known.incidents if one["plans"]]
    scores = [one["riskScore"] for one in known.incidents]
    expected = {
        "totalIssues": total,
        "openIssues": total - resolved,
        "resolvedIssues": resolved,
        "containedIssues": states.count("Contained"),
        "chaosInducedIssues": total - len(known.undrilled),
        "remediatedIssues": len(remediated),
        "resolvedByRemediation": sum(one["state"] == "Resolved" for one in remediated),
        "totalPostMortems": len(known.postmortems),
        "postMortemsRequiringHumanAction": sum(
            one["requiresHumanAction"] and one["state"] != "Closed" for one in known.postmortems
        ),
        "avgRiskScore": round(sum(scores) / total, 1) if total else 0.0,
    }
    assert {name: found[name] for name in expected} == expected


def mttd(api: Api, known: History, query: Item) -> None:
    found = api.get("/analytics/mttd", **query).json()["mttd"]
    days: dict[str, list[int]] = defaultdict(list)
    for one in known.undrilled:
        days[day(one["detectedAt"])].append(to_detect(one))
    assert [without_basis(one) for one in found] == [
        {"date": date, "averageSeconds": round(sum(values) / len(values), 1), "incidentCount": len(values)}
        for date, values in sorted(days.items(), reverse=True)
    ]


def mttr(api: Api, known: History, query: Item) -> None:
    times = [to_resolve(one) for one in known.resolved]
    for granularity, bucket in (("daily", day), ("weekly", week)):
        found = api.get("/analytics/mttr", granularity=granularity, **query).json()["mttr"]
        overall = found["overall"]
        assert {name: overall[name] for name in ("mean", "median", "p95", "p99")} == {
            "mean": mean(times), "median": rank(times, 50), "p95": rank(times, 95), "p99": rank(times, 99),
        }  # fmt: skip
        assert (overall["sampleSize"], overall["openIncidents"]) == (len(times), len(known.undrilled) - len(times))
        buckets: dict[str, list[int]] = defaultdict(list)
        for one in known.resolved:
            buckets[bucket(one["detectedAt"])].append(to_resolve(one))
        assert [without_basis(one) for one in found["history"]] == [
            {"date": date, "mttr": mean(values), "incidentCount": len(values)}
            for date, values in sorted(buckets.items(), reverse=True)
        ]
    for severity in SEVERITIES:
        values = [to_resolve(one) for one in known.resolved if one["severity"] == severity]
        assert without_basis(found["bySeverity"][severity]) == {
            "mean": mean(values), "median": rank(values, 50), "count": len(values),
        }  # fmt: skip


def trends(api: Api, known: History, query: Item) -> None:
    for group, bucket in (("day", day), ("week", week)):
        dates: dict[str, list[str]] = defaultdict(list)
        for one in known.incidents:
            dates[bucket(one["detectedAt"])].append(one["severity"])
        assert api.get("/analytics/trends", groupBy=group, **query).json()["trends"] == [
            {"date": date, "total": len(found), "bySeverity": counted(found, SEVERITIES)}
            for date, found in sorted(dates.items(), reverse=True)
        ]


def top_resources(api: Api, known: History, query: Item) -> None:
    things: dict[tuple[str, str, str], list[Item]] = defaultdict(list)
    for one in known.incidents:
        ref = one["resourceRef"]
        things[one["namespace"], ref["kind"], ref["name"]].append(one)

    def entry(thing: tuple[str, str, str], found: list[Item]) -> Item:
        signals = Counter(one["signalType"] for one in found)
        return {
            "namespace": thing[0], "kind": thing[1], "name": thing[2], "incidentCount": len(found),
            "lastIncident": max(one["detectedAt"] for one in found),
            "topSignals": sorted(signals, key=lambda name: (-signals[name], name))[:3],
        }  # fmt: skip

    entries = [entry(thing, found) for thing, found in sorted(things.items())]
    entries.sort(key=lambda one: one["lastIncident"], reverse=True)
    entries.sort(key=lambda one: -one["incidentCount"])
    assert api.get("/analytics/top-resources", limit=100, **query).json()["resources"] == entries[:100]


def remediation_stats(api: Api, known: History, query: Item) -> None:
    actions: dict[str, list[Item]] = defaultdict(list)
    for plan in known.plans:
        if plan["state"] in FINISHED:
            actions[plan["actions"][0]["type"] if plan["actions"] else "Unknown"].append(plan)
    expected = []
    for action, plans in actions.items():
        good = sum(one["state"] == "Completed" for one in plans)
        took = [
            seconds(one["startedAt"], one["completedAt"]) for one in plans if one["startedAt"] and one["completedAt"]
        ]
        expected.append(
            {
                "action": action, "total": len(plans), "successful": good, "failed": len(plans) - good,
                "successRate": round(good / len(plans), 2), "avgDuration": round(sum(took) / len(took), 1) if took else 0.0,
            }
        )  # fmt: skip
    found = api.get("/analytics/remediation-stats", **query).json()["stats"]
    names = ("action", "total", "successful", "failed", "successRate", "avgDuration")
    assert [{name: one[name] for name in names} for one in found] == sorted(
        expected, key=lambda one: (-one["total"], one["action"])
    )


def compliance(api: Api, known: History, query: Item) -> None:
    found = api.get("/analytics/compliance", **query).json()["spec"]
    total, states = len(known.incidents), Counter(one["state"] for one in known.incidents)
    detect, resolve = [to_detect(one) for one in known.undrilled], [to_resolve(one) for one in known.resolved]
    metrics = found["IncidentMetrics"]
    assert metrics["TotalIncidents"] == total
    assert metrics["BySeverity"] == counted((one["severity"] for one in known.incidents), SEVERITIES)
    assert metrics["ByState"] == dict(states)
    assert metrics["MTTD"] == (sum(detect) * 10**9 // len(detect) if detect else 0)
    assert metrics["MTTR"] == (sum(resolve) * 10**9 // len(resolve) if resolve else 0)
    attempts = sum(one["remediationAttempts"] for one in known.incidents)
    assert metrics["MeanRemediationAttempts"] == (round(attempts / total, 2) if total else 0.0)
    plans = Counter(one["state"] for one in known.plans)
    finished = sum(plans[state] for state in FINISHED)
    remediation = found["RemediationMetrics"]
    assert remediation["TotalRemediations"] == len(known.plans)
    assert remediation["SuccessRate"] == (round(plans["Completed"] / finished, 2) if finished else 0.0)
    assert sum(one["Count"] for one in remediation["ByActionType"].values()) == len(known.plans)
    words = Counter(one["state"] for one in known.approvals)
    approvals = found["ApprovalMetrics"]
    assert approvals["TotalRequests"] == len(known.approvals)
    assert approvals["AutoApproved"] + approvals["ManualApproved"] == words["Approved"]
    assert (approvals["Rejected"], approvals["Expired"]) == (words["Rejected"], words["Expired"])


def capacity(api: Api, known: History, query: Item) -> None:
    """What the lists say about it: every resource with incidents is there, and those with active ones are bottlenecks."""
    items = api.get("/analytics/capacity", **query).json()["items"]
    shown = {(one["Resource"]["Namespace"], one["Resource"]["Kind"], one["Resource"]["Name"]): one for one in items}
    assert len(shown) == len(items)
    assert {(one["namespace"], *one["resource"].split("/")) for one in known.incidents} <= set(shown)
    order = [(("urgent", "plan", "stable").index(one["Urgency"]), *thing) for thing, one in shown.items()]
    assert order == sorted(order)


def costs(api: Api, known: History, query: Item) -> None:
    """Without work and models: minutes at the rate of the setting."""
    found = api.get("/analytics/costs", **query).json()["costs"]
    minutes = sum(
        to_resolve(one) if one["state"] == "Resolved" else (NOW - parse_time(one["event"])).total_seconds()
        for one in known.undrilled
    )
    assert found["downtimeMinutes"] == pytest.approx(minutes / 60, abs=0.06)
    assert found["downtime"] == pytest.approx(10 * minutes / 60, abs=0.01)
    assert found["incidents"] == len(known.undrilled)
    assert found["total"] == pytest.approx(found["downtime"] + found["engineers"] + found["llm"], abs=0.001)


CHECKS: tuple[Callable[[Api, History, Item], None], ...] = (
    summary, mttd, mttr, trends, top_resources, remediation_stats, compliance, capacity, costs,
)  # fmt: skip


def _generate(seed: int, count: int) -> None:
    call_command("generate_history", incidents=count, days=25, seed=seed, until="2027-04-12T12:00:00Z", verbosity=0)


def test_agree_with_the_lists_on_a_generated_history(viewer: Api) -> None:
    _generate(3, 200)
    history = History.read(viewer)
    some = history.incidents[7]
    wheres: list[tuple[str, dict[str, str]]] = [
        ("7d", {}),
        ("30d", {}),
        ("30d", {"namespace": some["namespace"]}),
        ("7d", {"severity": "high"}),
        ("30d", {"cluster": some["cluster"], "severity": "medium"}),
    ]

    for period, where in wheres:
        known = history.part(NOW - timedelta(days=int(period[:-1])), NOW, where)
        assert known.incidents
        for check in CHECKS:
            check(viewer, known, {"period": period, **where})


def test_agree_with_the_lists_between_any_bounds_while_no_worker_keeps_up(viewer: Api) -> None:
    """Hours that changed since are counted from the rows, and so are the ends of a range that begins within an hour."""
    _generate(11, 80)
    for incident in Incident.objects.filter(state="Escalated"):
        incident.move_to("Resolved", resolved_at=NOON)
    Incident.objects.filter(severity="low").update(severity="critical", risk_score=77)
    assert OutdatedHour.objects.exists()
    history = History.read(viewer)
    since, until = "2027-03-25T07:13:20Z", history.incidents[9]["detectedAt"]  # an instant that belongs to the range

    known = history.part(parse_time(since), parse_time(until), {})

    assert 0 < len(known.incidents) < 80
    for check in CHECKS:
        check(viewer, known, {"from": since, "to": until})
    rollups.refresh(limit=10_000)
    for check in CHECKS:
        check(viewer, known, {"from": since, "to": until})
