"""The outbox: what is to be said is a row in the transaction of the change; workers deliver it afterwards."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from aiops.models import Resource


class Channel(Resource):
    """A place messages go to. `config` is shown; `secrets` (encrypted JSON) never is."""

    KIND: ClassVar[str] = "NotificationChannel"

    type = models.CharField(max_length=32)  # a key of transports.TRANSPORTS
    enabled = models.BooleanField(default=True)
    config = models.JSONField(default=dict, blank=True)
    secrets = models.BinaryField(editable=False, default=b"")

    class Meta:
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(fields=["name"], name="channel_name_is_unique")]


class Policy(Resource):
    """Who hears of what. Every rule that matches sends.

    `rules`: list of {name, match{events[], severities[], signalTypes[], namespaces[], resourceKinds[], states[], clusters[]},
    channels[], template}; an empty list matches anything.
    """

    KIND: ClassVar[str] = "NotificationPolicy"

    enabled = models.BooleanField(default=True)
    rules = models.JSONField(default=list)
    max_per_hour = models.PositiveIntegerField(default=10)  # per subject and channel; terminal events always pass
    deduplication_seconds = models.PositiveIntegerField(default=300)

    class Meta:
        ordering = ["name", "pk"]
        verbose_name_plural = "policies"
        constraints = [models.UniqueConstraint(fields=["name"], name="notification_policy_name_is_unique")]


class Attachment(models.Model):
    """A file that goes out with messages, such as a report; several messages may share one."""

    name = models.CharField(max_length=253)
    media_type = models.CharField(max_length=128)
    content = models.BinaryField()
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [models.Index(fields=["created_at"], name="attachment_by_age")]

    def __str__(self) -> str:
        return self.name


class Notification(models.Model):
    """One message to one channel: intent, delivery log and dead letter in one row."""

    class State(models.TextChoices):
        PENDING = "pending"
        SENT = "sent"
        FAILED = "failed"  # dead letter: attempts used up, or refused for good
        SUPPRESSED = "suppressed"  # snoozed, throttled or a repetition

    channel = models.ForeignKey(Channel, on_delete=models.SET_NULL, null=True, related_name="notifications")
    channel_name = models.CharField(max_length=253)
    channel_type = models.CharField(max_length=32)
    target = models.CharField(
        max_length=512, blank=True
    )  # where it went, for people: an address, a host, never a secret
    event = models.CharField(max_length=64)  # incident_created, incident_resolved, approval_requested, …
    key = models.CharField(max_length=128, unique=True)  # idempotency: one message per event, subject and channel
    # the subject by kind and name, so that notifications know no app
    subject_kind = models.CharField(max_length=64)
    subject_name = models.CharField(max_length=253)
    incident_name = models.CharField(max_length=253, blank=True)
    subject = models.CharField(max_length=512)
    body = models.TextField()
    context = models.JSONField(default=dict)
    attachment = models.ForeignKey(Attachment, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    reason = models.CharField(max_length=253, blank=True)  # why suppressed
    attempts = models.PositiveSmallIntegerField(default=0)
    last_error = models.CharField(max_length=1024, blank=True)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    hold_until = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state="pending"), name="notification_due"),
            models.Index(fields=["-created_at", "-id"], name="notification_newest"),
            models.Index(fields=["incident_name", "-created_at"], name="notification_of_incident"),
            models.Index(fields=["channel_name", "subject_name", "-created_at"], name="notification_throttle"),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.channel_name}: {self.state}"
