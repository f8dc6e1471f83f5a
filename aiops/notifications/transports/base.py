"""What a transport is: it takes one message to one channel, or says why not and whether trying again makes sense."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Protocol


class TransportError(Exception):
    """The message did not arrive. `permanent`: nor will it. `retry_after`: seconds the receiver asked us to wait.

    The text is for people and holds neither secrets nor whole answers.
    """

    def __init__(self, message: str, *, permanent: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.permanent = permanent
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class File:
    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message on its way. `key` is the same for every attempt, so receivers can tell a repetition."""

    key: str
    event: str
    subject: str
    body: str
    context: Mapping[str, Any]
    sent_at: datetime
    attachment: File | None = None


class Transport(Protocol):
    """One kind of channel. `config` is shown to people, `secrets` is not; both are the channel's."""

    settings: ClassVar[frozenset[str]]  # known members of `config`
    secrets: ClassVar[frozenset[str]]  # known members of `secrets`

    def check(self, config: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, str]:
        """What is wrong with the channel: member → reason; empty when it can be used."""

    def target(self, config: Mapping[str, Any], secrets: Mapping[str, str]) -> str:
        """Where messages go, for people: an address or a host, never a secret."""

    def send(self, envelope: Envelope, config: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        """Deliver. Raises `TransportError`."""
