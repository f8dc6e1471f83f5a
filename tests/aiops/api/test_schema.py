import re

import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from tests.aiops.api.urls import things

pytestmark = pytest.mark.django_db


def document_of(**routes):
    """The validated document; a warning of the generator is a failure."""
    with GENERATOR_STATS.silence():
        GENERATOR_STATS.reset()
        document = SchemaGenerator(**routes).get_schema(request=None, public=True)
        assert not GENERATOR_STATS
    validate_schema(document)
    return document


@pytest.fixture
def schema():
    return document_of(patterns=things)


class TestProduct:
    def test_has_unique_operation_ids_and_no_warning(self):
        document = document_of(urlconf="aiops.urls")

        ids = [one["operationId"] for path in document["paths"].values() for one in path.values()]
        assert len(ids) == len(set(ids))


class TestDocument:
    def test_is_3_1_and_its_operation_ids_are_unique(self, schema):
        ids = [one["operationId"] for path in schema["paths"].values() for one in path.values()]

        assert schema["openapi"].startswith("3.1")
        assert len(ids) == len(set(ids))
        assert {"things_list", "things_retrieve", "things_create", "things_note"} <= set(ids)

    def test_shows_the_envelopes(self, schema):
        schemas = schema["components"]["schemas"]

        assert schemas["Thing"]["properties"]["kind"]["const"] == "Thing"
        assert set(schemas["ThingList"]["required"]) == {"apiVersion", "kind", "metadata", "items"}
        assert schemas["ThingItem"]["properties"]["lastUsed"] == {"type": ["string", "null"], "format": "date-time"}
        assert schemas["ThingItem"]["properties"]["category"] == {"$ref": "#/components/schemas/Category"}

    def test_an_object_of_any_members_is_an_object_and_not_anything(self, schema):
        trigger = schema["components"]["schemas"]["ThingSpec"]["properties"]["trigger"]

        assert trigger == {"type": ["object", "null"], "additionalProperties": {}}

    def test_shows_every_refusal(self, schema):
        note = schema["paths"]["/api/v1/things/{name}/note"]["post"]

        assert set(note["responses"]) == {"200", "400", "401", "403", "404", "409", "413", "429", "500"}
        assert "Retry-After" in note["responses"]["429"]["headers"]
        assert "ETag" in note["responses"]["200"]["headers"]
        assert "413" in schema["paths"]["/api/v1/things/{name}"]["delete"]["responses"]
        assert {"name", "namespace", "Idempotency-Key", "If-Match", "X-Request-ID"} == {
            one["name"] for one in note["parameters"]
        }

    def test_holds_nothing_of_the_inside(self, schema):
        assert "validated_data" not in str(schema)


class TestPages:
    @pytest.mark.parametrize("path", ["/api/schema/", "/api/schema/?format=json", "/api/docs/", "/api/redoc/"])
    def test_need_no_key_and_carry_no_limit(self, client, path):
        response = client.get(path)

        assert response.status_code == 200
        assert "X-RateLimit-Limit" not in response

    def test_come_as_json_or_yaml(self, client):
        assert client.get("/api/schema/?format=json").json()["openapi"].startswith("3.1")
        assert client.get("/api/schema/?format=yaml").content.startswith(b"openapi: 3.1")

    @pytest.mark.parametrize("path", ["/api/docs/", "/api/redoc/"])
    def test_load_no_asset_from_elsewhere(self, client, path):
        page = client.get(path).content.decode()

        loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
        assert loaded
        assert all(address.startswith(("/", "data:")) for address in loaded)
