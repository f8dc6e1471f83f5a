"""The siblings of the Deployment actions for StatefulSets and DaemonSets."""

from runbooks.actions.deployments import Restart, Scale


class ScaleStatefulSet(Scale):
    name = "ScaleStatefulSet"
    kinds = frozenset({"StatefulSet"})


class RestartStatefulSet(Restart):
    name = "RestartStatefulSet"
    kinds = frozenset({"StatefulSet"})


class RestartDaemonSet(Restart):
    name = "RestartDaemonSet"
    kinds = frozenset({"DaemonSet"})
