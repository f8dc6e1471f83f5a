from django.db import models


class Role(models.TextChoices):
    """Three roles, strictly increasing; the API, the console's groups and approval policies use the same three."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        return RANKS[self.value]

    def allows(self, needed: str) -> bool:
        """Whether this role may do what `needed` may do."""
        return self.rank >= RANKS[needed]


RANKS = {"viewer": 1, "operator": 2, "admin": 3}
