import uuid

import pytest

from aiops.api.negotiation import prefers_html
from aiops.console import middleware as console
from tests.factories import make_runbook

pytestmark = pytest.mark.django_db

ORIGIN = "https://board.example"


class TestRequestId:
    def test_is_echoed(self, viewer):
        assert viewer.get("/api/v1/things", headers={"X-Request-ID": "a.B_c-1"})["X-Request-ID"] == "a.B_c-1"

    @pytest.mark.parametrize("sent", ["", "x" * 129, "a b", "ä", "a\tb"])
    def test_is_made_when_malformed_or_absent(self, client, sent):
        response = client.get("/api/v1/things", headers={"X-Request-ID": sent})

        assert uuid.UUID(response["X-Request-ID"])

    @pytest.mark.parametrize("path", ["/healthz", "/", "/nothing", "/console/login/"])
    def test_is_on_every_response(self, client, path):
        assert "X-Request-ID" in client.get(path)


class TestCommonHeaders:
    @pytest.mark.parametrize("path", ["/api/v1/things", "/api/v1/nothing", "/api/v1/boom"])
    def test_are_on_every_api_response(self, viewer, client, path):
        for response in (viewer.get(path), client.get(path)):
            assert response["Cache-Control"] == "no-store"
            assert response["X-Content-Type-Options"] == "nosniff"
            assert response["X-Frame-Options"] == "DENY"

    @pytest.mark.parametrize("path", ["/healthz", "/console/login/"])
    def test_no_page_may_be_framed(self, client, path):
        assert client.get(path)["X-Frame-Options"] == "DENY"


class TestShortWay:
    @pytest.fixture
    def passed(self, monkeypatch):
        """The paths of requests that met the middleware of the console, of which this one stands for all."""
        paths = []

        def meet(middleware, request):
            paths.append(request.path)

        monkeypatch.setattr(console.CsrfViewMiddleware, "process_request", meet)
        return paths

    def test_leads_past_the_console(self, viewer, passed):
        assert viewer.get("/api/v1/things").status_code == 200
        assert passed == []

    def test_is_not_for_browsers(self, viewer, passed):
        assert viewer.get("/api/v1/things", headers={"Cookie": "theme=dark"}).status_code == 200
        assert passed == ["/api/v1/things"]


class TestCors:
    def test_is_off_by_default(self, viewer):
        response = viewer.get("/api/v1/things", headers={"Origin": ORIGIN})

        assert not [name for name in response.headers if name.startswith("Access-Control")]

    def test_an_allowed_origin_is_named(self, viewer, settings):
        settings.AIOPS_CORS_ORIGINS = ["https://a.example", ORIGIN]

        response = viewer.get("/api/v1/things", headers={"Origin": ORIGIN})

        assert response["Access-Control-Allow-Origin"] == ORIGIN
        assert "Origin" in response["Vary"]
        assert "X-RateLimit-Reset" in response["Access-Control-Expose-Headers"]

    def test_another_origin_gets_nothing(self, viewer, settings):
        settings.AIOPS_CORS_ORIGINS = [ORIGIN]

        assert "Access-Control-Allow-Origin" not in viewer.get("/api/v1/things", headers={"Origin": ORIGIN + ".evil"})

    def test_preflight_needs_no_key(self, client, settings):
        settings.AIOPS_CORS_ORIGINS = ["*"]

        response = client.options("/api/v1/things", headers={"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"})

        assert response.status_code == 204
        assert response["Access-Control-Allow-Origin"] == ORIGIN
        assert response["Access-Control-Allow-Methods"] == "GET, POST, PUT, DELETE, OPTIONS"
        assert "Idempotency-Key" in response["Access-Control-Allow-Headers"]
        assert response["Access-Control-Allow-Credentials"] == "false"
        assert response["Access-Control-Max-Age"] == "3600"
        assert "X-RateLimit-Limit" not in response

    def test_other_options_are_like_any_method(self, client, viewer, settings):
        settings.AIOPS_CORS_ORIGINS = [ORIGIN]

        assert client.options("/api/v1/things", headers={"Origin": ORIGIN}).status_code == 401
        assert viewer.options("/api/v1/things", headers={"Origin": ORIGIN}).status_code == 405


