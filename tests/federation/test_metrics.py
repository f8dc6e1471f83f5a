from datetime import timedelta

import pytest
from django.utils import timezone

from federation import metrics
from tests.factories import make_cluster

pytestmark = pytest.mark.django_db


class TestMeasure:
    def test_says_how_each_cluster_is(self):
        now = timezone.now()
        make_cluster(name="east", provider="aws", last_heartbeat_at=now, node_count=2, nodes_ready=1, latency_ms=250)
        make_cluster(name="west", phase="Disconnected", last_heartbeat_at=now - timedelta(hours=1))
        make_cluster(name="gone", enabled=False)

        gauges = {gauge.name: dict(gauge.rows) for gauge in metrics.measure()}

        assert gauges["chatcli_operator_cluster_health"] == {("east", "aws"): 0.5, ("west", ""): 0.0}
        assert gauges["chatcli_operator_federation_clusters_total"] == {
            ("healthy",): 0, ("degraded",): 1, ("unreachable",): 1,
        }  # fmt: skip
        assert gauges["aiops_cluster_silence_seconds"][("west",)] >= 3600
        assert gauges["aiops_cluster_latency_seconds"] == {("east",): 0.25}
