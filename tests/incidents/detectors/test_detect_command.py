import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.incidents.detectors.objects import NOON, condition, make_job, make_pod, make_replica_set, owned_by, waiting


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "cluster.json"
    owner = {"ownerReferences": owned_by("ReplicaSet", "checkout-abc")}
    items = [
        make_pod("checkout-1", waiting("CrashLoopBackOff"), metadata=owner),
        make_replica_set(),
        make_job("import", status={"active": 1}),
    ]
    path.write_text(json.dumps({"kind": "List", "items": items}))
    return path


def run(*arguments):
    out = StringIO()
    call_command("detect", *map(str, arguments), stdout=out)
    return out.getvalue()


class TestDetect:
    def test_answers_as_the_contract_says(self, manifest):
        rows = json.loads(run(manifest, "--now", NOON.isoformat(), "-o", "json"))

        assert rows[0] == {
            "file": str(manifest),
            "kind": "Pod",
            "namespace": "shop",
            "name": "checkout-1",
            "signals": [
                {
                    "signalType": "crashloop_backoff",
                    "severity": "high",
                    "reason": "CrashLoopBackOff",
                    "resource": "Deployment/checkout",
                }
            ],
            "verdict": "anomalous",
        }
        assert [row["verdict"] for row in rows] == ["anomalous", "healthy", "progressing"]

    def test_tells_people_what_is_wrong(self, manifest):
        text = run(manifest, "--now", NOON.isoformat())

        assert "anomalous   Pod shop/checkout-1" in text
        assert "crashloop_backoff: Container web keeps crashing" in text

    def test_the_clock_decides(self, tmp_path):
        path = tmp_path / "pod.json"
        unready = make_pod(ready=False, status={"conditions": [condition("Ready", "False", since=NOON.isoformat())]})
        path.write_text(json.dumps(unready))

        assert "progressing" in run(path, "--now", "2027-04-12T12:01:00Z")
        assert "pod_not_ready" in run(path, "--now", "2027-04-12T13:00:00+00:00")

    def test_exits_with_2_on_unreadable_input(self, tmp_path):
        path = tmp_path / "broken.yaml"
        path.write_text("kind: [Pod\n")

        with pytest.raises(CommandError, match=r"broken\.yaml:2: ") as caught:
            run(path)

        assert caught.value.returncode == 2

    def test_refuses_a_clock_it_cannot_read(self, manifest):
        with pytest.raises(CommandError, match="not an RFC 3339 time"):
            run(manifest, "--now", "noon")
