"""The sources of measurements: one client per address, and how long one that does not answer is left alone."""

import threading
from collections.abc import Collection
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from aiops.clients.prometheus import PrometheusClient
from incidents.observations import digest
from slos.models import MeasurementSource

FIRST_BACK_OFF = timedelta(seconds=30)
LONGEST_BACK_OFF = timedelta(minutes=5)
MOST_CLIENTS = 64
FRESH = timedelta(minutes=1)  # a success is noted at most this often


class _Clients:
    """The clients of this process. The oldest goes when there are too many; a call under way keeps its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, PrometheusClient] = {}

    def get(self, address: str) -> PrometheusClient:
        with self._lock:
            client = self._known.pop(address, None) or PrometheusClient(address)
            self._known[address] = client
            while len(self._known) > MOST_CLIENTS:
                self._known.pop(next(iter(self._known)))
            return client


_clients = _Clients()


def client(address: str) -> PrometheusClient:
    """Shared within the process; sends nothing yet."""
    return _clients.get(address)


def key(address: str) -> str:
    return digest("source", address.rstrip("/"))


def name_of(address: str) -> str:
    """What people call the source: host and port, without what a URL may say beside them. The name of a cluster stays."""
    parts = urlsplit(address)
    if not parts.hostname:
        return address
    return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname


def failing(keys: Collection[str]) -> dict[str, int]:
    """Those that did not answer the last time, and how often in a row."""
    return dict(MeasurementSource.objects.filter(pk__in=keys, failures__gt=0).values_list("pk", "failures"))


def note(*, key: str, address: str, error: str, at: datetime) -> datetime | None:
    """Remember how the source fared; returns until when to leave it alone, None when it answered."""
    known = MeasurementSource.objects.filter(pk=key).first() or MeasurementSource(key=key, address=address)
    if not error:
        if known.failures or known.answered_at is None or at - known.answered_at >= FRESH:
            known.failures, known.error, known.retry_at, known.answered_at = 0, "", None, at
            known.save()
        return None
    known.failures += 1
    known.error = error[:1024]
    known.retry_at = at + min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2 ** min(known.failures - 1, 10))
    known.save()
    return known.retry_at
