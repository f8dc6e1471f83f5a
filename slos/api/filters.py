from aiops.api.filters import EnumFilter, FilterSet, TextFilter
from incidents.states import Severity
from slos.api.serializers import SLOStatusWord


class SLOFilter(FilterSet):
    namespace = TextFilter()
    service = TextFilter()
    status = EnumFilter(SLOStatusWord)


class IncidentSLAFilter(FilterSet):
    namespace = TextFilter()
    service = TextFilter()
    severity = EnumFilter(Severity)
