"""Secrets at rest: Fernet, rotatable. The first of `AIOPS_ENCRYPTION_KEYS` encrypts, all of them decrypt."""

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from aiops.errors import Unavailable


def _fernet() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.ENCRYPTION_KEYS])


def encrypt(text: str) -> bytes:
    return _fernet().encrypt(text.encode())


def decrypt(token: bytes) -> str:
    """Raises `Unavailable` when no configured key fits: the key was rotated away too early."""
    try:
        return _fernet().decrypt(bytes(token)).decode()
    except InvalidToken as error:
        raise Unavailable(
            "A stored secret cannot be decrypted", "Put its key back into AIOPS_ENCRYPTION_KEYS."
        ) from error
