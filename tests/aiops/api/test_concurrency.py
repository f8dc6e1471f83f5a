import json

import pytest

from aiops.apikeys.models import IdempotencyRecord
from aiops.apikeys.roles import Role
from aiops.apikeys.tasks import forget_idempotency_keys
from runbooks.models import Runbook
from tests.aiops.api.conftest import client_of
from tests.factories import make_runbook
from tests.threads import at_once, postgresql_only

JSON = "application/json"
NOTE = json.dumps({"author": "ines"})


def note(client, path="/api/v1/things/a/note", body=NOTE, **headers):
    return client.generic(
        "POST", path, body, content_type=JSON, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


@pytest.mark.django_db
class TestIfMatch:
    @pytest.mark.parametrize("tag", ['"1"', "1", 'W/"1"', "*", '"7", "1"'])
    def test_the_current_version_passes(self, operator, tag):
        make_runbook(name="a")

        response = note(operator, If_Match=tag)

        assert (response.status_code, response["ETag"]) == (200, '"2"')

    @pytest.mark.parametrize("tag", ['"2"', "x", '""', '"1'])
    def test_anything_else_is_409_and_changes_nothing(self, operator, tag):
        make_runbook(name="a")
        expected = 200 if tag == '"1' else 409

        response = note(operator, If_Match=tag)

        assert response.status_code == expected

    def test_counts_for_put_and_delete_also_without_a_change(self, admin):
        make_runbook(name="a")

        assert admin.generic("PUT", "/api/v1/things/a", "{}", headers={"If-Match": '"9"'}).status_code == 409
        assert admin.delete("/api/v1/things/a", headers={"If-Match": '"9"'}).status_code == 409
        assert admin.generic("PUT", "/api/v1/things/a", "{}", headers={"If-Match": '"1"'}).status_code == 200


@pytest.mark.django_db
class TestLostRace:
    def test_is_tried_again(self, operator):
        make_runbook(name="a", max_attempts=2)

        assert operator.generic("POST", "/api/v1/things/a/stumble").status_code == 200

    def test_is_409_when_a_version_was_named(self, operator):
        make_runbook(name="a", max_attempts=2)

        response = operator.generic("POST", "/api/v1/things/a/stumble", headers={"If-Match": "*"})

        assert response.status_code == 409

    def test_gives_up_in_the_end(self, operator):
        make_runbook(name="a", max_attempts=100)

        assert operator.generic("POST", "/api/v1/things/a/stumble").status_code == 409


@pytest.mark.django_db
class TestIdempotencyKey:
    def test_a_repetition_gets_the_stored_answer(self, operator):
        make_runbook(name="a")

        first = note(operator, Idempotency_Key="k1")
        second = note(operator, "/api/v1/things/a/note/", ' {"author":"ines"} ', Idempotency_Key="k1")

        assert "Idempotency-Replayed" not in first
        assert second["Idempotency-Replayed"] == "true"
        assert (second.status_code, second.json(), second["ETag"]) == (200, first.json(), first["ETag"])
        assert Runbook.objects.get(name="a").times_used == 1

    def test_another_body_or_path_is_409(self, operator):
        make_runbook(name="a")
        make_runbook(name="b")
        note(operator, Idempotency_Key="k1")

        assert note(operator, body='{"author": "x"}', Idempotency_Key="k1").status_code == 409
        assert note(operator, "/api/v1/things/b/note", Idempotency_Key="k1").status_code == 409

    def test_belongs_to_one_api_key(self, operator):
        make_runbook(name="a")
        note(operator, Idempotency_Key="k1")

        response = note(client_of(Role.OPERATOR), Idempotency_Key="k1")

        assert "Idempotency-Replayed" not in response
        assert Runbook.objects.get(name="a").times_used == 2

    @pytest.mark.parametrize("path", ["/api/v1/things/missing/note", "/api/v1/things/a/refuse"])
    def test_refusals_are_stored_too(self, operator, path):
        make_runbook(name="a")
        first = note(operator, path, Idempotency_Key="k1")
        make_runbook(name="missing")
        Runbook.objects.update(automated=False)

        second = note(operator, path, Idempotency_Key="k1")

        assert (second.status_code, second.json()) == (first.status_code, first.json())
        assert second["Idempotency-Replayed"] == "true"

    def test_faults_are_not_stored(self, operator):
        response = operator.generic("POST", "/api/v1/boom", '["storage"]', headers={"Idempotency-Key": "k1"})

        assert response.status_code in {500, 503}
        assert not IdempotencyRecord.objects.exists()

    @pytest.mark.parametrize("key", ["", "x" * 129, "a b", "\u00e4"])
    def test_a_malformed_key_is_400(self, operator, key):
        make_runbook(name="a")

        assert note(operator, Idempotency_Key=key).status_code == 400

    def test_the_role_is_checked_first(self, viewer):
        assert note(viewer, Idempotency_Key="k1").status_code == 403
        assert not IdempotencyRecord.objects.exists()

    def test_creation_is_replayed_with_its_location(self, admin):
        body = '{"name": "fresh", "description": "d"}'
        admin.generic("POST", "/api/v1/things", body, headers={"Idempotency-Key": "k1"})

        response = admin.generic("POST", "/api/v1/things", body, headers={"Idempotency-Key": "k1"})

        assert (response.status_code, response["Location"]) == (201, "/api/v1/things/fresh")
        assert Runbook.objects.count() == 1

    def test_is_forgotten_after_24_hours(self, operator, settings):
        make_runbook(name="a")
        note(operator, Idempotency_Key="k1")
        settings.IDEMPOTENCY_RETENTION *= 0

        assert "Idempotency-Replayed" not in note(operator, Idempotency_Key="k1")
        forget_idempotency_keys()
        assert not IdempotencyRecord.objects.exists()


@pytest.mark.django_db(transaction=True)
class TestDuplicatesAtOnce:
    def test_execute_once(self, operator):
        postgresql_only()
        make_runbook(name="a")

        def repeat(number):
            response = note(_same(operator), Idempotency_Key="k1")
            return response.status_code, "Idempotency-Replayed" in response

        results = at_once(8, repeat)

        assert (results.count((200, False)), results.count((200, True))) == (1, 7)
        assert Runbook.objects.get(name="a").times_used == 1


def _same(client):
    """A client of its own for a thread, with the same key."""
    copy = type(client)(raise_request_exception=False)
    copy.defaults = dict(client.defaults)
    return copy
