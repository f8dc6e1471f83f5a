"""Refusals as the API server words them: `Status` objects with code, reason and details."""

from collections.abc import Sequence

from aiops.simulator.objects import Obj
from aiops.simulator.resources import Resource


class Problem(Exception):
    """An answer that is not the object asked for. `status` is the complete `Status` body."""

    def __init__(
        self, code: int, reason: str, message: str, details: Obj | None = None, *, retry_after: int = 0
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after
        self.status: Obj = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
        }
        if reason:
            self.status["reason"] = reason
        if details is not None:
            self.status["details"] = details
        self.status["code"] = code


def _details(resource: Resource, name: str) -> Obj:
    details = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    return details | {"kind": resource.plural}


def not_found(resource: Resource, name: str) -> Problem:
    return Problem(404, "NotFound", f'{resource.qualified} "{name}" not found', _details(resource, name))


def unknown_path() -> Problem:
    return Problem(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(resource: Resource, name: str) -> Problem:
    return Problem(409, "AlreadyExists", f'{resource.qualified} "{name}" already exists', _details(resource, name))


def conflict(resource: Resource, name: str) -> Problem:
    return Problem(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {resource.qualified} "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again",
        _details(resource, name),
    )


def precondition_failed(resource: Resource, name: str, *, field: str, wanted: str, actual: str) -> Problem:
    return Problem(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {resource.qualified} "{name}": Precondition failed: '
        f"{field} in precondition: {wanted}, {field} in object meta: {actual}",
        _details(resource, name),
    )


def invalid(resource: Resource, name: str, causes: Sequence[tuple[str, str, str]]) -> Problem:
    """`causes` are (reason, field, message), for example ("FieldValueInvalid", "spec.replicas", "Invalid value: …")."""
    listed = [{"reason": reason, "message": message, "field": field} for reason, field, message in causes]
    texts = [f"{field}: {message}" for _, field, message in causes]
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    details = {"name": name} | ({"group": resource.group} if resource.group else {}) | {"kind": resource.kind}
    return Problem(422, "Invalid", f'{kind} "{name}" is invalid: {text}', details | {"causes": listed})


def undecodable(document: str, complaint: str) -> Problem:
    """A patch whose result does not fit the type. The real server names neither kind nor object here."""
    message = f'Invalid value: "{document}": {complaint}'
    cause = {"reason": "FieldValueInvalid", "message": message, "field": "patch"}
    return Problem(422, "Invalid", f' "" is invalid: patch: {message}', {"causes": [cause]})


def failed_json_patch() -> Problem:
    return Problem(422, "Invalid", "the server rejected our request due to an error in our request", {})


def bad_request(message: str) -> Problem:
    return Problem(400, "BadRequest", message)


def unsupported_media_type(content_type: str, accepted: Sequence[str]) -> Problem:
    listed = ", ".join(accepted)
    return Problem(
        415,
        "UnsupportedMediaType",
        f"the body of the request was in an unknown format - accepted media types include: {listed}"
        if content_type
        else f"a content type is needed - accepted media types include: {listed}",
        {},
    )


def method_not_allowed() -> Problem:
    return Problem(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def unauthorized() -> Problem:
    return Problem(401, "Unauthorized", "Unauthorized")


def forbidden(resource: Resource, name: str, *, user: str, verb: str, namespace: str, plural: str = "") -> Problem:
    subject = f'{resource.qualified} "{name}" is' if name else f"{resource.qualified} is"
    where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
    return Problem(
        403,
        "Forbidden",
        f'{subject} forbidden: User "{user}" cannot {verb} resource "{plural or resource.plural}" '
        f'in API group "{resource.group}"{where}',
        _details(resource, name),
    )


def expired(message: str) -> Problem:
    return Problem(410, "Expired", message)


def too_large(limit: int) -> Problem:
    return Problem(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def disruption_refused(budget: str, *, needed: int, healthy: int) -> Problem:
    cause = {
        "reason": "DisruptionBudget",
        "message": f"The disruption budget {budget} needs {needed} healthy pods and has {healthy} currently",
    }
    return Problem(
        429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.", {"causes": [cause]}
    )
