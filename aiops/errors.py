"""What a service raises when it refuses. `aiops/api/exceptions.py` turns the families into HTTP answers."""


class DomainError(Exception):
    """A refusal that a person should read. `details` explains further; neither may hold secrets or internals."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class Invalid(DomainError):
    """400: the request names something that cannot be. `fields` maps the offending members to reasons."""

    def __init__(self, message: str, details: str = "", *, fields: dict[str, list[str]] | None = None) -> None:
        super().__init__(message, details)
        self.fields = fields or {}


class Conflict(DomainError):
    """409: the state of the object forbids it."""


class InvalidTransition(Conflict):
    """409: the state machine knows no such move."""


class LostRace(Conflict):
    """409: somebody else changed the row between our read and our write."""


class Gone(DomainError):
    """410: it was possible once and no longer is."""


class NotAllowed(DomainError):
    """403: the actor's role does not suffice."""


class Missing(DomainError):
    """404: the addressed object does not exist (or lies outside the key's scope)."""


class Unavailable(DomainError):
    """503: a part that we need does not answer; trying again later is right."""
