from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine

from tests.conftest import NOON
from tests.incidents.api.conftest import Api, _fresh_process, api_of, nobody, operator, viewer

__all__ = ["Api", "_fresh_process", "api_of", "nobody", "operator", "viewer"]


@pytest.fixture(autouse=True)
def _a_minute_after_noon() -> Iterator[None]:
    """The clock stands still: documents show the time at which they were made."""
    with time_machine.travel(NOON + timedelta(minutes=1), tick=False):
        yield
