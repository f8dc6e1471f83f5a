"""What the reports say. A kind is one module that answers a `Question`, and one line here."""

from collections.abc import Callable, Mapping

from analytics.models import ReportKind
from analytics.reports.document import Report
from analytics.services.questions import Question
from analytics.services.reports import capacity, compliance, incidents, noise, slo

BUILDERS: Mapping[str, Callable[[Question], Report]] = {
    ReportKind.INCIDENTS: incidents.build,
    ReportKind.SLO: slo.build,
    ReportKind.COMPLIANCE: compliance.build,
    ReportKind.CAPACITY: capacity.build,
    ReportKind.NOISE: noise.build,
}


def build(kind: str, question: Question) -> Report:
    return BUILDERS[kind](question)
