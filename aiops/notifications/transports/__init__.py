"""The ways out, one module per kind; a new kind is one module and one line here."""

from collections.abc import Mapping

from aiops.notifications.transports.base import Envelope, File, Transport, TransportError
from aiops.notifications.transports.email import EmailTransport
from aiops.notifications.transports.slack import SlackTransport
from aiops.notifications.transports.webhook import WebhookTransport

__all__ = ["TRANSPORTS", "Envelope", "File", "Transport", "TransportError"]

TRANSPORTS: Mapping[str, Transport] = {
    "email": EmailTransport(),
    "slack": SlackTransport(),
    "webhook": WebhookTransport(),
}
