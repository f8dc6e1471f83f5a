"""Times, durations and ages as the contract writes them (api.md 1.11). Pure functions."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
SIGNED = re.compile(r"([+-]?)((?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)", re.ASCII)
PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
DURATION_MAX = 64  # characters

MICROSECONDS = {
    "ns": Decimal("0.001"),
    "us": Decimal(1),
    "µs": Decimal(1),
    "μs": Decimal(1),
    "ms": Decimal(1_000),
    "s": Decimal(1_000_000),
    "m": Decimal(60_000_000),
    "h": Decimal(3_600_000_000),
}


def parse_time(text: str) -> datetime:
    """RFC 3339 with offset, or a bare date (midnight UTC). Returns UTC. Raises ValueError."""
    if DATE.fullmatch(text):
        return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
    match = TIME.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 time")
    day, clock, fraction, offset = match.groups()
    moment = datetime.fromisoformat(f"{day}T{clock}{(fraction or '')[:7]}{offset.upper()}")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("out of range") from error


def format_time(moment: datetime) -> str:
    """In whole seconds of UTC, as `2027-04-12T12:00:00Z`."""
    # strftime writes the year 415 with three digits
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def parse_duration(text: str) -> timedelta:
    """Go syntax: `1h30m`, `1.5h`, `-45s`, `0`. Raises ValueError."""
    if text in {"0", "+0", "-0"}:
        return timedelta(0)
    match = SIGNED.fullmatch(text) if len(text) <= DURATION_MAX else None
    if match is None:
        raise ValueError("not a duration")
    total = sum((Decimal(number) * MICROSECONDS[unit] for number, unit in PART.findall(match[2])), Decimal(0))
    try:
        return timedelta(microseconds=int(-total if match[1] == "-" else total))
    except OverflowError as error:
        raise ValueError("out of range") from error


def format_duration(value: timedelta) -> str:
    """Largest units first, zero parts dropped, whole seconds: `1h10m`, `45s`, `0s`."""
    seconds = int(value.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [f"{count}{unit}" for count, unit in ((hours, "h"), (minutes, "m"), (seconds, "s")) if count]
    return sign + ("".join(parts) or "0s")


UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def format_age(value: timedelta) -> str:
    """One unit, rounded down: `45s`, `25m`, `7h`, `3d`. A negative age (clocks differ) is `0s`."""
    number, unit, _ = _age(value)
    return f"{number}{unit}"


def next_age(since: datetime, now: datetime) -> datetime:
    """When the age that is shown now will be another one."""
    number, _, size = _age(now - since)
    return since + timedelta(seconds=(number + 1) * size)


def _age(value: timedelta) -> tuple[int, str, int]:
    seconds = max(0, int(value.total_seconds()))
    for unit, size in UNITS:
        if seconds >= size:
            return seconds // size, unit, size
    return 0, "s", 1


def format_percent(value: float) -> str:
    """A percent string: `32%`, round half up."""
    return f"{int(value + 0.5)}%"
