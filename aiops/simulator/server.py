"""The HTTP side: from a request to one call and its answer."""

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from aiops.simulator import access, discovery, problems, writing
from aiops.simulator.faults import REASONS, Fault, Faults
from aiops.simulator.logs import pod_log
from aiops.simulator.objects import Obj
from aiops.simulator.paging import list_page, matcher
from aiops.simulator.resources import ACCESS_REVIEW, BY_PATH, NODE, NODE_METRICS, POD, POD_METRICS, Resource
from aiops.simulator.views import list_item, measured, node_metrics, pod_metrics, scale_of, shown
from aiops.simulator.watching import Watch, stream
from aiops.simulator.world import World

MAX_BODY = 3 * 1024 * 1024
METRICS = (NODE_METRICS, POD_METRICS)
VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
OPEN_PATHS = ("/healthz", "/livez", "/readyz")


@dataclass(frozen=True)
class Target:
    """What a path names."""

    resource: Resource
    namespace: str
    name: str
    subresource: str


def parse_path(path: str) -> Target | None:
    """The target of a resource path; None when there is no such resource."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and (group or rest[2] != "status"):
        namespace, rest = rest[1], rest[2:]
    resource = BY_PATH.get((group, version, rest[0]))
    name, subresource = ([*rest[1:], "", ""])[:2]
    if resource is None or len(rest) > 3 or bool(namespace) > resource.namespaced:
        return None
    if subresource and subresource not in resource.subresources:
        return None
    return Target(resource, namespace, name, subresource)


class ApiServer:
    """Answers like a kube-apiserver, for one world."""

    def __init__(self, world: World, tokens: access.Tokens, faults: Faults) -> None:
        self.world, self.store, self.tokens, self.faults = world, world.store, tokens, faults

    def application(self) -> web.Application:
        application = web.Application(client_max_size=MAX_BODY)
        application.router.add_route("*", "/{path:.*}", self.handle)
        return application

    async def handle(self, request: web.Request) -> web.StreamResponse:
        fault = self.faults.take(request.method, request.path, request.query_string)
        if fault is None:
            return await self._respond(request)
        answer = await _faulty_answer(request, fault)
        if answer is None:
            answer = await self._respond(request)
        await asyncio.sleep(fault.delay)
        return answer

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except problems.Problem as problem:
            headers = {"Retry-After": str(problem.retry_after)} if problem.retry_after else None
            return json_response(problem.status, problem.code, headers)
        except web.HTTPRequestEntityTooLarge:
            refusal = problems.too_large(MAX_BODY)
            return json_response(refusal.status, refusal.code)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.path in OPEN_PATHS:
            return web.Response(text="ok")
        user = self.tokens.user(request.headers.get("Authorization", ""))
        target = parse_path(request.path)
        if target is None:
            return self._describe(request)
        verb = self._verb(request, target)
        access_verb = "create" if target.resource is ACCESS_REVIEW else verb
        if target.resource is not ACCESS_REVIEW:
            access.check(
                user,
                access_verb,
                target.resource,
                namespace=target.namespace,
                name=target.name,
                subresource=target.subresource,
            )
        return await self._serve(request, target, verb, user)

    def _describe(self, request: web.Request) -> web.Response:
        parts = request.path.strip("/").split("/")
        found: Obj | None = None
        match parts:
            case ["version"]:
                found = discovery.VERSION
            case ["api"]:
                found = discovery.core_versions(request.host)
            case ["apis"]:
                found = discovery.groups()
            case ["api", version]:
                found = discovery.resource_list("", version)
            case ["apis", group]:
                found = discovery.group(group)
            case ["apis", group, version]:
                found = discovery.resource_list(group, version)
        if found is not None:
            return json_response(found)
        if parts[0] == "apis" and len(parts) > 3 and discovery.resource_list(parts[1], parts[2]):
            raise problems.unknown_path()
        if parts[0] == "api" and parts[1:2] == ["v1"]:
            raise problems.unknown_path()
        return web.Response(status=404, text="404 page not found\n")

    def _verb(self, request: web.Request, target: Target) -> str:
        verb = VERBS.get(request.method, "")
        if verb == "get" and not target.name:
            verb = "watch" if request.query.get("watch") in ("1", "true") else "list"
        elif verb == "delete" and not target.name:
            verb = "deletecollection"
        if target.subresource in discovery.SUBRESOURCE_VERBS:
            allowed: list[str] | tuple[str, ...] = discovery.SUBRESOURCE_VERBS[target.subresource]
        elif target.subresource:
            allowed = ["get", "update", "patch"]
        else:
            allowed = target.resource.verbs
        if verb not in allowed:
            raise problems.method_not_allowed()
        is_creation = verb == "create" and not target.subresource
        if verb in ("create", "update", "patch") and is_creation == bool(target.name):
            raise problems.method_not_allowed()
        if is_creation and target.resource.namespaced and not target.namespace:
            raise problems.method_not_allowed()
        return verb

    async def _serve(self, request: web.Request, target: Target, verb: str, user: str) -> web.StreamResponse:
        if target.resource is ACCESS_REVIEW:
            return json_response(access.review(user, await _json(request)), 201)
        if target.resource in METRICS:
            return json_response(self._metrics(target))
        match verb:
            case "list":
                return self._list(target, request)
            case "watch":
                watch = Watch(self.store, target.resource, target.namespace, request.query)
                return await stream(request, watch, self.faults.streams)
            case "get":
                return self._get(target, request)
            case "create":
                return await self._create(target, request)
            case "update":
                return await self._replace(target, request)
            case "patch":
                return await self._patch(target, request)
            case "deletecollection":
                return await self._delete_collection(target, request)
        options = await _json(request, optional=True)
        current = self.store.fetch(target.resource, target.namespace, target.name)
        return json_response(writing.remove(self.store, target.resource, current, options, request.query))

    def _list(self, target: Target, request: web.Request) -> web.Response:
        resource = target.resource
        objects, metadata = list_page(self.store, resource, target.namespace, request.query)
        items = [list_item(resource, obj) for obj in objects]
        head = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version}
        return json_response(head | {"metadata": metadata, "items": items})

    def _metrics(self, target: Target) -> Obj:
        resource = target.resource
        if not target.name:
            items = measured(self.world, resource, target.namespace)
            head = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version}
            return head | {"metadata": {}, "items": items}
        if resource is NODE_METRICS:
            return node_metrics(self.world, self.store.fetch(NODE, "", target.name))
        return pod_metrics(self.world, self.store.fetch(POD, target.namespace, target.name))

    def _get(self, target: Target, request: web.Request) -> web.Response:
        obj = self.store.fetch(target.resource, target.namespace, target.name)
        if target.subresource == "log":
            body = pod_log(self.world, obj, request.query)
            return web.Response(body=body, content_type="text/plain")
        if target.subresource == "scale":
            return json_response(scale_of(obj))
        return json_response(shown(target.resource, obj))

    async def _create(self, target: Target, request: web.Request) -> web.Response:
        body = await _json(request)
        if target.subresource == "eviction":
            pod = self.store.fetch(POD, target.namespace, target.name)
            return json_response(writing.evict(self.store, pod, body, request.query), 201)
        dry_run = writing.wants_dry_run(request.query)
        return json_response(writing.create(self.store, target.resource, target.namespace, body, dry_run=dry_run), 201)

    async def _replace(self, target: Target, request: web.Request) -> web.Response:
        body = await _json(request)
        dry_run = writing.wants_dry_run(request.query)
        current = self.store.fetch(target.resource, target.namespace, target.name)
        if target.subresource == "scale":
            return json_response(writing.set_scale(self.store, target.resource, current, body, dry_run=dry_run))
        return json_response(
            writing.replace(self.store, target.resource, current, body, subresource=target.subresource, dry_run=dry_run)
        )

    async def _patch(self, target: Target, request: web.Request) -> web.Response:
        body = await request.read()
        dry_run = writing.wants_dry_run(request.query)
        if (
            request.content_type == writing.APPLY
            and self.store.get(target.resource, target.namespace, target.name) is None
        ):
            applied = writing.decode(body, writing.APPLY)
            made = writing.create(self.store, target.resource, target.namespace, applied, dry_run=dry_run)
            return json_response(made, 201)
        current = self.store.fetch(target.resource, target.namespace, target.name)
        if target.subresource == "scale":
            scale = writing.patched(scale_of(current), body, request.content_type)
            return json_response(writing.set_scale(self.store, target.resource, current, scale, dry_run=dry_run))
        return json_response(
            writing.patch(
                self.store,
                target.resource,
                current,
                body,
                request.content_type,
                subresource=target.subresource,
                dry_run=dry_run,
            )
        )

    async def _delete_collection(self, target: Target, request: web.Request) -> web.Response:
        options = await _json(request, optional=True)
        matches = matcher(target.resource, target.namespace, request.query)
        objects = [obj for obj in self.store.all(target.resource, target.namespace) if matches is None or matches(obj)]
        for obj in objects:
            metadata = obj["metadata"]
            if self.store.get(target.resource, metadata.get("namespace", ""), metadata["name"]) is not None:
                writing.remove(self.store, target.resource, obj, options, request.query)
        items = [list_item(target.resource, obj) for obj in objects]
        head = {"kind": f"{target.resource.kind}List", "apiVersion": target.resource.api_version}
        return json_response(head | {"metadata": {"resourceVersion": str(self.store.version)}, "items": items})


def json_response(body: Obj, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, headers=headers, content_type="application/json")


async def _json(request: web.Request, *, optional: bool = False) -> Any:
    """The decoded body; an absent optional one is empty. Raises a 400 problem for anything that is no JSON object."""
    raw = await request.read()
    if not raw and optional:
        return {}
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise problems.bad_request(f"couldn't get version/kind; json parse error: {error}") from error
    if not isinstance(body, dict):
        raise problems.bad_request("couldn't get version/kind; json parse error: not an object")
    return body


async def _faulty_answer(request: web.Request, fault: Fault) -> web.StreamResponse | None:
    """The injected answer; None when the request is to be answered properly after all."""
    if fault.hang:
        await asyncio.sleep(fault.hang)
    if fault.drops_connection and request.transport is not None:
        request.transport.abort()
        raise web.HTTPServiceUnavailable
    if fault.is_garbage:
        body = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[{"metadata":{"na'
        return web.Response(body=body, content_type="application/json")
    if fault.status:
        text = f"injected fault: {REASONS.get(fault.status, 'Unknown')}"
        problem = problems.Problem(fault.status, REASONS.get(fault.status, ""), text)
        headers = {"Retry-After": str(fault.retry_after)} if fault.status in (429, 503) else None
        return json_response(problem.status, fault.status, headers)
    return None
