"""Names that count per day: `INC-20270412-003`.

The row of the day is locked until the caller's transaction ends, and the number is taken in that transaction, so numbers
have neither gaps nor duplicates whatever the number of workers. The price is that creations of one prefix queue up.
"""

from datetime import UTC, datetime

from django.db import connection

from aiops.sequences.models import DailySequence


def lock(*, prefix: str, at: datetime) -> DailySequence:
    """Take the day's row for this transaction. Whoever holds it is the only one who creates objects of the prefix."""
    assert connection.in_atomic_block, "numbers are taken inside the transaction that uses them"
    day = at.astimezone(UTC).date()
    locked = DailySequence.objects.select_for_update()
    row = locked.filter(prefix=prefix, day=day).first()
    if row is None:  # the first of the day
        DailySequence.objects.bulk_create([DailySequence(prefix=prefix, day=day)], ignore_conflicts=True)
        row = locked.get(prefix=prefix, day=day)
    return row


def take(sequence: DailySequence, count: int = 1) -> list[str]:
    """The next `count` names of a locked sequence."""
    first = sequence.last + 1
    sequence.last += count
    sequence.save(update_fields=["last"])
    return [f"{sequence.prefix}-{sequence.day:%Y%m%d}-{number:03d}" for number in range(first, first + count)]


def next_name(*, prefix: str, at: datetime) -> str:
    return take(lock(prefix=prefix, at=at))[0]
