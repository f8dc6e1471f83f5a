"""Who clicks in the console, as services and the audit log want it."""

from django.http import HttpRequest

from aiops.apikeys.authentication import role_of
from aiops.apikeys.caller import Caller
from aiops.apikeys.roles import Role
from aiops.audit.actor import Actor


def actor_of(request: HttpRequest) -> Actor:
    """The signed-in user with the role of the groups."""
    user = request.user
    role = role_of(user) or Role.VIEWER
    return Caller(role=role, identity=user.get_username(), subject=f"user:{user.pk}").actor(request)


def allows(request: HttpRequest, role: Role) -> bool:
    """Whether the signed-in user may do what `role` may."""
    own = role_of(request.user)
    return own is not None and own.allows(role)
