"""What a minute of an outage costs. Pure.

Rates are given by a map from a place to an amount per minute: `service/NAME` (the name of the workload),
`namespace/NAME/SEVERITY`, `namespace/NAME`, `severity/NAME` and `default`. The first of these that is there counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

DEFAULT = "default"
KINDS = frozenset({"service", "namespace", "severity"})
MILLION = 1_000_000
MOST = Decimal(10**9)  # per minute
MOST_RATES = 1_000


@dataclass(frozen=True, slots=True)
class Rates:
    by_place: Mapping[str, Decimal]

    @property
    def services(self) -> frozenset[str]:
        return frozenset(place.partition("/")[2] for place in self.by_place if place.startswith("service/"))

    @property
    def tell_namespaces(self) -> bool:
        """Whether it matters in which namespace something happens."""
        return any(place.startswith("namespace/") for place in self.by_place)

    def per_minute(self, *, namespace: str, severity: str, service: str = "") -> Decimal:
        """Of a minute without the service."""
        places = (
            f"service/{service}",
            f"namespace/{namespace}/{severity}",
            f"namespace/{namespace}",
            f"severity/{severity}",
            DEFAULT,
        )
        return next((self.by_place[place] for place in places if place in self.by_place), Decimal(0))


def parse_rates(document: Any) -> Rates:
    """Raises `ValueError` with what is wrong."""
    if not isinstance(document, dict) or len(document) > MOST_RATES:
        raise ValueError(f"must be an object with at most {MOST_RATES} members")
    return Rates({_place(place): _rate(place, value) for place, value in document.items()})


def _place(place: str) -> str:
    kind, _, name = place.partition("/")
    if place != DEFAULT and (kind not in KINDS or not name):
        raise ValueError(f"{place!r} is neither 'default' nor service/…, namespace/… or severity/…")
    return place


def _rate(place: str, value: Any) -> Decimal:
    try:
        rate = Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError(f"{place}: must be a number") from error
    if isinstance(value, bool) or not rate.is_finite() or not 0 <= rate <= MOST:
        raise ValueError(f"{place}: must be a number from 0 to {MOST}")
    return rate


def shown(millionths: int | Decimal) -> float:
    """In the currency, to a hundredth of a cent: a call of a language model may cost less than a cent."""
    return float(round(Decimal(millionths) / MILLION, 4))
