"""Rows that belong to a row, in the same statement: a sub-query as one JSON value.

    Incident.objects.values("name", found=Nested(AIInsight.objects.filter(incident=OuterRef("pk")).values("analysis")))

gives `{"name": …, "found": [{"analysis": …}]}`. Members are named and ordered as in `values()`. It is meant for a few rows:
texts, numbers, booleans and JSON columns arrive as they are, a time arrives as text.
"""

from typing import Any

from django.db.models import JSONField, QuerySet, Subquery


class Nested(Subquery):
    """The rows of a `values()` query set as a list of dicts; the empty list when there are none."""

    def __init__(self, rows: QuerySet[Any, Any]) -> None:
        super().__init__(rows, output_field=JSONField())

    def as_sql(
        self, compiler: Any, connection: Any, template: str | None = None, **extra_context: Any
    ) -> tuple[str, tuple[Any, ...]]:
        inner = self.query.get_compiler(connection=connection)
        sql, parameters = inner.as_sql(with_col_aliases=True)
        names = (*self.query.values_select, *self.query.annotation_select)
        is_sqlite = connection.vendor == "sqlite"
        members: list[str] = []
        for name, (expression, _, alias) in zip(names, inner.select, strict=True):
            column = f"nested.{connection.ops.quote_name(alias)}"
            if is_sqlite and isinstance(expression.output_field, JSONField):
                column = f"JSON({column})"  # SQLite keeps JSON as text
            members.append(f"'{name}', {column}")
        one, many = ("JSON_OBJECT", "JSON_GROUP_ARRAY") if is_sqlite else ("JSONB_BUILD_OBJECT", "JSONB_AGG")
        rows = f"SELECT {many}({one}({', '.join(members)})) FROM ({sql}) nested"  # noqa: S608 - names of columns
        return f"COALESCE(({rows}), '[]')", tuple(parameters)
