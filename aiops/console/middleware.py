"""Django's own middleware, but not on the short way of API, health and metrics (`aiops.api.middleware.is_short`).

Subclasses, because the admin checks that the originals are installed.
"""

from pathlib import Path
from typing import Any

from django.contrib.auth import middleware as auth
from django.contrib.messages import middleware as messages
from django.contrib.sessions import middleware as sessions
from django.http import HttpRequest, HttpResponseBase
from django.middleware import common
from whitenoise import middleware as whitenoise  # type: ignore[import-untyped]

from aiops.api.middleware import is_short


class ConsoleOnly:
    get_response: Any

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if is_short(request):
            return self.get_response(request)  # type: ignore[no-any-return]
        return super().__call__(request)  # type: ignore[misc, no-any-return]


class WhiteNoiseMiddleware(ConsoleOnly, whitenoise.WhiteNoiseMiddleware):  # type: ignore[misc]
    def add_files(self, root: Path, prefix: str | None = None) -> None:
        if root.is_dir():  # else the files are those of the packages, and a warning would only alarm
            super().add_files(root, prefix)


class SessionMiddleware(ConsoleOnly, sessions.SessionMiddleware):
    pass


class CommonMiddleware(ConsoleOnly, common.CommonMiddleware):
    pass


class AuthenticationMiddleware(ConsoleOnly, auth.AuthenticationMiddleware):
    pass


class MessageMiddleware(ConsoleOnly, messages.MessageMiddleware):
    pass
