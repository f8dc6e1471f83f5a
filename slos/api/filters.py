from aiops.api.filters import EnumFilter, FilterSet, TextFilter
from slos.models import Status


class SLOFilter(FilterSet):
    namespace = TextFilter()
    service = TextFilter()
    status = EnumFilter(Status)
