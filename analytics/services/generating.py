"""Fills the database with an invented past (analytics.history) by bulk insert, and brings the roll-ups up to date."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice
from random import Random
from typing import Any

from django.db import DatabaseError, connection, models, transaction

from aiops.audit.models import AuditChain
from aiops.encryption import encrypt
from aiops.sequences.models import DailySequence
from aiops.tallies import triggers
from aiops.tallies.services import fold
from analytics import bulk
from analytics.history import objectives, usage
from analytics.history.ledger import CHAIN, Ledger
from analytics.history.scribe import Numbers, Page, Scribe
from analytics.history.stories import Story, Storyteller
from analytics.history.world import CLUSTERS, FREE_RUNBOOK, RUNBOOK_CATEGORY, SYMPTOMS
from analytics.models import Usage
from analytics.periods import HOUR, seconds_of
from analytics.services import rollups
from federation.models import Cluster, Phase
from incidents.models import Incident
from runbooks.models import ApprovalRequest, RemediationPlan, Runbook
from runbooks.states import PlanState
from slos.models import SLO

CHUNK = 10_000  # incidents held in memory at a time
PART = 2_000  # rows of usage per statement
PER_INCIDENT = 2  # plans, and approvals, at most
KUBECONFIG = "apiVersion: v1\nkind: Config\n"  # names no server: these clusters are history

Tell = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Order:
    """How many incidents, from when until when, and the seed that everything follows from."""

    incidents: int
    since: datetime
    until: datetime
    seed: int


def generate(order: Order, *, tell: Tell = lambda line: None) -> Counter[str]:
    """Insert the past that `order` describes; returns the number of rows by table. All or nothing.

    Roll-ups are right when it returns.
    """
    teller = Storyteller(
        count=order.incidents,
        since=seconds_of(order.since),
        until=seconds_of(order.until),
        seed=order.seed,
        taken=set(Incident.objects.open().values_list("correlation_key", flat=True)),
    )
    with transaction.atomic():
        around_triggers = _without_triggers()
        ledger = _ledger()
        scribe = Scribe(
            numbers=_numbers(order),
            clusters=_clusters(order),
            runbooks=_runbooks(order),
            ledger=ledger,
            seed=order.seed,
        )
        used: dict[str, Counter[str]] = defaultdict(Counter)
        counts: Counter[str] = Counter()
        for chunk, page in _written(teller.tell(), scribe):
            _count_use(used, chunk)
            counts += _insert(page, scribe)
            tell(f"{counts[Incident._meta.db_table]:,} incidents")
        _remember_numbers(scribe.numbers)
        ledger.chain.save()
        _note_use(used, order.until)
        counts += _objectives(order)
        counts += _usage(order)
        if around_triggers:
            with connection.cursor() as cursor:  # who called us may go on in the same transaction
                cursor.execute("SET LOCAL session_replication_role = DEFAULT")
            triggers.recount(connection.alias)
    fold()
    _analyze(counts)
    rollups.rebuild()
    return counts


def _chunks(stories: Iterator[Story]) -> Iterator[list[Story]]:
    while chunk := list(islice(stories, CHUNK)):
        yield chunk


def _written(stories: Iterator[Story], scribe: Scribe) -> Iterator[tuple[list[Story], Page]]:
    """Chunks and their rows; the next one is written down while the database takes the one before."""

    def write() -> tuple[list[Story], Page] | None:
        chunk = next(chunks, None)
        return None if chunk is None else (chunk, scribe.write(chunk))

    chunks = _chunks(stories)
    with ThreadPoolExecutor(max_workers=1) as ahead:
        coming = ahead.submit(write)
        while (ready := coming.result()) is not None:
            coming = ahead.submit(write)
            yield ready


def _without_triggers() -> bool:
    """On PostgreSQL leave out foreign key checks and triggers, if we may: the rows are right, sums are made after.

    Whether they are left out.
    """
    if connection.vendor != "postgresql":
        return False
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
    except DatabaseError:
        return False  # not a superuser: slower, but the same result
    return True


def _analyze(tables: Iterable[str]) -> None:
    """Tell PostgreSQL's planner what is there now: its own daemon would come a minute too late."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for table in tables:
                cursor.execute(f"ANALYZE {connection.ops.quote_name(table)}")


def _insert(page: Page, scribe: Scribe) -> Counter[str]:
    counts: Counter[str] = Counter()
    for table in scribe.tables:
        lines = page.lines.get(table, [])
        if lines:
            bulk.insert_lines(table.model, table.columns, lines)
            counts[table.model._meta.db_table] += len(lines)
    return counts


# --- what the rows refer to ------------------------------------------------------------------------------------------------


def _clusters(order: Order) -> dict[str, int]:
    """Registered but switched off: nobody shall poll a cluster that does not exist."""
    found: dict[str, int] = {}
    for name, region, environment, tier in CLUSTERS:
        cluster, _ = Cluster.objects.get_or_create(
            name=name,
            defaults={
                "region": region, "environment": environment, "tier": tier, "enabled": False, "phase": Phase.CONNECTED,
                "kubeconfig": encrypt(KUBECONFIG), "kubeconfig_digest": sha256(name.encode()).hexdigest(),
                "server": "https://kubernetes.invalid", "node_count": 24, "nodes_ready": 24, "namespace_count": 12,
                "pod_count": 480, "pod_capacity": 2_640, "kubernetes_version": "v1.32.0", "last_heartbeat_at": order.until,
                "next_poll_at": order.until, "created_at": order.since, "updated_at": order.since,
            },
        )  # fmt: skip
        found[name] = cluster.pk
    return found


