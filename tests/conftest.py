import os
from datetime import UTC, datetime

import pytest

NOON = datetime(2027, 4, 12, 12, 0, tzinfo=UTC)


def needs(available: bool, what: str) -> None:
    """Skip with a reason on a laptop; fail in CI, where everything has to be there (AIOPS_REQUIRE_SERVICES=1)."""
    if available:
        return
    if os.environ.get("AIOPS_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{what} is required here")
    pytest.skip(f"{what} is not available")


@pytest.fixture
def noon() -> datetime:
    return NOON
