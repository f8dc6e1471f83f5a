"""Logging of every process: structlog, readable in the embedded mode, JSON else, with secrets stripped.

Long-running processes log to standard output (X10). Other commands log to standard error, because their standard output is
their answer (`createapikey`, `detect -o json`).
"""

import logging.config
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import orjson
import structlog

from aiops.redaction import redact

SERVERS = frozenset({"observe", "simulate_cluster", "runserver"})  # commands of manage.py that are processes
PLAIN = frozenset({"level", "timestamp", "logger", "request_id", "method"})  # values of ours, which hold no secrets
QUIET = ("urllib3", "httpx", "httpcore", "kubernetes", "openai", "asyncio", "django.server", "amqp", "kombu")


def configure(options: dict[str, Any]) -> None:
    """Called by Django with `settings.LOGGING`: `level` and `json`."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        strip_secrets,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(_stdlib(options, shared))


def _stdlib(options: dict[str, Any], shared: list[Any]) -> dict[str, Any]:
    renderer: Any = (
        structlog.processors.JSONRenderer(serializer=_json)
        if options["json"]
        else structlog.dev.ConsoleRenderer(colors=_stream().isatty())
    )
    formatter = {
        "()": Formatter,
        "is_json": options["json"],
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        "foreign_pre_chain": shared,
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"structured": formatter},
        "handlers": {"stream": {"class": "logging.StreamHandler", "stream": _stream(), "formatter": "structured"}},
        "root": {"level": options["level"], "handlers": ["stream"]},
        "loggers": {
            **{name: {"level": "WARNING"} for name in QUIET},
            # every request has its own line already (aiops.request); Django's would repeat each 4xx
            "django.request": {"level": "ERROR"},
        },
    }


class Formatter(structlog.stdlib.ProcessorFormatter):
    def __init__(self, *, is_json: bool, **options: Any) -> None:
        self.is_json = is_json
        super().__init__(**options)

    def format(self, record: logging.LogRecord) -> str:
        if self.is_json and getattr(record, "is_ready", False):
            return _json(record.msg)
        return super().format(record)


def log_ready(logger: logging.Logger, event: dict[str, Any]) -> None:
    """Write an event that needs none of structlog's processors but the secrets taken out: 0.010 instead of 0.020 ms."""
    if not logger.isEnabledFor(logging.INFO):
        return
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    line = strip_secrets(None, "info", {**event, "logger": logger.name, "level": "info", "timestamp": now})
    extra = {"is_ready": True, "_logger": logger, "_name": "info"}
    logger.handle(logger.makeRecord(logger.name, logging.INFO, "", 0, line, (), None, extra=extra))


def _stream() -> TextIO:
    program, *arguments = sys.argv or [""]
    is_command = Path(program).name in {"manage.py", "django-admin"}
    return sys.stderr if is_command and not SERVERS.intersection(arguments[:1]) else sys.stdout


def strip_secrets(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str) and name not in PLAIN:
            event[name] = redact(value)
    return event


def _json(event: Any, **options: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
