from django.db import models

from analytics.models.rollups import Grain


class Usage(models.Model):
    """What a workload, a node pool or a volume claim used within an hour or a day: sums over samples, and the largest one.

    Means are sums divided by `samples`. A limit is that of the last sample; null where there is none or nobody knows.
    Hours are kept for 35 days, days for 400 (analytics.services.sampling).
    """

    grain = models.PositiveSmallIntegerField(choices=Grain)
    start = models.IntegerField()  # hours since 1970
    cluster = models.CharField(max_length=253)
    namespace = models.CharField(max_length=253, blank=True)
    kind = models.CharField(max_length=63)
    name = models.CharField(max_length=253)
    samples = models.PositiveIntegerField(default=0)
    cpu_sum = models.BigIntegerField(default=0)  # millicores
    cpu_max = models.BigIntegerField(default=0)
    cpu_limit = models.BigIntegerField(null=True, blank=True)
    memory_sum = models.BigIntegerField(default=0)  # bytes; of a volume claim the stored ones
    memory_max = models.BigIntegerField(default=0)
    memory_limit = models.BigIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["grain", "start", "cluster", "namespace", "kind", "name"], name="usage_is_unique"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"
