"""urllib3 connections that look at whom they reached before they send anything (aiops/clients/addresses.py)."""

import socket
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError

from aiops.clients import addresses


class RefusedPeer(NewConnectionError):
    """The name led to an address that we do not talk to."""


def _checked(connection: HTTPConnection, sock: socket.socket) -> socket.socket:
    reason = addresses.refusal(str(sock.getpeername()[0]))
    if reason:
        sock.close()
        raise RefusedPeer(connection, reason)
    return sock


class _GuardedHTTP(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _checked(self, super()._new_conn())


class _GuardedHTTPS(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _checked(self, super()._new_conn())


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _GuardedHTTP


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedHTTPS


POOLS: dict[str, Any] = {"http": _HTTPPool, "https": _HTTPSPool}
