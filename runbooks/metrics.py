"""What /metrics says of plans and approvals: a few aggregates, read when Prometheus asks."""

from collections.abc import Iterable

from django.db.models import Avg, Count, F

from aiops.health.metrics import Gauge
from runbooks.models import ApprovalRequest, PlanStep, RemediationPlan
from runbooks.states import PlanState, StepState

PREFIX = "chatcli_operator"
RESULTS = {StepState.COMPLETED: "success", StepState.FAILED: "failed"}


def measure() -> Iterable[Gauge]:
    actions = (
        PlanStep.objects.filter(state__in=RESULTS)
        .exclude(action_type="")
        .order_by()
        .values_list("action_type", "state")
        .annotate(Count("pk"))
    )
    took = (
        RemediationPlan.objects.filter(state=PlanState.COMPLETED, started_at__isnull=False)
        .exclude(steps__action_type="")
        .order_by()
        .values_list("steps__action_type")
        .annotate(span=Avg(F("completed_at") - F("started_at")))
    )
    running = RemediationPlan.objects.order_by().values_list("state").annotate(Count("pk"))
    decisions = ApprovalRequest.objects.order_by().values_list("state").annotate(Count("pk"))
    return [
        Gauge(
            f"{PREFIX}_remediation_actions_total",
            "Actions carried out",
            ("type", "result"),
            [((kind, RESULTS[StepState(state)]), count) for kind, state, count in actions],
        ),
        Gauge(
            f"{PREFIX}_remediation_duration_seconds",
            "Mean time of completed plans with an action of this type",
            ("type",),
            [((kind,), span.total_seconds()) for kind, span in took if kind and span is not None],
        ),
        Gauge(f"{PREFIX}_remediation_plans", "Plans by state", ("state",), [((state,), n) for state, n in running]),
        Gauge(
            f"{PREFIX}_approvals_total",
            "Approval requests by state",
            ("decision",),
            [((state.lower(),), count) for state, count in decisions],
        ),
    ]
