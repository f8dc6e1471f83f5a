"""Against a local server that speaks the protocol of chat completions."""

import threading
from datetime import timedelta
from decimal import Decimal

import orjson
import pytest

from aiops.llm import budget, prices, services
from aiops.llm.models import LLMCall
from aiops.llm.providers.base import Prompt, Rejected
from tests.conftest import NOON
from tests.servers import Answer, HttpServer, http_server

pytestmark = pytest.mark.django_db


def says(text: str) -> Answer:
    body = {
        "id": "c1",
        "object": "chat.completion",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150},
    }
    return Answer(body=orjson.dumps(body), headers={"Content-Type": "application/json"})


@pytest.fixture
def configure(settings):
    def use(server: HttpServer, **overrides: object) -> None:
        settings.AIOPS_LLM_BASE_URL = server.url + "/v1"
        settings.AIOPS_LLM_API_KEY = "sk-test-0123456789abcdefghij"
        settings.AIOPS_LLM_MODEL = "local-analyst-2"
        settings.AIOPS_LLM_TIMEOUT = overrides.get("timeout", 10)

    return use


def ask(check=lambda text: text, text: str = "what is wrong?") -> str | None:
    prompt = Prompt("answer", text)
    return services.ask(
        purpose="analysis", subject=services.Subject("INC-20270412-001"), prompt=prompt, check=check, at=NOON
    )


def must_be_yes(text: str) -> str:
    if text != "yes":
        raise Rejected("say yes")
    return text


class TestAsk:
    def test_returns_the_checked_answer_and_keeps_the_books(self, configure):
        with http_server(says("yes")) as server:
            configure(server)

            assert ask(must_be_yes) == "yes"

        request = server.received[0]
        assert request.path == "/v1/chat/completions"
        assert request.json()["model"] == "local-analyst-2"
        call = LLMCall.objects.get()
        assert (call.outcome, call.prompt_tokens, call.completion_tokens) == ("accepted", 120, 30)

    def test_sends_no_secret(self, configure):
        with http_server(says("yes")) as server:
            configure(server)
            ask(text="env DB_PASSWORD=hunter2 Authorization: Bearer abcdefgh12345678 postgres://shop:pa55word@db/shop")

        body = server.received[0].body.decode()
        assert not [secret for secret in ("hunter2", "abcdefgh12345678", "pa55word") if secret in body]
        assert "hunter2" not in LLMCall.objects.get().prompt

    def test_does_nothing_without_a_model(self, settings):
        settings.AIOPS_LLM_BASE_URL = ""

        assert ask() is None
        assert LLMCall.objects.count() == 0

    def test_lets_the_model_repair_its_answer_once(self, configure):
        with http_server(says("no"), says("yes")) as server:
            configure(server)

            assert ask(must_be_yes) == "yes"

        assert "say yes" in server.received[1].json()["messages"][1]["content"]
        assert list(LLMCall.objects.order_by("pk").values_list("outcome", flat=True)) == ["rejected", "accepted"]

    def test_gives_up_after_the_repair(self, configure):
        with http_server(says("no")) as server:
            configure(server)

            assert ask(must_be_yes) is None

        assert len(server.received) == 2

    def test_gives_up_when_the_time_is_over(self, configure):
        release = threading.Event()
        with http_server(Answer(hang=release)) as server:
            configure(server, timeout=1)

            assert ask() is None
            release.set()

        assert LLMCall.objects.get().outcome == "timeout"
        assert LLMCall.objects.get().duration_seconds < 5

    @pytest.mark.parametrize("status", [429, 500])
    def test_tries_again_when_told_later(self, configure, status):
        with http_server(Answer(status, headers={"Retry-After": "0"}), says("yes")) as server:
            configure(server)

            assert ask(must_be_yes) == "yes"

        assert len(server.received) == 2

    def test_does_not_wait_longer_than_it_may(self, configure):
        with http_server(Answer(429, headers={"Retry-After": "600"})) as server:
            configure(server)

            assert ask() is None

        assert len(server.received) == 1
        assert "429" in LLMCall.objects.get().error

    @pytest.mark.parametrize(
        "body", [b"<html>", b"{}", b'{"choices": []}', b'{"choices": [{"message": {"content": null}}]}']
    )
    def test_does_without_an_answer_that_is_none(self, configure, body):
        with http_server(Answer(body=body, headers={"Content-Type": "application/json"})) as server:
            configure(server)

            assert ask() is None

        assert LLMCall.objects.get().outcome == "error"

    def test_does_without_a_server(self, configure):
        with http_server() as server:
            configure(server)
        assert ask() is None

    def test_charges_by_what_the_provider_reports(self, configure, settings):
        settings.AIOPS_LLM_PRICES = prices.parse([{"model": "local-analyst-2", "input": 1000, "output": 5000}])
        with http_server(says("yes")) as server:
            configure(server)
            ask()

        call = LLMCall.objects.get()
        assert (call.cost, call.price) == (120_000 + 150_000, "*/local-analyst-2@1970-01-01")

    @pytest.mark.parametrize("scope", ["INCIDENT", "DAY", "MONTH"])
    def test_spends_no_more_than_it_may(self, configure, settings, scope):
        settings.AIOPS_LLM_PRICES = prices.parse([{"input": 10_000, "output": 0}])
        setattr(settings, f"AIOPS_LLM_BUDGET_{scope}", Decimal(2))
        with http_server(says("yes")) as server:
            configure(server)

            assert [ask(), ask(), ask()] == ["yes", "yes", None]

    def test_keeps_to_the_budget(self, configure):
        values = {
            "purpose": "analysis",
            "subject": "INC-20270412-001",
            "provider": "openai",
            "model": "m",
            "outcome": "accepted",
        }
        LLMCall.objects.bulk_create(
            LLMCall(at=NOON - timedelta(hours=1), **values) for _ in range(budget.CALLS_PER_SUBJECT)
        )
        with http_server(says("yes")) as server:
            configure(server)

            assert ask() is None

        assert server.received == []


class TestForget:
    def test_deletes_old_calls(self, settings):
        settings.AIOPS_LLM_RETENTION_DAYS = 400
        for days in (401, 399):
            LLMCall.objects.create(
                at=NOON - timedelta(days=days),
                purpose="analysis",
                subject=str(days),
                provider="p",
                model="m",
                outcome="accepted",
            )

        assert services.forget(at=NOON) == 1

        assert LLMCall.objects.get().subject == "399"
