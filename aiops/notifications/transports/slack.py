import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit
from urllib.request import Request

from slack_sdk.webhook import WebhookClient, WebhookResponse

from aiops.notifications.transports.base import Envelope, TransportError
from aiops.notifications.transports.http import post

COLORS = {"critical": "#FF0000", "high": "#FF8C00", "medium": "#FFD700", "low": "#00CC00"}
OTHER = "#808080"
MAX_TEXT = 3_000  # characters Slack takes in one section

# the library would log the address, which is a secret; what fails is logged by delivery
_silent = logging.getLogger(f"{__name__}.library")
_silent.setLevel(logging.CRITICAL)


class _Client(WebhookClient):
    """The library's client, which builds the request, over our guarded connection, which follows no redirects."""

    def __init__(self, url: str, *, now: datetime) -> None:
        super().__init__(url, retry_handlers=[], logger=_silent)
        self.now = now

    def _perform_http_request_internal(self, url: str, req: Request) -> WebhookResponse:
        post(url, req.data if isinstance(req.data, bytes) else b"", dict(req.header_items()), now=self.now)
        return WebhookResponse(url=url, status_code=200, body="", headers={})


class SlackTransport:
    """An incoming webhook of Slack (or of a service that speaks the same). Its address is the secret."""

    settings: ClassVar[frozenset[str]] = frozenset({"channel", "username"})
    secrets: ClassVar[frozenset[str]] = frozenset({"url"})

    def check(self, config: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, str]:
        if urlsplit(secrets.get("url", "")).scheme not in {"http", "https"}:
            return {"url": "The address of an incoming webhook is expected."}
        return {}

    def target(self, config: Mapping[str, Any], secrets: Mapping[str, str]) -> str:
        return str(config.get("channel") or urlsplit(secrets.get("url", "")).hostname or "")

    def send(self, envelope: Envelope, config: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        if self.check(config, secrets):
            raise TransportError("the channel has no address", permanent=True)
        _Client(secrets["url"], now=envelope.sent_at).send_dict(_message(envelope, config))


def _message(envelope: Envelope, config: Mapping[str, Any]) -> dict[str, Any]:
    text = _escaped(envelope.subject)
    section = {"type": "section", "text": {"type": "mrkdwn", "text": _escaped(envelope.body)[:MAX_TEXT] or text}}
    color = COLORS.get(str(envelope.context.get("severity")), OTHER)
    message: dict[str, Any] = {
        "text": text,
        "attachments": [{"color": color, "fallback": text, "blocks": [section]}],
    }
    for member in ("channel", "username"):
        if config.get(member):
            message[member] = str(config[member])
    return message


def _escaped(text: str) -> str:
    """Slack's three control characters: without this a pod's message could mention everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
