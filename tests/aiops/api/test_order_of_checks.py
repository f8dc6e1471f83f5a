"""api.md 1.4: the first failing check decides."""

import pytest

from tests.factories import make_runbook

pytestmark = pytest.mark.django_db

JSON = "application/json"


def reason(response):
    document = response.json()
    assert document["kind"] == "Error"
    assert document["apiVersion"] == "v1"
    assert document["error"]["code"] == document["code"] == response.status_code
    assert document["error"]["message"] == document["message"] != ""
    return document["error"]["reason"]


class TestKey:
    @pytest.mark.parametrize(
        "path",
        ["/api/v1/things", "/api/v1/nothing", "/api/v2/x", "/api/v1/", "/api/", "/api", "/api/v1/things/a/b/c"],
    )
    def test_is_asked_for_on_every_path(self, client, path):
        response = client.get(path)

        assert (response.status_code, reason(response)) == (401, "UNAUTHORIZED")
        assert response["WWW-Authenticate"] == 'ApiKey realm="aiops"'

    def test_precedes_the_method(self, client):
        assert client.patch("/api/v1/things").status_code == 401
        assert client.options("/api/v1/things").status_code == 401


class TestRoute:
    @pytest.mark.parametrize(
        "path",
        ["/api/v1/nothing", "/api/v2/things", "/api/v1/things/a/b/c", "/api/v1/", "/api/v1/things//", "/api/v1/%0A"],
    )
    def test_unknown_is_404(self, viewer, path):
        response = viewer.get(path)

        assert (response.status_code, reason(response)) == (404, "NOT_FOUND")
        assert "X-RateLimit-Remaining" in response

    def test_unknown_precedes_the_role(self, viewer):
        assert viewer.post("/api/v1/nothing", data={}, content_type=JSON).status_code == 404


class TestMethod:
    @pytest.mark.parametrize("method", ["patch", "options", "delete", "put"])
    def test_other_is_405_with_allow(self, viewer, method):
        response = getattr(viewer, method)("/api/v1/things")

        assert (response.status_code, reason(response)) == (405, "METHOD_NOT_ALLOWED")
        assert set(response["Allow"].split(", ")) == {"GET", "HEAD", "POST"}

    def test_trace_is_405(self, viewer):
        assert viewer.trace("/api/v1/things").status_code == 405

    def test_head_works_like_get(self, viewer):
        response = viewer.head("/api/v1/things")

        assert response.status_code == 200
        assert response.content == b""


class TestRole:
    def test_too_low_is_403_before_body_and_lookup(self, viewer):
        response = viewer.post("/api/v1/things/missing/note", data="{", content_type=JSON)

        assert (response.status_code, reason(response)) == (403, "FORBIDDEN")

    def test_operator_may_act_but_not_create(self, operator):
        make_runbook(name="a")

        assert operator.post("/api/v1/things/a/note", data={"author": "x"}, content_type=JSON).status_code == 200
        assert operator.post("/api/v1/things", data={}, content_type=JSON).status_code == 403
        assert operator.delete("/api/v1/things/a").status_code == 403


class TestBodyBeforeLookup:
    def test_bad_body_of_a_missing_object_is_400(self, operator):
        assert operator.post("/api/v1/things/missing/note", data={}, content_type=JSON).status_code == 400

    def test_good_body_of_a_missing_object_is_404(self, operator):
        assert operator.post("/api/v1/things/missing/note", data={"author": "x"}, content_type=JSON).status_code == 404


class TestRefusals:
    @pytest.mark.parametrize(("automated", "status", "word"), [(True, 409, "CONFLICT"), (False, 410, "GONE")])
    def test_families_have_their_status(self, operator, automated, status, word):
        make_runbook(name="a", automated=automated)

        response = operator.generic("POST", "/api/v1/things/a/refuse")

        assert (response.status_code, reason(response)) == (status, word)

    def test_a_fault_tells_nothing(self, viewer):
        response = viewer.get("/api/v1/boom")

        assert (response.status_code, reason(response)) == (500, "INTERNAL_ERROR")
        assert b"secret" not in response.content
        assert "X-RateLimit-Limit" in response

    def test_a_storage_failure_is_503_where_senders_retry(self, operator):
        response = operator.post("/api/v1/boom", data=["storage"], content_type=JSON)

        assert (response.status_code, response["Retry-After"]) == (503, "5")

    def test_nul_in_a_path_is_404(self, viewer):
        assert viewer.get("/api/v1/things/a%00b").status_code == 404

    def test_nul_in_a_query_is_400(self, viewer):
        assert viewer.get("/api/v1/things?namespace=a%00").status_code == 400
        assert viewer.get("/api/v1/things?author=a%00").status_code == 400
        assert viewer.get("/api/v1/things/a?namespace=%00").status_code == 400

    def test_too_many_parameters_are_400(self, viewer):
        response = viewer.get("/api/v1/things?" + "&".join(f"a{n}=1" for n in range(2000)))

        assert (response.status_code, reason(response)) == (400, "BAD_REQUEST")


class TestTrailingSlash:
    def test_is_optional(self, operator):
        make_runbook(name="a")

        assert operator.get("/api/v1/things/").status_code == 200
        assert operator.get("/api/v1/things/a/").status_code == 200
        assert operator.post("/api/v1/things/a/note/", data={"author": "x"}, content_type=JSON).status_code == 200
