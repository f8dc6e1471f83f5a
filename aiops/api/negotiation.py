"""X1.1: a browser gets the browsable API, everybody else JSON, whatever `Accept` says."""

from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request

HTML, JSON = "text/html", "application/json"
ACCEPT_MAX = 1024  # characters looked at


def prefers_html(accept: str) -> bool:
    """Whether `text/html` is named, and before (or with a higher weight than) JSON."""
    if HTML not in accept:
        return False
    weights: dict[str, tuple[float, int]] = {}
    for position, part in enumerate(accept[:ACCEPT_MAX].split(",")):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        weights.setdefault(media, (_weight(parameters), -position))
    html = weights.get(HTML, (0.0, 0))
    return html[0] > 0 and html > weights.get(JSON, (0.0, -ACCEPT_MAX))


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


class BrowserOrJSON(BaseContentNegotiation):
    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> tuple[Any, str]:
        wanted = 0
        if len(renderers) > 1 and prefers_html(request.META.get("HTTP_ACCEPT", "")) and not request.GET.get("format"):
            wanted = 1
        return renderers[wanted], renderers[wanted].media_type
