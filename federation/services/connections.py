"""How to reach clusters: one client per cluster and process, rebuilt when the credentials change."""

import os
import threading
from collections import OrderedDict

from aiops.clients import kubeconfig as kubeconfigs
from aiops.clients.errors import ClientRefused
from aiops.clients.kubeconfig import Access
from aiops.clients.kubernetes import KubernetesClient
from aiops.encryption import decrypt
from aiops.errors import DomainError
from federation.models import Cluster

MAX_CLIENTS = 1_000
PROBE_SECONDS = 5.0
# what is stored for the service account that we run under: its token changes hourly, so it is read at each use
IN_CLUSTER = "in-cluster"


class _Clients:
    """The clients of this process, the one used last at the end. A changed kubeconfig makes a new one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_cluster: OrderedDict[int, tuple[str, KubernetesClient]] = OrderedDict()

    def get(self, cluster: Cluster) -> KubernetesClient | None:
        with self._lock:
            digest, client = self._by_cluster.get(cluster.pk, ("", None))
            if client is None or digest != cluster.kubeconfig_digest:
                return None
            self._by_cluster.move_to_end(cluster.pk)
            return client

    def put(self, cluster: Cluster, client: KubernetesClient) -> None:
        with self._lock:
            self._drop(cluster.pk)
            self._by_cluster[cluster.pk] = (cluster.kubeconfig_digest, client)
            if len(self._by_cluster) > MAX_CLIENTS:
                self._drop(next(iter(self._by_cluster)))

    def forget(self, pk: int) -> None:
        with self._lock:
            self._drop(pk)

    def _drop(self, pk: int) -> None:
        _, client = self._by_cluster.pop(pk, ("", None))
        if client is not None:
            client.close()


_clients = _Clients()
_probes = _Clients()


def connect(cluster: Cluster) -> KubernetesClient:
    """The client of the cluster, shared within the process. Sends nothing yet.

    Raises `ClientRefused` when the stored credentials cannot be used any more.
    """
    client = _clients.get(cluster)
    if client is None:
        client = KubernetesClient(stored_access(cluster))
        _clients.put(cluster, client)
    return client


def probe(cluster: Cluster) -> KubernetesClient:
    """A client for health checks: short time-outs, and connections of its own, so that a check queues behind no look.

    Raises `ClientRefused` as `connect` does.
    """
    client = _probes.get(cluster)
    if client is None:
        client = KubernetesClient(
            stored_access(cluster),
            connect_timeout=PROBE_SECONDS,
            read_timeout=PROBE_SECONDS,
            total_timeout=PROBE_SECONDS,
        )
        _probes.put(cluster, client)
    return client


def forget(pk: int) -> None:
    """Close what this process holds of a cluster that is gone."""
    _clients.forget(pk)
    _probes.forget(pk)


def stored_access(cluster: Cluster) -> Access:
    """The decrypted credentials. Raises `ClientRefused` when they cannot be used any more."""
    try:
        secret = decrypt(bytes(cluster.kubeconfig))
        if secret == IN_CLUSTER:
            return kubeconfigs.in_cluster(os.environ)
        # an unverified server was accepted, and recorded, when the cluster was registered
        return kubeconfigs.load(secret, allow_insecure=True, check_address=False)
    except DomainError as error:
        raise ClientRefused(f"The stored kubeconfig cannot be used: {error.message}. {error.details}") from error
