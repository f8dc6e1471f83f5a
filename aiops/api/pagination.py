"""`page` and `pageSize` (api.md 1.9)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, QuerySet

from aiops.api.exceptions import BadRequest

PAGE_MAX = 2**63 - 1
DIGITS_MAX = 19


@dataclass(frozen=True, slots=True)
class Page:
    number: int
    size: int
    skipped: int = 0  # rows before the page where it is read from another place than the first row

    @classmethod
    def of(cls, query: Mapping[str, Any], *, size: int = 20, maximum: int = 100) -> "Page":
        """The page that a query string asks for. Raises `BadRequest` naming every offending parameter."""
        fields: dict[str, list[str]] = {}
        number = _integer(query, "page", 1, fields)
        wanted = _integer(query, "pageSize", size, fields)
        if fields:
            raise BadRequest("The page parameters are not valid", fields)
        return cls(number, min(wanted, maximum))

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size + self.skipped

    def of_rows(self, rows: QuerySet[Any, Any], total: int) -> QuerySet[Any, Any]:
        """The rows of this page. A page past the end asks the database nothing, however far it lies."""
        if self.offset >= total:
            return rows.none()
        return rows[self.offset : self.offset + self.size]


def _integer(query: Mapping[str, Any], name: str, default: int, fields: dict[str, list[str]]) -> int:
    text = query.get(name) or ""
    if not text:
        return default
    if (
        text.isascii()
        and text.isdigit()
        and len(text.lstrip("0")) <= DIGITS_MAX
        and 1 <= int(text[-DIGITS_MAX - 1 :]) <= PAGE_MAX
    ):
        return int(text)
    fields[name] = [f"Must be an integer from 1 to {PAGE_MAX}."]
    return default


def total_of(rows: QuerySet[Model, Any]) -> int:
    """`totalCount`: exact, in one query, without the ordering and the joins that only a page needs."""
    return rows.order_by().count()
