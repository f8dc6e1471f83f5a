import pytest

from incidents.detectors import Verdict
from tests.incidents.detectors.objects import ago, condition, conditions_in, look, make_event, make_object


def make_service(**members):
    return make_object("Service", spec={"selector": {"app": "checkout"}, **members.pop("spec", {})}, **members)


def make_slice(ready=(True,), changed=None):
    endpoints = [{"addresses": ["192.0.2.1"], "conditions": {"ready": one}} for one in ready]
    metadata = {"labels": {"kubernetes.io/service-name": "checkout"}}
    if changed:
        metadata["annotations"] = {"endpoints.kubernetes.io/last-change-trigger-time": changed}
    return make_object("EndpointSlice", "checkout-x", metadata=metadata, endpoints=endpoints)


class TestService:
    def test_a_ready_address_is_healthy(self):
        assert look(make_service(), make_slice((True, False))).verdict is Verdict.HEALTHY

    def test_only_unready_addresses_fire(self):
        signal = look(make_service(), make_slice((False, False))).signals[0]

        assert (signal.condition, signal.severity, signal.evidence["notReadyEndpoints"]) == (
            "service_no_endpoints",
            "high",
            2,
        )

    def test_a_change_five_minutes_ago_at_most_is_progressing(self):
        assert look(make_service(), make_slice((False,), ago(minutes=4))).verdict is Verdict.PROGRESSING

    def test_nothing_behind_it_is_informational(self):
        finding = look(make_service(), make_slice(()))

        assert (finding.verdict, finding.signals[0].informational) == (Verdict.HEALTHY, True)

    @pytest.mark.parametrize("spec", [{"selector": None}, {"type": "ExternalName"}])
    def test_is_not_asked_of_services_without_pods(self, spec):
        assert look(make_service(spec=spec), make_slice((False,))).signals == ()

    def test_is_unknown_while_no_endpoints_were_listed(self):
        assert look(make_service()).verdict is Verdict.HEALTHY


class TestLoadBalancer:
    def make(self, minutes, **status):
        return make_service(
            spec={"type": "LoadBalancer"}, metadata={"creationTimestamp": ago(minutes=minutes)}, status=status
        )

    def test_an_address_is_healthy(self):
        assert look(self.make(60, loadBalancer={"ingress": [{"ip": "192.0.2.1"}]})).verdict is Verdict.HEALTHY

    @pytest.mark.parametrize(("minutes", "verdict"), [(9, Verdict.PROGRESSING), (11, Verdict.ANOMALOUS)])
    def test_an_address_has_ten_minutes(self, minutes, verdict):
        assert look(self.make(minutes)).verdict is verdict

    def test_a_reported_failure_needs_no_waiting(self):
        service = self.make(1)

        assert conditions_in(look(service, make_event(service, "SyncLoadBalancerFailed", "quota"))) == [
            "loadbalancer_pending"
        ]


class TestIngress:
    def make(self, backend, **members):
        paths = [{"backend": backend}]
        return make_object(
            "Ingress",
            spec={"rules": [{"http": {"paths": paths}}], **members},
            status={"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
        )

    @pytest.mark.parametrize("backend", [{"service": {"name": "gone"}}, {"serviceName": "gone"}])
    def test_a_missing_service_fires(self, backend):
        finding = look(self.make(backend), make_service())

        assert conditions_in(finding) == ["ingress_backend_missing"]
        assert "Service gone" in finding.signals[0].message

    @pytest.mark.parametrize("backend", [{"service": {"name": "checkout"}}, {"resource": {"kind": "Bucket"}}])
    def test_is_healthy_otherwise(self, backend):
        assert look(self.make(backend, tls=[{"hosts": ["a.example"]}]), make_service()).verdict is Verdict.HEALTHY


class TestRoute:
    def make(self, *conditions, generation=1):
        parents = [{"parentRef": {"name": "edge"}, "conditions": list(conditions)}]
        return make_object("HTTPRoute", metadata={"generation": generation}, status={"parents": parents})

    def test_resolved_references_are_healthy(self):
        assert look(self.make(condition("Accepted"), condition("ResolvedRefs"))).verdict is Verdict.HEALTHY

    def test_an_unresolved_reference_fires(self):
        finding = look(self.make(condition("Accepted"), condition("ResolvedRefs", "False", "BackendNotFound")))

        assert conditions_in(finding) == ["route_backend_missing"]
        assert finding.signals[0].signal_type == "ingress_error"

    def test_a_word_about_an_older_generation_is_progressing(self):
        old = condition("ResolvedRefs", "False", "BackendNotFound") | {"observedGeneration": 1}

        assert look(self.make(old, generation=2)).verdict is Verdict.PROGRESSING

    def test_not_programmed_yet_is_progressing(self):
        assert look(self.make(condition("Accepted"), condition("Programmed", "False"))).verdict is Verdict.PROGRESSING


class TestWebhooks:
    def make(self, name="checkout", policy="Fail"):
        service = {"service": {"namespace": "shop", "name": name}}
        webhooks = [{"name": "check.example.com", "clientConfig": service, "failurePolicy": policy}]
        return make_object("ValidatingWebhookConfiguration", "policy", namespace="", webhooks=webhooks)

    def test_a_missing_backend_is_critical(self):
        assert look(self.make("gone"), make_service()).signals[0].severity == "critical"

    def test_an_unready_backend_is_critical(self):
        assert conditions_in(look(self.make(), make_service(), make_slice((False,)))) == ["webhook_backend_down"]

    def test_an_optional_one_is_informational(self):
        assert look(self.make("gone", "Ignore"), make_service()).verdict is Verdict.HEALTHY

    def test_a_ready_backend_is_healthy(self):
        assert look(self.make(), make_service(), make_slice()).verdict is Verdict.HEALTHY
