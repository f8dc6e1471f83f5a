"""What can be done with clusters: register and reach them here, judge their health in `health`."""

from federation.services.connections import connect
from federation.services.registration import (
    checked,
    configure,
    read_kubeconfig,
    register,
    register_in_cluster,
    unregister,
)

__all__ = ["checked", "configure", "connect", "read_kubeconfig", "register", "register_in_cluster", "unregister"]
