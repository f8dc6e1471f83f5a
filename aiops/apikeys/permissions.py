from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from aiops.apikeys.roles import Role


class RolePermission(BasePermission):
    """The role that the view's operation asks for (`aiops.api.operations`); whoever may not is told 403 before any lookup."""

    message = "The role of the key is too low"

    def has_permission(self, request: Request, view: Any) -> bool:
        needed: Role = getattr(view, "required_role", Role.VIEWER)
        caller: Any = request.user
        return caller is not None and bool(caller.allows(needed))
