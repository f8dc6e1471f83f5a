"""`ETag` and `If-None-Match` of lists; far pages and counts, which come from the same tallies."""

from datetime import timedelta
from random import Random
from typing import Any

import pytest
import time_machine
from django.db.models import F

from aiops.api import selection
from aiops.apikeys.roles import Role
from aiops.tallies import services
from incidents.models import Incident
from tests.conftest import NOON
from tests.factories import make_incident
from tests.incidents.api.conftest import BASE, Api, api_of
from tests.threads import at_once, postgresql_only


def again(api: Api, path: str, tag: str, **query: Any) -> Any:
    return api.client.get(BASE + path, query, headers={"If-None-Match": tag})


class TestLists:
    def test_unchanged_ones_are_not_read_again(self, viewer: Api, django_assert_num_queries: Any) -> None:
        make_incident()
        first = viewer.get("/incidents")

        with django_assert_num_queries(1):  # the stamp
            second = again(viewer, "/incidents", f'"other", W/{first["ETag"]}')

        assert (second.status_code, second.content, second["ETag"]) == (304, b"", first["ETag"])
        assert "X-RateLimit-Remaining" in second
        assert "Content-Type" not in second

    @pytest.mark.parametrize(
        "change",
        [
            lambda incident: make_incident(),
            lambda incident: incident.change(assigned_to="ines"),
            lambda incident: Incident.objects.filter(pk=incident.pk).update(state="Resolved"),
            lambda incident: incident.delete(),
        ],
    )
    def test_changed_ones_are(self, viewer: Api, change: Any) -> None:
        incident = make_incident()
        tag = viewer.get("/incidents")["ETag"]

        change(incident)
        answer = again(viewer, "/incidents", tag)

        assert (answer.status_code, answer["ETag"] != tag) == (200, True)

    def test_folding_is_no_change(self, viewer: Api) -> None:
        make_incident()
        tag = viewer.get("/incidents")["ETag"]

        services.fold()

        assert again(viewer, "/incidents", tag).status_code == 304

    def test_are_read_again_when_an_age_grows_or_a_snooze_ends(self, viewer: Api) -> None:
        make_incident(detected_at=NOON - timedelta(hours=5), snooze_until=NOON + timedelta(minutes=10))
        make_incident(detected_at=NOON - timedelta(days=3), resolved_at=NOON - timedelta(days=2), state="Resolved")
        tag, statuses = "", []
        for minutes in (1, 9, 11, 59, 61):
            with time_machine.travel(NOON + timedelta(minutes=minutes), tick=False):
                answer = again(viewer, "/incidents", tag)
                statuses.append(answer.status_code)
                if answer.status_code == 200:
                    tag = answer["ETag"]

        assert statuses == [200, 304, 200, 304, 200]

    def test_differ_by_query_and_scope(self, viewer: Api) -> None:
        make_incident(namespace="shop")
        scoped = api_of(Role.VIEWER, namespaces=["shop"])
        tag = viewer.get("/incidents")["ETag"]

        assert again(viewer, "/incidents", tag, severity="high").status_code == 200
        assert again(scoped, "/incidents", tag).status_code == 200
        assert scoped.get("/incidents")["ETag"] != tag

    def test_need_a_key_all_the_same(self, viewer: Api, nobody: Api) -> None:
        tag = viewer.get("/incidents")["ETag"]

        assert again(nobody, "/incidents", tag).status_code == 401
        assert again(viewer, "/incidents", tag, page="x").status_code == 400

    def test_of_other_tables_have_the_digest_of_their_body(self, viewer: Api) -> None:
        first = viewer.get("/runbooks")

        assert again(viewer, "/runbooks", first["ETag"]).status_code == 304
        assert again(viewer, "/runbooks", '"other"').status_code == 200

    @pytest.mark.parametrize("tag", ['"', "x", '"a.b.c"', '"..-"', "W/", ",,,", '"' + "9" * 9000 + '"'])
    def test_strange_tags_fit_nothing(self, viewer: Api, tag: str) -> None:
        assert again(viewer, "/incidents", tag).status_code == 200


