"""A bare WSGI application: psycopg, orjson, the product's SQL, key check, limit and answers, and no framework.

The best that Python can do with the same promises: keys are looked up by digest and remembered for three seconds, each request
is counted in Redis in one round trip, an acknowledgement writes row, timeline, outbox and audit chain in one transaction and
then nudges a worker. It knows no scopes, no bodies but the one it needs, no logs and no metrics.
"""

import hashlib
import hmac
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import orjson
import psycopg
import redis
from psycopg.types.json import Jsonb, set_json_dumps, set_json_loads

from bench.reference.floor import documents, statements

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
Start = Callable[[str, Headers], Any]

FRESH = 3.0  # seconds that a key is remembered
LIMIT = int(os.environ["CHATCLI_API_RATE_LIMIT_OPERATOR"])
PEPPER = hashlib.sha256(b"aiops.apikeys" + os.environ["AIOPS_SECRET_KEY"].encode()).digest()
CHAINS = 16
TOTALS_MAX = 10_000
JSON = "application/json; charset=utf-8"
PREFIX = "aiops.chatcli.io"
HIT = """
local count = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
return {count, left}
"""

broker = redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=5)
hit = broker.register_script(HIT)
totals: dict[Any, tuple[Any, int]] = {}  # filters and values: stamp and number of rows
known_keys: dict[str, tuple[float, int, str]] = {}  # digest: when it was read, id, role


