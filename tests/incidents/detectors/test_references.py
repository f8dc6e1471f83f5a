"""What a pod names and cannot start without."""

import pytest

from incidents.detectors import ClusterView, Context, Verdict, detect
from incidents.detectors.references import references_of
from incidents.detectors.view import ResourceRef
from tests.incidents.detectors.objects import NOON, ago, conditions_in, look, make_object

SPEC = {
    "volumes": [
        {"configMap": {"name": "settings"}},
        {"configMap": {"name": "extras", "optional": True}},
        {"secret": {"secretName": "certificate"}},
        {"projected": {"sources": [{"secret": {"name": "token"}}, {"configMap": {"name": "ca"}}]}},
        {"persistentVolumeClaim": {"claimName": "data"}},
        {"emptyDir": {}},
    ],
    "initContainers": [{"envFrom": [{"secretRef": {"name": "migration"}}]}],
    "containers": [
        {
            "envFrom": [{"configMapRef": {"name": "settings"}}, {"configMapRef": {"name": "more", "optional": True}}],
            "env": [
                {"name": "A", "valueFrom": {"secretKeyRef": {"name": "database", "key": "url"}}},
                {"name": "B", "value": "b"},
                {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "perhaps", "key": "c", "optional": True}}},
            ],
        }
    ],
}


def make_pending(**members):
    created = members.pop("created", ago(minutes=10))
    return make_object(
        "Pod", metadata={"creationTimestamp": created}, spec=SPEC, status={"phase": "Pending"}, **members
    )


def look_with_missing(pod, *refs):
    view = ClusterView.of([pod])
    view.missing |= set(refs)
    return detect(pod, Context(now=NOON, related=view))


class TestReferences:
    def test_are_what_is_not_optional_once_each(self):
        assert sorted(str(ref) for ref in references_of(make_pending())) == [
            "ConfigMap/ca",
            "ConfigMap/settings",
            "PersistentVolumeClaim/data",
            "Secret/certificate",
            "Secret/database",
            "Secret/migration",
            "Secret/token",
        ]

    @pytest.mark.parametrize(
        "spec", [{"volumes": [1, {"secret": 3}, {"projected": {"sources": "x"}}]}, {"containers": [{"env": 1}]}]
    )
    def test_survive_nonsense(self, spec):
        assert list(references_of({"kind": "Pod", "spec": spec})) == []


class TestMissing:
    def test_is_named(self):
        finding = look_with_missing(make_pending(), ResourceRef("Secret", "shop", "database"))

        signal = next(one for one in finding.signals if one.condition == "missing_reference")
        assert (signal.reason, signal.evidence["missing"]) == ("SecretNotFound", "Secret/database")

    def test_claim_is_known_from_the_list_of_claims(self):
        pod, other = make_pending(), make_object("PersistentVolumeClaim", "another", status={"phase": "Bound"})

        assert "missing_reference" in conditions_in(look(pod, other))

    @pytest.mark.parametrize(
        ("pod", "ref"),
        [
            (make_pending(created=ago(minutes=1)), ResourceRef("Secret", "shop", "database")),  # it may come yet
            (make_pending(), ResourceRef("Secret", "billing", "database")),  # of another namespace
            (make_pending(), ResourceRef("ConfigMap", "shop", "extras")),  # optional
        ],
        ids=["young", "elsewhere", "optional"],
    )
    def test_is_held_back(self, pod, ref):
        assert look_with_missing(pod, ref).verdict is Verdict.PROGRESSING

    def test_is_not_claimed_without_looking(self):
        assert look(make_pending()).verdict is Verdict.PROGRESSING
