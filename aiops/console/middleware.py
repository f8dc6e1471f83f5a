"""Django's own middleware, marked so that programs go past it (`aiops.api.middleware.ApiMiddleware`).

Subclasses, because the admin checks that the originals are installed.
"""

from pathlib import Path

from django.contrib.auth import middleware as auth
from django.contrib.messages import middleware as messages
from django.contrib.sessions import middleware as sessions
from django.middleware import clickjacking, common, csrf
from whitenoise import middleware as whitenoise  # type: ignore[import-untyped]

from aiops.api.middleware import ConsoleOnly


class WhiteNoiseMiddleware(ConsoleOnly, whitenoise.WhiteNoiseMiddleware):  # type: ignore[misc]
    def add_files(self, root: Path, prefix: str | None = None) -> None:
        if root.is_dir():  # else the files are those of the packages, and a warning would only alarm
            super().add_files(root, prefix)


class SessionMiddleware(ConsoleOnly, sessions.SessionMiddleware):
    pass


class CommonMiddleware(ConsoleOnly, common.CommonMiddleware):
    pass


class CsrfViewMiddleware(ConsoleOnly, csrf.CsrfViewMiddleware):
    pass


class AuthenticationMiddleware(ConsoleOnly, auth.AuthenticationMiddleware):
    pass


class MessageMiddleware(ConsoleOnly, messages.MessageMiddleware):
    pass


class XFrameOptionsMiddleware(ConsoleOnly, clickjacking.XFrameOptionsMiddleware):
    pass
