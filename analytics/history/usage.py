"""What the invented fleet used: days of every workload, with weekly waves and with some that grow."""

from collections.abc import Iterator
from math import pi, sin
from random import Random

from analytics.history.world import CLUSTERS, workloads
from analytics.models import Grain, Usage
from analytics.periods import DAY

SAMPLES = 288  # of a day
MEBIBYTE = 2**20
GROWING = 0.12  # share of workloads whose memory grows towards the limit
MOST_DAYS = 120


def rows(*, since: int, until: int, seed: int) -> Iterator[Usage]:
    """Unsaved rows of the whole days between two hours since 1970, the newest days if there are very many."""
    random = Random(seed)  # noqa: S311 - an invented past, not a secret
    days = list(range(-(-since // DAY) * DAY, until - DAY + 1, DAY))[-MOST_DAYS:]
    for workload in workloads():
        cpu_limit, memory_limit = (
            random.choice((500, 1_000, 2_000, 4_000)),
            random.choice((256, 512, 1_024, 4_096)) * MEBIBYTE,
        )
        cpu, memory = random.uniform(0.15, 0.6), random.uniform(0.3, 0.6)
        growth = random.uniform(0.1, 0.4) if random.random() < GROWING else random.uniform(-0.02, 0.02)
        for number, day in enumerate(days):
            wave = 1 + 0.2 * sin(2 * pi * (day // DAY % 7) / 7)
            used = cpu * wave * random.uniform(0.95, 1.05) * cpu_limit
            share = memory + growth * number / max(1, len(days) - 1)
            held = min(0.99, share * random.uniform(0.98, 1.02)) * memory_limit
            yield Usage(
                grain=Grain.DAY, start=day, cluster=CLUSTERS[workload.cluster][0], namespace=workload.namespace,
                kind=workload.kind, name=workload.name, samples=SAMPLES, cpu_sum=int(used) * SAMPLES,
                cpu_max=int(used * 1.4), cpu_limit=cpu_limit, memory_sum=int(held) * SAMPLES,
                memory_max=min(memory_limit, int(held * 1.05)), memory_limit=memory_limit,
            )  # fmt: skip
