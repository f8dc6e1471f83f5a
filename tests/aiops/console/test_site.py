import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group

from aiops.apikeys.authentication import role_of
from aiops.apikeys.models import ApiKey
from aiops.apikeys.roles import Role
from aiops.console.sites import ConsoleSite

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss(client, django_user_model):
    client.force_login(django_user_model.objects.create_superuser("ada", password="x"))
    return client


def member(django_user_model, *groups, **facts):
    user = django_user_model.objects.create_user("olga", password="x", **{"is_staff": True} | facts)
    user.groups.set(Group.objects.filter(name__in=groups))
    return user


class TestSite:
    def test_is_the_default_one(self):
        assert isinstance(admin.site._wrapped if hasattr(admin.site, "_wrapped") else admin.site, ConsoleSite)

    def test_needs_a_login(self, client):
        assert client.get("/console/").status_code == 302

    def test_every_list_and_form_opens(self, boss):
        for model, model_admin in admin.site._registry.items():
            base = f"/console/{model._meta.app_label}/{model._meta.model_name}/"
            assert boss.get(base).status_code == 200, base
            if model_admin.has_add_permission(boss.get(base).wsgi_request):
                assert boss.get(f"{base}add/").status_code == 200, base


class TestRoles:
    @pytest.mark.parametrize(
        ("groups", "facts", "role"),
        [
            (["viewer"], {}, Role.VIEWER),
            (["viewer", "operator"], {}, Role.OPERATOR),
            (["admin"], {}, Role.ADMIN),
            ([], {}, None),
            ([], {"is_superuser": True}, Role.ADMIN),
            (["admin"], {"is_active": False}, None),
            (["admin"], {"is_staff": False}, None),
        ],
    )
    def test_come_from_the_groups(self, django_user_model, groups, facts, role):
        assert role_of(member(django_user_model, *groups, **facts)) == role

    def test_viewers_look_and_admins_edit(self, django_user_model):
        user = member(django_user_model, "viewer")
        assert user.has_perm("incidents.view_incident")
        assert not user.has_perm("incidents.change_incident")
        assert not user.has_perm("apikeys.view_apikey")
        user.groups.set(Group.objects.filter(name="admin"))
        user = django_user_model.objects.get(pk=user.pk)

        assert user.has_perm("apikeys.add_apikey")


class TestApiKeys:
    def add(self, client):
        form = {"role": "operator", "description": "ci", "owner": "", "namespaces": "[]", "clusters": "[]",
                "expires_at_0": "", "expires_at_1": ""}  # fmt: skip
        return client.post("/console/apikeys/apikey/add/", form, follow=True).content.decode()

    def test_a_new_key_is_shown_once_and_works(self, boss, client):
        page = self.add(boss)

        (key,) = re.findall(r"ck_live_[A-Za-z0-9]{43}", page)
        assert key not in boss.get("/console/apikeys/apikey/").content.decode()
        assert client.get("/api/v1/nothing", headers={"X-API-Key": key}).status_code == 404

    def test_keys_can_be_revoked_but_not_deleted(self, boss):
        self.add(boss)
        row = ApiKey.objects.get()

        boss.post("/console/apikeys/apikey/", {"action": "revoke_keys", "_selected_action": [row.pk]})

        row.refresh_from_db()
        assert row.revoked_at is not None
        assert boss.get(f"/console/apikeys/apikey/{row.pk}/delete/").status_code == 403
