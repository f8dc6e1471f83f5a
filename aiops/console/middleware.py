"""Django's own middleware, but not on the short way of API, health and metrics (`aiops.api.middleware.is_short`).

Subclasses, because the admin checks that the originals are installed.
"""

from collections.abc import Callable

from django.contrib.auth import middleware as auth
from django.contrib.messages import middleware as messages
from django.contrib.sessions import middleware as sessions
from django.http import HttpRequest, HttpResponseBase
from django.middleware import common
from whitenoise import middleware as whitenoise

from aiops.api.middleware import is_short


class ConsoleOnly:
    get_response: Callable[[HttpRequest], HttpResponseBase]

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if is_short(request):
            return self.get_response(request)
        response: HttpResponseBase = super().__call__(request)  # type: ignore[misc]
        return response


class WhiteNoiseMiddleware(ConsoleOnly, whitenoise.WhiteNoiseMiddleware):
    pass


class SessionMiddleware(ConsoleOnly, sessions.SessionMiddleware):
    pass


class CommonMiddleware(ConsoleOnly, common.CommonMiddleware):
    pass


class AuthenticationMiddleware(ConsoleOnly, auth.AuthenticationMiddleware):
    pass


class MessageMiddleware(ConsoleOnly, messages.MessageMiddleware):
    pass
