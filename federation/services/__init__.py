"""What can be done with clusters: register and reach them here, judge their health in `health`."""

from federation.services.connections import connect
from federation.services.registration import (
    ATTRIBUTES,
    checked,
    configure,
    create,
    read_kubeconfig,
    register,
    register_in_cluster,
    unregister,
    update,
)

__all__ = [
    "ATTRIBUTES",
    "checked",
    "configure",
    "connect",
    "create",
    "read_kubeconfig",
    "register",
    "register_in_cluster",
    "unregister",
    "update",
]
