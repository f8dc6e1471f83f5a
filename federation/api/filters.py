from aiops.api.filters import EnumFilter, FilterSet, TextFilter
from federation.models import ClusterCondition, Tier


class ClusterFilter(FilterSet):
    status = EnumFilter(ClusterCondition)
    region = TextFilter()
    namespace = TextFilter()


class TierFilter(FilterSet):
    tier = EnumFilter(Tier)
