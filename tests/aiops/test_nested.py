from django.db.models import OuterRef
from pytest import mark

from aiops.nested import Nested
from incidents.models import AIInsight, Incident
from tests.factories import make_incident, make_insight


@mark.django_db
def test_gives_the_rows_that_belong_to_each_row_in_their_order() -> None:
    several, none = make_incident(name="a"), make_incident(name="b")
    make_insight(
        incident=several, attempt=1, analysis='100 % "sure" it\'s {this}', related_events=[{"deep": [None, 1]}]
    )
    make_insight(incident=several, attempt=2, analysis="no", related_events=[])
    rows = AIInsight.objects.filter(incident=OuterRef("pk")).order_by("-attempt")
    asked = Incident.objects.order_by("name").values_list(
        "pk", Nested(rows.values("attempt", "analysis", "related_events"))
    )

    assert list(asked) == [
        (
            several.pk,
            [
                {"attempt": 2, "analysis": "no", "related_events": []},
                {"attempt": 1, "analysis": '100 % "sure" it\'s {this}', "related_events": [{"deep": [None, 1]}]},
            ],
        ),
        (none.pk, []),
    ]