class Thread(threading.local):
    """One connection per thread, kept."""

    def __init__(self) -> None:
        self.connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, prepare_threshold=0)
        self.connection.execute("set timezone to 'UTC'")
        # JSON columns go through as text: nobody looks inside
        set_json_loads(orjson.Fragment, self.connection)
        set_json_dumps(orjson.dumps, self.connection)

    def rows(self, statement: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        return self.connection.execute(statement, tuple(values)).fetchall()


thread = Thread()


class Answer(Exception):
    """Any other answer than 200."""

    def __init__(self, status: str, body: bytes = b"{}") -> None:
        self.status, self.body = status, body


def application(environ: Environ, start: Start) -> list[bytes]:
    status, headers = "200 OK", [("Content-Type", JSON), ("Cache-Control", "no-store")]
    try:
        key, role = authenticate(environ)
        headers += count(key)
        body = route(environ, role, headers)
    except Answer as answer:
        status, body = answer.status, answer.body
    headers.append(("Content-Length", str(len(body))))
    start(status, headers)
    return [body]


def authenticate(environ: Environ) -> tuple[int, str]:
    digest = hmac.new(PEPPER, environ.get("HTTP_X_API_KEY", "").encode(), hashlib.sha256).hexdigest()
    known, now = known_keys.get(digest), time.monotonic()
    if known is None or now - known[0] > FRESH:
        found = thread.rows(statements.KEY, (digest,))
        if not found:
            raise Answer("401 Unauthorized")
        known_keys[digest] = known = (now, *found[0])
    assert known is not None
    return known[1:]


def count(key: int) -> Headers:
    number, left = hit(keys=[f"aiops:rate:key:{key}"], args=[60_000])
    if number > LIMIT:
        raise Answer("429 Too Many Requests")
    return [
        ("X-RateLimit-Limit", str(LIMIT)),
        ("X-RateLimit-Remaining", str(LIMIT - number)),
        ("X-RateLimit-Reset", str(int(time.time() + left / 1000) + 1)),
    ]


def route(environ: Environ, role: str, headers: Headers) -> bytes:
    parts = environ["PATH_INFO"].removeprefix("/api/v1/incidents").strip("/").split("/")
    if parts == [""]:
        return page(environ)
    name = parts[0]
    if len(parts) == 1:
        return single(name, headers)
    if parts[1] == "timeline":
        rows = thread.rows(statements.TIMELINE, (name,))
        if not rows:
            raise Answer("404 Not Found")
        return documents.timeline(rows)
    if parts[1] == "acknowledge" and environ["REQUEST_METHOD"] == "POST" and role in {"operator", "admin"}:
        return acknowledge(name, environ, role, headers)
    raise Answer("404 Not Found")


def page(environ: Environ) -> bytes:
    query = dict(parse_qsl(environ.get("QUERY_STRING", "")))
    number, size = int(query.get("page", 1)), min(int(query.get("pageSize", 20)), 100)
    filters = tuple(name for name in statements.FILTERS if name in query)
    values = [query[name] for name in filters]
    total = total_of(filters, values)
    rows = thread.rows(statements.page(filters), [*values, size, (number - 1) * size])
    return documents.page(rows, total=total, number=number, size=size)


def total_of(filters: tuple[str, ...], values: list[str]) -> int:
    """Counted once per change of the table."""
    stamp = thread.rows(statements.STAMP)[0][0]
    asked = (filters, tuple(values))
    known = totals.get(asked)
    if known is None or known[0] != stamp:
        if len(totals) > TOTALS_MAX:
            totals.clear()
        totals[asked] = known = (stamp, thread.rows(statements.count(filters), [*values, *values])[0][0])
    return known[1]


def single(name: str, headers: Headers) -> bytes:
    rows = thread.rows(statements.SINGLE, (name,))
    if not rows:
        raise Answer("404 Not Found")
    headers.append(("ETag", f'"{rows[0][6]}"'))
    return documents.incident(rows[0])


def acknowledge(name: str, environ: Environ, role: str, headers: Headers) -> bytes:
    sent = orjson.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    by, message = str(sent["acknowledgedBy"])[:253], str(sent.get("message", ""))[:1024]
    at = datetime.now(UTC)
    moment = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    annotations = {
        f"{PREFIX}/acknowledged": "true",
        f"{PREFIX}/acknowledged-at": moment,
        f"{PREFIX}/acknowledged-by": role,
    }
    details = {"message": message} if message else {}
    run = thread.rows
    with thread.connection.transaction():
        rows = run(statements.ACKNOWLEDGE, (at, by, message, Jsonb(annotations), at, name))
        if not rows:
            raise Answer("409 Conflict")
        row = rows[0]
        insight = run(statements.INSIGHT_OF, (row[0],))
        thread.connection.execute(statements.EVENT, (row[0], at, f"Acknowledged by {by}", Jsonb(details)))
        keys = announce(row, by, at)
        record(row, by, role, details=details, at=at, environ=environ)
    for key in keys:
        # what a worker's queue gets: a message that names the row
        broker.lpush("floor", orjson.dumps({"task": "deliver", "kwargs": {"key": key}}))
    headers.append(("ETag", f'"{row[6]}"'))
    return documents.incident(row + insight[0])


def announce(row: tuple[Any, ...], by: str, at: datetime) -> list[str]:
    """A row of the outbox for each channel that listens."""
    name, severity, resource = row[1], row[11], f"{row[9]}/{row[10]}"
    title, keys = f"{name} {resource}: acknowledged", []
    for channel, channel_name, kind in thread.rows(statements.POLICIES):
        key = (
            "ntf_"
            + hashlib.sha256(f"incident_acknowledged\n{name}\n{channel}\n{at.isoformat()}".encode()).hexdigest()[:40]
        )
        body = f"Acknowledged by {by}"
        context = {
            "event": "incident_acknowledged", "subjectKind": "Incident", "subject": name, "incident": name,
            "severity": severity, "signalType": row[13], "namespace": row[2], "resourceKind": row[9], "state": row[26],
            "cluster": row[19], "title": title, "body": body, "facts": {},
        }  # fmt: skip
        thread.connection.execute(
            statements.MESSAGE, (channel, channel_name, kind, key, name, name, title, body, Jsonb(context), at, at)
        )
        keys.append(key)
    return keys


def record(
    row: tuple[Any, ...], by: str, role: str, *, details: dict[str, str], at: datetime, environ: Environ
) -> None:
    """The audit record, bound to the one before it in its chain."""
    number = (os.getpid() + threading.get_native_id()) % CHAINS
    found = thread.rows(statements.CHAIN, (number,))
    if not found:
        thread.connection.execute(statements.NEW_CHAIN, (number,))
        found = thread.rows(statements.CHAIN, (number,))
    length, previous = found[0]
    name, namespace = row[1], row[2]
    identity = f"audit-{at:%Y%m%d-%H%M%S%f}-{secrets.token_hex(4)}"
    address, agent = environ.get("REMOTE_ADDR") or "unknown", environ.get("HTTP_USER_AGENT", "")[:512]
    facts = {
        "id": identity, "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "action": "incident.acknowledge", "user": by,
        "role": role, "resource": name, "resourceType": "Incident", "namespace": namespace or None, "details": details,
        "sourceIP": address, "userAgent": agent, "eventType": None, "severity": "info", "actorType": "user",
        "correlationId": name,
    }  # fmt: skip
    checksum = "sha256:" + hashlib.sha256(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)).hexdigest()
    place = f"{number}\n{length + 1}\n{previous}\n{at.isoformat(timespec='microseconds')}\n{checksum}"
    digest = hashlib.sha256(place.encode()).hexdigest()
    thread.connection.execute(
        statements.RECORD,
        (
            identity, at, by, role, name, namespace, name, Jsonb(details), address, agent, checksum, number, length + 1,
            previous, digest,
        ),
    )  # fmt: skip
    thread.connection.execute(statements.HEAD, (length + 1, digest, number))
