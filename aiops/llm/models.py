from django.db import models


class LLMCall(models.Model):
    """One request to a language model: what it was for, what it cost, what came of it. Texts are redacted."""

    at = models.DateTimeField()
    purpose = models.CharField(max_length=64)
    subject = models.CharField(max_length=253)  # name of the incident
    # where and how severe it was at that moment
    cluster = models.CharField(max_length=253, blank=True)
    namespace = models.CharField(max_length=253, blank=True)
    severity = models.CharField(max_length=16, blank=True)
    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=128)
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    cached_tokens = models.PositiveIntegerField(default=0)  # of the prompt, as the provider reports them
    cost = models.BigIntegerField(default=0)  # millionths of the currency
    price = models.CharField(max_length=253, blank=True)  # by which it was charged; empty for a call nobody priced
    duration_seconds = models.FloatField(default=0)
    outcome = models.CharField(max_length=32)  # accepted, rejected, timeout, error
    error = models.CharField(max_length=1024, blank=True)
    prompt = models.TextField(blank=True)
    response = models.TextField(blank=True)

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name = "LLM call"
        indexes = [
            models.Index(fields=["subject", "-at"], name="llm_calls_of_subject"),
            models.Index(fields=["at"], include=["cost"], name="llm_calls_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} for {self.subject}: {self.outcome}"