class TestNegotiation:
    @pytest.mark.parametrize(
        ("accept", "html"),
        [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
            ("text/html", True),
            ("text/html;q=0.5, application/json", False),
            ("application/json, text/html", False),
            ("text/html;q=0", False),
            ("text/html;q=x, */*", False),
            ("*/*", False),
            ("", False),
            ("text/plain", False),
            ("application/xml", False),
        ],
    )
    def test_only_a_browser_prefers_html(self, accept, html):
        assert prefers_html(accept) is html

    @pytest.mark.parametrize("accept", ["application/xml", "image/png", "*/*", "x"])
    def test_any_other_accept_gets_json(self, viewer, accept):
        response = viewer.get("/api/v1/things", headers={"Accept": accept})

        assert (response.status_code, response["Content-Type"]) == (200, "application/json; charset=utf-8")


class TestBrowser:
    HTML = {"Accept": "text/html"}

    def test_gets_pages(self, admin):
        make_runbook(name="a")

        for path in (
            "/api/v1/things",
            "/api/v1/things/a",
            "/api/v1/things/a/story",
            "/api/v1/",
            "/api/v1/things/a/note",
        ):
            response = admin.get(path, headers=self.HTML)
            assert response["Content-Type"].startswith("text/html"), path
            assert "cdn" not in response.content.decode().lower()

    def test_gets_errors_as_pages_with_the_same_status(self, client, viewer):
        assert client.get("/api/v1/things", headers=self.HTML).status_code == 401
        response = viewer.get("/api/v1/things/missing", headers=self.HTML)

        assert response.status_code == 404
        assert response["Content-Type"].startswith("text/html")
        assert "X-RateLimit-Limit" in response

    def test_format_asks_for_json(self, viewer):
        assert viewer.get("/api/v1/things?format=json", headers=self.HTML)["Content-Type"].startswith(
            "application/json"
        )

    def test_the_index_is_for_browsers_only(self, viewer):
        assert viewer.get("/api/v1/").status_code == 404
        page = viewer.get("/api/v1/", headers=self.HTML)
        assert page.status_code == 200
        assert b"/api/v1/things" in page.content


class TestConsoleSession:
    @pytest.fixture
    def console(self, django_user_model):
        from django.contrib.auth.models import Group
        from django.test import Client

        user = django_user_model.objects.create_user("olga", password="x", is_staff=True)
        user.groups.add(Group.objects.get(name="operator"))
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(user)
        return browser

    def test_reads_with_the_role_of_the_group(self, console):
        assert console.get("/api/v1/things").status_code == 200
        assert console.delete("/api/v1/things/a").status_code == 403

    def test_writes_only_with_a_csrf_token(self, console):
        make_runbook(name="a")
        body = '{"author": "x"}'
        refused = console.generic("POST", "/api/v1/things/a/note", body)
        console.get("/api/v1/things", headers={"Accept": "text/html"})
        token = console.cookies["csrftoken"].value

        accepted = console.generic("POST", "/api/v1/things/a/note", body, headers={"X-CSRFToken": token})

        assert refused.status_code == 403
        assert accepted.status_code == 200

    def test_a_user_without_group_is_unknown(self, client, django_user_model):
        client.force_login(django_user_model.objects.create_user("nobody", password="x", is_staff=True))

        assert client.get("/api/v1/things").status_code == 401


class TestRoot:
    @pytest.mark.parametrize("path", ["/", "/admin/", "/admin"])
    def test_leads_to_the_console(self, client, path):
        response = client.get(path)

        assert (response.status_code, response["Location"]) == (302, "/console/")


class TestDisallowedHost:
    def test_is_no_fault(self, viewer, settings):
        settings.ALLOWED_HOSTS = ["good.example"]

        assert viewer.get("/api/v1/things", headers={"Host": "evil.example"}).status_code in {200, 400}
