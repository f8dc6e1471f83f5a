"""Asks the configured language model, if there is one, and keeps the books: what was asked, what it cost, what came of it.

Nothing leaves without redaction, nothing comes back unchecked: the caller's `check` turns the text into what it needs or
says what is wrong with it, and the model gets one chance to repair that. Without a usable answer the caller does without.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TypeVar

import structlog
from django.conf import settings

from aiops.llm import budget, prices
from aiops.llm.models import LLMCall
from aiops.llm.providers.base import Completion, Prompt, Provider, ProviderError, Rejected
from aiops.llm.providers.openai import OpenAIProvider
from aiops.redaction import redact

logger = structlog.get_logger(__name__)

T = TypeVar("T")
REPAIRS = 1
MAX_STORED = 40_000  # characters of a prompt or response that are kept


@dataclass(frozen=True, slots=True)
class Subject:
    """What a call is about: an incident, and where and how severe it is now."""

    name: str
    cluster: str = ""
    namespace: str = ""
    severity: str = ""


def provider() -> Provider | None:
    """The configured model; None when there is none."""
    if not settings.AIOPS_LLM_BASE_URL or not settings.AIOPS_LLM_MODEL:
        return None
    return OpenAIProvider(
        base_url=settings.AIOPS_LLM_BASE_URL, api_key=settings.AIOPS_LLM_API_KEY, model=settings.AIOPS_LLM_MODEL
    )


def ask(*, purpose: str, subject: Subject, prompt: Prompt, check: Callable[[str], T], at: datetime) -> T | None:
    """What `check` makes of the answer; None without a model, without budget, or without a usable answer.

    `check` raises `Rejected`. All calls together take at most `AIOPS_LLM_TIMEOUT` seconds.
    """
    model = provider()
    if model is None:
        return None
    until = monotonic() + settings.AIOPS_LLM_TIMEOUT
    prompt = Prompt(redact(prompt.system), redact(prompt.user))
    for _ in range(1 + REPAIRS):
        if not budget.allows(subject=subject.name, at=at):
            logger.warning("llm_budget_used_up", purpose=purpose, subject=subject.name)
            return None
        call = LLMCall(
            at=at,
            purpose=purpose,
            subject=subject.name,
            cluster=subject.cluster,
            namespace=subject.namespace,
            severity=subject.severity,
            provider=model.name,
            model=model.model,
            prompt=prompt.user[:MAX_STORED],
        )
        completion = _complete(model, prompt, call, until)
        if completion is None:
            return None
        try:
            result = check(completion.text)
        except Rejected as error:
            _close(call, "rejected", str(error))
            prompt = _repair(prompt, completion.text, str(error))
            continue
        _close(call, "accepted")
        return result
    return None


def _complete(model: Provider, prompt: Prompt, call: LLMCall, until: float) -> Completion | None:
    started = monotonic()
    try:
        completion = model.complete(prompt, timeout=until - started)
    except ProviderError as error:
        call.duration_seconds = monotonic() - started
        _close(call, error.outcome, error.message)
        return None
    call.duration_seconds = monotonic() - started
    call.prompt_tokens, call.completion_tokens = completion.prompt_tokens, completion.completion_tokens
    call.cached_tokens = min(completion.cached_tokens, completion.prompt_tokens)
    call.response = redact(completion.text)[:MAX_STORED]
    return completion


def _close(call: LLMCall, outcome: str, error: str = "") -> None:
    call.outcome, call.error = outcome, redact(error)[:1024]
    _charge(call)
    call.save()
    if error:
        logger.warning("llm_call_failed", purpose=call.purpose, subject=call.subject, outcome=outcome, error=call.error)


def _charge(call: LLMCall) -> None:
    """By what the provider reported; a call without an answer costs what the machine's time does, where that is priced."""
    price = prices.price_of(
        provider=settings.AIOPS_LLM_PROVIDER or prices.provider_at(settings.AIOPS_LLM_BASE_URL),
        model=call.model,
        on=call.at.astimezone(UTC).date(),
        own=settings.AIOPS_LLM_PRICES,
    )
    call.price = price.version[:253]
    call.cost = prices.cost(
        price,
        prompt=call.prompt_tokens,
        completion=call.completion_tokens,
        cached=call.cached_tokens,
        seconds=call.duration_seconds,
    )


def _repair(prompt: Prompt, answer: str, problem: str) -> Prompt:
    again = (
        f"{prompt.user}\n\nYour previous answer was refused: {problem}\nIt began with:\n{answer[:2_000]}\n"
        "Answer again, with the JSON object only."
    )
    return Prompt(prompt.system, redact(again))


def forget(*, at: datetime, limit: int = 20_000) -> int:
    """Delete the oldest calls past `AIOPS_LLM_RETENTION_DAYS`, at most `limit`; returns how many."""
    days = settings.AIOPS_LLM_RETENTION_DAYS
    if not days:
        return 0
    old = LLMCall.objects.filter(at__lt=at - timedelta(days=days)).order_by("at").values_list("pk", flat=True)
    return LLMCall.objects.filter(pk__in=list(old[:limit])).delete()[0]
