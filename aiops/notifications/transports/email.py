import smtplib
from collections.abc import Mapping, Sequence
from email.encoders import encode_base64
from email.errors import MessageError
from email.mime.base import MIMEBase
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage, get_connection
from django.core.validators import validate_email

from aiops.notifications.transports.base import Envelope, File, TransportError

MAX_RECIPIENTS = 50
DOMAIN = "aiops.invalid"  # of message ids: they name no host


class EmailTransport:
    """Plain text by Django's mail backend: the server is the installation's (`AIOPS_EMAIL_*`), the recipients the channel's.

    All messages about one incident carry the same reference, so that mail programs show them as one thread.
    """

    settings: ClassVar[frozenset[str]] = frozenset({"to", "from"})
    secrets: ClassVar[frozenset[str]] = frozenset()

    def check(self, config: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, str]:
        recipients = config.get("to")
        if not isinstance(recipients, list) or not 0 < len(recipients) <= MAX_RECIPIENTS:
            return {"to": f"A list of 1 to {MAX_RECIPIENTS} addresses is expected."}
        problems = {}
        for member, addresses in (("to", recipients), ("from", [config["from"]] if config.get("from") else [])):
            wrong = [address for address in addresses if not _is_address(address)]
            if wrong:
                problems[member] = f"{wrong[0]!r} is no mail address."[:500]
        return problems

    def target(self, config: Mapping[str, Any], secrets: Mapping[str, str]) -> str:
        recipients = config.get("to")
        return ", ".join(map(str, recipients)) if isinstance(recipients, list) else ""

    def send(self, envelope: Envelope, config: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        problems = self.check(config, secrets)
        if problems:
            raise TransportError("; ".join(problems.values()), permanent=True)
        thread = f"<{envelope.context.get('incident') or envelope.context.get('subject') or envelope.key}@{DOMAIN}>"
        message = EmailMessage(
            subject=envelope.subject,
            body=envelope.body,
            from_email=config.get("from") or settings.DEFAULT_FROM_EMAIL,
            to=_recipients(config["to"]),
            headers={"Message-ID": f"<{envelope.key}@{DOMAIN}>", "In-Reply-To": thread, "References": thread},
            connection=get_connection(),
        )
        if envelope.attachment is not None:
            message.attach(_part(envelope.attachment))
        try:
            message.send()
        except (MessageError, ValueError) as error:
            raise TransportError("the message cannot be written as mail", permanent=True) from error
        except smtplib.SMTPRecipientsRefused as error:
            codes = {int(code) for code, _ in error.recipients.values()}
            raise TransportError("no recipient was accepted", permanent=all(code >= 500 for code in codes)) from error
        except smtplib.SMTPResponseException as error:
            raise TransportError(
                f"the mail server answered {error.smtp_code}", permanent=500 <= error.smtp_code < 600
            ) from error
        except (smtplib.SMTPException, OSError) as error:
            raise TransportError(f"the mail server cannot be reached: {type(error).__name__}") from error


def _part(file: File) -> MIMEBase:
    """In base64: lines of a page may be longer than mail allows, and no server has to take eight bits."""
    kind, _, subtype = file.media_type.partition("/")
    part = MIMEBase(kind, subtype, charset="utf-8") if kind == "text" else MIMEBase(kind, subtype)
    part.set_payload(file.content)
    encode_base64(part)
    part.add_header("Content-Disposition", "attachment", filename=file.name)
    return part


def _recipients(addresses: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(addresses))


def _is_address(address: Any) -> bool:
    try:
        validate_email(address)
    except (ValidationError, TypeError):
        return False
    return True
