from collections.abc import Callable, Iterator

import pytest
from django.utils import timezone

from aiops.apikeys import services as apikeys
from aiops.apikeys.roles import Role
from tests.processes import running


@pytest.fixture
def server(transactional_db, tmp_path) -> Iterator[str]:
    """The URL of a running web process."""
    with running(tmp_path) as stack:
        yield stack.start_web()


@pytest.fixture
def key_of(transactional_db) -> Callable[[Role], str]:
    return lambda role: apikeys.create(role=role, at=timezone.now())[1]
