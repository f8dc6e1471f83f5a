from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from aiops.api.filters import BooleanFilter, EnumFilter, FilterSet, TextFilter
from incidents.states import Severity
from runbooks.models import Category
from runbooks.states import ApprovalState, PlanState

SEVERITIES = len(Severity.values)


class TargetedSeverityFilter(EnumFilter):
    """One of the listed severities. By position, because SQLite knows no JSON containment."""

    def filter(self, qs: QuerySet[Any], value: str | None) -> QuerySet[Any]:
        if value is None:
            return qs
        found = Q()
        for position in range(SEVERITIES):
            found |= Q(**{f"severity__{position}": value})
        return qs.filter(found)


class RunbookFilter(FilterSet):
    category = EnumFilter(Category)
    severity = TargetedSeverityFilter(Severity)
    automated = BooleanFilter()
    namespace = TextFilter()


class RemediationFilter(FilterSet):
    namespace = TextFilter()
    state = EnumFilter(PlanState)
    issue = TextFilter("incident__name")


class ApprovalStateFilter(EnumFilter):
    """APR-4: a pending request past its time counts as expired."""

    def filter(self, qs: QuerySet[Any], value: str | None) -> QuerySet[Any]:
        now = timezone.now()
        if value == ApprovalState.PENDING:
            return qs.filter(state=value, expires_at__gt=now)
        if value == ApprovalState.EXPIRED:
            return qs.filter(Q(state=value) | Q(state=ApprovalState.PENDING, expires_at__lte=now))
        return qs if value is None else qs.filter(state=value)


class ApprovalFilter(FilterSet):
    status = ApprovalStateFilter(ApprovalState)
    state = ApprovalStateFilter(ApprovalState)
    incident = TextFilter("incident__name")
    namespace = TextFilter()
