"""Reads the environment, the only source of configuration.

Every value may also come from a file: `NAME_FILE` names it, which is how containers hand over secrets.
A value of the wrong form raises `ImproperlyConfigured` naming the variable, at start and not at first use.
"""

import json
import os
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")
TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


def env_str(name: str, default: str = "") -> str:
    file = os.environ.get(f"{name}_FILE")
    if file:
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE names a file that cannot be read: {file}") from error
    return os.environ.get(name) or default


def env_int(name: str, default: int, *, minimum: int = 0) -> int:
    value = env_str(name)
    if not value:
        return default
    try:
        number = int(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}") from error
    if number < minimum:
        raise ImproperlyConfigured(f"{name} must be at least {minimum}, not {number}")
    return number


def env_decimal(name: str, default: str) -> Decimal:
    """An amount of money: a number that is not negative."""
    value = env_str(name, default)
    try:
        number = Decimal(value)
    except InvalidOperation as error:
        raise ImproperlyConfigured(f"{name} must be a number, not {value!r}") from error
    if not number.is_finite() or number < 0:
        raise ImproperlyConfigured(f"{name} must not be negative, and not {value!r}")
    return number


def env_zone(name: str, default: str) -> ZoneInfo:
    value = env_str(name, default)
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ImproperlyConfigured(f"{name} must be a time zone such as Europe/Lisbon, not {value!r}") from error


def env_json(name: str, default: str, parse: Callable[[Any], T]) -> T:
    """What `parse` makes of the JSON document; its `ValueError` says what is wrong with it."""
    value = env_str(name, default)
    try:
        return parse(json.loads(value, parse_float=Decimal))
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}") from error


def env_bool(name: str, default: bool) -> bool:
    value = env_str(name).lower()
    if not value:
        return default
    if value not in TRUE | FALSE:
        raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}")
    return value in TRUE


def env_list(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in env_str(name, default).split(",") if part.strip()]


def env_secret(name: str, file: Path, generate: Callable[[], str]) -> str:
    """The secret from the environment, else the one kept in `file`, made on first use (embedded mode only)."""
    value = env_str(name)
    if value:
        return value
    if file.exists():
        return file.read_text(encoding="utf-8").strip()
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = generate()
    # web, worker and beat may start at the same moment: the link is atomic, so only one of them chooses
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(fresh, encoding="utf-8")
    try:
        file.hardlink_to(draft)
    except FileExistsError:
        return file.read_text(encoding="utf-8").strip()
    finally:
        draft.unlink()
    return fresh
