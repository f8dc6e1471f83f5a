from typing import Any, ClassVar

from django.db import models

from aiops.models import Resource
from aiops.states import change, transition
from incidents.models.incident import Incident
from incidents.states import POSTMORTEM_TRANSITIONS, PostMortemState, Severity


class PostMortem(Resource):
    """The report of a finished or contained incident."""

    KIND: ClassVar[str] = "PostMortem"

    incident = models.OneToOneField(Incident, on_delete=models.CASCADE, related_name="postmortem")
    state = models.CharField(max_length=16, choices=PostMortemState, default=PostMortemState.OPEN)
    severity = models.CharField(max_length=16, choices=Severity)
    author = models.CharField(max_length=253, default="ai-generated")
    title = models.CharField(max_length=512)
    summary = models.TextField(blank=True)
    impact = models.TextField(blank=True)  # one sentence; the report holds the object
    root_cause = models.TextField(blank=True)
    report = models.JSONField(default=dict)  # the members of `report` (contract/api.md §7.2) that are not columns here
    complete = models.BooleanField(default=True)  # published; a draft has no resolution yet
    detected_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    reviewer = models.CharField(max_length=253, blank=True)
    notes = models.TextField(blank=True)
    review_started_at = models.DateTimeField(null=True, blank=True)
    reviewed_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    generated_at = models.DateTimeField()
    feedback = models.JSONField(null=True, blank=True)
    requires_human_action = models.BooleanField(default=False)
    required_action = models.TextField(blank=True)

    class Meta:
        ordering = ["-created_at", "name"]
        constraints = [models.UniqueConstraint(fields=["name"], name="postmortem_name_is_unique")]
        indexes = [models.Index(fields=["-created_at", "name"], name="postmortem_newest")]

    def move_to(self, state: str, **changes: Any) -> str:
        """Change the state; returns the one before. Raises `InvalidTransition` or `LostRace`."""
        return transition(self, state, allowed=POSTMORTEM_TRANSITIONS, **changes)

    def change(self, **changes: Any) -> None:
        change(self, **changes)
