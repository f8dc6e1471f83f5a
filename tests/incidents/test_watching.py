from typing import Any

from incidents import watching
from incidents.watching import DEBOUNCE, FOLLOW_UPS, MAX_EVENTS, Mirror


def pod(name: str = "a", namespace: str = "shop", **spec: Any) -> dict[str, Any]:
    return {"kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def event(number: int) -> dict[str, Any]:
    return {
        "kind": "Event",
        "metadata": {"name": f"e{number}", "namespace": "default"},
        "involvedObject": {"namespace": "shop"},
    }


class TestPack:
    def test_leaves_out_what_no_detector_reads(self):
        bulky = pod(containers=[{"name": "c", "image": "i", "env": [{"name": "PASSWORD", "value": "x"}]}])
        bulky["metadata"] |= {"managedFields": [{}], "annotations": {"big": "x" * 5000, "small": "y"}}

        found = watching.unpack(watching.pack(bulky))

        assert found["spec"]["containers"] == [{"name": "c", "image": "i"}]
        assert found["metadata"] == {"name": "a", "namespace": "shop", "annotations": {"small": "y"}}

    def test_takes_nonsense(self):
        for obj in ({}, {"metadata": 5, "spec": []}, {"spec": {"containers": ["x"]}}):
            watching.unpack(watching.pack(obj))


class TestMirror:
    def test_wakes_when_something_is_due_earlier(self):
        woken: list[bool] = []
        mirror = Mirror(lambda: woken.append(True))
        assert mirror.next_due() is None

        for name in "abc":
            mirror.put(pod(name), 0)

        assert (len(woken), mirror.next_due()) == (1, DEBOUNCE)

        mirror.due(DEBOUNCE)
        assert mirror.next_due() == DEBOUNCE + FOLLOW_UPS[0]

        mirror.put(pod("d"), 0.2)
        assert (len(woken), mirror.next_due()) == (2, 0.2 + DEBOUNCE)

        mirror.due(0.2 + DEBOUNCE)
        mirror.judged("shop", took=10, now=10)
        assert (mirror.next_due() or 0) > 40  # it rests as long as its judgement takes others

    def test_judges_what_changes_together_once(self):
        mirror = Mirror()
        mirror.put(pod("a"), 0)
        mirror.put(pod("b"), 0.1)

        assert mirror.due(DEBOUNCE / 2) == []
        assert mirror.due(DEBOUNCE + 0.1) == [("shop", 0)]

    def test_looks_again_although_nothing_changes(self):
        mirror = Mirror()
        mirror.put(pod(), 0)
        now, seen = 1.0, []
        while now < 200:
            seen += mirror.due(now)
            now += 0.5

        assert seen == [("shop", 0), *[("shop", None)] * len(FOLLOW_UPS)]

    def test_repetition_is_no_change(self):
        mirror = Mirror()
        mirror.put(pod(), 0)
        mirror.due(1)
        mirror.put(pod(), 1.1)

        assert mirror.due(1.5) == []

    def test_lets_a_costly_namespace_rest(self):
        mirror = Mirror()
        mirror.put(pod(), 0)
        mirror.due(1)
        mirror.judged("shop", took=1, now=2)
        mirror.put(pod(x=1), 2)

        assert mirror.due(3) == []
        assert mirror.due(6.1) == [("shop", 2)]

    def test_list_replaces_its_kind_only(self):
        mirror = Mirror()
        mirror.put(pod("gone"), 0)
        mirror.put({"kind": "Job", "metadata": {"name": "j", "namespace": "shop"}}, 0)

        mirror.replace("Pod", [pod("new")], 1)

        names = {(obj["kind"], obj["metadata"]["name"]) for obj in mirror.objects("shop")}
        assert names == {("Pod", "new"), ("Job", "j")}
        assert mirror.listed == {"Pod"}

    def test_gives_the_nodes_around_a_namespace(self):
        mirror = Mirror()
        for name in ("n1", "n2"):
            mirror.put({"kind": "Node", "metadata": {"name": name}}, 0)
        mirror.put(pod(nodeName="n2"), 0)

        assert [obj["metadata"]["name"] for obj in mirror.objects("shop")] == ["a", "n2"]

    def test_events_are_bounded(self):
        mirror = Mirror()
        for number in range(MAX_EVENTS + 100):
            mirror.put(event(number), 0)

        assert mirror.size == MAX_EVENTS + 1

    def test_forgets_a_namespace_that_is_empty(self):
        mirror = Mirror()
        mirror.put(pod(), 0)
        mirror.drop(pod(), 1)
        mirror.due(2)
        mirror.judged("shop", took=0, now=2)

        assert mirror.size == 0
