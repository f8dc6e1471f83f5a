"""Hundreds of people watch one web process; each is told of each change, and the API answers others meanwhile."""

import asyncio
import time
from collections.abc import Iterator

import httpx
import pytest
from django.db import connections, transaction
from django.utils import timezone

from aiops.apikeys import services as apikeys
from aiops.apikeys.roles import Role
from aiops.audit import services as audit
from aiops.audit.actor import SYSTEM
from tests.processes import running

pytestmark = pytest.mark.django_db(transaction=True)
LISTENERS = 250


@pytest.fixture
def web(tmp_path) -> Iterator[tuple[str, str]]:
    _, key = apikeys.create(role=Role.VIEWER, at=timezone.now())
    with running(tmp_path) as stack:
        yield stack.start_web(threads=6 + LISTENERS), key


async def listen(url: str, key: str, last: str, names: set[str]) -> set[str]:
    """The names among these that a stream tells of, until it has told of all."""
    found: set[str] = set()
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(url).port)
    writer.write(
        f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {key}\r\nLast-Event-ID: {last}\r\n\r\n".encode()
    )
    try:
        while found != names:
            line = (await reader.readline()).decode()
            assert line, "the stream ended"
            found |= {name for name in names if f'"{name}"' in line}
    finally:
        writer.close()
    return found


def happen(name: str) -> None:
    """In a thread, whose connection nobody else would close: the database could not be dropped."""
    try:
        with transaction.atomic():
            audit.record(audit.Record("incident.open", SYSTEM, "Incident", name), at=timezone.now())
    finally:
        connections.close_all()


async def watched(url: str, key: str, names: list[str]) -> tuple[list[set[str]], list[float]]:
    """What all listeners heard, and how long other requests took meanwhile, in seconds."""
    listeners = [asyncio.create_task(listen(url, key, "0.0", set(names))) for _ in range(LISTENERS)]
    took = []
    async with httpx.AsyncClient(base_url=url, headers={"X-API-Key": key}, timeout=60) as client:
        for name in names:
            await asyncio.to_thread(happen, name)
            began = time.monotonic()
            assert (await client.get("/api/v1/incidents")).status_code == 200
            took.append(time.monotonic() - began)
    return list(await asyncio.wait_for(asyncio.gather(*listeners), timeout=180)), took


def test_every_listener_hears_of_every_change(web):
    url, key = web
    names = [f"INC-20270412-{number:03d}" for number in range(5)]

    heard, took = asyncio.run(watched(url, key, names))

    assert heard == [set(names)] * LISTENERS
    assert len(took) == len(names)
