"""Plain requests to a simulated cluster, for answers that the official client would hide."""

import json
from dataclasses import dataclass
from typing import Any

import httpx

from aiops.simulator.embedded import SimulatedCluster


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: httpx.Headers


def ask(
    cluster: SimulatedCluster,
    method: str,
    path: str,
    body: Any = None,
    *,
    token: str | None = None,
    content_type: str = "application/json",
) -> Answer:
    """One request, with the cluster's token unless another one (empty: none) is given; a JSON answer is decoded."""
    headers = {"Content-Type": content_type}
    if token != "":
        headers["Authorization"] = f"Bearer {token or cluster.token}"
    content = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    response = httpx.request(method, cluster.url + path, headers=headers, content=content, timeout=20)
    is_json = response.headers["content-type"].startswith("application/json")
    return Answer(response.status_code, response.json() if is_json else response.text, response.headers)
