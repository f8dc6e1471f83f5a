"""Strips secrets from text before it reaches logs, prompts, audit details or error messages."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from django.conf import settings

LONGEST = 100_000  # characters looked at; what is longer is cut, so a pattern never runs over megabytes

# name -> pattern; a group "keep" is left standing in front of the replacement
PATTERNS: dict[str, str] = {
    "private-key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    "api-key": r"\bck_live_[A-Za-z0-9]{8,}",
    "jwt": r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    "authorization": r"(?i)(?P<keep>\bauthorization\s*[:=]\s*[\"']?(?:(?:bearer|basic|apikey|token)\s+)?)[^\s\"',;]+",
    "bearer": r"(?i)(?P<keep>\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}",
    "aws-access-key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "github-token": r"\bgh[pousr]_[A-Za-z0-9]{20,}\b",
    "gitlab-token": r"\bglpat-[A-Za-z0-9_-]{16,}",
    "slack-token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    "slack-webhook": r"(?P<keep>hooks\.slack\.com/services/)[A-Za-z0-9/_-]+",
    "llm-key": r"\bsk-[A-Za-z0-9_-]{16,}",
    "google-key": r"\bAIza[A-Za-z0-9_-]{30,}",
    "url-password": r"(?P<keep>\b[a-z][a-z0-9+.-]{0,30}://[^\s:/@]{0,200}:)[^\s@/]{1,500}(?=@)",
    "assignment": (
        r"(?i)(?P<keep>[\w.-]{0,40}(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
        r"|credential)s?[\"']?\s*[:=]\s*)(?:\"[^\"\n]{1,2000}\"|'[^'\n]{1,2000}'|[^\s\"',;&}\]]+)"
    ),
}
# A pattern can match only where one of its words (in lower case) stands. Looking for those first spares most texts most of the
# patterns: a description of 60 characters costs 2 µs instead of 39.
WORDS: dict[str, tuple[str, ...]] = {
    "private-key": ("-----begin",),
    "api-key": ("ck_live_",),
    "jwt": ("eyj",),
    "authorization": ("authorization",),
    "bearer": ("bearer",),
    "aws-access-key": ("akia", "asia"),
    "github-token": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    "gitlab-token": ("glpat-",),
    "slack-token": ("xox",),
    "slack-webhook": ("hooks.slack.com",),
    "llm-key": ("sk-",),
    "google-key": ("aiza",),
    "url-password": ("://",),
    "assignment": ("pass", "secret", "token", "key", "credential"),
}
SECRET_NAME = re.compile(
    r"(?i)pass(word|wd|phrase)|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|kubeconfig"
)


@lru_cache(maxsize=1)
def _compiled(extra: tuple[str, ...]) -> list[tuple[re.Pattern[str], str, tuple[str, ...]]]:
    """Pattern, replacement and words of each; "" is in every text, so a pattern of the operator is always tried."""
    named = {**PATTERNS, **{f"custom-{number}": pattern for number, pattern in enumerate(extra, 1)}}
    found = []
    for name, text in named.items():
        pattern = re.compile(text, re.DOTALL)
        kept = r"\g<keep>" if "keep" in pattern.groupindex else ""
        found.append((pattern, f"{kept}[REDACTED:{name}]", WORDS.get(name, ("",))))
    return found


def redact(text: str) -> str:
    """`text` with each secret replaced by `[REDACTED:<name of the pattern>]`, cut after 100,000 characters."""
    text = text[:LONGEST].replace("\x00", "")  # PostgreSQL stores no NUL
    folded = _folded(text)
    for pattern, replacement, words in _compiled(tuple(settings.AIOPS_LOG_SCRUB_PATTERNS)):
        for word in words:
            if word in folded:
                text = pattern.sub(replacement, text)
                folded = _folded(text)
                break
    return text


def _folded(text: str) -> str:
    """As `re.IGNORECASE` sees it, which takes ſ for s and ı for i."""
    return text.casefold().replace("ı", "i")


@lru_cache(maxsize=4096)
def _names_a_secret(key: str) -> bool:
    return SECRET_NAME.search(key) is not None


def redact_details(value: Any, depth: int = 6) -> Any:
    """A JSON value for audit details: texts redacted, members with a secret's name masked, nesting bounded."""
    if isinstance(value, str):
        return redact(value)
    if depth == 0:
        return "…"
    if isinstance(value, Mapping):
        return {
            str(key): "[REDACTED]"
            if _names_a_secret(str(key)) and isinstance(item, str) and item
            else redact_details(item, depth - 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact_details(item, depth - 1) for item in value[:200]]
    return value