class TestFarPages:
    @pytest.mark.parametrize("query", [{}, {"severity": "high"}, {"namespace": "shop", "state": "Detected"}])
    def test_hold_what_all_pages_in_a_row_would(
        self, viewer: Api, query: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(selection, "FAR", 30)
        random = Random(6)
        for _ in range(260):
            make_incident(
                timeline_count=0,
                detected_at=NOON - timedelta(minutes=random.randrange(0, 900)),
                severity=random.choice(["low", "high"]),
                namespace=random.choice(["shop", "harbor"]),
            )
        services.fold()
        make_incident(detected_at=NOON - timedelta(hours=3), severity="high")

        names: list[str] = []
        for page in range(1, 28):
            answer = viewer.get("/incidents", page=page, pageSize=10, **query).json()
            names += [item["name"] for item in answer["items"]]

        expected = Incident.objects.filter(**query).order_by("-detected_at", "name").values_list("name", flat=True)
        assert names == list(expected)
        assert answer["metadata"]["totalCount"] == len(names)


class TestTotals:
    @pytest.mark.parametrize(
        ("query", "total"),
        [
            ({}, 4),
            ({"severity": "LOW"}, 2),
            ({"severity": "low", "namespace": "shop"}, 1),
            ({"cluster": "none"}, 0),
            ({"q": "checkout"}, 4),
            ({"resource": "Deployment/api"}, 1),
            ({"resource": "api", "since": "2027-04-12"}, 1),
            ({"acknowledged": "false", "until": "2027-04-11"}, 0),
        ],
    )
    def test_are_exact_for_every_filter(self, viewer: Api, query: dict[str, str], total: int) -> None:
        for namespace, severity in (("shop", "low"), ("harbor", "low"), ("shop", "high")):
            make_incident(namespace=namespace, severity=severity)
        make_incident(resource_name="api")

        assert viewer.get("/incidents", **query).json()["metadata"]["totalCount"] == total

    def test_of_a_scoped_key_count_its_scope_only(self, db: None) -> None:
        for namespace in ("shop", "shop", "harbor"):
            make_incident(namespace=namespace)
        scoped = api_of(Role.VIEWER, namespaces=["shop"])

        assert scoped.get("/incidents").json()["metadata"]["totalCount"] == 2
        assert scoped.get("/incidents", namespace="harbor").json()["metadata"]["totalCount"] == 0


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_no_client_keeps_a_stale_page(self, settings: Any) -> None:
        """Writers raise a number that only grows. A 304 must not stand for a page that was outdated when it was asked for."""
        postgresql_only()
        settings.AIOPS_RATE_LIMITS = dict.fromkeys(("viewer", "operator", "admin"), 100_000)
        make_incident(name="INC-counter", risk_score=0)
        key = api_of(Role.VIEWER).key

        def counted() -> int:
            return Incident.objects.values_list("risk_score", flat=True).get(name="INC-counter")

        def write(number: int) -> None:
            for turn in range(15):
                Incident.objects.filter(name="INC-counter").update(risk_score=F("risk_score") + 1)
                make_incident(name=f"INC-{number}-{turn}", timeline_count=0)
                if turn % 5 == 0:
                    services.fold()

        def read(number: int) -> tuple[int, int, bytes]:
            api, tag, body, shown, kept = Api(key), "", b"", -1, 0
            for _ in range(40):
                before = counted()
                answer = again(api, "/incidents", tag, pageSize=100)
                if answer.status_code == 200:
                    tag, body = answer["ETag"], answer.content
                    items = {item["name"]: item for item in answer.json()["items"]}
                    shown = items["INC-counter"]["riskScore"]
                else:
                    kept += 1
                assert shown >= before, "an outdated page was called current"
            return shown, kept, body

        results = at_once(6, lambda number: write(number) if number % 2 else read(number))

        assert not [one for one in results if isinstance(one, Exception)], results
        fresh = Api(key).get("/incidents", pageSize=100)
        assert fresh.json()["metadata"]["totalCount"] == 46
        assert {item["riskScore"] for item in fresh.json()["items"] if item["name"] == "INC-counter"} == {45}
        for kept_page in [one for one in results if isinstance(one, tuple)]:
            assert kept_page[0] <= 45
        assert again(Api(key), "/incidents", fresh["ETag"], pageSize=100).status_code == 304
