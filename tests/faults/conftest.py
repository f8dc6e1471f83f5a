from collections.abc import Callable, Iterator

import httpx
import pytest
from django.utils import timezone

from aiops.apikeys import services as apikeys
from aiops.apikeys.roles import Role
from tests.processes import Stack, running


@pytest.fixture
def stack(transactional_db, tmp_path) -> Iterator[Stack]:
    """No process yet; those that a test starts end with it."""
    with running(tmp_path) as stack:
        yield stack
        print(stack.output())  # pytest shows it with a failure


@pytest.fixture
def connect(transactional_db) -> Iterator[Callable[..., httpx.Client]]:
    """Clients of the API at a URL, with a key of their own."""
    clients: list[httpx.Client] = []

    def connect(url: str, role: Role = Role.OPERATOR) -> httpx.Client:
        _, key = apikeys.create(role=role, at=timezone.now())
        clients.append(httpx.Client(base_url=f"{url}/api/v1", headers={"X-API-Key": key}, timeout=60))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()
