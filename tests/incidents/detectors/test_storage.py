from incidents.detectors import Verdict
from tests.incidents.detectors.objects import (
    ago,
    condition,
    conditions_in,
    look,
    make_claim,
    make_event,
    make_object,
    make_pod,
)


def make_class(mode="Immediate", name="fast"):
    return make_object("StorageClass", name, namespace="", volumeBindingMode=mode)


CONSUMER = make_pod(spec={"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]})


class TestClaim:
    def test_a_bound_claim_is_healthy(self):
        assert look(make_claim()).verdict is Verdict.HEALTHY

    def test_a_lost_claim_is_critical(self):
        signal = look(make_claim("Lost")).signals[0]

        assert (signal.condition, signal.severity) == ("pvc_lost", "critical")

    def test_pending_alone_is_progressing(self):
        assert look(make_claim("Pending")).verdict is Verdict.PROGRESSING

    def test_a_failed_attempt_fires(self):
        claim = make_claim("Pending")

        signal = look(claim, make_event(claim, "ProvisioningFailed", "quota exceeded")).signals[0]

        assert (signal.signal_type, signal.reason, signal.evidence["storageClass"]) == (
            "pvc_pending",
            "ProvisioningFailed",
            "fast",
        )

    def test_a_pod_that_waits_fires(self):
        assert conditions_in(look(make_claim("Pending"), CONSUMER)) == ["pvc_pending"]

    def test_a_class_that_binds_at_once_fires(self):
        assert conditions_in(look(make_claim("Pending"), make_class())) == ["pvc_pending"]

    def test_a_class_that_does_not_exist_fires(self):
        finding = look(make_claim("Pending"), make_class(name="slow"))

        assert 'storage class "fast" does not exist' in finding.signals[0].message

    def test_waiting_for_the_first_consumer_is_by_design(self):
        assert look(make_claim("Pending"), make_class("WaitForFirstConsumer")).verdict is Verdict.PROGRESSING

    def test_has_five_minutes(self):
        claim = make_claim("Pending", metadata={"creationTimestamp": ago(minutes=4)})

        assert look(claim, CONSUMER).verdict is Verdict.PROGRESSING

    def test_a_failed_resize_fires(self):
        claim = make_claim(status={"conditions": [condition("ControllerResizeError")]})

        assert conditions_in(look(claim)) == ["volume_resize_failed"]


class TestVolume:
    def test_failed_fires(self):
        volume = make_object("PersistentVolume", namespace="", status={"phase": "Failed", "message": "cannot recycle"})

        assert conditions_in(look(volume)) == ["pv_failed"]

    def test_released_is_a_resting_state(self):
        assert (
            look(make_object("PersistentVolume", namespace="", status={"phase": "Released"})).verdict is Verdict.HEALTHY
        )
