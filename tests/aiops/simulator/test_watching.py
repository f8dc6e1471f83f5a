import json
from typing import Any

import httpx
import pytest
from kubernetes import client, watch

from aiops.simulator.embedded import SimulatedCluster
from tests.aiops.simulator.http import ask


def config_map(name: str, **labels: str) -> dict[str, Any]:
    return {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "watched", "labels": labels},
    }


def lines(cluster: SimulatedCluster, query: str) -> list[dict[str, Any]]:
    """What a watch of one second says."""
    url = f"{cluster.url}/api/v1/namespaces/watched/configmaps?watch=1&timeoutSeconds=1&{query}"
    answer = httpx.get(url, headers={"Authorization": f"Bearer {cluster.token}"}, timeout=10)
    return [json.loads(line) for line in answer.text.splitlines()]


def summary(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


@pytest.fixture
def version(cluster: SimulatedCluster) -> str:
    """The version of an emptied namespace, to watch from."""
    for found in cluster.list("ConfigMap", "watched"):
        cluster.delete("ConfigMap", "watched", found["metadata"]["name"])
    cluster.apply(config_map("first"))
    listed: str = ask(cluster, "GET", "/api/v1/namespaces/watched/configmaps").body["metadata"]["resourceVersion"]
    return listed


class TestWatch:
    def test_tells_all_changes_since_a_version(self, cluster: SimulatedCluster, version: str) -> None:
        cluster.apply(config_map("second"))
        cluster.patch("ConfigMap", "watched", "second", {"data": {"a": "1"}})
        cluster.delete("ConfigMap", "watched", "first")

        told = lines(cluster, f"resourceVersion={version}")

        assert summary(told) == [("ADDED", "second"), ("MODIFIED", "second"), ("DELETED", "first")]
        assert told[0]["object"]["kind"] == "ConfigMap"

    def test_starts_with_everything_and_a_bookmark(self, cluster: SimulatedCluster, version: str) -> None:
        told = lines(cluster, "allowWatchBookmarks=true")

        assert summary(told)[:2] == [("ADDED", "first"), ("BOOKMARK", "")]
        assert told[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}

    def test_ends_with_a_bookmark(self, cluster: SimulatedCluster, version: str) -> None:
        told = lines(cluster, f"allowWatchBookmarks=true&resourceVersion={version}")

        assert summary(told) == [("BOOKMARK", "")]
        assert int(told[0]["object"]["metadata"]["resourceVersion"]) >= int(version)

    def test_leaving_the_selection_is_a_deletion(self, cluster: SimulatedCluster, version: str) -> None:
        cluster.apply(config_map("moves", team="a"))
        cluster.patch("ConfigMap", "watched", "moves", {"metadata": {"labels": {"team": "b"}}})

        told = lines(cluster, f"resourceVersion={version}&labelSelector=team%3Da")

        assert summary(told) == [("ADDED", "moves"), ("DELETED", "moves")]

    def test_says_that_a_version_is_too_old(self, cluster: SimulatedCluster, version: str) -> None:
        cluster.apply(config_map("second"))
        cluster.expire()

        told = lines(cluster, f"resourceVersion={version}")

        assert [event["type"] for event in told] == ["ERROR"]
        assert (told[0]["object"]["code"], told[0]["object"]["reason"]) == (410, "Expired")

    def test_the_official_client_sees_the_410(self, cluster: SimulatedCluster, core: Any, version: str) -> None:
        cluster.apply(config_map("second"))
        cluster.expire()

        with pytest.raises(client.ApiException) as refused:
            list(
                watch.Watch().stream(
                    core.list_namespaced_config_map, "watched", resource_version=version, timeout_seconds=1
                )
            )

        assert refused.value.status == 410

    def test_refuses_a_version_that_is_no_number(self, cluster: SimulatedCluster) -> None:
        assert ask(cluster, "GET", "/api/v1/pods?watch=1&resourceVersion=abc").status == 400

    def test_reports_while_it_happens(self, cluster: SimulatedCluster, core: Any, version: str) -> None:
        cluster.apply(config_map("sooner"))
        watching = watch.Watch()
        seen = []
        for event in watching.stream(
            core.list_namespaced_config_map, "watched", resource_version=version, timeout_seconds=10
        ):
            seen.append(event["object"].metadata.name)
            if len(seen) == 2:
                watching.stop()
            else:
                cluster.apply(config_map("later"))

        assert seen == ["sooner", "later"]
