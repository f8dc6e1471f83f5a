"""The door for alerts (extensions X2)."""

from collections.abc import Sequence
from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from aiops.api.operations import Accepts, operation
from aiops.api.parsers import MIB
from aiops.api.views import ApiView
from aiops.apikeys.roles import Role
from aiops.errors import Invalid, NotAllowed
from federation.models import Cluster
from incidents.api.serializers.incidents import AlertReceipt, receipt
from incidents.intake import INTAKES, Rejected
from incidents.services import receiving
from incidents.services.receiving import Located

CLUSTER = (("cluster", {"type": "string", "description": "Name of the registered cluster that the alerts come from"}),)


class AlertView(ApiView):
    """One route per source, so that an unknown source is an unknown route (X9.4)."""

    body_max = 8 * MIB  # X1.4
    retry_on_storage_failure = True  # X2.4
    source: ClassVar[str] = ""

    @operation(
        role=Role.OPERATOR, accepts=Accepts.JSON, answer=AlertReceipt, status=202, refusals=(503,), query=CLUSTER
    )
    def post(self, request: Request) -> Response:
        """Take alerts in. Answered after everything is stored."""
        intake = INTAKES[self.source]
        reading = intake.read(request.data)
        located = receiving.locate(reading.alerts, cluster=self._cluster())
        allowed, rejected = self._in_scope(located)
        result = receiving.receive(intake=intake, alerts=allowed, at=self.now)
        rejected = sorted([*reading.rejected, *rejected], key=lambda one: one.index)
        return Response(receipt(source=self.source, at=self.now, counts=result, rejected=rejected), status=202)

    def _cluster(self) -> Cluster | None:
        """The one that the query names."""
        name = self.param("cluster")
        if name is None:
            return None
        self.require_scope(cluster=name)
        cluster = Cluster.objects.filter(name=name).first()
        if cluster is None:
            raise Invalid("Unknown cluster", fields={"cluster": ["There is no cluster of this name."]})
        return cluster

    def _in_scope(self, alerts: Sequence[Located]) -> tuple[list[Located], list[Rejected]]:
        """The alerts that the key may send; a document with none of them is refused (X1.5). Raises `NotAllowed`."""
        if self.scope.is_everything:
            return list(alerts), []
        allowed, rejected = [], []
        for one in alerts:
            if self.scope.covers(namespace=one.namespace, cluster=one.cluster.name if one.cluster else ""):
                allowed.append(one)
            else:
                rejected.append(Rejected(one.alert.index, "The key's scope does not cover that namespace or cluster."))
        if rejected and not allowed:
            raise NotAllowed("The key's scope does not cover the namespace or cluster of any alert")
        return allowed, rejected
