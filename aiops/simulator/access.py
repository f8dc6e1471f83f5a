"""Who may do what: one token for everything, another that reads everything but secrets."""

import hmac
from dataclasses import dataclass
from typing import Any

from aiops.simulator import problems
from aiops.simulator.objects import Obj
from aiops.simulator.resources import SECRET, Resource

READING = ("get", "list", "watch")


@dataclass(frozen=True)
class Tokens:
    admin: str
    readonly: str = ""

    def user(self, authorization: str) -> str:
        """The user behind an `Authorization` header. Raises a 401 problem."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer" and token:
            for user, known in (("admin", self.admin), ("readonly", self.readonly)):
                if known and hmac.compare_digest(token.encode(), known.encode()):
                    return user
        raise problems.unauthorized()


def may(user: str, verb: str, group: str, plural: str) -> bool:
    if user == "admin":
        return True
    return verb in READING and (group, plural) != ("", SECRET.plural)


def check(user: str, verb: str, resource: Resource, *, namespace: str, name: str, subresource: str) -> None:
    """Raise a 403 problem unless the user may do this."""
    if not may(user, verb, resource.group, resource.plural):
        plural = f"{resource.plural}/{subresource}" if subresource else resource.plural
        raise problems.forbidden(resource, name, user=user, verb=verb, namespace=namespace, plural=plural)


def review(user: str, body: Any) -> Obj:
    """The answer to a SelfSubjectAccessReview. Raises 400 for a body that is none."""
    spec = body.get("spec") if isinstance(body, dict) else None
    asked = spec.get("resourceAttributes") if isinstance(spec, dict) else None
    if not isinstance(asked, dict):
        raise problems.bad_request("spec.resourceAttributes must be given")
    verb, group, plural = (str(asked.get(part, "")) for part in ("verb", "group", "resource"))
    return {
        "kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {},
        "spec": spec,
        "status": {"allowed": may(user, verb, group, plural)},
    }
