"""What last log lines tell. Pure; lines are redacted before they come here."""

import re
from collections.abc import Iterable

from incidents.analysis.context import Log

ERROR = re.compile(
    r"(?i)\b(error|err|fatal|panic|exception|traceback|critical|oomkilled|segfault|segmentation fault)\b"
)
# a dependency that is away, in the words of common runtimes
DEPENDENCY = re.compile(
    r"(?i)connection refused|connection reset|no route to host|i/o timeout|connect(?:ion)? timed? ?out|connect timeout"
    r"|name or service not known|no such host|could not connect|cannot connect|failed to connect|ECONNREFUSED|ENOTFOUND"
    r"|unknown ?host|temporary failure in name resolution|server misbehaving"
)
NAME = re.compile(
    r"(?i)no such host|name or service not known|ENOTFOUND|unknown ?host|name resolution|server misbehaving"
)
MEMORY = re.compile(r"(?i)out of memory|outofmemoryerror|cannot allocate memory|heap (?:space|limit)|allocation failed")
CONFIG = re.compile(
    r"(?i)(?:missing|unknown|invalid|unset|unrecognized|required)\b[^\n]{0,60}\b(?:config|configuration|variable|key|option|flag"
    r"|setting|environment)|(?:config|configuration)\b[^\n]{0,60}\b(?:invalid|missing|not found|cannot|parse)|no such file"
)
MAX_LINES = 10
MAX_LINE = 300


def error_lines(logs: Iterable[Log]) -> list[str]:
    """Lines that speak of an error, the last ones of each log first to count; each once, at most ten."""
    found: dict[str, None] = {}
    for log in logs:
        for line in reversed(log.lines):
            if ERROR.search(line) or DEPENDENCY.search(line):
                found.setdefault(line[:MAX_LINE])
    return list(found)[:MAX_LINES]


def last_lines(logs: Iterable[Log], count: int = 3) -> list[str]:
    """What the first log ended with: a program that dies silently said its last words there."""
    return next(([line[:MAX_LINE] for line in log.lines[-count:]] for log in logs if log.lines), [])


def says(pattern: re.Pattern[str], logs: Iterable[Log]) -> str:
    """The newest line that matches; empty when none does."""
    for log in logs:
        for line in reversed(log.lines):
            if pattern.search(line):
                return line[:MAX_LINE]
    return ""


def summary(logs: Iterable[Log]) -> str:
    """`logAnalysis` of the contract: where the lines come from and which speak of errors."""
    logs = list(logs)
    lines = error_lines(logs)
    if not logs:
        return ""
    places = ", ".join(
        dict.fromkeys(f"{log.pod}/{log.container}{' (previous)' if log.previous else ''}" for log in logs)
    )
    if not lines:
        return f"No error lines in the last lines of {places}."
    return f"{len(lines)} error line{'s' if len(lines) != 1 else ''} in {places}:\n" + "\n".join(lines)
