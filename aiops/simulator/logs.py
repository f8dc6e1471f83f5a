"""`kubectl logs` of containers that print nothing but what their behavior says."""

import datetime as dt
from collections.abc import Mapping

from aiops.simulator import problems
from aiops.simulator.objects import Obj
from aiops.simulator.world import World


def pod_log(world: World, pod: Obj, query: Mapping[str, str]) -> bytes:
    """The log of one container, cut as the query asks. Raises 400 for an unknown, unstarted or ambiguous container."""
    name = _container_name(pod, query.get("container", ""))
    wants_previous = query.get("previous") in ("true", "1")
    status = _status(pod, name)
    started = _started(status, wants_previous=wants_previous)
    if not started:
        metadata = pod["metadata"]
        if wants_previous:
            raise problems.bad_request(f'previous terminated container "{name}" in pod "{metadata["name"]}" not found')
        waiting = status.get("state", {}).get("waiting", {}).get("reason", "ContainerCreating")
        why = "trying and failing to pull image" if "Image" in waiting else waiting
        raise problems.bad_request(f'container "{name}" in pod "{metadata["name"]}" is waiting to start: {why}')
    container = next(c for c in pod["spec"]["containers"] if c["name"] == name)
    moment = dt.datetime.strptime(started, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=dt.UTC)
    lines = [
        (moment + dt.timedelta(milliseconds=20 * number), text)
        for number, text in enumerate(world.images.behavior(pod, container).log)
    ]
    return _cut(lines, query)


def _container_name(pod: Obj, asked: str) -> str:
    names = [c["name"] for c in pod["spec"]["containers"]]
    metadata = pod["metadata"]
    if not asked and len(names) > 1:
        raise problems.bad_request(
            f"a container name must be specified for pod {metadata['name']}, choose one of: [{' '.join(names)}]"
        )
    if asked and asked not in names:
        raise problems.bad_request(f"container {asked} is not valid for pod {metadata['name']}")
    return asked or str(names[0])


def _status(pod: Obj, name: str) -> Obj:
    for status in pod.get("status", {}).get("containerStatuses") or ():
        if status["name"] == name:
            return dict(status)
    return {}


def _started(status: Obj, *, wants_previous: bool) -> str:
    """When the run whose log is wanted began; empty when there was none."""
    last = status.get("lastState", {}).get("terminated", {}).get("startedAt", "")
    if wants_previous:
        return str(last)
    state = status.get("state", {})
    return str(state.get("running", state.get("terminated", {})).get("startedAt", "") or last)


def _cut(lines: list[tuple[dt.datetime, str]], query: Mapping[str, str]) -> bytes:
    since = _number(query, "sinceSeconds")
    if since is not None:
        earliest = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=since)
        lines = [line for line in lines if line[0] >= earliest]
    tail = _number(query, "tailLines")
    if tail is not None:
        lines = lines[-tail:] if tail else []
    if query.get("timestamps") in ("true", "1"):
        texts = [f"{moment:%Y-%m-%dT%H:%M:%S.%f}000Z {text}\n" for moment, text in lines]
    else:
        texts = [f"{text}\n" for _, text in lines]
    limit = _number(query, "limitBytes")
    return "".join(texts).encode()[:limit]


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    if not text.isdigit() or len(text) > 9:
        raise problems.bad_request(f'strconv.ParseInt: parsing "{text[:50]}": invalid syntax')
    return int(text)
