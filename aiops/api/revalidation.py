"""`ETag` and `If-None-Match` of answers that are no single object: `304` instead of a body the client has already.

A list of tallied tables names in its tag the change stamp of the tables, what was asked, and until when the same rows are written
the same way (an age grows by itself). So an unchanged list is recognized by one small statement and the clock, without its rows,
and a tag that says it is outdated is never accepted again. Every other answer has the digest of its body.
"""

from datetime import datetime
from hashlib import blake2b
from typing import Any

from django.conf import settings
from django.http import HttpResponse, HttpResponseBase
from rest_framework.request import Request

from aiops.api.renderers import dumps
from aiops.apikeys.scopes import Scope

NEVER = "-"
TAGS_MAX = 4096  # characters of If-None-Match that are looked at


def wanted(request: Request) -> list[str]:
    """The tags of `If-None-Match`, without the mark of weak ones: a reader of lists does not care."""
    sent: str = request.META.get("HTTP_IF_NONE_MATCH", "")
    return [one.strip().removeprefix("W/") for one in sent[:TAGS_MAX].split(",")] if sent else []


def subject_of(request: Request, scope: Scope) -> str:
    """What was asked for, and for whose eyes."""
    sides = [None if side is None else sorted(side) for side in (scope.namespaces, scope.clusters)]
    asked = f"{settings.VERSION} {request.path} {request.META.get('QUERY_STRING', '')} {sides}"
    return blake2b(asked.encode(errors="surrogateescape"), digest_size=9).hexdigest()


def is_current(tags: list[str], subject: str, stamp: str, now: datetime) -> str:
    """The tag that still describes the answer; empty when none does."""
    for tag in tags:
        asked, _, rest = tag.strip('"').partition(".")
        known, _, until = rest.partition(".")
        if (
            asked == subject
            and known == stamp
            and (until == NEVER or (until.isdigit() and _micro(now) < int(until[:20])))
        ):
            return tag
    return ""


def tag_of(subject: str, stamp: str, until: datetime | None) -> str:
    return f'"{subject}.{stamp}.{NEVER if until is None else _micro(until)}"'


def _micro(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def not_modified(tag: str) -> HttpResponse:
    response = HttpResponse(status=304, headers={"ETag": tag})
    del response["Content-Type"]
    return response


def tag_body(response: Any, request: Request) -> Any:
    """Give a finished answer the digest of its body, or answer 304 when the client names it.

    A report about a period up to now says when it was made. Its tag leaves that out and is weak: the figures are the same.
    """
    lasting = _without_moments(response.data)
    content = response.content if lasting is None else dumps(lasting)
    tag = f'"{blake2b(content, digest_size=15).hexdigest()}"'
    response["ETag"] = tag if lasting is None else f"W/{tag}"
    if tag not in wanted(request):
        return None
    replaced: HttpResponseBase = not_modified(response["ETag"])
    return replaced


def _without_moments(document: Any) -> dict[str, Any] | None:
    """The report without its moments; None when the document is no report of a moving period."""
    metadata = document.get("metadata") if isinstance(document, dict) else None
    if not isinstance(metadata, dict) or "generatedAt" not in metadata:
        return None
    moments = {"generatedAt", "from", "to"} if metadata.get("period") else {"generatedAt"}
    return {**document, "metadata": {name: value for name, value in metadata.items() if name not in moments}}
