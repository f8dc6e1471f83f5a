from datetime import date
from decimal import Decimal

import pytest

from aiops.llm import prices

DAY = date(2027, 4, 12)


def own(*entries: dict[str, object]) -> tuple[prices.Price, ...]:
    return prices.parse(list(entries))


class TestPriceOf:
    def test_is_that_of_the_provider(self) -> None:
        price = prices.price_of(provider="claudeai", model="any", on=DAY)

        assert (int(price.input), int(price.output), price.version) == (3, 15, "claudeai/*@1970-01-01")

    def test_of_an_unknown_provider_is_the_last_one(self) -> None:
        assert prices.price_of(provider="nobody", model="any", on=DAY).output == 3

    def test_prefers_the_own_price_of_the_model_on_that_day(self) -> None:
        known = own(
            {"provider": "openai", "input": 1, "output": 1},
            {"provider": "openai", "model": "big", "input": 2, "output": 2},
            {"provider": "openai", "model": "big", "from": "2027-04-01", "input": 3, "output": 3},
            {"provider": "openai", "model": "big", "from": "2027-05-01", "input": 4, "output": 4},
        )

        assert prices.price_of(provider="openai", model="big", on=DAY, own=known).input == 3
        assert prices.price_of(provider="openai", model="small", on=DAY, own=known).input == 1
        assert prices.price_of(provider="xai", model="big", on=DAY, own=known).input == 3


class TestCost:
    def test_counts_tokens_that_the_provider_had_in_its_cache_by_their_own_price(self) -> None:
        (price,) = own({"input": "2.5", "output": 10, "cachedInput": "0.25"})

        assert prices.cost(price, prompt=1_000, completion=200, cached=400) == 1_500 + 100 + 2_000

    def test_counts_the_time_of_an_own_machine(self) -> None:
        (price,) = own({"second": "0.0005"})

        assert prices.cost(price, prompt=9_999, completion=9_999, seconds=4.0) == 2_000


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://notopenai.com", "*"),
        ("http://127.0.0.1:8000/v1", "*"),
        ("", "*"),
    ],
)
def test_the_address_tells_who_is_paid(url: str, provider: str) -> None:
    assert prices.provider_at(url) == provider


@pytest.mark.parametrize(
    "entries", [{}, ["x"], [{"price": 1}], [{"input": -1}], [{"input": "x"}], [{"input": True}], [{"from": "monday"}]]
)
def test_a_wrong_price_list_is_refused(entries: object) -> None:
    with pytest.raises(ValueError, match=r"must be|unknown member"):
        prices.parse(entries)


def test_prices_are_exact() -> None:
    (price,) = prices.parse([{"input": Decimal("0.1"), "output": Decimal("0.2")}])

    assert prices.cost(price, prompt=3, completion=0) == 0
    assert prices.cost(price, prompt=10_000_000, completion=10_000_000) == 3_000_000
