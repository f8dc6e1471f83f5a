"""Which clusters exist. Credentials come in here, are encrypted, and never leave the server again."""

import hashlib
import os
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from aiops.audit import services as audit
from aiops.audit.actor import Actor
from aiops.clients import addresses
from aiops.clients import kubeconfig as kubeconfigs
from aiops.clients.errors import ClientError
from aiops.clients.kubeconfig import Access
from aiops.encryption import encrypt
from aiops.errors import Conflict, Invalid, LostRace
from aiops.states import change
from federation.models import Automation, Cluster, Tier
from federation.services import connections
from federation.services.connections import IN_CLUSTER

NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
RESERVED = frozenset({"global-status"})  # X9.8: a path of the API
ENVIRONMENTS = {"production": "prod", "development": "dev", "prod": "prod", "staging": "staging", "dev": "dev"}

ATTRIBUTES = frozenset(
    {
        "annotations",
        "automation",
        "display_name",
        "enabled",
        "environment",
        "health_check_interval_seconds",
        "labels",
        "max_concurrent_remediations",
        "prometheus_url",
        "provider",
        "region",
        "tier",
    }
)


def read_kubeconfig(file: Path, *, context: str = "", allow_insecure: bool = False) -> str:
    """The chosen context of a local user's own kubeconfig, as a text that `register` takes.

    Files that it refers to are read and put in their place; for commands only. Raises `Invalid`.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(kubeconfigs.MAX_BYTES + 1)
    except OSError as error:
        raise Invalid("The kubeconfig cannot be read", f"{file}: {error.strerror}") from error
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise Invalid("The kubeconfig is refused", "It is no UTF-8 text.") from error
    access = kubeconfigs.load(text, context=context, allow_insecure=allow_insecure, inline_files=file.absolute().parent)
    return access.dump()


def create(
    *,
    name: str,
    kubeconfig: str,
    actor: Actor,
    at: datetime,
    namespace: str = "",
    allow_insecure: bool = False,
    **attributes: Any,
) -> Cluster:
    """Add a cluster. Raises `Invalid` with the offending members, `Conflict` when the name is taken."""
    access = _access(kubeconfig, allow_insecure=allow_insecure)
    columns = checked(name, attributes) | _credentials(access.dump(), access)
    if Cluster.objects.filter(name=name).exists():
        raise Conflict(f"Cluster {name} exists already")
    cluster = _new(name, at)
    cluster.namespace = namespace or cluster.namespace
    try:
        with transaction.atomic():
            _write(cluster, columns, is_new=True)
            details = {"server": access.server, "insecure": access.insecure, "credentials_changed": True}
            _record("cluster.create", cluster, actor=actor, at=at, details=details)
    except IntegrityError as error:
        raise Conflict(f"Cluster {name} exists already") from error
    return cluster


@transaction.atomic
def update(
    *,
    cluster: Cluster,
    kubeconfig: str | None,
    actor: Actor,
    at: datetime,
    allow_insecure: bool = False,
    **attributes: Any,
) -> Cluster:
    """Change attributes and, when a `kubeconfig` is given, the credentials. What changes nothing leaves no trace.

    Raises `Invalid` with the offending members, `LostRace`.
    """
    columns = checked(cluster.name, attributes)
    changed = sorted(key for key in columns if getattr(cluster, key) != columns[key])
    details: dict[str, Any] = {"changed": changed}
    if kubeconfig is not None:
        access = _access(kubeconfig, allow_insecure=allow_insecure)
        credentials = _credentials(access.dump(), access)
        if credentials["kubeconfig_digest"] != cluster.kubeconfig_digest:
            columns |= credentials | {"next_poll_at": at}
            details |= {"server": access.server, "credentials_changed": True, "insecure": access.insecure}
    if "health_check_interval_seconds" in changed:
        columns["next_check_at"] = None  # the next check was planned by the old one
    if changed or "kubeconfig" in columns:
        change(cluster, **columns, updated_at=at)
        _record("cluster.update", cluster, actor=actor, at=at, details=details)
    return cluster


def _access(text: str, *, context: str = "", allow_insecure: bool) -> Access:
    """What the text describes. Raises `Invalid`, which says where in the text, and names the member that carries it."""
    try:
        return kubeconfigs.load(text, context=context, allow_insecure=allow_insecure)
    except Invalid as refusal:
        reasons = [
            reason if place == "kubeconfig" else f"{place}: {reason}"
            for place, found in refusal.fields.items()
            for reason in found
        ]
        raise Invalid(refusal.message, refusal.details, fields={"kubeconfig": reasons}) from refusal


def _credentials(secret: str, access: Access) -> dict[str, Any]:
    """The columns of new credentials: encrypted, and with a new start for what the old ones brought about."""
    return {
        "kubeconfig": encrypt(secret),
        "kubeconfig_digest": hashlib.sha256(secret.encode()).hexdigest(),
        "server": access.server[:1024],
        "poll_failures": 0,
        "poll_error": "",
        "check_failures": 0,
        "check_error": "",
        "check_error_class": "",
        "next_check_at": None,
    }


def register(
    *,
    name: str,
    kubeconfig: str,
    actor: Actor,
    at: datetime,
    context: str = "",
    allow_insecure: bool = False,
    **attributes: Any,
) -> Cluster:
    """Add the cluster `name`, or bring it up to date. `attributes` are columns (`ATTRIBUTES`); absent ones stay.

    Of the kubeconfig only the chosen context is kept. `allow_insecure` accepts an API server whose certificate is not
    verified, which the audit log shows. Raises `Invalid` with the offending members, `LostRace`.
    """
    access = _access(kubeconfig, context=context, allow_insecure=allow_insecure)
    return _store(name, access.dump(), access, attributes, actor=actor, at=at)


def register_in_cluster(*, name: str, actor: Actor, at: datetime, **attributes: Any) -> Cluster:
    """Add the cluster in which the platform itself runs, by its service account. Raises `Invalid` outside of one."""
    return _store(name, IN_CLUSTER, kubeconfigs.in_cluster(os.environ), attributes, actor=actor, at=at)


def _store(
    name: str, secret: str, access: Access, attributes: dict[str, Any], *, actor: Actor, at: datetime
) -> Cluster:
    columns = checked(name, attributes)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    try:
        with transaction.atomic():
            cluster = Cluster.objects.select_for_update().filter(name=name).first()
            is_new = cluster is None
            cluster = cluster or _new(name, at)
            if cluster.kubeconfig_digest != digest:
                # the encrypted form differs each time, so an unchanged one is left as it is
                columns |= _credentials(secret, access)
            columns |= {"next_poll_at": at, "updated_at": at}
            changed = sorted(key for key in columns if key in ATTRIBUTES and getattr(cluster, key) != columns[key])
            if "health_check_interval_seconds" in changed:
                columns["next_check_at"] = None
            _write(cluster, columns, is_new=is_new)
            details = {
                "server": access.server,
                "changed": changed,
                "credentials_changed": "kubeconfig" in columns,
                "insecure": access.insecure,
            }
            _record("cluster.create" if is_new else "cluster.update", cluster, actor=actor, at=at, details=details)
    except IntegrityError as error:
        raise LostRace(f"{name} was registered by somebody else meanwhile") from error
    return cluster


def _new(name: str, at: datetime) -> Cluster:
    return Cluster(
        name=name, namespace=settings.AIOPS_NAMESPACE, environment="dev", created_at=at, updated_at=at, next_poll_at=at
    )


def _write(cluster: Cluster, columns: dict[str, Any], *, is_new: bool) -> None:
    if not is_new:
        change(cluster, **columns)
        return
    for column, value in columns.items():
        setattr(cluster, column, value)
    cluster.save(force_insert=True)


def checked(name: str, attributes: dict[str, Any]) -> dict[str, Any]:
    """The columns to write for these attributes. Raises `Invalid` naming every one that cannot be."""
    unknown = set(attributes) - ATTRIBUTES
    if unknown:
        raise TypeError(f"no attribute of a cluster: {', '.join(sorted(unknown))}")
    columns = dict(attributes)
    fields: dict[str, list[str]] = {}
    if not NAME.fullmatch(name) or name in RESERVED:
        fields["name"] = ["Lower-case letters, digits, dashes and dots, at most 253; global-status is reserved"]
    for field, allowed in (("tier", Tier.values), ("automation", Automation.values)):
        if field in columns and columns[field] not in allowed:
            fields[field] = [f"One of {', '.join(allowed)}"]
    if "environment" in columns:
        columns["environment"] = ENVIRONMENTS.get(columns["environment"], "")
        if not columns["environment"]:
            fields["environment"] = ["One of prod, staging, dev"]
    if columns.get("prometheus_url"):
        try:
            addresses.check_url(columns["prometheus_url"], schemes=("https", "http"))
        except ClientError as error:
            fields["prometheusURL"] = [error.message]
    if fields:
        details = "; ".join(f"{field}: {reasons[0]}" for field, reasons in fields.items())
        raise Invalid("The cluster cannot be registered", f"{details}.", fields=fields)
    return columns


def configure(*, cluster: Cluster, actor: Actor, at: datetime, **attributes: Any) -> Cluster:
    """Change attributes (`ATTRIBUTES`) but not the credentials. Raises `Invalid`, `LostRace`."""
    return update(cluster=cluster, kubeconfig=None, actor=actor, at=at, **attributes)


@transaction.atomic
def unregister(*, cluster: Cluster, actor: Actor, at: datetime) -> None:
    """Forget the cluster and its credentials. Its incidents stay; they keep its name."""
    pk = cluster.pk
    cluster.delete()
    transaction.on_commit(lambda: connections.forget(pk))
    _record("cluster.delete", cluster, actor=actor, at=at, details={"server": cluster.server})


def _record(action: str, cluster: Cluster, *, actor: Actor, at: datetime, details: dict[str, Any]) -> None:
    audit.record(
        audit.Record(
            action=action,
            actor=actor,
            resource_type=Cluster.KIND,
            resource=cluster.name,
            namespace=cluster.namespace,
            details=details,
        ),
        at=at,
    )
