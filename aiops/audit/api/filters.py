from aiops.api.filters import EnumFilter, FilterSet, ResourceFilter, TextFilter, time_bounds
from aiops.audit.models import AuditSeverity


@time_bounds("at")
class AuditFilter(FilterSet):
    action = TextFilter()
    user = TextFilter()
    actor = TextFilter("user", help_text="The same as `user`")
    resource = ResourceFilter("resource_type", "resource", help_text="Name of the object, or kind/name")
    namespace = TextFilter()
    type = TextFilter("event_type", help_text="`eventType` of the records")
    severity = EnumFilter(AuditSeverity)
    correlation_id = TextFilter(help_text="Usually the name of an incident")
