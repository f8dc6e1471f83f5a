"""Bodies and files that nobody should send, against a running server: a clear refusal, nothing stored, and it goes on."""

import json

import pytest
from django.core.management import CommandError, call_command

from aiops.apikeys.roles import Role
from federation.models import Cluster
from incidents.models import Incident
from runbooks.models import Runbook

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

TEN_MEGABYTES = 10 * 1024 * 1024
KUBECONFIGS = {
    "no YAML": "clusters: [unclosed",
    "not an object": "- just\n- a list\n",
    "no cluster": "apiVersion: v1\nkind: Config\n",
    "binary": b"\x00\xff\xfe\x01",
    "a program to run": (
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\n"
        "clusters: [{name: c, cluster: {server: 'https://192.0.2.1:6443'}}]\n"
        "users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: id}}}]\n"
    ),
    "too large": "a: " + "x" * TEN_MEGABYTES,
}


def test_bodies_of_ten_megabytes_are_refused(stack, connect):
    client = connect(stack.start_web(), Role.ADMIN)
    body = b'{"a": "' + b"x" * TEN_MEGABYTES + b'"}'
    paths = ["/alerts/alertmanager", "/runbooks", "/runbooks/import", "/incidents/INC-1/acknowledge"]

    answers = [client.post(path, content=body) for path in paths]

    assert [answer.status_code for answer in answers] == [413] * len(paths)
    assert all(answer.json()["error"]["code"] == 413 for answer in answers)
    assert client.get("/incidents").status_code == 200


def test_malformed_documents_are_refused_and_nothing_is_stored(stack, connect):
    client = connect(stack.start_web(), Role.ADMIN)

    answers = [
        client.post("/alerts/generic", content=b'{"title": "half a docum'),
        client.post("/alerts/alertmanager", json={"alerts": "none"}),
        client.post("/alerts/generic", content=b"[" * 100_000),
        client.post("/alerts/generic", content=b'{"title": "\xff"}'),
        client.post("/runbooks", content=b"name: this is YAML"),
        client.post("/runbooks/import", content=b"kind: Runbook\n  name: [broken"),
        client.post("/runbooks/import", content=b"a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b"),
    ]

    assert [answer.status_code for answer in answers] == [400] * len(answers)
    assert all(answer.json()["error"]["message"] for answer in answers)
    assert not Incident.objects.exists()
    assert not Runbook.objects.exists()


def test_deeply_nested_json_is_refused(stack, connect):
    client = connect(stack.start_web(), Role.ADMIN)
    nested: dict[str, object] = {}
    for _ in range(400):
        nested = {"labels": nested}

    refused = client.post("/alerts/generic", content=json.dumps({"title": "x", "labels": nested}))

    assert refused.status_code == 400


@pytest.mark.parametrize("text", KUBECONFIGS.values(), ids=KUBECONFIGS.keys())
def test_kubeconfigs_that_cannot_be_used_are_refused(tmp_path, text):
    file = tmp_path / "kubeconfig"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(CommandError, match=r"[Kk]ubeconfig|registered"):
        call_command("register_cluster", "harbor", f"--kubeconfig={file}")

    assert not Cluster.objects.exists()
