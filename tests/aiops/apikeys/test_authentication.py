import hashlib
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from aiops.apikeys import keyring, services
from aiops.apikeys.models import ApiKey
from aiops.apikeys.roles import Role
from runbooks.models import Runbook
from tests.aiops.api.conftest import client_of
from tests.conftest import NOON
from tests.factories import make_runbook

pytestmark = pytest.mark.django_db

PATH = "/api/v1/things"


def make_key(role=Role.VIEWER, **facts) -> str:
    return services.create(role=role, at=timezone.now(), **facts)[1]


def status(client, **headers):
    return client.get(PATH, headers={name.replace("_", "-"): value for name, value in headers.items()}).status_code


class TestStorage:
    def test_keeps_neither_the_key_nor_a_bare_hash_of_it(self):
        key = make_key()
        row = ApiKey.objects.get()
        stored = "|".join(str(value) for value in row.__dict__.values())

        assert key not in stored
        assert hashlib.sha256(key.encode()).hexdigest() not in stored
        assert row.prefix == key[:12]

    def test_issues_the_documented_shape(self):
        key = make_key()

        assert key.startswith("ck_live_")
        assert len(key) == 8 + 43
        assert key[8:].isalnum() and key.isascii()

    def test_shows_little_of_a_short_foreign_key(self):
        assert services.shown_prefix("hunter2") == "h"


class TestHeaders:
    def test_accepts_the_documented_forms(self, client):
        key = make_key()

        assert status(client, X_API_Key=key) == 200
        assert status(client, Authorization=f"Bearer {key}") == 200
        assert status(client, Authorization=f"bearer {key}") == 200
        assert status(client, Authorization=key) == 200

    def test_x_api_key_decides(self, client):
        key = make_key()

        assert status(client, X_API_Key=key, Authorization="Bearer nonsense") == 200
        assert status(client, X_API_Key="nonsense", Authorization=f"Bearer {key}") == 401

    def test_an_empty_x_api_key_counts_as_absent(self, client):
        assert status(client, X_API_Key="", Authorization=f"Bearer {make_key()}") == 200

    @pytest.mark.parametrize("wrong", ["x", "ck_live_" + "a" * 43, "ä", "Bearer"])
    def test_refuses_unknown_keys(self, client, wrong):
        key = make_key()

        assert status(client, X_API_Key=wrong) == 401
        assert status(client, Authorization=wrong) == 401
        assert status(client, X_API_Key=key.swapcase()) == 401
        assert status(client, X_API_Key=key[:-1]) == 401


class TestLife:
    def test_a_revoked_key_stops_working_within_seconds(self, client, monkeypatch):
        key = make_key()
        assert status(client, X_API_Key=key) == 200
        services.revoke(api_key=ApiKey.objects.get(), at=timezone.now())

        monkeypatch.setattr(keyring, "FRESH", -1.0)

        assert status(client, X_API_Key=key) == 401

    def test_an_expired_key_stops_working_at_once(self, client):
        key = make_key(expires_at=NOON)

        with time_machine.travel(NOON - timedelta(seconds=1)):
            assert status(client, X_API_Key=key) == 200
        with time_machine.travel(NOON + timedelta(seconds=1)):
            assert status(client, X_API_Key=key) == 401

    def test_a_known_key_costs_no_query(self, client, django_assert_num_queries):
        key = make_key()
        status(client, X_API_Key=key)

        with django_assert_num_queries(0):
            client.get("/api/v1/nothing", headers={"X-API-Key": key})

    def test_the_last_use_is_written_once_a_minute(self, client):
        key = make_key()
        with time_machine.travel(NOON, tick=False):
            status(client, X_API_Key=key)
        with time_machine.travel(NOON + timedelta(seconds=59), tick=False):
            status(client, X_API_Key=key)
        assert ApiKey.objects.get().last_used_at == NOON
        with time_machine.travel(NOON + timedelta(seconds=60), tick=False):
            status(client, X_API_Key=key)

        assert ApiKey.objects.get().last_used_at == NOON + timedelta(seconds=60)

    def test_survives_a_new_secret_while_the_old_one_is_a_fallback(self, client, settings):
        key = make_key()
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another-secret-for-this-test"

        assert status(client, X_API_Key=key) == 200


class TestNoKeys:
    def test_everything_is_refused(self, client):
        assert status(client) == 401

    def test_developer_mode_makes_everybody_admin(self, client, settings):
        settings.AIOPS_DEV_MODE = True

        response = client.post(PATH, {"name": "a", "description": "d"}, content_type="application/json")

        assert response.status_code == 201
        assert response.json()["metadata"]["createdBy"] == "dev-mode"

    def test_developer_mode_ends_with_the_first_key(self, client, settings):
        settings.AIOPS_DEV_MODE = True
        make_key()

        assert status(client) == 401


class TestIdentity:
    @pytest.mark.parametrize(
        ("facts", "expected"),
        [({"owner": "o", "description": "d"}, "o"), ({"description": "d"}, "d"), ({}, None)],
    )
    def test_is_owner_then_description_then_fingerprint(self, client, facts, expected):
        key = make_key(Role.ADMIN, **facts)

        client.post(
            PATH, {"name": "a", "description": "d"}, content_type="application/json", headers={"X-API-Key": key}
        )

        fingerprint = f"key:{hashlib.sha256(key.encode()).hexdigest()[:8]}"
        assert Runbook.objects.get().created_by == (expected or fingerprint)


class TestScope:
    @pytest.fixture
    def scoped(self) -> Client:
        make_runbook(name="inside", namespace="shop")
        make_runbook(name="outside", namespace="bank")
        return client_of(Role.ADMIN, namespaces=["shop"])

    def test_lists_only_what_is_inside(self, scoped):
        assert [item["name"] for item in scoped.get(PATH).json()["items"]] == ["inside"]

    def test_the_rest_is_404(self, scoped):
        assert scoped.get(f"{PATH}/inside").status_code == 200
        assert scoped.get(f"{PATH}/outside").status_code == 404
        assert scoped.get(f"{PATH}/outside?namespace=bank").status_code == 404
        assert scoped.delete(f"{PATH}/outside").status_code == 404

    def test_creation_outside_is_403(self, scoped):
        response = scoped.post(PATH, {"name": "a", "description": "d"}, content_type="application/json")

        assert response.status_code == 403


class TestCommand:
    def test_prints_the_key_and_nothing_else(self, client, capsys):
        call_command(
            "createapikey", "--role", "operator", "--owner", "ci", "--namespace", "shop", "--expires", "2099-01-01"
        )

        key = capsys.readouterr().out
        row = ApiKey.objects.get()
        assert key.count("\n") == 1
        assert status(client, X_API_Key=key.strip()) == 200
        assert (row.role, row.owner, row.namespaces) == ("operator", "ci", ["shop"])
        assert row.expires_at == datetime(2099, 1, 1, tzinfo=UTC)
