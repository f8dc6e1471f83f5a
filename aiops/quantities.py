"""Kubernetes quantities: `250m`, `1536Mi`, `0.5`, `1e3`. Pure."""

import re
from decimal import ROUND_CEILING, Decimal

SUFFIXES: dict[str, Decimal] = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(1000),
    "M": Decimal(1000) ** 2,
    "G": Decimal(1000) ** 3,
    "T": Decimal(1000) ** 4,
    "P": Decimal(1000) ** 5,
    "E": Decimal(1000) ** 6,
    "Ki": Decimal(1024),
    "Mi": Decimal(1024) ** 2,
    "Gi": Decimal(1024) ** 3,
    "Ti": Decimal(1024) ** 4,
    "Pi": Decimal(1024) ** 5,
    "Ei": Decimal(1024) ** 6,
}
QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:\d{1,19}(?:\.\d{0,9})?|\.\d{1,9}))(?P<rest>[eE][+-]?\d{1,2}|[numkMGTPE]|[KMGTPE]i)?"
)
PERCENTAGE = re.compile(r"(\d{1,4})%")
MEBIBYTE = SUFFIXES["Mi"]


def parse(text: str) -> Decimal:
    """The value in base units: bytes or cores. Raises `ValueError` for anything that Kubernetes would not take."""
    found = QUANTITY.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a quantity")
    rest = found["rest"] or ""
    if rest[:1] in {"e", "E"} and len(rest) > 1 and rest != "Ei":
        return Decimal(found["number"] + rest)
    return Decimal(found["number"]) * SUFFIXES[rest]


def percentage(text: str) -> int | None:
    """150 for `150%`; None when the text is no percentage."""
    found = PERCENTAGE.fullmatch(text.strip())
    return int(found[1]) if found else None


def is_amount(text: str) -> bool:
    """Whether `text` is a positive quantity or a percentage of the current value above zero."""
    share = percentage(text)
    if share is not None:
        return share > 0
    try:
        return parse(text) > 0
    except ValueError:
        return False


def memory(value: Decimal) -> str:
    """Whole mebibytes, rounded up; below one of them, bytes."""
    if value < MEBIBYTE:
        return str(int(value.to_integral_value(ROUND_CEILING)))
    return f"{int((value / MEBIBYTE).to_integral_value(ROUND_CEILING))}Mi"


def cpu(value: Decimal) -> str:
    """Whole millicores, rounded up; whole cores without a suffix."""
    milli = int((value * 1000).to_integral_value(ROUND_CEILING))
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"
