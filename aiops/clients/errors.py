"""The two kinds of failure of an outside system, whatever its library calls them."""


class ClientError(Exception):
    """`message` is for people: short, redacted, without stack traces. `status` is the HTTP status, if there was one."""

    def __init__(self, message: str, *, status: int | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason


class ClientUnavailable(ClientError):
    """It did not answer, or asked us to come back later: trying again is right. `retry_after` in seconds, if it said so."""

    def __init__(
        self, message: str, *, status: int | None = None, reason: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message, status=status, reason=reason)
        self.retry_after = retry_after


class ClientRefused(ClientError):
    """It answered, and the answer is no: trying the same again is useless."""


class NotFound(ClientRefused):
    """404: the object, or the whole API, is not there."""


class Denied(ClientRefused):
    """401 or 403: the credentials are wrong or not enough."""


class VersionConflict(ClientRefused):
    """409: the object exists already, or its resourceVersion is another one by now."""


class Expired(ClientRefused):
    """410: the list or watch is too old to be continued; start again."""


class Rejected(ClientRefused):
    """400 or 422: the object would be invalid."""
