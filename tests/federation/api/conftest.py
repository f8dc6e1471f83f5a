from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from aiops.apikeys.roles import Role
from tests.conftest import NOON
from tests.incidents.api.conftest import Api as ReadingApi
from tests.incidents.api.conftest import _fresh_process, api_of, nobody, operator, viewer

__all__ = ["_fresh_process", "nobody", "operator", "viewer"]


@pytest.fixture(autouse=True)
def _soon_after_noon() -> Iterator[None]:
    """The factories make rows of noon; what the API does comes after them."""
    with time_machine.travel(NOON + timedelta(seconds=10), tick=True):
        yield


class Api(ReadingApi):
    """Also changes and deletes."""

    def put(self, path: str, body: Any, **headers: str) -> Any:
        return self.client.put(f"/api/v1{path}", body, content_type="application/json", headers=headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.client.delete(f"/api/v1{path}", headers=headers)


@pytest.fixture
def admin(db: None) -> Api:
    return Api(api_of(Role.ADMIN, owner="ada@example.com").key)
