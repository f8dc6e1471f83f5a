from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from django.db import connection
from django.db.models import Count, F

from aiops.api.ordering import CodePoint
from aiops.statements import Shapes, Slot, Statement, Unmappable, fetch
from incidents.models import Incident, TimelineEvent
from tests.conftest import NOON
from tests.factories import make_incident

pytestmark = pytest.mark.django_db


class TestStatement:
    def test_gives_what_the_query_set_would(self) -> None:
        for number, state in enumerate(("Detected", "Resolved", "Detected")):
            make_incident(state=state, labels={"n": str(number)}, detected_at=NOON + timedelta(minutes=number))
        columns = ("name", "state", "detected_at", "uid", "labels", "acknowledged_at", "severity_frozen")
        statement = Statement(
            lambda: (
                Incident.objects.filter(state=Slot("state"), detected_at__gte=Slot("since"))
                .order_by("-detected_at", CodePoint("name"))
                .values(*columns)
            )
        )

        found = statement.all(state="Detected", since=NOON + timedelta(minutes=1))

        expected = Incident.objects.filter(state="Detected", detected_at__gte=NOON + timedelta(minutes=1))
        assert found == list(expected.order_by("-detected_at", "name").values(*columns))
        assert len(found) == 1

    def test_makes_instances_with_their_related_rows(self, django_assert_num_queries: Any) -> None:
        incident = make_incident(labels={"app": "shop"})
        statement = Statement(
            lambda: TimelineEvent.objects.select_related("incident").filter(incident=Slot("incident"))[:1]
        )

        with django_assert_num_queries(1):
            event = statement.first(incident=incident.pk)
            assert (event.incident.name, event.incident.labels) == (incident.name, {"app": "shop"})

        assert event == TimelineEvent.objects.get()
        assert event.incident.detected_at == incident.detected_at
        assert statement.first(incident=incident.pk + 1) is None

    def test_instances_have_their_annotations(self) -> None:
        incident = make_incident(labels={"app": "shop"})
        statement = Statement(
            lambda: Incident.objects.filter(pk=Slot("incident")).annotate(
                events=Count("timeline"), shop=F("labels__app")
            )
        )

        found = statement.first(incident=incident.pk)

        assert (found, found.events, found.shop) == (incident, 1, "shop")
        assert found.labels == {"app": "shop"}

    def test_takes_any_text_as_a_value(self) -> None:
        nasty = "'; DROP TABLE incidents_incident; -- %s %(x)s {}"
        incident = make_incident(resource_name=nasty)
        statement = Statement(lambda: Incident.objects.filter(resource_name=Slot("name")).values("name"))

        assert statement.all(name=nasty) == [{"name": incident.name}]
        assert statement.all(name="' OR '1'='1") == []

    def test_leaves_raw_columns_as_the_database_sent_them(self) -> None:
        make_incident(labels={"ä": '"quoted"'})
        statement = Statement(lambda: Incident.objects.values("labels"), raw=("labels",))

        (row,) = statement.all()

        assert isinstance(row["labels"], orjson.Fragment)
        assert orjson.loads(orjson.dumps(row)) == {"labels": {"ä": '"quoted"'}}

    def test_wraps_the_sql(self) -> None:
        for number in range(3):
            make_incident(name=f"INC-{number}")
        count = Statement(lambda: Incident.objects.values("pk"), around="SELECT COUNT(*) FROM ({}) counted")
        far = Statement(
            lambda: Incident.objects.order_by("name").values("name")[:1], around="{} OFFSET %s", more=("offset",)
        )

        assert count.rows() == [(3,)]
        assert far.all(offset=2) == [{"name": "INC-2"}]

    @pytest.mark.parametrize(
        "build",
        [
            lambda: Incident.objects.filter(name="a"),
            lambda: Incident.objects.filter(name=Slot("name")).prefetch_related("timeline"),
            lambda: Incident.objects.filter(name=Slot("other")),
            lambda: Incident.objects.filter(name=Slot("name")).values_list("name", flat=True),
        ],
    )
    def test_refuses_what_cannot_be_constant(self, build: Any) -> None:
        statement = Statement(build)

        for _ in range(2):
            with pytest.raises(Unmappable):
                statement.all(name="a")

    def test_reads_times_in_utc(self) -> None:
        make_incident(detected_at=datetime(2027, 4, 12, 14, 0, 0, 5, tzinfo=UTC))

        (row,) = Statement(lambda: Incident.objects.values("detected_at")).all()

        assert row["detected_at"] == datetime(2027, 4, 12, 14, 0, 0, 5, tzinfo=UTC)
        assert row["detected_at"].utcoffset() == timedelta(0)


class TestShapes:
    def test_forgets_the_oldest(self) -> None:
        shapes = Shapes(maximum=2)
        first = shapes.statement("a", Incident.objects.all)
        assert shapes.statement("a", Incident.objects.all) is first

        for name in "bc":
            shapes.statement(name, Incident.objects.all)

        assert list(shapes.known) == ["b", "c"]


@pytest.mark.django_db(transaction=True)
class TestFetch:
    def test_prepares_again_after_a_column_changed_its_type(self) -> None:
        if connection.vendor != "postgresql":
            pytest.skip("SQLite prepares nothing here")
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE statements_try (a varchar(4))")
        try:
            assert fetch("SELECT a FROM statements_try") == []
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE statements_try ALTER a TYPE integer USING 1")

            assert fetch("SELECT a FROM statements_try") == []
        finally:
            with connection.cursor() as cursor:
                cursor.execute("DROP TABLE statements_try")

    def test_finds_out_that_the_server_went_away(self) -> None:
        if connection.vendor != "postgresql":
            pytest.skip("SQLite is no server")
        fetch("SELECT 1")
        pid = connection.connection.info.backend_pid
        assert connection.is_usable()
        other = connection.copy()
        try:
            with other.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        finally:
            other.close()

        assert not connection.is_usable()
        connection.close()
