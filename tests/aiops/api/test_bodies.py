import json

import pytest

from runbooks.models import Runbook
from tests.factories import make_runbook

pytestmark = pytest.mark.django_db

JSON = "application/json"
MIB = 1024 * 1024


def note(client, body, **extra):
    return client.post("/api/v1/things/a/note", data=body, content_type=JSON, **extra)


@pytest.fixture
def thing() -> Runbook:
    return make_runbook(name="a")


class TestParsing:
    @pytest.mark.parametrize("media", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data", "x"])
    def test_is_json_whatever_the_media_type(self, operator, thing, media):
        response = operator.generic("POST", "/api/v1/things/a/note", b'{"author": "x"}', content_type=media)

        assert response.status_code == 200

    def test_an_empty_body_is_an_empty_object(self, operator, thing):
        assert operator.generic("POST", "/api/v1/things/a/refuse").status_code == 409

    @pytest.mark.parametrize("raw", [b"{", b"[]", b"1", b"null", b'"x"', b"\xff", b'{"author": NaN}', b"[" * 5000])
    def test_anything_but_an_object_is_400(self, operator, thing, raw):
        response = operator.generic("POST", "/api/v1/things/a/refuse", raw)

        assert response.status_code == 400

    def test_an_endpoint_may_take_arrays(self, operator):
        assert note_boom(operator, [1]).json() == {"got": [1]}


def note_boom(client, body):
    return client.post("/api/v1/boom", data=body, content_type=JSON)


class TestSize:
    def test_over_1_mib_is_413(self, operator, thing):
        response = operator.generic("POST", "/api/v1/things/a/note", b" " * (MIB + 1))

        assert response.status_code == 413
        assert response.json()["error"]["reason"] == "PAYLOAD_TOO_LARGE"

    def test_exactly_1_mib_passes(self, operator, thing):
        body = b'{"author": "x"}'

        assert operator.generic("POST", "/api/v1/things/a/note", body + b" " * (MIB - len(body))).status_code == 200

    @pytest.mark.parametrize("size", [5, 2 * MIB])
    def test_what_is_refused_unread_is_taken_off_the_wire(self, client, size):
        response = client.generic("POST", "/api/v1/things/a/note", b"x" * size)

        assert response.status_code == 401
        assert response.wsgi_request.read() == b""

    def test_the_limit_is_the_view_s(self, operator):
        assert operator.generic("POST", "/api/v1/boom", b"1" + b" " * MIB).status_code == 200
        assert operator.generic("POST", "/api/v1/boom", b"1" + b" " * 2 * MIB).status_code == 413

    def test_a_get_with_a_large_body_is_413(self, viewer):
        assert viewer.generic("GET", "/api/v1/things", b" " * (MIB + 1)).status_code == 413


class TestTypes:
    @pytest.mark.parametrize(
        ("body", "member"),
        [
            ({}, "author"),
            ({"author": None}, "author"),
            ({"author": "  "}, "author"),
            ({"author": 5}, "author"),
            ({"author": True}, "author"),
            ({"author": "x" * 254}, "author"),
            ({"author": "a\u0000b"}, "author"),
            ({"author": "x", "note": 5}, "note"),
            ({"author": "x", "note": "n" * 17}, "note"),
        ],
    )
    def test_wrong_member_is_named(self, operator, thing, body, member):
        response = note(operator, body)

        assert response.status_code == 400
        assert member in response.json()["error"]["fields"]

    def test_text_is_trimmed(self, operator, thing):
        note(operator, {"author": "  ines  "})

        thing.refresh_from_db()
        assert thing.updated_by == "ines"

    def test_unknown_members_and_null_optionals_are_ignored(self, operator, thing):
        assert note(operator, {"author": "x", "note": None, "other": {"a": 1}}).status_code == 200

    def test_a_synonym_counts_when_the_member_is_absent(self, operator, thing):
        note(operator, {"writer": "other"})

        thing.refresh_from_db()
        assert thing.updated_by == "other"

    def test_the_documented_member_counts_over_its_synonym(self, operator, thing):
        note(operator, {"writer": "other", "author": "ines"})

        thing.refresh_from_db()
        assert thing.updated_by == "ines"

    def test_a_wrong_synonym_is_named_as_sent(self, operator, thing):
        assert list(note(operator, {"writer": 5}).json()["error"]["fields"]) == ["writer"]

    @pytest.mark.parametrize(
        ("members", "field"),
        [
            ({"name": "Not A Slug"}, "name"),
            ({"maxAttempts": "3"}, "maxAttempts"),
            ({"maxAttempts": True}, "maxAttempts"),
            ({"maxAttempts": 11}, "maxAttempts"),
            ({"maxAttempts": 2.5}, "maxAttempts"),
            ({"automated": "true"}, "automated"),
            ({"automated": 1}, "automated"),
            ({"labels": []}, "labels"),
            ({"labels": {"a": 1}}, "labels.a"),
            ({"steps": {}}, "steps"),
            ({"steps": ["x"]}, "steps[0]"),
            ({"steps": [{"name": "a", "action": "custom"}, {"name": "b", "action": "Custom"}]}, "steps[1].action"),
            ({"steps": [{"action": "custom"}]}, "steps[0].name"),
            ({"steps": [{"name": "a", "action": "custom", "timeout": "0s"}]}, "steps[0].timeout"),
            ({"steps": [{"name": "a", "action": "custom", "timeout": "1d"}]}, "steps[0].timeout"),
        ],
    )
    @pytest.mark.parametrize("method", ["post", "put"])
    def test_offending_members_have_dotted_names(self, admin, thing, members, field, method):
        body = json.dumps({"name": "fresh", "description": "d"} | members)
        path = "/api/v1/things" if method == "post" else "/api/v1/things/a"

        response = admin.generic(method.upper(), path, body)

        assert response.status_code == 400
        assert field in response.json()["error"]["fields"]


class TestMerge:
    def put(self, client, **members):
        return client.put("/api/v1/things/a", data=members, content_type=JSON)

    def test_keeps_what_was_not_sent(self, admin):
        make_runbook(name="a", max_attempts=7)

        self.put(admin, description="new")

        assert Runbook.objects.get(name="a").max_attempts == 7

    def test_null_resets_an_optional_member(self, admin):
        make_runbook(name="a", max_attempts=7)

        assert self.put(admin, maxAttempts=None).status_code == 200
        assert Runbook.objects.get(name="a").max_attempts == 3

    def test_null_for_a_required_member_is_400(self, admin, thing):
        assert self.put(admin, description=None).status_code == 400
