"""Mergeable histograms of whole seconds, for percentiles of any set of roll-ups.

Buckets are one second wide below 128 s; above, each doubling of the time is divided into 64 buckets. A value read back is the
middle of its bucket, so it is exact below 128 s and at most 1/128 (0.8 %) off above (`error`). Merging adds counts and loses
nothing, and a histogram takes as much room as it has different buckets, at most about 1,700 for times up to ten years.
All of this is for `STEPS`; fewer steps per doubling make fewer and wider buckets.
"""

import struct
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

STEPS = 64  # buckets per doubling
COARSE = 16  # the same where a rough answer will do: a quarter of the buckets
PAIR = struct.Struct("<HI")

Histogram = Counter[int]  # bucket -> count


def error(steps: int = STEPS) -> float:
    """The largest relative error of a value that is read back."""
    return 1 / (2 * steps)


@lru_cache(maxsize=65_536)
def bucket_of(seconds: int, steps: int = STEPS) -> int:
    if seconds < 2 * steps:
        return max(0, seconds)
    shift = seconds.bit_length() - steps.bit_length()
    return shift * steps + (seconds >> shift)


def value_of(bucket: int, steps: int = STEPS) -> int:
    """The middle of the bucket, in seconds."""
    if bucket < 2 * steps:
        return bucket
    shift, step = divmod(bucket, steps)
    shift, step = shift - 1, step + steps
    return (step << shift) + (((1 << shift) - 1) >> 1)


def pack(histogram: Histogram) -> bytes:
    return b"".join(PAIR.pack(bucket, count) for bucket, count in sorted(histogram.items()) if count)


def merge(packed: Iterable[bytes]) -> Histogram:
    merged: dict[int, int] = {}
    known = merged.get
    for one in packed:
        for bucket, count in PAIR.iter_unpack(one):
            merged[bucket] = known(bucket, 0) + count
    return Counter(merged)


def as_values(histogram: Histogram, steps: int = STEPS) -> dict[int, int]:
    """Seconds -> count, in order."""
    return {value_of(bucket, steps): count for bucket, count in sorted(histogram.items())}
