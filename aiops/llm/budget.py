"""How much may be spent on a language model: calls and money, per incident, day and month.

From `SOFT` of a budget on every call is a warning in the log; at its end no call is made, and analyses do without the model.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import structlog
from django.conf import settings
from django.db.models import Sum

from aiops.llm.models import LLMCall
from aiops.money import MILLION

logger = structlog.get_logger(__name__)

CALLS_PER_SUBJECT = 20  # within 24 hours
CALLS_PER_DAY = 2_000
DAY = timedelta(days=1)
SOFT = Decimal("0.8")


@dataclass(frozen=True, slots=True)
class Budget:
    """`limit` and `used` in millionths of the currency; a limit of 0 is none."""

    scope: str  # day or month
    since: datetime
    limit: int
    used: int

    @property
    def state(self) -> str:
        """`ok`, `warning` or `exhausted`; `unlimited` without a limit."""
        if not self.limit:
            return "unlimited"
        if self.used >= self.limit:
            return "exhausted"
        return "warning" if self.used >= self.limit * SOFT else "ok"


def budgets(*, at: datetime) -> list[Budget]:
    """Of the day and the month (UTC) of `at`, and what was used of them."""
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    limits = {
        "day": (day, settings.AIOPS_LLM_BUDGET_DAY),
        "month": (day.replace(day=1), settings.AIOPS_LLM_BUDGET_MONTH),
    }
    return [Budget(scope, since, int(limit * MILLION), _used(since, at)) for scope, (since, limit) in limits.items()]


def allows(*, subject: str, at: datetime) -> bool:
    """Whether another call about this incident may be made."""
    today = LLMCall.objects.filter(at__gt=at - DAY).order_by()
    if today.filter(subject=subject)[:CALLS_PER_SUBJECT].count() >= CALLS_PER_SUBJECT:
        return False
    if today[:CALLS_PER_DAY].count() >= CALLS_PER_DAY:
        return False
    own = settings.AIOPS_LLM_BUDGET_INCIDENT
    if own and _sum(LLMCall.objects.filter(subject=subject).aggregate(total=Sum("cost"))) >= own * MILLION:
        return False
    if not (settings.AIOPS_LLM_BUDGET_DAY or settings.AIOPS_LLM_BUDGET_MONTH):
        return True
    found = budgets(at=at)
    for one in found:
        if one.state == "warning":
            logger.warning("llm_budget_nearly_used_up", scope=one.scope, used=one.used / MILLION)
    return all(one.state != "exhausted" for one in found)


def _used(since: datetime, until: datetime) -> int:
    return _sum(LLMCall.objects.filter(at__gte=since, at__lte=until).aggregate(total=Sum("cost")))


def _sum(found: dict[str, int | None]) -> int:
    return found["total"] or 0
