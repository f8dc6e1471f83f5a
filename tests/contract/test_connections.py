import http.client
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from aiops.apikeys.roles import Role

MIB = 1024 * 1024
TIMES = 5


@pytest.mark.parametrize("chunked", [False, True])
def test_a_connection_survives_refused_bodies(server: str, key_of: Callable[[Role], str], chunked: bool) -> None:
    connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=60)
    connection.connect()
    first = connection.sock
    key = {"X-API-Key": key_of(Role.OPERATOR)}
    body = b"x" * (2 * MIB)
    for headers, status in [({}, 401), (key, 413)] * TIMES:
        sent = iter([body[:MIB], body[MIB:]]) if chunked else body
        connection.request("POST", "/api/v1/incidents/x/resolve", sent, headers, encode_chunked=chunked)
        response = connection.getresponse()
        assert response.status == status
        response.read()

    assert connection.sock is first
    connection.close()
