import pytest
import time_machine

from tests.conftest import NOON
from tests.factories import make_runbook

pytestmark = pytest.mark.django_db

JSON = "application/json"


class TestObject:
    def test_has_the_whole_envelope(self, viewer):
        thing = make_runbook(name="a", labels={"team": "docks"})

        response = viewer.get("/api/v1/things/a")

        assert response["Content-Type"] == "application/json; charset=utf-8"
        assert response["ETag"] == '"1"'
        common = {
            "name": "a",
            "namespace": "default",
            "uid": str(thing.uid),
            "labels": {"team": "docks"},
            "annotations": {},
        }
        assert response.json() == {
            "apiVersion": "v1",
            "kind": "Thing",
            "metadata": common
            | {
                "createdAt": "2027-04-12T12:00:00Z",
                "updatedAt": "2027-04-12T12:00:00Z",
                "resourceVersion": "1",
                "createdBy": "tests",
            },
            "resourceMeta": common | {"creationTimestamp": "2027-04-12T12:00:00Z"},
            "spec": {"category": "crashloop", "maxAttempts": 3, "steps": thing.steps, "trigger": None},
        }

    def test_creation_is_201_with_location(self, admin):
        response = admin.post("/api/v1/things", data={"name": "fresh", "description": "d"}, content_type=JSON)

        assert response.status_code == 201
        assert response["Location"] == "/api/v1/things/fresh"
        assert response.json()["metadata"]["createdBy"] == "ada@example.com"

    def test_deletion_is_a_status(self, admin):
        make_runbook(name="a")

        with time_machine.travel(NOON, tick=False):
            document = admin.delete("/api/v1/things/a").json()

        assert document == {
            "apiVersion": "v1",
            "kind": "Status",
            "metadata": {"name": "a", "namespace": "default"},
            "status": {
                "code": 200,
                "message": "Thing deleted",
                "deletedAt": "2027-04-12T12:00:00Z",
                "deletedBy": "ada@example.com",
            },
        }

    def test_a_sub_document_has_no_resource_meta(self, viewer):
        make_runbook(name="a")

        assert viewer.get("/api/v1/things/a/story").json() == {
            "apiVersion": "v1",
            "kind": "ThingStory",
            "metadata": {"name": "a"},
            "lines": ["Undo the rollout"],
        }


class TestList:
    def test_is_empty_but_whole(self, viewer):
        assert viewer.get("/api/v1/things").json() == {
            "apiVersion": "v1",
            "kind": "ThingList",
            "metadata": {"totalCount": 0, "page": 1, "pageSize": 20},
            "items": [],
        }

    def test_shows_unset_values_as_null(self, viewer):
        make_runbook(name="a")

        item = viewer.get("/api/v1/things").json()["items"][0]

        assert (item["lastUsed"], item["updatedBy"]) == (None, None)

    def test_costs_two_queries(self, viewer, django_assert_num_queries):
        for number in range(5):
            make_runbook(name=f"a{number}")
        viewer.get("/api/v1/things")

        with django_assert_num_queries(2):
            viewer.get("/api/v1/things")


class TestPaging:
    @pytest.mark.parametrize(
        "query",
        [
            "page=0",
            "page=-1",
            "page=x",
            "page=1.0",
            "page=9223372036854775808",
            "pageSize=0",
            "pageSize=٣",
            "page=1e3",
            "page=%2B1",
        ],
    )
    def test_malformed_is_400_with_the_name(self, viewer, query):
        response = viewer.get(f"/api/v1/things?{query}")

        assert response.status_code == 400
        assert query.split("=")[0] in response.json()["error"]["fields"]

    def test_walks_every_item_once(self, viewer):
        for number in range(7):
            make_runbook(name=f"a{number}")

        seen = [
            item["name"]
            for page in (1, 2, 3)
            for item in viewer.get(f"/api/v1/things?page={page}&pageSize=3").json()["items"]
        ]

        assert seen == [f"a{number}" for number in range(7)]

    @pytest.mark.parametrize("page", [2, 2**63 - 1])
    def test_past_the_end_is_empty(self, viewer, page):
        make_runbook()

        document = viewer.get(f"/api/v1/things?page={page}").json()

        assert document["items"] == []
        assert document["metadata"] == {"totalCount": 1, "page": page, "pageSize": 20}

    def test_the_size_is_lowered_to_the_maximum(self, viewer):
        assert viewer.get("/api/v1/things?pageSize=1000").json()["metadata"]["pageSize"] == 100

    def test_empty_values_are_absent(self, viewer):
        assert viewer.get("/api/v1/things?page=&pageSize=&category=&since=").status_code == 200