def _runbooks(order: Order) -> dict[str, int]:
    actions = {symptom.runbook: symptom for symptom in reversed(SYMPTOMS)}
    found: dict[str, int] = {}
    for name, category in RUNBOOK_CATEGORY.items():
        symptom = actions.get(name)
        action = symptom.action if symptom else "RotateSecret"
        step: dict[str, Any] = {
            "name": "repair", "description": name, "action": action, "command": None, "timeout": "5m",
            "continueOnFailure": False, "params": {},
        }  # fmt: skip
        runbook, _ = Runbook.objects.get_or_create(
            name=name,
            namespace="default",
            defaults={
                "category": category, "description": (symptom.cause if symptom else "A certificate is about to expire"),
                "severity": ["critical", "high", "medium", "low"], "automated": name != FREE_RUNBOOK,
                "approval_required": name == FREE_RUNBOOK, "steps": [step], "created_by": "history",
                "match_conditions": {"resourceTypes": [], "descriptionPatterns": [], "namespaces": []},
                "created_at": order.since, "updated_at": order.since,
            },
        )  # fmt: skip
        found[name] = runbook.pk
    return found


def _count_use(used: dict[str, Counter[str]], stories: Iterable[Story]) -> None:
    for story in stories:
        for attempt in story.attempts:
            counts = used[story.symptom.runbook]
            counts["times_used"] += 1
            if attempt.state == PlanState.COMPLETED:
                counts["plans_completed"] += 1
                counts["execution_seconds"] += attempt.ended - attempt.started
            elif attempt.state in {PlanState.FAILED, PlanState.ROLLED_BACK}:
                counts["plans_failed"] += 1


def _note_use(used: dict[str, Counter[str]], at: datetime) -> None:
    for name, counts in used.items():
        changes = {column: models.F(column) + number for column, number in counts.items()}
        Runbook.objects.filter(name=name, namespace="default").update(**changes, last_used_at=at)


def _objectives(order: Order) -> Counter[str]:
    random = Random(order.seed)  # noqa: S311 - an invented past, not a secret
    counts: Counter[str] = Counter()
    for objective in objectives.OBJECTIVES:
        if SLO.objects.filter(name=objective.name, namespace=objective.namespace).exists():
            continue
        slo = objectives.slo(objective, since=order.since, until=order.until)
        slo.save(force_insert=True)
        counts[SLO._meta.db_table] += 1
        by_model = defaultdict(list)
        for row in objectives.history(slo, objective, since=order.since, until=order.until, random=random):
            by_model[type(row)].append(row)
        for model, rows in by_model.items():
            model._default_manager.bulk_create(rows, batch_size=1_000)
            counts[model._meta.db_table] += len(rows)
    return counts


def _usage(order: Order) -> Counter[str]:
    since, until = seconds_of(order.since) // HOUR, seconds_of(order.until) // HOUR
    rows = usage.rows(since=since, until=until, seed=order.seed)
    total = sum(len(Usage.objects.bulk_create(part, ignore_conflicts=True)) for part in _parts(rows))
    return Counter({Usage._meta.db_table: total})


def _parts(rows: Iterator[Usage]) -> Iterator[list[Usage]]:
    while part := list(islice(rows, PART)):
        yield part


# --- names and keys --------------------------------------------------------------------------------------------------------


def _ledger() -> Ledger:
    AuditChain.objects.get_or_create(number=CHAIN)
    chain = AuditChain.objects.select_for_update().get(number=CHAIN)
    return Ledger(chain)


def _numbers(order: Order) -> Numbers:
    first, last = order.since.date(), order.until.date() + timedelta(days=1)
    taken = DailySequence.objects.select_for_update().filter(day__gte=first, day__lte=last)
    return Numbers(
        daily={(row.prefix, f"{row.day:%Y%m%d}"): row.last for row in taken},
        incident=_reserve(Incident, order.incidents),
        plan=_reserve(RemediationPlan, order.incidents * PER_INCIDENT),
        approval=_reserve(ApprovalRequest, order.incidents * PER_INCIDENT),
    )


def _reserve(model: type[models.Model], count: int) -> int:
    """The first of `count` primary keys that nobody else takes."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", [table])
            sequence = cursor.fetchone()[0]
            cursor.execute("SELECT nextval(%s)", [sequence])
            first = int(cursor.fetchone()[0])
            cursor.execute("SELECT setval(%s, %s)", [sequence, first + count])
            return first
        highest = model._default_manager.aggregate(models.Max("pk"))["pk__max"]
        return int(highest or 0) + 1


def _remember_numbers(numbers: Numbers) -> None:
    rows = [
        DailySequence(prefix=prefix, day=datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).date(), last=last)
        for (prefix, day), last in sorted(numbers.daily.items())
    ]
    DailySequence.objects.bulk_create(
        rows, batch_size=1_000, update_conflicts=True, unique_fields=["prefix", "day"], update_fields=["last"]
    )
