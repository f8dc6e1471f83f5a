"""What is asked of the service and of its references: the same requests, the same answers, checked before they are timed."""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from bench import servers, wrk
from bench.servers import Installation
from bench.wrk import Call

API = "/api/v1/incidents"
STATES, SEVERITIES = ("Resolved",), ("critical", "high", "medium", "low")
BODY = '{"acknowledgedBy": "bench@example.com", "message": "looking"}'
MOST_OPEN = 30_000  # incidents made to be acknowledged, more than a round of all gets through
BUSY = (
    "select count(*) from pg_stat_activity where datname = current_database() and backend_type = 'client backend' "
    "and state <> 'idle' and pid <> pg_backend_pid()"
)
PREFIX = "INC-20200101-"  # of their names: no generated one is as old


@dataclass(frozen=True, slots=True)
class Samples:
    """What the requests rotate over."""

    names: Sequence[str]
    namespaces: Sequence[str]
    open: Sequence[str]


def prepare(at: Installation, *, seed: int = 1) -> Samples:
    """Add incidents that can be acknowledged and somebody who listens, and choose what to ask for."""
    count = min(MOST_OPEN, max(3_000, at.incidents // 20))
    with at.connect() as connection:
        _add_open(connection, count)
        _add_listener(connection)
        connection.execute("analyze incidents_incident")
        (pages,) = connection.execute(
            "select max(id) from incidents_incident where name not like %s", [PREFIX + "%"]
        ).fetchone()  # type: ignore[misc]
        ids = random.Random(seed).sample(range(1, int(str(pages)) + 1), min(1_000, at.incidents))
        names = connection.execute("select name from incidents_incident where id = any(%s)", [ids]).fetchall()
        spaces = connection.execute("select distinct namespace from incidents_incident order by 1 limit 50").fetchall()
    return Samples(
        names=[str(row[0]) for row in names],
        namespaces=[str(row[0]) for row in spaces],
        open=[f"{PREFIX}{number}" for number in range(1, count + 1)],
    )


def _add_open(connection: Any, count: int) -> None:
    """Copies of old incidents, open and unacknowledged."""
    rows = connection.execute(
        "select column_name from information_schema.columns where table_name = 'incidents_incident' and column_name <> 'id'"
    )
    changed = {
        "name": f"'{PREFIX}' || n", "uid": "gen_random_uuid()", "correlation_key": "md5(n::text)", "state": "'Escalated'",
        "acknowledged_at": "null", "acknowledged_by": "''", "acknowledge_message": "''", "annotations": "'{}'",
        "resolved_at": "null", "resolution": "''", "due_at": "null", "snooze_until": "null", "timeline_count": "0",
        "detected_at": "i.detected_at - interval '200 days'",
    }  # fmt: skip
    columns = [str(row[0]) for row in rows]
    values = [changed.get(name, f"i.{name}") for name in columns]
    connection.execute(
        f"insert into incidents_incident ({', '.join(columns)}) select {', '.join(values)} "
        f"from generate_series(1, {count}) n join incidents_incident i on i.id = 1 + n % 1000"
    )


def _add_listener(connection: Any) -> None:
    """A channel and a policy, so that an acknowledgement has a message to write."""
    rule = orjson.dumps(
        [{"name": "all", "match": {"events": ["incident_acknowledged"]}, "channels": ["bench"]}]
    ).decode()
    resource = "namespace, uid, labels, annotations, version, created_at, updated_at"
    common = "'default', gen_random_uuid(), '{}', '{}', 1, now(), now()"
    connection.execute(
        f"insert into notifications_channel (name, {resource}, type, enabled, config, secrets) values ('bench', {common}, "
        "'webhook', true, '{\"url\": \"http://127.0.0.1:9/\"}', '') on conflict do nothing"
    )
    connection.execute(
        f"insert into notifications_policy (name, {resource}, enabled, rules, max_per_hour, deduplication_seconds) values "
        f"('bench', {common}, true, %s, 1000000, 0) on conflict do nothing",
        [rule],
    )


def reset(at: Installation) -> None:
    """Make the acknowledged ones ready for another round, once the last requests of the round before are through."""
    with at.connect() as connection:
        quiet, end = 0, time.monotonic() + 20
        while quiet < 3 and time.monotonic() < end:
            (busy,) = connection.execute(BUSY).fetchone() or (0,)
            quiet = 0 if busy else quiet + 1
            time.sleep(0.1)
        connection.execute(
            "update incidents_incident set acknowledged_at = null, acknowledged_by = '', annotations = '{}', "
            "acknowledge_message = '' where name like %s and acknowledged_at is not null",
            [PREFIX + "%"],
        )


def calls(samples: Samples) -> dict[str, list[Call]]:
    """The requests of each endpoint by its name."""
    filtered = [
        f"{API}?state={state}&severity={severity}&namespace={namespace}"
        for namespace in samples.namespaces
        for severity in SEVERITIES
        for state in STATES
    ]
    return {
        "list": [Call("GET", API)],
        "filtered": [Call("GET", path) for path in filtered],
        "single": [Call("GET", f"{API}/{name}") for name in samples.names],
        "timeline": [Call("GET", f"{API}/{name}/timeline") for name in samples.names],
        "acknowledge": [Call("POST", f"{API}/{name}/acknowledge", BODY) for name in samples.open],
    }


@dataclass(frozen=True, slots=True)
class Contenders:
    """URLs of the service and its references, on one database."""

    at: Installation
    urls: Mapping[str, str]
    headers: Mapping[str, str]

    def get(self, who: str, path: str) -> Any:
        answer = httpx.get(self.urls[who] + path, headers=dict(self.headers), timeout=60)
        if answer.status_code != httpx.codes.OK:
            raise wrk.Refused(f"{who} answered {path} with {answer.status_code}: {answer.text[:300]}")
        return answer.json()


@contextmanager
def contenders(at: Installation, *, workers: int, threads: int, stock: bool = True) -> Iterator[Contenders]:
    with ExitStack() as stack:
        urls = {"service": stack.enter_context(servers.service(at, workers=workers, threads=threads))}
        references = {"floor": ("bench.reference.floor.app:application", "/")}
        if stock:
            references["stock"] = ("bench.reference.stock.wsgi:application", "/api/v1/")
        for name, (application, path) in references.items():
            server = servers.wsgi(at, application, path=path, workers=workers, threads=threads)
            urls[name] = stack.enter_context(server)
        yield Contenders(at, urls, {"X-API-Key": at.new_key()})


def check_equal(of: Contenders, paths: Mapping[str, Sequence[Call]]) -> None:
    """Raises `Refused` unless all contenders answer the same: service and floor member by member, stock by names and counts."""
    for name in ("list", "filtered", "single", "timeline"):
        for call in paths[name][:5]:
            answers = {who: of.get(who, call.path) for who in of.urls}
            if _without_age(answers["service"]) != _without_age(answers["floor"]):
                raise wrk.Refused(f"service and floor answer {call.path} differently")
            if "stock" in answers and _gist(answers["stock"]) != _gist(answers["service"]):
                raise wrk.Refused(f"stock answers {call.path} with other rows")


def _without_age(document: Any) -> Any:
    """An age may change between two answers."""
    if isinstance(document, dict) and "items" in document:
        items = [{key: value for key, value in item.items() if key != "age"} for item in document["items"]]
        return {**document, "items": items}
    return document


def _gist(document: Any) -> Any:
    """Which rows, in which order, of how many."""
    if isinstance(document, list):
        return [(entry["type"], entry["message"]) for entry in document]
    if "events" in document:
        return [(entry["type"], entry["message"]) for entry in document["events"]]
    if "results" in document:
        return document["count"], [item["name"] for item in document["results"]]
    if "items" in document:
        return document["metadata"]["totalCount"], [item["name"] for item in document["items"]]
    return document.get("name") or document["metadata"]["name"]
