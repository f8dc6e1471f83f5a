"""What one incident costs in statements and messages, from the alert to the plan: little, and less in company."""

from collections import Counter

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from federation.models import MEMORY
from incidents import tasks as incident_tasks
from incidents.models import AIInsight, Incident
from incidents.services import correlation
from runbooks import tasks as runbook_tasks
from runbooks.models import RemediationPlan
from tests.factories import make_cluster
from tests.incidents.services.test_correlation import alert
from tests.runbooks.services.stage import analyzed_incident, runbook

DETECT, ANALYSIS, PLAN = 16, 9, 15  # statements: per batch, per incident, per incident


class Bill:
    """Counts what a step costs."""

    def __init__(self, monkeypatch, capture) -> None:
        self.messages: Counter[str] = Counter()
        self.capture = capture
        monkeypatch.setattr("aiops.nudges._send", lambda task, *_: self.messages.update([task]))

    def statements(self, work) -> int:
        """Savepoints are left out: they ask nothing of the disk."""
        self.messages.clear()
        with CaptureQueriesContext(connection) as queries, self.capture(execute=True):
            work()
        return sum("SAVEPOINT" not in query["sql"] for query in queries)


@pytest.fixture
def bill(monkeypatch, django_capture_on_commit_callbacks) -> Bill:
    return Bill(monkeypatch, django_capture_on_commit_callbacks)


@pytest.mark.django_db
class TestCost:
    @pytest.mark.parametrize("count", [1, 10, 100])
    def test_of_detection_and_correlation_is_that_of_the_batch(self, bill, count):
        correlation.observe(observations=[alert("first")], at=timezone.now())  # makes the rows of the day and the chain
        observations = [alert(f"workload-{number}") for number in range(count)]

        statements = bill.statements(lambda: correlation.observe(observations=observations, at=timezone.now()))

        # SQLite takes only so many values at once
        assert statements <= (DETECT if connection.vendor == "postgresql" else DETECT + 2 + count // 4)
        each = max(1, count // 10)
        assert bill.messages == {"incidents.tasks.analyze_incidents": each, "slos.tasks.start_clocks": each}

    @pytest.mark.parametrize("count", [1, 10])
    def test_of_an_analysis_by_rules(self, bill, count):
        correlation.observe(observations=[alert(f"workload-{number}") for number in range(count)], at=timezone.now())
        ids = list(Incident.objects.values_list("pk", flat=True))

        statements = bill.statements(lambda: incident_tasks.analyze_incidents(ids=ids))

        assert AIInsight.objects.count() == count
        # PostgreSQL stores a row and what tells of it at once, and the audit record too
        assert statements <= (ANALYSIS if connection.vendor == "postgresql" else ANALYSIS + 4) * count
        assert sum(bill.messages.values()) <= count

    def test_of_a_plan(self, bill):
        runbook("RestartDeployment")
        incident = analyzed_incident(make_cluster(), due_at=timezone.now())

        statements = bill.statements(lambda: runbook_tasks.plan_remediations(ids=[incident.pk]))

        assert RemediationPlan.objects.count() == 1
        assert statements <= PLAN
        assert bill.messages == {"runbooks.tasks.advance_plan": 1}

    def test_does_not_grow_with_what_looks_remember_of_the_cluster(self):
        runbook("RestartDeployment")
        incident = analyzed_incident(make_cluster(), due_at=timezone.now())

        with CaptureQueriesContext(connection) as queries:
            runbook_tasks.plan_remediations(ids=[incident.pk])
            runbook_tasks.advance_plan(plan_id=RemediationPlan.objects.get().pk)

        assert not [query["sql"] for query in queries if any(f'"{column}"' in query["sql"] for column in MEMORY)]
