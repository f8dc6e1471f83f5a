"""One guarded POST for every transport that speaks HTTP: no redirects, no proxies, no retries, the answer's body unread."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from math import isnan

import urllib3
from urllib3.exceptions import HTTPError, LocationValueError

from aiops.clients.addresses import allow_private, check_url
from aiops.clients.errors import ClientRefused, ClientUnavailable
from aiops.clients.guarded import POOLS, RefusedPeer
from aiops.notifications.transports.base import TransportError

CONNECT = 5.0  # seconds
READ = 10.0
MAX_RETRY_AFTER = 3_600.0  # a receiver that asks for more is asked again after an hour


def post(url: str, body: bytes, headers: Mapping[str, str], *, now: datetime) -> None:
    """Returns when the receiver took `body` (2xx). Raises `TransportError` otherwise."""
    _check(url)
    pool = urllib3.PoolManager(
        num_pools=1, maxsize=1, retries=False, timeout=urllib3.Timeout(connect=CONNECT, read=READ)
    )
    pool.pool_classes_by_scheme = POOLS  # they look at whom they reached before they send
    try:
        answer = pool.request("POST", url, body=body, headers=dict(headers), redirect=False, preload_content=False)
        answer.release_conn()
    except (RefusedPeer, LocationValueError) as error:
        raise TransportError("the address is refused", permanent=True) from error
    except (HTTPError, OSError) as error:
        raise TransportError(f"the receiver cannot be reached: {type(error).__name__}") from error
    finally:
        pool.clear()
    refuse(answer.status, answer.headers, now=now)


def _check(url: str) -> None:
    # plain HTTP only where addresses of one's own network are allowed: it shows the message to everybody between
    try:
        check_url(url, schemes=("https", "http") if allow_private() else ("https",))
    except ClientRefused as error:
        raise TransportError(error.message, permanent=True) from error
    except ClientUnavailable as error:
        raise TransportError(error.message) from error


def refuse(status: int, headers: Mapping[str, str], *, now: datetime) -> None:
    """Raises `TransportError` unless `status` says that the receiver took the message."""
    if 200 <= status < 300:
        return
    # a redirect is not followed: it would lead around the guard
    passing = status in {408, 425, 429} or status >= 500
    wait = retry_after(headers.get("Retry-After", ""), now=now) if passing else None
    raise TransportError(f"the receiver answered {status}", permanent=not passing, retry_after=wait)


def retry_after(value: str, *, now: datetime) -> float | None:
    """Seconds to wait: the header holds seconds or a date."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - now).total_seconds()
        except (ValueError, TypeError):
            return None
    return None if isnan(seconds) else min(max(seconds, 0.0), MAX_RETRY_AFTER)
