from django.db import models


class DailySequence(models.Model):
    """The last number given out for a prefix (`INC`, `APR`, `PM`) on a UTC day."""

    prefix = models.CharField(max_length=16)
    day = models.DateField()
    last = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["prefix", "day"], name="sequence_one_row_per_day")]

    def __str__(self) -> str:
        return f"{self.prefix}-{self.day:%Y%m%d}-{self.last:03d}"
