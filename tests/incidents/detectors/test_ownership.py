from incidents.detectors import ClusterView, ResourceRef
from incidents.detectors.ownership import owner_of
from tests.incidents.detectors.objects import make_job, make_object, make_pod, make_replica_set, owned_by


def make_owned(kind, name, labels=None):
    return make_pod(metadata={"ownerReferences": owned_by(kind, name), "labels": labels or {}})


class TestOwnerOf:
    def test_an_unowned_object_is_its_own(self):
        assert owner_of(make_pod(), ClusterView()) == ResourceRef("Pod", "shop", "checkout-1")

    def test_climbs_over_the_replica_set(self):
        view = ClusterView.of([make_replica_set()])

        assert owner_of(make_owned("ReplicaSet", "checkout-abc"), view) == ResourceRef("Deployment", "shop", "checkout")

    def test_reads_the_name_when_the_replica_set_is_not_at_hand(self):
        pod = make_owned("ReplicaSet", "checkout-abc", {"pod-template-hash": "abc"})

        assert owner_of(pod, ClusterView()) == ResourceRef("Deployment", "shop", "checkout")

    def test_a_replica_set_of_its_own_is_the_owner(self):
        pod = make_owned("ReplicaSet", "plain")

        assert owner_of(pod, ClusterView.of([make_replica_set("plain", owner="")])) == ResourceRef(
            "ReplicaSet", "shop", "plain"
        )

    def test_climbs_over_the_job(self):
        job = make_job("nightly-1", metadata={"ownerReferences": owned_by("CronJob", "nightly")})

        assert owner_of(make_owned("Job", "nightly-1"), ClusterView.of([job])) == ResourceRef(
            "CronJob", "shop", "nightly"
        )

    def test_a_mirror_pod_belongs_to_its_node(self):
        assert owner_of(make_owned("Node", "node-1"), ClusterView()) == ResourceRef("Node", "", "node-1")

    def test_stops_below_what_stands_behind_a_workload(self):
        stateful_set = make_object("StatefulSet", "db", metadata={"ownerReferences": owned_by("Database", "main")})

        assert owner_of(make_owned("StatefulSet", "db"), ClusterView.of([stateful_set])).kind == "StatefulSet"

    def test_names_in_other_namespaces_do_not_count(self):
        other = make_replica_set()
        other["metadata"] |= {"namespace": "elsewhere", "uid": "another"}

        assert owner_of(make_owned("ReplicaSet", "checkout-abc"), ClusterView.of([other])).kind == "ReplicaSet"

    def test_survives_a_cycle(self):
        one = make_object("Widget", "one", metadata={"ownerReferences": owned_by("Widget", "two")})
        two = make_object("Widget", "two", metadata={"ownerReferences": owned_by("Widget", "one")})

        assert owner_of(one, ClusterView.of([one, two])).kind == "Widget"
