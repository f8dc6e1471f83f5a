from rest_framework.routers import SimpleRouter


class Router(SimpleRouter):
    """Routes without a trailing slash: `ApiMiddleware` takes it off, so both forms answer directly (RTE-1)."""

    def __init__(self) -> None:
        super().__init__(trailing_slash=False)
