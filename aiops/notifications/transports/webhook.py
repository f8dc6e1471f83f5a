import base64
import binascii
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

import orjson
from standardwebhooks import Webhook

from aiops.notifications.transports.base import Envelope, TransportError
from aiops.notifications.transports.http import post

PREFIX = "whsec_"
MIN_SECRET = 24  # bytes, as Standard Webhooks asks for
MAX_SECRET = 64


class WebhookTransport:
    """JSON by POST, signed as Standard Webhooks says: `webhook-id`, `webhook-timestamp`, `webhook-signature`.

    The receiver proves the sender with the shared secret, refuses old timestamps, and knows repetitions by the id.
    """

    settings: ClassVar[frozenset[str]] = frozenset({"url"})
    secrets: ClassVar[frozenset[str]] = frozenset({"secret"})

    def check(self, config: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, str]:
        problems = {}
        if urlsplit(str(config.get("url", ""))).scheme not in {"http", "https"}:
            problems["url"] = "An http or https address is expected."
        if not MIN_SECRET <= len(_key(secrets)) <= MAX_SECRET:
            problems["secret"] = f"{PREFIX} and {MIN_SECRET} to {MAX_SECRET} bytes in base64 are expected."
        return problems

    def target(self, config: Mapping[str, Any], secrets: Mapping[str, str]) -> str:
        return urlsplit(str(config.get("url", ""))).hostname or ""

    def send(self, envelope: Envelope, config: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        problems = self.check(config, secrets)
        if problems:
            raise TransportError("; ".join(f"{name}: {why}" for name, why in problems.items()), permanent=True)
        body = _body(envelope)
        signature = Webhook(_key(secrets)).sign(envelope.key, envelope.sent_at, body)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "aiops",
            "webhook-id": envelope.key,
            "webhook-timestamp": str(int(envelope.sent_at.timestamp())),
            "webhook-signature": signature,
        }
        post(config["url"], body.encode(), headers, now=envelope.sent_at)


def _key(secrets: Mapping[str, str]) -> bytes:
    try:
        return base64.b64decode(secrets.get("secret", "").removeprefix(PREFIX), validate=True)
    except (ValueError, binascii.Error):
        return b""


def _body(envelope: Envelope) -> str:
    return orjson.dumps(
        {
            "type": envelope.event.replace("_", ".", 1),
            "timestamp": envelope.sent_at,
            "data": {
                **envelope.context,
                "subjectLine": envelope.subject,
                "text": envelope.body,
                **_files(envelope),
            },
        },
        option=orjson.OPT_UTC_Z,
    ).decode()


def _files(envelope: Envelope) -> dict[str, Any]:
    attached = envelope.attachment
    if attached is None:
        return {}
    content = base64.b64encode(attached.content).decode()
    return {"attachments": [{"name": attached.name, "mediaType": attached.media_type, "content": content}]}
