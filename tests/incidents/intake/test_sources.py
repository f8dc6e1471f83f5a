from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.errors import Invalid
from incidents.intake import INTAKES, Reading

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = (
    "status", "labels", "annotations", "startsAt", "endsAt", "fingerprint", "title", "resource", "signalType",
    "severity", "cluster", "dedupKey", "values",
)  # fmt: skip


def read(source: str, document: Any) -> Reading:
    return INTAKES[source].read(document)


class TestAlertmanager:
    def test_an_old_payload_without_fingerprints(self) -> None:
        labels = [{"alertname": "X", "instance": name} for name in ("a", "b")]
        document = {
            "version": "3",
            "status": "firing",
            "groupKey": 2**70,
            "alerts": [{"labels": one} for one in labels],
        }

        first, second = read("alertmanager", document).alerts

        assert first.firing
        assert first.identity != second.identity

    def test_an_alert_without_status_has_the_groups(self) -> None:
        document = {"status": "resolved", "alerts": [{"labels": {}}, {"labels": {}, "status": "firing"}]}

        assert [alert.firing for alert in read("alertmanager", document).alerts] == [False, True]

    def test_without_any_status_it_is_rejected(self) -> None:
        assert read("alertmanager", {"alerts": [{"labels": {}}]}).rejected[0].index == 0

    def test_labels_are_needed(self) -> None:
        assert read("alertmanager", {"status": "firing", "alerts": [{}]}).rejected

    def test_annotations_make_the_description_but_not_the_identity(self) -> None:
        alerts = [
            {"status": "firing", "labels": {"alertname": "X"}, "annotations": {"summary": f"at {value} %"}}
            for value in (91, 92)
        ]

        first, second = read("alertmanager", {"alerts": alerts}).alerts

        assert first.identity == second.identity
        assert (first.description, second.description) == ("at 91 %", "at 92 %")


class TestGrafana:
    def test_takes_links_and_values_as_evidence(self) -> None:
        alert = {
            "status": "firing",
            "labels": {"alertname": "Latency"},
            "values": {"A": 3.5, "B": "x"},
            "panelURL": "http://grafana.example/d/1",
        }

        found = read("grafana", {"version": "1", "orgId": 1, "title": "x", "alerts": [alert]}).alerts[0]

        assert found.signal_type == "latency"
        assert found.evidence["values"] == {"A": 3.5}
        assert found.evidence["panelURL"] == "http://grafana.example/d/1"


class TestGeneric:
    def test_a_list_of_cloud_events(self) -> None:
        event = {"specversion": "1.0", "data": {"title": "Queue is full"}}

        assert read("generic", [event, {"specversion": "1.0"}]).rejected[0].index == 1

    def test_an_envelope_without_data_is_refused(self) -> None:
        with pytest.raises(Invalid) as refusal:
            read("generic", {"specversion": "1.0", "id": "1"})

        assert set(refusal.value.fields) == {"data"}

    def test_null_counts_as_absent(self) -> None:
        document = {"title": "x", "status": None, "labels": None, "resource": None, "startsAt": None}

        assert read("generic", document).alerts[0].firing

    def test_labels_name_the_resource_when_no_member_does(self) -> None:
        alert = read("generic", {"title": "x", "labels": {"deployment": "web", "namespace": "shop"}}).alerts[0]

        assert alert.resource == ("Deployment", "web", "shop")


@pytest.mark.parametrize("source", INTAKES)
class TestAnyDocument:
    @settings(max_examples=150, deadline=None)
    @given(item=st.dictionaries(st.sampled_from(MEMBERS), JSON) | JSON)
    def test_is_read_or_refused(self, source: str, item: Any) -> None:
        for document in (item, [item], {"status": "firing", "alerts": [item]}):
            try:
                reading = read(source, document)
            except Invalid as refusal:
                assert refusal.fields
            else:
                assert all(one.reason for one in reading.rejected)
