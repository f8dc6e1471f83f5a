from collections.abc import Iterator

import pytest
from django.test import Client
from django.utils import timezone

from aiops.api import throttling
from aiops.apikeys import keyfile, keyring, services
from aiops.apikeys.roles import Role


@pytest.fixture(autouse=True)
def _fresh_process(settings) -> Iterator[None]:
    """What a web process remembers between requests starts empty."""
    settings.RATE_LIMIT_STORAGE = "memory://"
    throttling.windows.cache_clear()
    keyring.forget()
    keyfile.forget()
    yield
    keyring.forget()


def client_of(role: Role, **facts) -> Client:
    _, key = services.create(role=role, at=timezone.now(), **facts)
    return Client(headers={"X-API-Key": key}, raise_request_exception=False)


@pytest.fixture
def viewer(db) -> Client:
    return client_of(Role.VIEWER, owner="vera@example.com")


@pytest.fixture
def operator(db) -> Client:
    return client_of(Role.OPERATOR, owner="olaf@example.com")


@pytest.fixture
def admin(db) -> Client:
    return client_of(Role.ADMIN, owner="ada@example.com")
