from aiops.api.filters import EnumFilter, FilterSet, TextFilter
from incidents.states import Severity
from slos.models import Status


class SLOFilter(FilterSet):
    namespace = TextFilter()
    service = TextFilter()
    status = EnumFilter(Status)


class IncidentSLAFilter(FilterSet):
    namespace = TextFilter()
    service = TextFilter()
    severity = EnumFilter(Severity)
