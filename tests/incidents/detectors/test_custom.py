from datetime import timedelta

import pytest

from incidents.detectors import Verdict
from tests.incidents.detectors.objects import NOON, ago, condition, conditions_in, look, make_object


def make_resource(*conditions, kind="Widget", **status):
    return make_object(kind, spec={}, status={"conditions": list(conditions), **status})


def in_days(days):
    return (NOON + timedelta(days=days)).isoformat()


class TestConventions:
    @pytest.mark.parametrize(
        "resource",
        [
            make_resource(condition("Ready")),
            make_resource(condition("SomethingElse", "False")),
            make_object("Widget", spec={}),
            make_resource(condition("Ready", "False"), condition("Paused")),
            make_object("Widget", spec={"suspend": True}, status={"phase": "Failed"}),
            make_resource(phase="Suspended"),
            make_object("Service", apiVersion="serving.knative.dev/v1", status={"conditions": [condition("Ready")]}),
            make_object("ConfigMap", data={}),
        ],
    )
    def test_is_healthy(self, resource):
        assert look(resource).verdict is Verdict.HEALTHY

    @pytest.mark.parametrize(
        "resource",
        [
            make_resource(condition("Ready", "False", "Reconciling")),
            make_resource(condition("Ready", "False"), condition("Reconciling")),
            make_resource(condition("Ready", "Unknown")),
            make_resource(condition("Ready", "False", "Boom", since=ago(minutes=5))),
            make_resource(phase="Provisioning"),
            make_resource(phase="Ready", health="yellow"),
            make_resource(kind="Workflow", phase="Running"),
            make_resource(condition("Ready", "False"), condition("Registered", "Unknown"), kind="NodeClaim"),
            make_object(
                "Service", apiVersion="serving.knative.dev/v1", status={"conditions": [condition("Ready", "Unknown")]}
            ),
            make_object(
                "Widget", metadata={"generation": 2}, spec={}, status={"observedGeneration": 1, "phase": "Failed"}
            ),
            make_object("Machine", spec={}),
        ],
    )
    def test_is_progressing(self, resource):
        assert look(resource).verdict is Verdict.PROGRESSING

    @pytest.mark.parametrize(
        "resource",
        [
            make_resource(condition("Ready", "False", "Boom")),
            make_resource(condition("Stalled")),
            make_resource(condition("Ready"), condition("Synced", "False", "ReconcileError")),
            make_resource(phase="Failed"),
            make_resource(health={"status": "Degraded"}),
            make_resource(health="red"),
        ],
    )
    def test_is_anomalous_and_alarms_nobody(self, resource):
        finding = look(resource)

        assert finding.verdict is Verdict.ANOMALOUS
        assert [signal.informational for signal in finding.signals] == [True]

    @pytest.mark.parametrize(
        ("kind", "expected"), [("NodeClaim", "node_provisioning_failed"), ("Machine", "machine_failed")]
    )
    def test_known_kinds_raise_their_own_signal(self, kind, expected):
        signal = look(make_resource(condition("Ready", "False", "Terminated"), kind=kind)).signals[0]

        assert (signal.condition, signal.informational) == (expected, False)


class TestCertificate:
    def make(self, *conditions, **status):
        return make_resource(*conditions, kind="Certificate", **status)

    def test_a_far_end_is_healthy(self):
        assert look(self.make(condition("Ready"), notAfter=in_days(60))).verdict is Verdict.HEALTHY

    @pytest.mark.parametrize(("days", "severity"), [(5, "medium"), (0.5, "critical"), (-1, "critical")])
    def test_a_near_end_fires(self, days, severity):
        signal = look(self.make(condition("Ready"), notAfter=in_days(days))).signals[0]

        assert (signal.signal_type, signal.severity) == ("certificate_expiring", severity)

    def test_a_renewal_under_way_is_progressing(self):
        issuing = self.make(condition("Ready", "False"), condition("Issuing"), notAfter=in_days(1))

        assert look(issuing).verdict is Verdict.PROGRESSING

    def test_a_rejected_one_fires(self):
        assert conditions_in(look(self.make(condition("Ready", "False", "ConfigError")))) == ["certificate_not_ready"]


class TestApplication:
    @pytest.mark.parametrize(
        ("health", "verdict"),
        [
            ("Healthy", Verdict.HEALTHY),
            ("Suspended", Verdict.HEALTHY),
            ("Progressing", Verdict.PROGRESSING),
            ("Degraded", Verdict.ANOMALOUS),
            ("Missing", Verdict.ANOMALOUS),
        ],
    )
    def test_takes_over_the_health(self, health, verdict):
        assert look(make_object("Application", status={"health": {"status": health}})).verdict is verdict

    def test_a_failed_sync_is_drift(self):
        status = {
            "health": {"status": "Healthy"},
            "sync": {"status": "OutOfSync"},
            "operationState": {"phase": "Failed", "finishedAt": ago(hours=2)},
        }

        assert look(make_object("Application", status=status)).signals[0].signal_type == "config_drift"


class TestApiExtensions:
    def test_an_aggregated_api_has_ten_minutes(self):
        young = condition("Available", "False", since=ago(minutes=9))

        assert look(make_resource(young, kind="APIService")).verdict is Verdict.PROGRESSING
        assert look(make_resource(condition("Available", "False"), kind="APIService")).verdict is Verdict.ANOMALOUS

    def test_a_definition_with_refused_names_fires(self):
        refused = make_resource(
            condition("NamesAccepted", "False", "Conflict"),
            condition("Established", "False"),
            kind="CustomResourceDefinition",
        )

        assert conditions_in(look(refused)) == ["crd_not_established"]

    def test_a_definition_being_installed_is_progressing(self):
        installing = make_resource(condition("Established", "False", "Installing"), kind="CustomResourceDefinition")

        assert look(installing).verdict is Verdict.PROGRESSING


class TestNamespaceAndQuota:
    @pytest.mark.parametrize(("minutes", "verdict"), [(10, Verdict.PROGRESSING), (16, Verdict.ANOMALOUS)])
    def test_a_namespace_has_fifteen_minutes_to_go(self, minutes, verdict):
        metadata = {"deletionTimestamp": ago(minutes=minutes)}

        assert look(make_object("Namespace", metadata=metadata, status={"phase": "Terminating"})).verdict is verdict

    def test_a_full_quota_is_informational(self):
        quota = make_object(
            "ResourceQuota", status={"hard": {"limits.memory": "2Gi"}, "used": {"limits.memory": "2048Mi"}}
        )

        finding = look(quota)

        assert (finding.verdict, conditions_in(finding)) == (Verdict.HEALTHY, ["quota_exhausted"])
