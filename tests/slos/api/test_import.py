from datetime import timedelta

import pytest
from django.utils import timezone

from aiops.apikeys.roles import Role
from aiops.audit.models import AuditEvent
from slos.models import SLO
from slos.services import evaluation
from tests.slos.api.conftest import api_of
from tests.slos.test_openslo import LOGS, RATIO, THRESHOLD
from tests.slos.test_sloth import DOCUMENT

BOTH = f"{RATIO}---\n{DOCUMENT}"


class TestImport:
    def test_creates_what_is_new(self, admin):
        answer = admin.load(BOTH)

        assert answer.status_code == 201
        document = answer.json()
        assert document["kind"] == "SLOImport"
        # Sloth's SLO of the same name comes second
        assert document["status"]["created"] == ["checkout-availability", "checkout-freshness"]
        assert document["status"]["updated"] == ["checkout-availability"]
        assert AuditEvent.objects.filter(action="slo.import").count() == 1

    def test_changes_nothing_the_second_time(self, admin):
        admin.load(f"{RATIO}---\n{THRESHOLD}")
        versions = list(SLO.objects.values_list("name", "version"))

        answer = admin.load(f"{RATIO}---\n{THRESHOLD}")

        assert answer.status_code == 200
        assert answer.json()["status"]["unchanged"] == ["checkout-availability", "queue-age"]
        assert list(SLO.objects.values_list("name", "version")) == versions
        assert AuditEvent.objects.filter(action="slo.import").count() == 1

    def test_updates_as_a_put_would(self, admin):
        admin.load(RATIO)
        admin.put("/slos/checkout-availability", {"enabled": False})

        answer = admin.load(RATIO.replace("0.9995", "0.99"))

        assert answer.json()["status"]["updated"] == ["checkout-availability"]
        spec = admin.get("/slos/checkout-availability").json()["spec"]
        assert (spec["target"], spec["enabled"]) == (99, False)

    def test_rejects_a_bad_document_alone(self, admin):
        bad = RATIO.replace("checkout-availability", "Other").replace("sum(", "sum((")

        answer = admin.load(f"{bad}---\nkind: Pod\n---\n{THRESHOLD}")

        assert answer.status_code == 201
        status = answer.json()["status"]
        assert status["created"] == ["queue-age"]
        assert [(entry["document"], entry["name"]) for entry in status["rejected"]] == [(1, "Other"), (2, "")]
        assert "indicator.goodEventsQuery" in status["rejected"][0]["reason"]

    def test_gives_names_of_other_tools_a_form_of_its_own(self, admin):
        text = RATIO.replace("checkout-availability", "Checkout_Availability")

        first, again = (admin.load(text).json()["status"] for _ in range(2))

        assert (first["created"], again["unchanged"]) == (["checkout-availability"], ["checkout-availability"])
        assert first["warnings"][0]["name"] == "checkout-availability"

    def test_says_what_it_doubts(self, admin):
        answer = admin.load(RATIO.replace("target: 0.9995", "target: 0.9995\n      op: gt"))

        [warning] = answer.json()["status"]["warnings"]
        assert warning["warning"].startswith("spec.objectives[0].op")

    @pytest.mark.parametrize("text", ["", "a: [", "--- \n"])
    def test_refuses_what_is_no_document(self, admin, text):
        assert admin.load(text).status_code == 400

    def test_reads_json(self, admin):
        text = (
            '{"version": "prometheus/v1", "service": "cart", "slos": [{"name": "a", "objective": 99,'
            ' "sli": {"raw": {"error_ratio_query": "avg(x)"}}}]}'
        )

        assert admin.load(text).json()["status"]["created"] == ["cart-a"]

    def test_is_for_admins(self, operator):
        assert operator.load(RATIO).status_code == 403

    def test_has_no_other_method(self, admin):
        assert admin.get("/slos/import").status_code == 405

    @pytest.mark.django_db
    def test_stays_within_the_scope_of_the_key(self):
        answer = api_of(Role.ADMIN, namespaces=["web"]).load(RATIO)

        assert "scope" in answer.json()["status"]["rejected"][0]["reason"]

    def test_refuses_numbers_that_no_database_keeps(self, admin):
        answer = admin.load(RATIO.replace("wiki: https://wiki.example/slo", "wiki: .inf"))

        assert "finite" in answer.json()["status"]["rejected"][0]["reason"]


