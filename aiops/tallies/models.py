from django.db import models


class Line(models.Model):
    source = models.CharField(max_length=63)  # model label
    rows = models.BigIntegerField(default=0)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.source}: {self.rows}"


class ByDimension(Line):
    cluster = models.CharField(max_length=253, blank=True)
    namespace = models.CharField(max_length=253, blank=True)
    state = models.CharField(max_length=32, blank=True)
    severity = models.CharField(max_length=32, blank=True)

    class Meta:
        abstract = True


class Change(ByDimension):
    """What one statement changed: rows more or less; 0 when it only changed other columns."""

    hour = models.IntegerField(default=0)  # since 1970

    class Meta:
        indexes = [models.Index(fields=["source", "id"], name="tallies_change_of_source")]


class Tally(ByDimension):
    class Meta:
        verbose_name_plural = "tallies"
        constraints = [
            models.UniqueConstraint(
                fields=["source", "cluster", "namespace", "state", "severity"], name="tallies_one_per_dimensions"
            )
        ]


class Hour(Line):
    hour = models.IntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "hour"], name="tallies_one_per_hour")]


class Stamp(models.Model):
    source = models.CharField(max_length=63, primary_key=True)
    folded = models.DecimalField(max_digits=40, decimal_places=0, default=0)  # the sum of the numbers of folded changes

    def __str__(self) -> str:
        return f"{self.source}: {self.folded}"
