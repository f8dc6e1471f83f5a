"""The named periods of reports. Pure."""

from datetime import datetime, timedelta

from analytics.periods import Span, seconds_of

WINDOWS = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "14d": timedelta(days=14),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
    "180d": timedelta(days=180),
}
SHORT = ("24h", "7d", "30d", "90d")  # of reports about how it goes
LONG = ("7d", "14d", "30d", "90d", "180d")  # of reports about how it develops
USUAL = "7d"


def span_until(until: datetime, window: str = USUAL) -> Span:
    """The window that ends with `until`, whose second belongs to it."""
    last = seconds_of(until)
    return Span(last - int(WINDOWS[window].total_seconds()), last + 1)
