"""Kubeconfigs in Secrets of a cluster, ours or one that is registered: what is added, rotated and removed there happens here.

The setting names one Secret (`namespace/name`, every key a cluster) or several by a label (`namespace/label=value`, each with a
key `kubeconfig`, the cluster called as the Secret is). A cluster that is removed there is disabled, and enabled again when it
returns; it is never deleted, since incidents hang on it. Clusters that came another way are left alone: whoever may write a
Secret shall not take them over.
"""

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.conf import settings

from aiops.audit.actor import SYSTEM
from aiops.clients import kubeconfig as kubeconfigs
from aiops.clients.errors import ClientError, NotFound
from aiops.clients.kubernetes import KubernetesClient
from aiops.errors import DomainError, Invalid
from federation.models import MEMORY, Cluster
from federation.services import connections, registration

logger = structlog.get_logger(__name__)

SOURCE = "aiops.io/kubeconfig-source"  # annotation: the setting under which the cluster was found
REMOVED = "aiops.io/kubeconfig-removed"  # annotation: it was us who disabled it
KEY = "kubeconfig"
LABELS = {"aiops.io/tier": "tier", "aiops.io/environment": "environment", "aiops.io/region": "region"}
MOST = 1_000
_refused: dict[str, str] = {}  # name -> why, which is said once


@dataclass(frozen=True, slots=True)
class Found:
    """A cluster as a Secret describes it; `attributes` are given to new ones only, then people have the say."""

    name: str
    content: bytes
    attributes: Mapping[str, str]


def sync(*, at: datetime) -> list[str]:
    """Do what changed in the Secrets. Returns the names of the clusters concerned.

    A bad kubeconfig stops no other; when the Secrets cannot be read, nothing changes.
    """
    source = settings.AIOPS_KUBECONFIG_SECRET
    try:
        found = {one.name: one for one in _read(source)}
    except (ClientError, DomainError) as error:
        _complain(source, error)
        return []
    _refused.pop(source, None)
    known = {row.name: row for row in Cluster.objects.defer(*MEMORY)}
    changed = [one.name for one in found.values() if _take(one, known.get(one.name), source, at)]
    for row in known.values():
        if row.annotations.get(SOURCE) == source and row.name not in found and row.enabled:
            _set(row, at, enabled=False, annotations=row.annotations | {REMOVED: "true"})
            logger.warning("kubeconfig_removed", cluster=row.name)
            changed.append(row.name)
    return changed


def _read(source: str) -> Iterator[Found]:
    """Raises the errors of the client, and `Invalid` for a setting that names no Secret."""
    namespace, slash, rest = source.partition("/")
    if not (namespace and slash and rest):
        raise Invalid("AIOPS_KUBECONFIG_SECRET is neither namespace/name nor namespace/label=value")
    client = _client()
    if "=" not in rest:
        secret = client.get("Secret", rest, namespace)
        for key, content in sorted(_contents(secret).items())[:MOST]:
            yield Found(_named(key), content, {})
        return
    for number, secret in enumerate(client.list("Secret", namespace, label_selector=rest)):
        if number >= MOST:
            return
        metadata = secret.get("metadata") or {}
        labels = metadata.get("labels") or {}
        attributes = {column: str(labels[label]) for label, column in LABELS.items() if label in labels}
        name = str(metadata.get("name", "")).removesuffix(f"-{KEY}")
        yield Found(_named(name), _contents(secret).get(KEY, b""), attributes)


def _client() -> KubernetesClient:
    name = settings.AIOPS_KUBECONFIG_SECRET_CLUSTER
    if not name:
        return _in_cluster()
    cluster = Cluster.objects.filter(name=name, enabled=True).first()
    if cluster is None:
        raise NotFound(f"There is no cluster {name}", status=404)
    return connections.connect(cluster)


def _in_cluster() -> KubernetesClient:
    return KubernetesClient(kubeconfigs.in_cluster(os.environ))


def _contents(secret: Mapping[str, Any]) -> dict[str, bytes]:
    """What cannot be decoded is empty, which is refused like any other text that is no kubeconfig."""
    data = secret.get("data")
    found = {}
    for key, value in (data if isinstance(data, dict) else {}).items():
        try:
            found[str(key)] = base64.b64decode(str(value), validate=True)
        except (binascii.Error, ValueError):
            found[str(key)] = b""
    return found


def _named(key: str) -> str:
    stem = re.sub(r"\.(ya?ml|conf|kubeconfig)$", "", key)
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")


def _take(one: Found, row: Cluster | None, source: str, at: datetime) -> bool:
    """Register or rotate; whether there was something to do."""
    try:
        if row is not None and row.annotations.get(SOURCE) != source:
            raise Invalid("The cluster was registered another way", "It is not taken over.")
        text = one.content[: kubeconfigs.MAX_BYTES + 1].decode()
        digest = hashlib.sha256(kubeconfigs.load(text).dump().encode()).hexdigest()
        if row is None:
            attributes: dict[str, Any] = {**one.attributes, "annotations": {SOURCE: source}}
            registration.register(name=one.name, kubeconfig=text, actor=SYSTEM, at=at, **attributes)
        elif row.kubeconfig_digest != digest or REMOVED in row.annotations:
            _return(row, text, at)
        else:
            return False
    except UnicodeDecodeError:
        _complain(one.name, Invalid("It is no UTF-8 text"))
        return False
    except DomainError as error:
        _complain(one.name, error)
        return False
    _refused.pop(one.name, None)
    logger.info("kubeconfig_taken", cluster=one.name)
    return True


def _return(row: Cluster, text: str, at: datetime) -> None:
    """New credentials. One that a person disabled stays so."""
    changes: dict[str, Any] = {}
    if REMOVED in row.annotations:
        kept = {key: value for key, value in row.annotations.items() if key != REMOVED}
        changes = {"enabled": True, "annotations": kept}
    registration.update(cluster=row, kubeconfig=text, actor=SYSTEM, at=at, **changes)


def _set(row: Cluster, at: datetime, **changes: Any) -> None:
    registration.update(cluster=row, kubeconfig=None, actor=SYSTEM, at=at, **changes)


def _complain(name: str, error: DomainError | ClientError) -> None:
    said = f"{error.message} {error.details}" if isinstance(error, DomainError) else error.message
    if _refused.get(name) != said:
        _refused[name] = said
        logger.warning("kubeconfig_refused", name=name, error=said)
