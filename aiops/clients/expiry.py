"""When the certificates and tokens of a cluster end, so that people hear of it before the connection does."""

import base64
import binascii
import contextlib
import socket
from datetime import UTC, datetime
from urllib.parse import urlsplit

import orjson
from cryptography import x509

from aiops.clients import addresses
from aiops.clients.kubeconfig import Access

TIMEOUT = 5.0  # seconds
LATEST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


def of_credentials(access: Access) -> datetime | None:
    """The end of our client certificate or token, whichever comes first; None when neither says."""
    ends = [end for end in (_of_certificate(access.certificate), _of_token(access.token)) if end]
    return min(ends, default=None)


def of_server(access: Access) -> datetime | None:
    """The end of the certificate that the API server shows; None for plain HTTP, or when it cannot be seen."""
    parts = urlsplit(access.server)
    if parts.scheme != "https" or not parts.hostname:
        return None
    context = access.ssl_context()
    try:
        with socket.create_connection((parts.hostname, parts.port or 443), timeout=TIMEOUT) as plain:
            if context is None or (not access.in_cluster and addresses.refusal(str(plain.getpeername()[0]))):
                return None
            name = access.tls_server_name or parts.hostname
            with context.wrap_socket(plain, server_hostname=name) as secured:
                shown = secured.getpeercert(binary_form=True)
    except OSError:
        return None
    with contextlib.suppress(ValueError):
        return x509.load_der_x509_certificate(shown).not_valid_after_utc if shown else None
    return None


def _of_certificate(pem: str) -> datetime | None:
    with contextlib.suppress(ValueError):
        return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc if pem else None
    return None


def _of_token(token: str) -> datetime | None:
    """The claim `exp` of a JSON Web Token; nothing is verified, since nothing depends on it but a warning."""
    pieces = token.split(".")
    if len(pieces) != 3:
        return None
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(pieces[1] + "=" * (-len(pieces[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    end = claims.get("exp") if isinstance(claims, dict) else None
    if not isinstance(end, int | float) or not 0 < end < LATEST:
        return None
    return datetime.fromtimestamp(end, UTC)
