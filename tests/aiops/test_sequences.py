from datetime import timedelta

import pytest
from django.db import transaction

from aiops.sequences import services
from tests.conftest import NOON
from tests.threads import at_once, postgresql_only


@pytest.mark.django_db
class TestNextName:
    def test_counts_from_001_per_day_and_prefix(self) -> None:
        with transaction.atomic():
            names = [services.next_name(prefix=prefix, at=at) for prefix, at in [
                ("INC", NOON), ("INC", NOON), ("APR", NOON), ("INC", NOON + timedelta(days=1)),
            ]]  # fmt: skip

        assert names == ["INC-20270412-001", "INC-20270412-002", "APR-20270412-001", "INC-20270413-001"]

    def test_goes_on_after_999(self) -> None:
        with transaction.atomic():
            sequence = services.lock(prefix="INC", at=NOON)
            names = services.take(sequence, 1001)

        assert names[998:] == ["INC-20270412-999", "INC-20270412-1000", "INC-20270412-1001"]

    def test_a_number_of_a_failed_transaction_is_given_out_again(self) -> None:
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            services.next_name(prefix="INC", at=NOON)
            _ = 1 / 0
        with transaction.atomic():
            assert services.next_name(prefix="INC", at=NOON) == "INC-20270412-001"


@pytest.mark.django_db(transaction=True)
def test_twenty_takers_at_once_get_numbers_without_gaps_or_duplicates() -> None:
    postgresql_only()

    def take(_: int) -> str:
        with transaction.atomic():
            return services.next_name(prefix="INC", at=NOON)

    assert sorted(map(str, at_once(20, take))) == [f"INC-20270412-{number:03d}" for number in range(1, 21)]
