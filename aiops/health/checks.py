"""System checks: a wrong setting fails at start with a sentence, not at three in the morning with a traceback."""

import re
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

LEVELS = frozenset({"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"})
ORIGIN = re.compile(r"https?://[^/\s]+", re.ASCII)


@register(Tags.security)
def cors_origins(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    wrong = [origin for origin in settings.AIOPS_CORS_ORIGINS if origin != "*" and not ORIGIN.fullmatch(origin)]
    return [
        Error(f"CHATCLI_API_CORS_ORIGINS: {origin!r} is no origin", hint="scheme://host[:port] or *", id="aiops.E001")
        for origin in wrong
    ]


@register()
def log_level(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if settings.LOG_LEVEL in LEVELS:
        return []
    return [
        Error(f"AIOPS_LOG_LEVEL: {settings.LOG_LEVEL!r} is no level", hint=", ".join(sorted(LEVELS)), id="aiops.E002")
    ]


@register()
def redis_url(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if not settings.REDIS_URL or urlsplit(settings.REDIS_URL).scheme in {"redis", "rediss", "unix"}:
        return []
    return [Error("REDIS_URL is no Redis address", hint="redis://host:6379/0", id="aiops.E003")]


@register(Tags.security, deploy=True)
def developer_mode(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if not settings.AIOPS_DEV_MODE:
        return []
    return [Warning("CHATCLI_OPERATOR_DEV_MODE makes everybody admin while no key exists", id="aiops.W001")]


@register(Tags.security, deploy=True)
def shared_limits(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if settings.RATE_LIMIT_STORAGE != "memory://" or settings.EMBEDDED:
        return []
    return [
        Warning("Without REDIS_URL each web process counts requests for itself", hint="set REDIS_URL", id="aiops.W002")
    ]
