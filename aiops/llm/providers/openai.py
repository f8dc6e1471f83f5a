"""Any endpoint that speaks OpenAI's chat completions: hosted ones, and the servers people run local models with."""

from collections.abc import Mapping
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import orjson

from aiops.llm.providers.base import Completion, Prompt, ProviderError
from aiops.redaction import redact

if TYPE_CHECKING:
    from openai import OpenAI

MAX_ANSWER = 1_000_000  # bytes
MAX_TOKENS = 2_000
TRIES = 2
LONGEST_PAUSE = 5.0  # seconds between two tries
PASSING = frozenset({408, 409, 425, 429})


class OpenAIProvider:
    """A second try is made for answers that say "later" (429, 5xx), not after a time-out: that was the patience we had."""

    name = "openai"

    def __init__(self, *, base_url: str, api_key: str, model: str) -> None:
        self.base_url, self.api_key, self.model = base_url, api_key, model

    def complete(self, prompt: Prompt, *, timeout: float) -> Completion:
        until = monotonic() + timeout
        for left in reversed(range(TRIES)):
            status, headers, body = self._post(prompt, until)
            if status == 200:
                return _completion(body)
            if not left or not (status in PASSING or status >= 500) or not _pause(headers, until):
                break
        raise ProviderError(f"the endpoint answered {status}: {redact(body[:300].decode(errors='replace'))}")

    def _post(self, prompt: Prompt, until: float) -> tuple[int, Mapping[str, str], bytes]:
        # imported on first use: the package takes a second and 40 MB, and most installations have no language model
        import openai  # noqa: PLC0415

        left = until - monotonic()
        if left <= 0:
            raise ProviderError("no answer in time", outcome="timeout")
        try:
            with (
                self._client(left) as client,
                client.chat.completions.with_streaming_response.create(
                    model=self.model,
                    messages=[{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
                    temperature=0,
                    max_tokens=MAX_TOKENS,
                ) as answer,
            ):
                return answer.status_code, answer.headers, _read(answer.iter_bytes(), until)
        except openai.APIStatusError as error:
            return error.status_code, error.response.headers, redact(str(error)).encode()
        except openai.APITimeoutError as error:
            raise ProviderError("no answer in time", outcome="timeout") from error
        except openai.OpenAIError as error:
            raise ProviderError(f"the endpoint cannot be reached: {type(error).__name__}") from error

    def _client(self, timeout: float) -> "OpenAI":
        from openai import OpenAI  # noqa: PLC0415 - see above

        # a key is required by the library; servers without one ignore it
        return OpenAI(base_url=self.base_url, api_key=self.api_key or "none", timeout=timeout, max_retries=0)


def _read(chunks: Any, until: float) -> bytes:
    """The body, as far as time and size allow: the library's time-out counts anew with every byte that drips in."""
    parts: list[bytes] = []
    size = 0
    for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if monotonic() > until:
            raise ProviderError("no complete answer in time", outcome="timeout")
        if size > MAX_ANSWER:
            raise ProviderError("the answer is too long")
    return b"".join(parts)


def _pause(headers: Mapping[str, str], until: float) -> bool:
    """Wait as long as we were told (a second, if we were not); false when that is too long."""
    try:
        seconds = float(headers.get("retry-after", "1"))
    except ValueError:
        seconds = 1.0
    if not 0 <= seconds <= LONGEST_PAUSE or monotonic() + seconds >= until:
        return False
    sleep(seconds)
    return True


def _completion(body: bytes) -> Completion:
    try:
        answer = orjson.loads(body)
        text = answer["choices"][0]["message"]["content"]
    except (orjson.JSONDecodeError, LookupError, TypeError) as error:
        raise ProviderError("the answer is no chat completion") from error
    if not isinstance(text, str):
        raise ProviderError("the answer holds no text")
    usage = answer.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    # reasoning is billed as output, and `completion_tokens` contains it
    return Completion(text, _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")), _count(cached))


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 10_000_000 else 0