class TestUnsupportedSource:
    """An SLO for a data source that nobody here can ask: on the list, never measured, never lost."""

    def test_is_shown_as_unknown(self, admin):
        answer = admin.load(LOGS)

        status = answer.json()["status"]
        assert (answer.status_code, status["created"], status["rejected"]) == (201, ["batch-speed"], [])
        assert any("acme-logs is not supported" in doubt["warning"] for doubt in status["warnings"])
        assert [item["name"] for item in admin.get("/slos").json()["items"]] == ["batch-speed"]
        slo = admin.get("/slos/batch-speed").json()
        assert slo["metadata"]["annotations"] == {"aiops/invalid": "true"}
        assert (slo["spec"]["indicator"]["source"], slo["spec"]["indicator"]["dataSource"]) == (
            "unsupported",
            "acme-logs",
        )
        assert (slo["status"]["current"], slo["status"]["status"]) == (None, "warning")
        assert slo["status"]["statusReason"] == "query error: data source acme-logs is not supported"
        gate = admin.get("/slos/batch-speed/gate").json()["status"]
        assert gate["allow"] is False
        assert "acme-logs is not supported" in gate["reason"]

    def test_has_a_rule_file_that_says_what_is_missing(self, admin):
        admin.load(LOGS)

        text = admin.get("/slos/batch-speed/rules").content.decode()

        assert "data source acme-logs is not supported" in text.splitlines()[0]
        assert "_category" not in text

    def test_is_exported_as_it_came(self, admin):
        admin.load(LOGS)

        text = admin.get("/slos/batch-speed/openslo").content.decode()

        assert "type: acme-logs" in text
        for again in (text, LOGS):
            assert admin.load(again).json()["status"]["unchanged"] == ["batch-speed"]

    def test_is_not_asked_for_again_and_again(self, admin):
        admin.load(LOGS)
        later = timezone.now() + timedelta(days=1)

        assert evaluation.evaluate_due(at=later) == 0
        [slo] = evaluation.evaluate(slos=SLO.objects.all(), at=later)

        assert (slo.due_at, slo.status_reason) == (None, "query error: data source acme-logs is not supported")
        admin.put("/slos/batch-speed", {"target": 97})
        assert evaluation.evaluate_due(at=later) == 0

    def test_can_become_one_that_is_measured_and_back(self, admin):
        admin.load(LOGS)
        indicator = admin.get("/slos/batch-speed").json()["spec"]["indicator"]
        assert admin.put("/slos/batch-speed", {"indicator": indicator}).json()["metadata"]["resourceVersion"] == "1"

        changed = admin.put("/slos/batch-speed", {"indicator": {"source": "issues"}}).json()

        assert changed["status"]["statusReason"] is None
        assert SLO.objects.get().due_at is not None
        assert admin.load(LOGS).json()["status"]["updated"] == ["batch-speed"]
        assert SLO.objects.get().due_at is None


class TestExport:
    def test_can_be_imported_without_a_change(self, admin):
        admin.load(f"{RATIO}---\n{THRESHOLD}")

        for name in ("checkout-availability", "queue-age"):
            exported = admin.get(f"/slos/{name}/openslo")
            assert exported["Content-Type"] == "application/yaml"
            assert admin.load(exported.content.decode()).json()["status"]["unchanged"] == [name]

    def test_keeps_what_only_the_api_can_say(self, admin):
        body = {"name": "cart", "namespace": "web", "service": "cart", "type": "latency", "target": 250}
        admin.post("/slos", body)

        text = admin.get("/slos/cart/openslo").content.decode()

        assert admin.load(text).json()["status"]["unchanged"] == ["cart"]


class TestRules:
    def test_come_as_yaml(self, viewer, admin):
        admin.load(RATIO)

        answer = viewer.get("/slos/checkout-availability/rules")

        assert answer["Content-Type"] == "application/yaml"
        assert b"SLOBudgetBurn" in answer.content
