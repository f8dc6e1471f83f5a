from datetime import UTC, datetime

import pytest

from incidents.intake import base, names
from incidents.intake.base import Resource


class TestSignalType:
    @pytest.mark.parametrize(
        ("name", "signal"),
        [
            ("OOMKilled", "oom_kill"),
            ("NodeUnschedulable", "node_not_ready"),
            ("HPAMaxed", "hpa_maxed"),
            ("CPUThrottlingHigh", "cpu_throttling_high"),
            ("KubePodCrashLooping", "kube_pod_crash_looping"),
            ("JustATestAlert_1", "just_a_test_alert_1"),
            ("disk almost full!", "disk_almost_full"),
            ("5xxRate", "alert_5xx_rate"),
            ("пожар", "alert"),
            ("", "alert"),
            ("X" * 100, "x" * 63),
        ],
    )
    def test_is_known_or_snake_case(self, name: str, signal: str) -> None:
        assert names.signal_type(name) == signal
        assert names.FORM.fullmatch(signal)


class TestSeverity:
    @pytest.mark.parametrize(
        ("word", "severity"),
        [
            ("critical", "critical"), ("page", "critical"), ("P1", "critical"), ("error", "high"), ("HIGH", "high"),
            ("P2", "high"), ("warning", "medium"), ("medium", "medium"), ("p3", "medium"), ("info", "low"),
            ("low", "low"), ("P4", "low"), ("P5", "low"), ("severe", None), ("", None),
        ],
    )  # fmt: skip
    def test_maps_the_word(self, word: str, severity: str | None) -> None:
        assert base.severity(word) == severity

    def test_the_first_word_that_says_something_counts(self) -> None:
        assert base.severity("", "P2") == "high"


class TestResource:
    @pytest.mark.parametrize(
        ("labels", "resource"),
        [
            ({"deployment": "web", "pod": "web-1", "namespace": "shop"}, Resource("Deployment", "web", "shop")),
            ({"statefulset": "db", "namespace": "shop"}, Resource("StatefulSet", "db", "shop")),
            ({"daemonset": "agent"}, Resource("DaemonSet", "agent", "default")),
            ({"job_name": "backup", "job": "kube-state-metrics"}, Resource("Job", "backup", "default")),
            ({"node": "node-1", "namespace": "monitoring"}, Resource("Node", "node-1", "")),
            ({"pod": "web-1", "namespace": "shop"}, Resource("Pod", "web-1", "shop")),
            ({"service": "api", "job": "node"}, Resource("Service", "api", "default")),
            ({"job": "node"}, Resource("Service", "node", "default")),
            ({}, Resource("Service", "Other", "default")),
            (
                {"namespace": "monitoring", "exported_namespace": "shop", "pod": "exporter", "exported_pod": "web-1"},
                Resource("Pod", "web-1", "shop"),
            ),
        ],
    )
    def test_is_what_the_labels_speak_of(self, labels: dict[str, str], resource: Resource) -> None:
        assert base.resource_of(labels, "other", otherwise="Other") == resource

    def test_a_failed_job_may_be_named_by_its_job_label(self) -> None:
        assert base.resource_of({"job": "backup"}, "job_failed", otherwise="x").kind == "Job"
        assert base.resource_of({"job": "kube-state-metrics"}, "job_failed", otherwise="x").kind == "Service"


class TestMembers:
    def test_the_year_one_is_no_time(self) -> None:
        assert base.moment({"endsAt": "0001-01-01T00:00:00Z"}, "endsAt") is None

    def test_nanoseconds_and_offsets_are_read(self) -> None:
        found = base.moment({"startsAt": "2027-04-12T14:00:00.123456789+02:00"}, "startsAt")
        assert found == datetime(2027, 4, 12, 12, 0, 0, 123456, tzinfo=UTC)

    @pytest.mark.parametrize("value", ["soon", 5, "2027-13-01T00:00:00Z"])
    def test_other_times_are_refused(self, value: object) -> None:
        with pytest.raises(base.Malformed):
            base.moment({"startsAt": value}, "startsAt")

    @pytest.mark.parametrize("value", [[], "x", {"a": 1}, {"a": None}, {str(n): "" for n in range(129)}])
    def test_labels_are_texts(self, value: object) -> None:
        with pytest.raises(base.Malformed):
            base.texts({"labels": value}, "labels")

    def test_the_order_of_labels_does_not_matter(self) -> None:
        assert base.identity_of({"a": "1", "b": "2"}) == base.identity_of({"b": "2", "a": "1"})
        assert base.identity_of({"a": "1b", "c": ""}) != base.identity_of({"a": "1", "bc": ""})
