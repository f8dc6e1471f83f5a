import pytest

from incidents.detectors import ClusterView, ResourceRef
from incidents.detectors.view import MAX_EVENTS_PER_OBJECT
from tests.incidents.detectors.objects import ago, container_status, make_event, make_pod, make_replica_set, owned_by


class TestEvents:
    def test_matches_by_uid(self):
        pod = make_pod()
        recreated = make_pod(metadata={"uid": "another"})

        view = ClusterView.of([make_event(pod, "BackOff")])

        assert [event.reason for event in view.events_about(pod)] == ["BackOff"]
        assert view.events_about(recreated) == []

    def test_reads_the_events_api(self):
        pod = make_pod()
        event = make_event(pod, "BackOff") | {
            "involvedObject": None,
            "regarding": {"kind": "Pod", "namespace": "shop", "name": "checkout-1"},
            "message": None,
            "note": "restarting",
            "lastTimestamp": None,
            "count": None,
            "eventTime": ago(minutes=9),
            "series": {"count": 7, "lastObservedTime": ago(minutes=2)},
        }

        found = ClusterView.of([event]).events_about(pod)[0]

        assert (found.message, found.times) == ("restarting", 7)

    @pytest.mark.parametrize("members", [{"type": "Normal"}, {"involvedObject": None}, {"involvedObject": {}}])
    def test_leaves_out_what_says_nothing(self, members):
        pod = make_pod()

        assert ClusterView.of([make_event(pod, "Scheduled", **members)]).events_about(pod) == []

    def test_keeps_a_bounded_number(self):
        pod = make_pod()

        view = ClusterView.of([make_event(pod, "BackOff")] * (MAX_EVENTS_PER_OBJECT + 5))

        assert len(view.events_about(pod)) == MAX_EVENTS_PER_OBJECT


class TestPods:
    def test_pods_of_a_deployment_are_summed_over_its_revisions(self):
        def pod(name, replica_set, ready):
            metadata = {"ownerReferences": owned_by("ReplicaSet", replica_set)}
            return make_pod(name, container_status(ready=ready), metadata=metadata)

        view = ClusterView.of(
            [
                make_replica_set(),
                make_replica_set("checkout-def"),
                pod("a", "checkout-abc", True),
                pod("b", "checkout-def", False),
            ]
        )

        tally = view.pods_of(ResourceRef("Deployment", "shop", "checkout"))

        assert tally is not None
        assert (tally.total, tally.ready, tally.unready_name) == (2, 1, "b")

    def test_finished_pods_do_not_count(self):
        owner = {"ownerReferences": owned_by("ReplicaSet", "checkout-abc")}
        view = ClusterView.of([make_replica_set(), make_pod(metadata=owner, status={"phase": "Failed"})])

        assert view.pods_of(ResourceRef("Deployment", "shop", "checkout")) is None


class TestKnowledge:
    def test_an_empty_list_is_known_to_be_empty(self):
        view = ClusterView()
        view.listed("Secret")

        assert view.knows("Secret")
        assert not view.exists("Secret", "shop", "db")
        assert not view.knows("Service")
