"""What a call costs. Pure.

A price holds for a provider and a model (or for all of its models) from a day on. Prices of the setting `AIOPS_LLM_PRICES`
come before the built-in ones, the price of a model before that of its provider, the newer one before the older. Costs are
whole millionths of the currency, so sums are exact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

ANY = "*"
EVER = date(1970, 1, 1)
MEMBERS = frozenset({"provider", "model", "from", "input", "output", "cachedInput", "second"})
MOST = Decimal(1_000_000)  # of any price: what is above is a slip of the keyboard


@dataclass(frozen=True, slots=True)
class Price:
    """Per million tokens; `second` per second that the model works, for models on own machines."""

    provider: str
    model: str = ANY
    since: date = EVER
    input: Decimal = Decimal(0)
    output: Decimal = Decimal(0)
    cached: Decimal | None = None  # input that the provider had in its cache; None: as any input
    second: Decimal = Decimal(0)

    @property
    def version(self) -> str:
        """Says in the books which price a call was charged by."""
        return f"{self.provider}/{self.model}@{self.since}"


def _builtin(provider: str, into: str, out: str) -> Price:
    return Price(provider, input=Decimal(into), output=Decimal(out))


BUILTIN = (
    _builtin("claudeai", "3", "15"),
    _builtin("openai", "10", "30"),
    _builtin("googleai", "1.25", "5"),
    _builtin("xai", "3", "15"),
    _builtin("zai", "1", "4"),
    _builtin("minimax", "0.3", "1.2"),
    _builtin("moonshot", "0.95", "4"),
    _builtin("copilot", "10", "30"),
    _builtin("devin", "0", "0"),
    _builtin("openrouter", "2", "8"),
    _builtin(ANY, "1", "3"),
)
HOSTS = {
    "anthropic.com": "claudeai",
    "openai.com": "openai",
    "googleapis.com": "googleai",
    "x.ai": "xai",
    "z.ai": "zai",
    "minimax.io": "minimax",
    "moonshot.ai": "moonshot",
    "githubcopilot.com": "copilot",
    "openrouter.ai": "openrouter",
}


def provider_at(url: str) -> str:
    """Who is paid for calls to this address; `*` for a server nobody knows, such as one's own."""
    host = (urlsplit(url).hostname or "").lower()
    return next((name for end, name in HOSTS.items() if host == end or host.endswith(f".{end}")), ANY)


def price_of(*, provider: str, model: str, on: date, own: Sequence[Price] = ()) -> Price:
    """The price that holds on that day; there always is one."""

    def rank(price: Price) -> tuple[bool, bool, date]:
        return (price.model == model, price.provider == provider, price.since)

    for prices in (own, BUILTIN):
        fitting = [
            price
            for price in prices
            if price.provider in {provider, ANY} and price.model in {model, ANY} and price.since <= on
        ]
        if fitting:
            return max(fitting, key=rank)
    raise LookupError("the built-in prices cover everything")


def cost(price: Price, *, prompt: int, completion: int, cached: int = 0, seconds: float = 0.0) -> int:
    """Millionths of the currency. `cached` tokens are a part of `prompt`."""
    cached = min(cached, prompt)
    for_cached = price.input if price.cached is None else price.cached
    amount = (prompt - cached) * price.input + cached * for_cached + completion * price.output
    amount += Decimal(repr(max(0.0, seconds))) * price.second * 1_000_000
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))


def parse(entries: Any) -> tuple[Price, ...]:
    """Prices from the setting. Raises `ValueError` with what is wrong and where."""
    if not isinstance(entries, list):
        raise ValueError("must be a list of objects")
    return tuple(_parse(number, entry) for number, entry in enumerate(entries))


def _parse(number: int, entry: Any) -> Price:
    where = f"entry {number}"
    if not isinstance(entry, Mapping):
        raise ValueError(f"{where}: must be an object")
    unknown = sorted(set(entry) - MEMBERS)
    if unknown:
        raise ValueError(f"{where}: unknown member {unknown[0]!r}; known are {', '.join(sorted(MEMBERS))}")
    try:
        since = date.fromisoformat(str(entry["from"])) if "from" in entry else EVER
    except ValueError as error:
        raise ValueError(f"{where}: 'from' must be a date") from error
    return Price(
        provider=str(entry.get("provider", ANY)).lower(),
        model=str(entry.get("model", ANY)),
        since=since,
        input=_amount(where, "input", entry.get("input", 0)),
        output=_amount(where, "output", entry.get("output", 0)),
        cached=_amount(where, "cachedInput", entry["cachedInput"]) if "cachedInput" in entry else None,
        second=_amount(where, "second", entry.get("second", 0)),
    )


def _amount(where: str, name: str, value: Any) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError(f"{where}: {name!r} must be a number") from error
    if isinstance(value, bool) or not amount.is_finite() or not 0 <= amount <= MOST:
        raise ValueError(f"{where}: {name!r} must be a number from 0 to {MOST}")
    return amount
