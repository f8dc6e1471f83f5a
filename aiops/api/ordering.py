from typing import Any

from django.db.models import Func


class CodePoint(Func):
    """A text column ordered by code point on every database (X9.40); PostgreSQL would follow the language of its cluster."""

    template = "%(expressions)s"
    arity = 1

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template='%(expressions)s COLLATE "C"', **context)
