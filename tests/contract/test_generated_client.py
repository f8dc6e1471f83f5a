"""A client that `openapi-python-client` generates from our document does what people write such clients for."""

import importlib
import subprocess
import sys
from http import HTTPStatus
from typing import Any

import pytest
from django.core.management import call_command

from aiops.apikeys.roles import Role
from tests.factories import STEP
from tests.processes import BIN

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

PACKAGE = "generated_aiops_client"
# YAML is what two endpoints speak; the generator knows bytes
CONFIG = "content_type_overrides: {application/yaml: application/octet-stream}\npost_hooks: []\n"
ALERT = {
    "title": "Checkout answers slowly",
    "severity": "critical",
    "resource": {"kind": "Deployment", "name": "checkout", "namespace": "shop"},
}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The name of the generated package, which can be imported."""
    folder = tmp_path_factory.mktemp("generated")
    call_command("spectacular", file=str(folder / "schema.yml"))
    (folder / "config.yml").write_text(CONFIG)
    command = [
        str(BIN / "openapi-python-client"), "generate", "--path", "schema.yml", "--config", "config.yml",
        "--output-path", PACKAGE, "--meta", "none", "--fail-on-warning",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield PACKAGE
    sys.path.remove(str(folder))


class Generated:
    """The generated functions with a client of one key: `api("incidents_list", page=1)`."""

    def __init__(self, package: str, url: str, key: str, **client: Any) -> None:
        self._package = package
        self._client = self.module("client").AuthenticatedClient(url, key, timeout=60, **client)

    def module(self, path: str) -> Any:
        return importlib.import_module(f"{self._package}.{path}")

    def model(self, name: str, **members: Any) -> Any:
        return getattr(self.module("models"), name)(**members)

    def __call__(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        """The detailed answer: `status_code`, `parsed`, `headers`."""
        tag = operation.partition("_")[0]
        function = self.module(f"api.{tag}.{operation}").sync_detailed
        return function(*args, client=self._client, **kwargs)

    def parsed(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        answer = self(operation, *args, **kwargs)
        assert answer.status_code < 400, answer.content
        return answer.parsed


@pytest.fixture
def operator(package, server, key_of) -> Generated:
    return Generated(package, server, key_of(Role.OPERATOR))


@pytest.fixture
def admin(package, server, key_of) -> Generated:
    return Generated(package, server, key_of(Role.ADMIN), auth_header_name="X-API-Key", prefix="")


def test_incident_goes_round(operator):
    receipt = operator.parsed("alerts_generic_post", body=ALERT)
    [name] = receipt.status.incidents

    listed = operator.parsed("incidents_list", page_size=10, severity=operator.module("models").Severity.CRITICAL)
    assert [(item.name, item.resource) for item in listed.items] == [(name, "Deployment/checkout")]
    assert listed.metadata.total_count == 1

    acknowledged = operator.parsed(
        "incidents_acknowledge", name, body=operator.model("AcknowledgeRequest", acknowledged_by="olga@example.com")
    )
    assert (acknowledged.status.acknowledged, acknowledged.status.acknowledged_by) == (True, "olga@example.com")

    resolved = operator.parsed("incidents_resolve", name, body=operator.model("ResolveRequest", resolution="Scaled up"))
    assert (resolved.status.state.value, resolved.status.resolution) == ("Resolved", "Scaled up")
    assert resolved.status.resolved_at >= resolved.status.detected_at

    timeline = operator.parsed("incidents_timeline", name)
    types = [event.type_.value for event in timeline.events]
    assert (types[0], types[-1]) == ("Detection", "Resolution")
    assert "Acknowledgement" in types


def test_errors_are_parsed(operator, package, server):
    [name] = operator.parsed("alerts_generic_post", body=ALERT).status.incidents
    operator.parsed("incidents_resolve", name, body=operator.model("ResolveRequest"))

    stranger = Generated(package, server, "ck_live_nobody")("incidents_list")
    forbidden = operator("runbooks_destroy", "nosuch")
    unknown = operator("incidents_retrieve", "INC-20270412-999")
    conflict = operator("incidents_resolve", name, body=operator.model("ResolveRequest"))
    invalid = operator("incidents_acknowledge", name, body=operator.model("AcknowledgeRequest", acknowledged_by=""))

    assert_error(stranger, HTTPStatus.UNAUTHORIZED)
    assert_error(forbidden, HTTPStatus.FORBIDDEN)
    assert_error(unknown, HTTPStatus.NOT_FOUND)
    assert_error(conflict, HTTPStatus.CONFLICT)
    assert_error(invalid, HTTPStatus.BAD_REQUEST)
    assert "acknowledgedBy" in invalid.parsed.error.fields.additional_properties


def test_runbook_is_created_changed_and_carried_over(admin):
    models = admin.module("models")
    body = models.RunbookRequest.from_dict(
        {"name": "undo", "category": "crashloop", "description": "Undo", "severity": ["high"], "steps": [STEP]}
    )

    created = admin("runbooks_create", body=body)
    assert created.status_code == HTTPStatus.CREATED
    assert created.headers["Location"].endswith("/runbooks/undo")

    updated = admin("runbooks_update", "undo", body=models.RunbookUpdate(description="Undo the rollout"))
    assert updated.parsed.spec.description == "Undo the rollout"
    stale = admin(
        "runbooks_update", "undo", body=models.RunbookUpdate(description="x"), if_match=created.headers["ETag"]
    )
    assert_error(stale, HTTPStatus.CONFLICT)

    exported = admin.parsed("runbooks_export", "undo")
    imported = admin("runbooks_load", body=admin.module("types").File(payload=exported))
    assert imported.status_code == HTTPStatus.OK
    assert imported.parsed.status.unchanged == ["undo"]

    deleted = admin.parsed("runbooks_destroy", "undo")
    assert deleted.kind == "Status"


def test_approvals_are_listed(operator):
    listed = operator.parsed("approvals_list", state=operator.module("models").ApprovalState("Pending"))

    assert (listed.kind, listed.metadata.total_count, listed.items) == ("ApprovalList", 0, [])


def assert_error(answer: Any, status: HTTPStatus) -> None:
    assert answer.status_code == status, answer.content
    assert answer.parsed.error.code == status
    assert answer.parsed.error.message
    assert answer.parsed.error.reason
