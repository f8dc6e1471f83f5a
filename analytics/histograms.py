"""Mergeable histograms of whole seconds, for percentiles of any set of roll-ups.

Buckets are one second wide below 128 s; above, each doubling of the time is divided into 64 buckets. A value read back is the
middle of its bucket, so it is exact below 128 s and at most 1/128 (0.8 %) off above: `ERROR`. Merging adds counts and loses
nothing, and a histogram takes as much room as it has different buckets, at most about 1,700 for times up to ten years.
"""

import struct
from collections import Counter
from collections.abc import Iterable

EXACT_BELOW = 128
STEPS = 64  # buckets per doubling
ERROR = 1 / (2 * STEPS)
PAIR = struct.Struct("<HI")

Histogram = Counter[int]  # bucket -> count


def bucket_of(seconds: int) -> int:
    if seconds < EXACT_BELOW:
        return max(0, seconds)
    shift = seconds.bit_length() - STEPS.bit_length()
    return shift * STEPS + (seconds >> shift)


def value_of(bucket: int) -> int:
    """The middle of the bucket, in seconds."""
    if bucket < EXACT_BELOW:
        return bucket
    shift, step = divmod(bucket, STEPS)
    shift, step = shift - 1, step + STEPS
    return (step << shift) + (((1 << shift) - 1) >> 1)


def of(values: Iterable[tuple[int, int]]) -> Histogram:
    """From pairs (seconds, count)."""
    found: Histogram = Counter()
    for seconds, count in values:
        found[bucket_of(seconds)] += count
    return found


def pack(histogram: Histogram) -> bytes:
    return b"".join(PAIR.pack(bucket, count) for bucket, count in sorted(histogram.items()) if count)


def merge(packed: Iterable[bytes]) -> Histogram:
    merged: dict[int, int] = {}
    known = merged.get
    for one in packed:
        for bucket, count in PAIR.iter_unpack(one):
            merged[bucket] = known(bucket, 0) + count
    return Counter(merged)


def as_values(histogram: Histogram) -> dict[int, int]:
    """Seconds -> count, in order."""
    return {value_of(bucket): count for bucket, count in sorted(histogram.items())}
