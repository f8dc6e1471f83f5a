"""Abstract bases that every object of the API shares. No tables here."""

import uuid
from typing import ClassVar

from django.db import models

NAME_MAX = 253


class Resource(models.Model):
    """What `metadata` of the API shows: name, namespace, uid, labels, annotations, times and the version.

    `version` is the `resourceVersion`; every write raises it by one (`aiops.states.change`).
    """

    KIND: ClassVar[str]

    name = models.CharField(max_length=NAME_MAX)
    namespace = models.CharField(max_length=NAME_MAX, default="default")
    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    labels = models.JSONField(default=dict, blank=True)
    annotations = models.JSONField(default=dict, blank=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name
