from datetime import timedelta
from typing import Any

import pytest

from federation.models import Cluster
from incidents.models import FleetCorrelation, Incident
from incidents.services import fleet
from tests.conftest import NOON
from tests.factories import make_anomaly, make_cluster, make_incident

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def crash(cluster: Cluster, *, after: timedelta = timedelta(0), name: str = "checkout", **columns: Any) -> Incident:
    at = NOON + after
    return make_incident(
        cluster=cluster, cluster_name=cluster.name, resource_name=name, started_at=at, detected_at=at, **columns
    )


def clusters(*names: str, **columns: Any) -> list[Cluster]:
    return [make_cluster(name=name, **columns) for name in names]


class TestSpread:
    def test_to_three_clusters_raises_one_incident_and_elevates(self):
        members = [crash(cluster, after=number * MINUTE) for number, cluster in enumerate(clusters("a", "b", "c"))]

        fleet.correlate(at=NOON + 5 * MINUTE)

        row = FleetCorrelation.objects.get()
        assert (row.first, row.clusters, row.elevated) == (members[0], ["a", "b", "c"], True)
        raised = Incident.objects.get(cluster=None)
        assert (raised.severity, raised.resource_name, raised.state) == ("critical", "checkout", "Detected")
        for member in members:
            member.refresh_from_db()
            assert (member.severity, member.correlation_id) == ("critical", row.correlation_id)
            assert member.decisions.get().verdict == "elevated"

    def test_is_found_once(self):
        for cluster in clusters("a", "b", "c"):
            crash(cluster)
        assert fleet.correlate(at=NOON) == 1

        assert fleet.correlate(at=NOON + MINUTE) == 0
        assert Incident.objects.filter(cluster=None).count() == FleetCorrelation.objects.count() == 1

    def test_takes_a_fourth_cluster_in(self):
        a, b, c, d = clusters("a", "b", "c", "d")
        for cluster in (a, b, c):
            crash(cluster)
        fleet.correlate(at=NOON)
        late = crash(d, after=2 * MINUTE)

        fleet.correlate(at=NOON + 2 * MINUTE)

        late.refresh_from_db()
        assert (late.severity, FleetCorrelation.objects.get().clusters) == ("critical", ["a", "b", "c", "d"])

    def test_to_two_clusters_means_nothing(self):
        for cluster in clusters("a", "b"):
            crash(cluster)

        assert fleet.correlate(at=NOON) == 0

    def test_needs_the_same_workload(self):
        for number, cluster in enumerate(clusters("a", "b", "c")):
            crash(cluster, name=f"app-{number}")

        assert fleet.correlate(at=NOON) == 0

    def test_needs_first_signals_within_fifteen_minutes(self):
        for number, cluster in enumerate(clusters("a", "b", "c")):
            crash(cluster, after=number * 8 * MINUTE)

        assert fleet.correlate(at=NOON + 20 * MINUTE) == 0

    def test_respects_a_severity_that_a_person_set(self):
        members = [crash(cluster, severity="low", severity_frozen=True) for cluster in clusters("a", "b", "c")]

        fleet.correlate(at=NOON)

        members[0].refresh_from_db()
        assert members[0].severity == "low"

    def test_is_over_when_all_members_are(self):
        for cluster in clusters("a", "b", "c"):
            crash(cluster)
        fleet.correlate(at=NOON)
        Incident.objects.filter(cluster__isnull=False).update(state="Resolved", resolved_at=NOON)

        fleet.correlate(at=NOON + MINUTE)

        assert FleetCorrelation.objects.get().closed_at == NOON + MINUTE
        assert Incident.objects.get(cluster=None).state == "Resolved"


class TestCascade:
    def test_is_seen_from_staging_to_production(self):
        (staging,), (prod,) = clusters("s", environment="staging"), clusters("p", environment="prod")
        first = crash(staging, state="Resolved", resolved_at=NOON + MINUTE)
        crash(prod, after=timedelta(hours=3))

        fleet.correlate(at=NOON + timedelta(hours=3))

        row = FleetCorrelation.objects.get()
        assert (row.first, row.cascade, row.elevated) == (first, True, False)
        assert not Incident.objects.filter(cluster=None).exists()

    @pytest.mark.parametrize(("version", "cascades"), [("7", True), ("8", False)])
    def test_is_of_one_version_where_versions_are_known(self, version, cascades):
        (staging,), (prod,) = clusters("s", environment="staging"), clusters("p", environment="prod")
        make_anomaly(incident=crash(staging), evidence={"image": "registry.example/checkout:7"})
        incident = crash(prod, after=timedelta(hours=3))
        make_anomaly(incident=incident, evidence={"image": f"registry.example/checkout:{version}"})

        fleet.correlate(at=NOON + timedelta(hours=3))

        assert FleetCorrelation.objects.filter(cascade=True).exists() == cascades

    def test_is_not_seen_the_other_way_round(self):
        (staging,), (prod,) = clusters("s", environment="staging"), clusters("p", environment="prod")
        crash(prod)
        crash(staging, after=MINUTE)

        assert fleet.correlate(at=NOON + 2 * MINUTE) == 0


