"""Whatever is sent, the server answers as its OpenAPI document says: known status, known body, never a fault of its own."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import schemathesis
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.config import CacheConfig, SchemathesisConfig
from schemathesis.core.failures import Failure
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

from aiops.apikeys.roles import Role
from tests.factories import (
    make_anomaly,
    make_approval,
    make_cluster,
    make_incident,
    make_insight,
    make_plan,
    make_postmortem,
    make_runbook,
    make_step,
)
from tests.slos.factories import make_slo, measured
from tests.slos.services.test_clocks import make_sla

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

Operation = APIOperation[Any, Any, Any, Any]

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
# each example is a request; what fails is reported as it is, since shrinking costs hundreds of requests
BOUNDED = settings(
    max_examples=4,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def names() -> dict[str, list[str]]:
    """Names of objects that exist, by the first part of the path."""
    now = timezone.now()
    incidents = [make_incident(), make_incident(state="Resolved", resolved_at=now)]
    make_anomaly(incident=incidents[0])
    plan = make_plan(incident=make_incident(state="Remediating"), state="WaitingApproval", approval_required=True)
    return {
        "incidents": [incident.name for incident in incidents],
        "aiinsights": [make_insight(incident=incidents[0]).name],
        "postmortems": [make_postmortem(incident=incidents[1]).name],
        "remediations": [make_step(plan=plan).plan.name],
        "approvals": [make_approval(plan=plan, expires_at=now + timedelta(hours=1)).name],
        "runbooks": [make_runbook().name],
        "clusters": [make_cluster(server="http://127.0.0.1:1", last_heartbeat_at=now).name],
        "slos": [make_slo(at=now, columns=measured(at=now)).name],
        "incident-slas": [make_sla().name],
    }


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_answers_conform_to_the_document(server, key_of, names, mode):
    document = httpx.get(f"{server}/api/schema/", params={"format": "json"}, timeout=120).raise_for_status().json()
    keys = [key_of(role) for role in Role]

    failed: dict[str, str] = {}
    for operation in operations(document):
        try:
            exercise(operation, server=server, keys=keys, known=names, mode=mode)
        except* Failure as group:
            failed[operation.label] = str(group)

    assert not failed, "\n\n".join(f"{label}: {text}" for label, text in failed.items())


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    load_all_checks()
    config = SchemathesisConfig(seed=1, cache=CacheConfig(enabled=False))
    for result in schemathesis.openapi.from_dict(document, config=config).get_all_operations():
        assert isinstance(result, Ok), result
        # a stream is held open for longer than a request here may take; tests/federation/api/test_events.py looks at it
        if not result.ok().path.endswith("/events"):
            yield result.ok()


def exercise(
    operation: Operation, *, server: str, keys: list[str], known: dict[str, list[str]], mode: GenerationMode
) -> None:
    """Send some requests, to objects that exist and to others. Raises a group of failures."""
    existing = known.get(operation.path.split("/")[3], []) if "{name}" in operation.path else []
    paths = [{"name": name} for name in existing]
    cases = st.one_of(
        operation.as_strategy(generation_mode=mode),
        *(operation.as_strategy(generation_mode=mode, path_parameters=path) for path in paths),
    )

    @BOUNDED
    @given(case=cases, key=st.sampled_from(keys))
    def send(case: Case[Any], key: str) -> None:
        case.call_and_validate(base_url=server, headers={"X-API-Key": key}, checks=CHECKS, timeout=60)

    send()
