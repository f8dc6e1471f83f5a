"""Asks the configured language model, if there is one, and keeps the books: what was asked, what it cost, what came of it.

Nothing leaves without redaction, nothing comes back unchecked: the caller's `check` turns the text into what it needs or
says what is wrong with it, and the model gets one chance to repair that. Without a usable answer the caller does without.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic
from typing import TypeVar

import structlog
from django.conf import settings

from aiops.llm.models import LLMCall
from aiops.llm.providers.base import Completion, Prompt, Provider, ProviderError, Rejected
from aiops.llm.providers.openai import OpenAIProvider
from aiops.redaction import redact

logger = structlog.get_logger(__name__)

T = TypeVar("T")
CALLS_PER_SUBJECT = 20  # within a day
CALLS_PER_DAY = 2_000
DAY = timedelta(days=1)
REPAIRS = 1
MAX_STORED = 40_000  # characters of a prompt or response that are kept


def provider() -> Provider | None:
    """The configured model; None when there is none."""
    if not settings.AIOPS_LLM_BASE_URL or not settings.AIOPS_LLM_MODEL:
        return None
    return OpenAIProvider(
        base_url=settings.AIOPS_LLM_BASE_URL, api_key=settings.AIOPS_LLM_API_KEY, model=settings.AIOPS_LLM_MODEL
    )


def ask(*, purpose: str, subject: str, prompt: Prompt, check: Callable[[str], T], at: datetime) -> T | None:
    """What `check` makes of the answer; None without a model, without budget, or without a usable answer.

    `check` raises `Rejected`. All calls together take at most `AIOPS_LLM_TIMEOUT` seconds.
    """
    model = provider()
    if model is None:
        return None
    until = monotonic() + settings.AIOPS_LLM_TIMEOUT
    prompt = Prompt(redact(prompt.system), redact(prompt.user))
    for _ in range(1 + REPAIRS):
        if not _within_budget(subject, at):
            logger.warning("llm_budget_used_up", purpose=purpose, subject=subject)
            return None
        call = LLMCall(
            at=at,
            purpose=purpose,
            subject=subject,
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
    call.response = redact(completion.text)[:MAX_STORED]
    return completion


def _close(call: LLMCall, outcome: str, error: str = "") -> None:
    call.outcome, call.error = outcome, redact(error)[:1024]
    call.save()
    if error:
        logger.warning("llm_call_failed", purpose=call.purpose, subject=call.subject, outcome=outcome, error=call.error)


def _within_budget(subject: str, at: datetime) -> bool:
    today = LLMCall.objects.filter(at__gt=at - DAY)
    if today.filter(subject=subject).count() >= CALLS_PER_SUBJECT:
        return False
    return today[:CALLS_PER_DAY].count() < CALLS_PER_DAY


def _repair(prompt: Prompt, answer: str, problem: str) -> Prompt:
    again = (
        f"{prompt.user}\n\nYour previous answer was refused: {problem}\nIt began with:\n{answer[:2_000]}\n"
        "Answer again, with the JSON object only."
    )
    return Prompt(prompt.system, redact(again))