class TestImage:
    def test_that_two_clusters_share_is_a_common_change(self):
        for number, cluster in enumerate(clusters("a", "b")):
            incident = crash(cluster, name=f"app-{number}")
            make_anomaly(incident=incident, evidence={"image": "registry.example/base:7"})

        fleet.correlate(at=NOON)

        row = FleetCorrelation.objects.get()
        assert (row.kind, row.subject, row.elevated) == ("common_change", "image registry.example/base:7", False)

    def test_is_not_common_when_nothing_else_is(self):
        """The same base image under two workloads with two symptoms, at two times."""
        for number, cluster in enumerate(clusters("a", "b")):
            incident = crash(cluster, after=number * 25 * MINUTE, name=f"app-{number}", signal_type=f"signal_{number}")
            make_anomaly(incident=incident, evidence={"image": "registry.example/base:7"})

        assert fleet.correlate(at=NOON + 30 * MINUTE) == 0


class TestDependency:
    def test_that_is_not_reached_from_two_clusters_is_shared(self):
        for number, cluster in enumerate(clusters("a", "b")):
            incident = crash(cluster, name=f"app-{number}", after=number * MINUTE)
            text = f"Get https://pay-{number}.svc: dial tcp: lookup api.bank.example on 10.96.0.10:53: no such host"
            make_anomaly(incident=incident, description=text)

        fleet.correlate(at=NOON + MINUTE)

        row = FleetCorrelation.objects.get()
        assert (row.kind, row.subject, row.clusters) == ("common_dependency", "dependency api.bank.example", ["a", "b"])
        assert not Incident.objects.filter(cluster=None).exists()

    def test_is_the_registry_of_different_images_that_cannot_be_pulled(self):
        for number, cluster in enumerate(clusters("a", "b")):
            incident = crash(cluster, name=f"app-{number}", signal_type="image_pull_error")
            evidence = {"image": f"registry.example/app-{number}:1"}
            make_anomaly(incident=incident, signal_type="image_pull_error", evidence=evidence)

        fleet.correlate(at=NOON)

        assert FleetCorrelation.objects.get().subject == "dependency registry.example"

    def test_is_not_shared_after_ten_minutes(self):
        for number, cluster in enumerate(clusters("a", "b")):
            incident = crash(cluster, name=f"app-{number}", after=number * 11 * MINUTE)
            make_anomaly(incident=incident, description="dial tcp: lookup api.bank.example: no such host")

        assert fleet.correlate(at=NOON + 11 * MINUTE) == 0


class TestNodes:
    def sick(self, cluster: Cluster, name: str, *, image: str = "", after: timedelta = timedelta(0)) -> Incident:
        incident = crash(
            cluster, name=name, resource_kind="Node", namespace="", signal_type="node_not_ready", after=after
        )
        make_anomaly(incident=incident, evidence={"nodeImage": image} if image else {})
        return incident

    def test_of_one_image_are_found(self):
        for cluster in clusters("a", "b"):
            self.sick(cluster, f"node-of-{cluster.name}", image="Debian 12, 6.1.0-18, v1.31.4")

        fleet.correlate(at=NOON)

        row = FleetCorrelation.objects.get()
        assert (row.kind, row.subject) == ("same_node_image", "node image Debian 12, 6.1.0-18, v1.31.4")

    def test_of_one_region_are_found(self):
        for cluster in clusters("a", "b", region="north"):
            self.sick(cluster, f"node-of-{cluster.name}")
        for cluster in clusters("c", region="south"):
            self.sick(cluster, f"node-of-{cluster.name}")

        fleet.correlate(at=NOON)

        row = FleetCorrelation.objects.get()
        assert (row.kind, row.subject, row.clusters) == ("infrastructure", "region north", ["a", "b"])

    def test_keep_the_id_while_members_come_and_close_with_the_last(self):
        a, b, c = clusters("a", "b", "c", region="north")
        first, second = self.sick(a, "n1"), self.sick(b, "n2")
        fleet.correlate(at=NOON)
        was = FleetCorrelation.objects.get().correlation_id
        third = self.sick(c, "n3", after=MINUTE)
        fleet.correlate(at=NOON + MINUTE)
        Incident.objects.filter(pk__in=[first.pk, second.pk]).update(state="Resolved", resolved_at=NOON + 2 * MINUTE)
        fleet.correlate(at=NOON + 2 * MINUTE)
        row = FleetCorrelation.objects.get()
        assert (row.correlation_id, row.clusters, row.closed_at) == (was, ["a", "b", "c"], None)

        Incident.objects.filter(pk=third.pk).update(state="Resolved", resolved_at=NOON + 3 * MINUTE)
        fleet.correlate(at=NOON + 3 * MINUTE)

        assert FleetCorrelation.objects.get().closed_at == NOON + 3 * MINUTE
