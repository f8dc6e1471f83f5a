import pytest
import time_machine
from django.db import DatabaseError, connection
from prometheus_client.parser import text_string_to_metric_families

from aiops.health import metrics, readiness
from tests.conftest import NOON


class TestHealthz:
    def test_touches_no_database(self, client):
        with time_machine.travel(NOON, tick=False):
            response = client.get("/healthz")

        assert (response.status_code, response.json()) == (200, {"status": "ok", "timestamp": "2027-04-12T12:00:00Z"})
        assert "Cache-Control" not in response

    def test_takes_a_slash_and_head(self, client):
        assert client.get("/healthz/").status_code == 200
        assert client.head("/healthz").status_code == 200
        assert client.post("/healthz").status_code == 405


@pytest.mark.django_db(transaction=True)
class TestReadyz:
    def test_is_ready(self, client, settings):
        settings.REDIS_URL = ""

        document = client.get("/readyz").json()

        assert (document["status"], document["checks"]) == ("ready", {"database": "ok"})

    def test_is_not_without_redis(self, client, settings):
        settings.REDIS_URL = "redis://:secret@127.0.0.1:1/0"

        response = client.get("/readyz")

        assert response.status_code == 503
        assert response.json()["status"] == "not ready: redis does not answer"
        assert b"secret" not in response.content

    def test_is_not_with_missing_migrations(self, client, settings, monkeypatch):
        settings.REDIS_URL = ""
        monkeypatch.setattr(readiness, "_found_migrated", [])
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_migrations WHERE app = 'apikeys'")
        try:
            assert client.get("/readyz").json()["status"] == "not ready: database lacks migrations"
        finally:
            with connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO django_migrations (app, name, applied) VALUES "
                    "('apikeys', '0001_api_keys_and_idempotency', CURRENT_TIMESTAMP)"
                )


@pytest.mark.django_db
class TestMetrics:
    @pytest.fixture(autouse=True)
    def _own_measures(self, monkeypatch):
        monkeypatch.setattr(metrics, "_measures", {})

    def samples(self, client):
        response = client.get("/metrics")
        assert response.status_code == 200
        assert response["Content-Type"].startswith("text/plain")
        return {
            (sample.name, tuple(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(response.content.decode())
            for sample in family.samples
        }

    def test_shows_what_apps_measure(self, client):
        metrics.register(
            lambda: [metrics.Gauge("chatcli_operator_active_issues", "Open", ("namespace",), [(("shop",), 3)])]
        )

        assert self.samples(client)[("chatcli_operator_active_issues", ("shop",))] == 3

    def test_survives_a_measure_without_database(self, client):
        def away():
            raise DatabaseError("gone")

        metrics.register(away)

        assert self.samples(client)

    def test_counts_requests_by_route(self, client):
        client.get("/healthz")

        assert self.samples(client)[("aiops_http_requests_total", ("GET", "healthz", "200"))] >= 1
