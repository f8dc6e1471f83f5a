"""A folder of kubeconfigs, such as a mounted secret: every file is a cluster, and a changed file new credentials of it.

A file that goes away unregisters nothing: what is mounted may be gone for a moment, and incidents hang on the cluster.
"""

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import structlog

from aiops.audit.actor import SYSTEM
from aiops.clients import kubeconfig as kubeconfigs
from aiops.errors import DomainError, Invalid
from federation.models import Cluster
from federation.services import registration

logger = structlog.get_logger(__name__)

MAX_FILES = 1_000
SUFFIXES = frozenset({"", ".yaml", ".yml", ".conf", ".kubeconfig"})
_refused: dict[str, str] = {}  # path -> why it was refused, which is said once


def sync(*, folder: Path, at: datetime) -> list[str]:
    """Register what is new and rotate what changed. Returns the names of those clusters; a bad file stops no other."""
    changed = []
    known = dict(Cluster.objects.values_list("name", "kubeconfig_digest"))
    for file in _files(folder):
        name = name_of(file)
        try:
            text = _read(file)
            access = kubeconfigs.load(text)
            digest = hashlib.sha256(access.dump().encode()).hexdigest()
            if known.get(name) == digest:
                continue
            registration.register(name=name, kubeconfig=text, actor=SYSTEM, at=at)
        except DomainError as error:
            _complain(file, error)
            continue
        changed.append(name)
        logger.info("kubeconfig_taken", cluster=name)
    return changed


def name_of(file: Path) -> str:
    """The cluster's name: that of the file, in small letters and dashes."""
    stem = file.name.removesuffix(file.suffix) if file.suffix in SUFFIXES else file.name
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")


def _files(folder: Path) -> Iterator[Path]:
    """Visible regular files. Kubernetes mounts a secret as links into a hidden folder, which is followed by the links only."""
    try:
        entries = sorted(folder.iterdir())[:MAX_FILES]
    except OSError as error:
        logger.warning("kubeconfig_folder_unreadable", error=error.strerror)
        return
    for entry in entries:
        if not entry.name.startswith(".") and entry.suffix in SUFFIXES and entry.is_file():
            yield entry


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(kubeconfigs.MAX_BYTES + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid("The kubeconfig cannot be read") from error


def _complain(file: Path, error: DomainError) -> None:
    said = f"{error.message} {error.details}"
    if _refused.get(file.name) != said:
        _refused[file.name] = said
        logger.warning("kubeconfig_refused", file=file.name, error=said)
