"""How a request below /api/ says who it is: a key, or the session of a signed-in console user."""

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from aiops.apikeys import keyring
from aiops.apikeys.caller import DEV_MODE, Caller
from aiops.apikeys.roles import Role

CHALLENGE = 'ApiKey realm="aiops"'


def sent_key(request: Request) -> str:
    """The key of the request; empty when it carries none. X-API-Key decides over Authorization."""
    meta = request.META
    key: str = meta.get("HTTP_X_API_KEY", "").strip()
    if key:
        return key
    authorization: str = meta.get("HTTP_AUTHORIZATION", "").strip()
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    return authorization


class ApiKeyAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[Caller, None] | None:
        key = sent_key(request)
        if settings.AIOPS_DEV_MODE and keyring.is_empty():
            return DEV_MODE, None
        if not key:
            return None
        caller = keyring.lookup(key)
        if caller is None:
            raise AuthenticationFailed("The API key is not known")
        return caller, None

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class ConsoleSessionAuthentication(SessionAuthentication):
    """X1.1: the browser of a console user. The short middleware chain of /api/ has no session, so it is loaded here."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        cookie = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        if not cookie:
            return None
        django_request = request._request
        if not hasattr(django_request, "session"):
            django_request.session = import_module(settings.SESSION_ENGINE).SessionStore(cookie)
        user = get_user(django_request)
        role = role_of(user)
        if role is None:
            return None
        self.enforce_csrf(request)
        return Caller(role=role, identity=user.get_username(), subject=f"user:{user.pk}"), None

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


def role_of(user: AbstractBaseUser | AnonymousUser) -> Role | None:
    """The role of a console user: the highest of the user's groups; a superuser is admin; None for everybody else."""
    if not isinstance(user, User) or not user.is_active or not user.is_staff:
        return None
    if user.is_superuser:
        return Role.ADMIN
    names = user.groups.filter(name__in=Role.values).values_list("name", flat=True)
    return max((Role(name) for name in names), key=lambda role: role.rank, default=None)
