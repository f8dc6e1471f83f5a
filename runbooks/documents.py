"""Runbooks as YAML documents, without loss in either direction. Pure: no database, no clock."""

import difflib
from collections.abc import Mapping
from typing import Any, Protocol

from aiops import documents
from aiops.errors import Invalid

API_VERSION = "v1"
KIND = "Runbook"


class Exported(Protocol):
    """What is read of a runbook."""

    name: str
    namespace: str
    labels: Any
    category: str
    description: str
    severity: Any
    automated: bool
    approval_required: bool
    rollback_on_failure: bool
    steps: Any
    match_conditions: Any
    trigger: Any
    max_attempts: int


def export(runbook: Exported) -> str:
    """What people wrote, and nothing that the platform added (times, version, statistics), so importing it changes nothing."""
    return documents.write(
        {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": runbook.name, "namespace": runbook.namespace, "labels": runbook.labels},
            "spec": {
                "category": runbook.category,
                "description": runbook.description,
                "severity": runbook.severity,
                "automated": runbook.automated,
                "approvalRequired": runbook.approval_required,
                "rollbackOnFailure": runbook.rollback_on_failure,
                "maxAttempts": runbook.max_attempts,
                "trigger": runbook.trigger,
                "matchConditions": runbook.match_conditions,
                "steps": runbook.steps,
            },
        }
    )


def body_of(document: documents.Document) -> dict[str, Any]:
    """The members of a runbook as a JSON client would send them. Raises `Invalid` when the document is none."""
    if document.problem:
        raise Invalid(document.problem)
    content = document.content
    if not isinstance(content, Mapping):
        raise Invalid(f"line {document.line}: a document must be an object")
    if content.get("apiVersion") != API_VERSION or content.get("kind") != KIND:
        raise Invalid(
            f"line {document.line}: only documents with apiVersion: {API_VERSION} and kind: {KIND} are imported"
        )
    metadata, spec = content.get("metadata"), content.get("spec")
    if not isinstance(metadata, Mapping) or not isinstance(spec, Mapping):
        raise Invalid(f"line {document.line}: metadata and spec must be objects")
    named = {member: metadata[member] for member in ("name", "namespace", "labels") if member in metadata}
    return {**{member: value for member, value in spec.items() if member not in named}, **named}


def name_of(document: documents.Document) -> str:
    """The name for people, however broken the document is; empty when it has none."""
    metadata = document.content.get("metadata") if isinstance(document.content, Mapping) else None
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return name[:253] if isinstance(name, str) else ""


def diff(before: str, after: str) -> str:
    """Unified diff of two exports; empty when they are equal."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="")
    return "\n".join(lines)
