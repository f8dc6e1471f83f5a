from typing import ClassVar

from django.db import models

from aiops.models import Resource
from incidents.models.incident import Incident


class AIInsight(Resource):
    """One analysis of an incident, by rules or by a language model; a further attempt makes a further one."""

    KIND: ClassVar[str] = "AIInsight"

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="insights")
    attempt = models.PositiveSmallIntegerField(default=1)
    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=128, blank=True)
    analysis = models.TextField()
    category = models.CharField(
        max_length=32, blank=True
    )  # code-bug, config, capacity, dependency, infrastructure, unknown
    confidence = models.FloatField()
    recommendations = models.JSONField(default=list)
    suggested_actions = models.JSONField(default=list)  # {name, action, description, params}
    related_events = models.JSONField(default=list)
    evidence = models.JSONField(default=list)  # {id, kind, text}: what the analysis rests on
    log_analysis = models.TextField(blank=True)
    metrics_context = models.TextField(blank=True)
    source_code_context = models.TextField(blank=True)
    gitops_context = models.TextField(blank=True)
    cascade_analysis = models.TextField(blank=True)
    blast_radius_prediction = models.TextField(blank=True)
    generated_at = models.DateTimeField()

    class Meta:
        ordering = ["-generated_at", "name"]
        verbose_name = "AI insight"
        constraints = [
            models.UniqueConstraint(fields=["name"], name="insight_name_is_unique"),
            models.UniqueConstraint(fields=["incident", "attempt"], name="insight_one_per_attempt"),
        ]
        indexes = [models.Index(fields=["-generated_at", "name"], name="insight_newest")]
