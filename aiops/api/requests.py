from typing import Any

from django.utils.datastructures import MultiValueDict
from rest_framework.request import Request

from aiops.api.parsers import BODY_MAX, parse_json, read_body
from aiops.apikeys.caller import Caller


class ApiRequest(Request):
    """DRF's request without its guesses: the body is JSON, read once and within the view's limit."""

    _raw: bytes | None = None

    @property
    def raw(self) -> bytes:
        """The body as sent. Raises `PayloadTooLarge`."""
        if self._raw is None:
            limit: int = getattr(self.parser_context.get("view"), "body_max", BODY_MAX)
            self._raw = read_body(self._request, limit)
        return self._raw

    @property
    def caller(self) -> Caller:
        """Who asks; only after authentication, which views do first."""
        caller: Any = self.user
        return caller  # type: ignore[no-any-return]

    def _load_data_and_files(self) -> None:
        self._files: Any = MultiValueDict()
        # a body that cannot be parsed complains once; the browsable API may ask again
        self._data: Any = {}
        self._full_data: Any = {}
        self._data = self._full_data = parse_json(self.raw)
