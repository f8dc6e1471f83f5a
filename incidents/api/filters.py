from typing import Any

from django.db.models import Q, QuerySet

from aiops.api.filters import BooleanFilter, EnumFilter, FilterSet, ResourceFilter, TextFilter, time_bounds
from incidents.states import IncidentState, PostMortemState, Severity


class AcknowledgedFilter(BooleanFilter):
    def filter(self, qs: QuerySet[Any], value: bool | None) -> QuerySet[Any]:
        return qs if value is None else qs.filter(acknowledged_at__isnull=not value)


class WordsFilter(TextFilter):
    """Text that occurs in the name, the description or the resource."""

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        if not value:
            return qs
        kind, slash, name = value.partition("/")
        found = Q(name__icontains=value) | Q(description__icontains=value) | Q(resource_name__icontains=value)
        if slash:
            found |= Q(resource_kind__iexact=kind, resource_name__icontains=name)
        return qs.filter(found)


@time_bounds("detected_at")
class IncidentFilter(FilterSet):
    severity = EnumFilter(Severity)
    state = EnumFilter(IncidentState)
    namespace = TextFilter()
    resource = ResourceFilter("resource_kind", "resource_name")
    cluster = TextFilter("cluster_name")
    signalType = TextFilter("signal_type")
    acknowledged = AcknowledgedFilter()
    assignedTo = TextFilter("assigned_to")
    q = WordsFilter()


@time_bounds("created_at")
class PostMortemFilter(FilterSet):
    incident = TextFilter("incident__name")
    severity = EnumFilter(Severity)
    state = EnumFilter(PostMortemState)
    namespace = TextFilter()


class InsightFilter(FilterSet):
    issue = TextFilter("incident__name")
    namespace = TextFilter()
