"""What a request costs beside its queries."""

import gc
import weakref

import pytest
from django.test import RequestFactory
from django.urls import Resolver404, path
from django.utils import timezone
from rest_framework.response import Response

from aiops.api.operations import operation
from aiops.api.routes import LENGTH, Remembered
from aiops.api.views import ApiView
from aiops.apikeys import services
from aiops.apikeys.roles import Role

views: list["weakref.ref[Probe]"] = []


class Probe(ApiView):
    @operation(role=Role.VIEWER)
    def get(self, request) -> Response:
        views.append(weakref.ref(self))
        return Response({"big": "x" * 100})


@pytest.mark.django_db
def test_nothing_is_left_to_the_collector() -> None:
    _, key = services.create(role=Role.VIEWER, at=timezone.now())
    gc.disable()
    try:
        response = Probe.as_view()(RequestFactory(headers={"X-API-Key": key}).get("/api/v1/probe"))
        assert response.status_code == 200
        assert response.has_header("ETag")
        assert views.pop()() is None
    finally:
        gc.enable()


class TestRemembered:
    def test_leads_where_the_routes_lead(self) -> None:
        routes = Remembered("api/v1/", [path("things/<str:name>", Probe.as_view(), name="thing")])

        for _ in range(2):
            assert routes.resolve("api/v1/things/a").kwargs == {"name": "a"}
            assert routes.resolve("api/v1/things/b").kwargs == {"name": "b"}
            with pytest.raises(Resolver404):
                routes.resolve("api/v1/nothing")

    def test_keeps_no_long_paths(self) -> None:
        routes = Remembered("api/v1/", [path("things/<str:name>", Probe.as_view(), name="thing")])

        routes.resolve("api/v1/things/a")
        assert routes.resolve(f"api/v1/things/{'a' * LENGTH}").kwargs == {"name": "a" * LENGTH}
        assert routes._known.cache_info().currsize == 1
