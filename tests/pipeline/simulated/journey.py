"""What a journey sees of the platform: the REST API of a real web server."""

from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

from aiops.simulator import workloads
from aiops.simulator.embedded import SimulatedCluster
from aiops.simulator.scenarios import image
from federation.models import Cluster
from tests.processes import Stack, eventually

Document = dict[str, Any]


@dataclass
class Platform:
    """The running processes and a client with the key of an administrator."""

    stack: Stack
    url: str
    key: str
    client: httpx.Client = field(init=False)

    def __enter__(self) -> Self:
        self.client = httpx.Client(base_url=f"{self.url}/api/v1", headers={"X-API-Key": self.key}, timeout=60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.client.close()

    def get(self, path: str, **query: str) -> Document:
        answer = self.client.get(path, params=query)
        assert answer.status_code == 200, f"GET {path}: {answer.text}"
        return dict(answer.json())

    def items(self, path: str, **query: str) -> list[Document]:
        return list(self.get(path, pageSize="100", **query)["items"])

    def post(self, path: str, **body: object) -> Document:
        answer = self.client.post(path, json=body)
        assert answer.status_code in {200, 201}, f"POST {path}: {answer.text}"
        return dict(answer.json())


@dataclass
class Journey:
    """A simulated cluster and what the platform says about it."""

    platform: Platform
    simulated: SimulatedCluster
    cluster: str

    def looked(self, times: int = 3) -> None:
        """Wait until the platform has looked at the cluster so often from now on."""
        for _ in range(times):
            self._look()

    def _look(self) -> None:
        rows = Cluster.objects.filter(name=self.cluster)
        before = rows.get().last_heartbeat_at
        eventually(lambda: rows.get().last_heartbeat_at != before, or_say="a look at the cluster")

    def run(self, namespace: str, name: str, *, annotations: dict[str, str] | None = None) -> None:
        """A workload beside those of the scenario."""
        manifest = workloads.deployment(namespace, name, image(name, "1.0.0"), replicas=2)
        manifest["metadata"]["annotations"] = annotations or {}
        self.simulated.apply(manifest)

    def changes(self) -> list[tuple[str, str]]:
        """The requests by which the platform changed something in the cluster, those that only try left out."""
        return [
            (method, path)
            for method, path, query in self.simulated.requests
            if method != "GET" and "dryRun=All" not in query
        ]

    def incidents(self, **query: str) -> list[Document]:
        return self.platform.items("/incidents", cluster=self.cluster, **query)

    def incident(self, *states: str, **query: str) -> Document:
        """The one incident of the cluster, as soon as it is in one of these states."""
        found = eventually(
            lambda: [row for row in self.incidents(**query) if not states or row["state"] in states],
            every=0.3,
            or_say=f"an incident of {self.cluster} is {' or '.join(states) or 'there'}",
        )
        assert len(found) == 1, found
        return self.platform.get(f"/incidents/{found[0]['name']}")

    def timeline(self, incident: Document) -> list[Document]:
        return list(self.platform.get(f"/incidents/{name_of(incident)}/timeline")["events"])

    def tells(self, incident: Document, *types: str) -> bool:
        """Whether the timeline holds events of these types in this order; others may come between."""
        told = iter(event["type"] for event in self.timeline(incident))
        return all(kind in told for kind in types)

    def root_cause(self, incident: Document) -> str:
        """What the first analysis says about the cause and the logs."""
        first = min(self.platform.items("/aiinsights", issue=name_of(incident)), key=lambda row: len(row["name"]))
        return f"{first['analysis']}\n{first['logAnalysis']}"

    def plans(self, incident: Document) -> list[Document]:
        """In the order in which they were made."""
        rows = sorted(self.platform.items("/remediations", issue=name_of(incident)), key=lambda row: row["attempt"])
        return [self.platform.get(f"/remediations/{row['name']}") for row in rows]

    def plan(self, incident: Document, *states: str) -> Document:
        """The newest plan, as soon as it is in one of these states."""

        def newest() -> Document | None:
            plans = self.plans(incident)
            return plans[-1] if plans and plans[-1]["status"]["state"] in states else None

        return eventually(newest, every=0.3, or_say=f"a plan is {' or '.join(states)}") or {}

    def approval(self, incident: Document) -> Document:
        """The request for approval, as soon as there is one."""
        found = eventually(lambda: self.platform.items("/approvals", incident=name_of(incident)), every=0.3)
        return self.platform.get(f"/approvals/{found[0]['name']}")

    def postmortem(self, incident: Document) -> Document:
        (found,) = self.platform.items("/postmortems", incident=name_of(incident))
        return self.platform.get(f"/postmortems/{found['name']}")


def name_of(document: Document) -> str:
    return str(document["metadata"]["name"])
