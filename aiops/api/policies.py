"""Views of what people lay down: policies, channels, windows. All of them are created, merged and deleted alike."""

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, models, transaction

from aiops.api.views import Lists, Reads, ResourceViewSet
from aiops.errors import Conflict, LostRace

MASK = "********"  # what a secret comes back as; sent again, it leaves the stored one alone


class PolicyViewSet(Lists, Reads, ResourceViewSet):
    """Subclasses decorate `create`, `update`, `destroy` (their bodies differ) and say how a row is stored and removed."""

    model: type[models.Model]

    def written(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        """The body's members as columns; override where they differ."""
        return dict(sent)

    def store(self, row: Any, sent: Mapping[str, Any]) -> None:
        """Check and write, with audit record, through the service."""
        raise NotImplementedError

    def remove(self, row: Any) -> None:
        raise NotImplementedError

    def add(self, sent: dict[str, Any]) -> Any:
        self.require_scope(namespace=sent["namespace"])
        row = self.model(**self.written(sent))
        taken = Conflict(f"{self.document.KIND} {sent['name']} exists already")
        if self.model._default_manager.filter(name=sent["name"]).exists():
            raise taken
        try:
            with transaction.atomic():
                self.store(row, sent)
        except IntegrityError as error:
            raise taken from error
        return row

    @transaction.atomic
    def merge(self, row: Any, sent: dict[str, Any]) -> Any:
        """Write what was sent; a body that changes nothing leaves no trace (RB-4). Raises `LostRace`."""
        columns = self.written(sent)
        if all(getattr(row, name) == value for name, value in columns.items()) and not self.has_secrets(sent):
            return row
        self._hold(row)
        for name, value in columns.items():
            setattr(row, name, value)
        self.store(row, sent)
        return row

    @transaction.atomic
    def discard(self, row: Any) -> None:
        self._hold(row)
        pk = row.pk
        self.remove(row)
        row.pk = pk

    def has_secrets(self, sent: Mapping[str, Any]) -> bool:
        return False

    def _hold(self, row: Any) -> None:
        """Lock the row as it was read, so that a version that was checked is the one that is written."""
        same = self.model._default_manager.select_for_update().filter(pk=row.pk, version=row.version)
        if not same.values_list("pk", flat=True).first():
            raise LostRace(f"{row} changed meanwhile", "Read it again and repeat the request.")