class TestFilters:
    def names(self, client, query):
        response = client.get(f"/api/v1/things?{query}")
        assert response.status_code == 200, response.content
        return [item["name"] for item in response.json()["items"]]

    def test_enumerations_match_in_any_case(self, viewer):
        make_runbook(name="a", category="oomkill")
        make_runbook(name="b", category="disk")

        assert self.names(viewer, "category=OOMKill") == ["a"]

    @pytest.mark.parametrize(
        "query",
        [
            "category=x",
            "automated=yes",
            "since=yesterday",
            "until=2027-13-01",
            "since=2027-04-13&until=2027-04-12",
            "from=2027-04-13&to=2027-04-12T23:59:59Z",
            "since=20270412T000000Z",
        ],
    )
    def test_invalid_values_are_400_with_the_name(self, viewer, query):
        response = viewer.get(f"/api/v1/things?{query}")

        assert response.status_code == 400
        assert query.split("=")[0] in response.json()["error"]["fields"]

    @pytest.mark.parametrize(("value", "expected"), [("true", ["a"]), ("1", ["a"]), ("FALSE", ["b"]), ("0", ["b"])])
    def test_booleans(self, viewer, value, expected):
        make_runbook(name="a", automated=True)
        make_runbook(name="b", automated=False)

        assert self.names(viewer, f"automated={value}") == expected

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("since=2027-04-12T12:00:00Z", True),
            ("from=2027-04-12T12:00:00Z&to=2027-04-12T12:00:00Z", True),
            ("since=2027-04-12T14:00:00%2B02:00", True),
            ("since=2027-04-12", True),
            ("since=2027-04-12T12:00:00.5Z", False),
            ("until=2027-04-12T12:00:00Z", True),
            ("until=2027-04-12T11:59:59.9Z", False),
            ("until=9999-12-31T23:59:59Z", True),
            ("since=9999-12-31T23:59:59.9Z", False),
            ("since=2027-01-01&from=2027-04-13", False),
        ],
    )
    def test_bounds_are_inclusive_at_whole_seconds(self, viewer, query, found):
        make_runbook(name="a", created_at=NOON.replace(microsecond=700_000))

        assert bool(self.names(viewer, query)) is found

    def test_resource_takes_kind_and_name_or_name_only(self, viewer):
        make_runbook(name="a", category="disk")

        assert self.names(viewer, "resource=DISK/a") == ["a"]
        assert self.names(viewer, "resource=a") == ["a"]
        assert self.names(viewer, "resource=network/a") == []
        assert self.names(viewer, "resource=disk/A") == []

    def test_namespace_is_exact(self, viewer):
        make_runbook(name="a", namespace="x")

        assert self.names(viewer, "namespace=x") == ["a"]
        assert self.names(viewer, "namespace=X") == []

    def test_unknown_parameters_are_ignored(self, viewer):
        assert self.names(viewer, "sort=name&foo=%00") == []


class TestNames:
    def test_without_a_namespace_the_only_one_is_meant(self, viewer):
        make_runbook(name="a", namespace="x")

        assert viewer.get("/api/v1/things/a").json()["metadata"]["namespace"] == "x"

    def test_of_several_the_one_in_default_is_meant(self, viewer):
        for namespace in ("x", "y", "default"):
            make_runbook(name="a", namespace=namespace)

        assert viewer.get("/api/v1/things/a").json()["metadata"]["namespace"] == "default"

    def test_several_elsewhere_are_ambiguous(self, viewer):
        for namespace in ("x", "y"):
            make_runbook(name="a", namespace=namespace)

        response = viewer.get("/api/v1/things/a")

        assert response.status_code == 400
        assert "namespace" in response.json()["error"]["fields"]

    def test_with_a_namespace_the_lookup_is_exact(self, viewer):
        make_runbook(name="a", namespace="x")

        assert viewer.get("/api/v1/things/a?namespace=x").status_code == 200
        assert viewer.get("/api/v1/things/a?namespace=default").status_code == 404
        assert viewer.get("/api/v1/things/a?namespace=").status_code == 200

    def test_segments_are_decoded_once(self, viewer):
        make_runbook(name="a%41 b")

        assert viewer.get("/api/v1/things/a%2541%20b").status_code == 200
