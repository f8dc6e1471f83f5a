"""The caller of a request: `request.user` below /api/."""

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request

from aiops.apikeys.roles import Role
from aiops.apikeys.scopes import EVERYTHING, Scope
from aiops.audit.actor import Actor, ActorKind


@dataclass(frozen=True, slots=True)
class Caller:
    """A key, a signed-in console user, or the developer mode.

    `identity` is what the audit log and `createdBy` show when the body names nobody (api.md 1.2); `subject` tells callers
    apart for rate limits and idempotency keys.
    """

    role: Role
    identity: str
    subject: str
    scope: Scope = EVERYTHING

    @property
    def is_authenticated(self) -> bool:
        return True

    def allows(self, role: str) -> bool:
        return self.role.allows(role)

    def actor(self, request: Request | HttpRequest) -> Actor:
        return Actor(
            kind=ActorKind.USER,
            name=self.identity,
            role=self.role.value,
            ip=client_address(request),
            user_agent=request.META.get("HTTP_USER_AGENT", "")[:512],
        )

    def __str__(self) -> str:
        return self.identity


DEV_MODE = Caller(role=Role.ADMIN, identity="dev-mode", subject="dev-mode")


def client_address(request: Request | HttpRequest) -> str:
    """The peer, or behind a trusted proxy the address that the proxy saw (the last one: earlier ones are the client's word)."""
    if settings.SECURE_PROXY_SSL_HEADER:
        forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
        if forwarded:
            return str(forwarded)[:64]
    return str(request.META.get("REMOTE_ADDR") or "unknown")[:64]
