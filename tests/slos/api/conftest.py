from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from aiops.api import throttling
from aiops.apikeys import keyfile, keyring, services
from aiops.apikeys.roles import Role
from tests.conftest import NOON

BASE = "/api/v1"


@pytest.fixture(autouse=True)
def _soon_after_noon() -> Iterator[None]:
    """The factories make rows of noon; what the API does comes after them."""
    with time_machine.travel(NOON + timedelta(minutes=1), tick=True):
        yield


@pytest.fixture(autouse=True)
def _fresh_process(settings: Any) -> Iterator[None]:
    """What a web process remembers between requests starts empty."""
    settings.RATE_LIMIT_STORAGE = "memory://"
    throttling.windows.cache_clear()
    keyring.forget()
    keyfile.forget()
    yield
    keyring.forget()


class Api:
    """A client below /api/v1 that sends and reads JSON."""

    def __init__(self, key: str = "") -> None:
        headers = {"X-API-Key": key} if key else {}
        self.client = Client(headers=headers, raise_request_exception=False)

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(BASE + path, query)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.client.post(BASE + path, body, content_type="application/json", headers=headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.client.put(BASE + path, body, content_type="application/json", headers=headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.client.delete(BASE + path, headers=headers)

    def load(self, text: str) -> Any:
        return self.client.post(f"{BASE}/slos/import", text.encode(), content_type="application/yaml")


def api_of(role: Role, **facts: Any) -> Api:
    _, key = services.create(role=role, at=timezone.now(), **facts)
    return Api(key)


@pytest.fixture
def nobody(db: None) -> Api:
    return Api()


@pytest.fixture
def viewer(db: None) -> Api:
    return api_of(Role.VIEWER, owner="vera@example.com")


@pytest.fixture
def operator(db: None) -> Api:
    return api_of(Role.OPERATOR, owner="olaf@example.com")


@pytest.fixture
def admin(db: None) -> Api:
    return api_of(Role.ADMIN, owner="ada@example.com")
