"""What a language model is to us: text in, text out, within a time."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Prompt:
    """`system` is ours; `user` carries data from outside and is marked as such."""

    system: str
    user: str


@dataclass(frozen=True, slots=True)
class Completion:
    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0  # of the prompt


class ProviderError(Exception):
    """No usable answer. `outcome` is what the call's record says: timeout or error. The text is redacted."""

    def __init__(self, message: str, *, outcome: str = "error") -> None:
        super().__init__(message)
        self.message = message
        self.outcome = outcome


class Rejected(Exception):
    """An answer is not what was asked for. The text tells the model what to repair."""


class Provider(Protocol):
    name: str
    model: str

    def complete(self, prompt: Prompt, *, timeout: float) -> Completion:
        """Ask once, within `timeout` seconds. Raises `ProviderError`."""
