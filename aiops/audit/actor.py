"""Who did it: a person or program behind an API key, a console user, or the platform itself."""

from dataclasses import dataclass
from enum import StrEnum


class ActorKind(StrEnum):
    SYSTEM = "system"
    USER = "user"
    CONTROLLER = "controller"


@dataclass(frozen=True, slots=True)
class Actor:
    """`name` is what the audit log shows as `user`; `role` is the role of the key, or `system`."""

    kind: ActorKind
    name: str
    role: str
    ip: str = "internal"
    user_agent: str = ""

    def named(self, person: str | None) -> "Actor":
        """The same door, but the person whom the request body names (api.md 1.2: the body comes first)."""
        if not person:
            return self
        return Actor(kind=self.kind, name=person, role=self.role, ip=self.ip, user_agent=self.user_agent)

    def __str__(self) -> str:
        return self.name


SYSTEM = Actor(kind=ActorKind.SYSTEM, name="system", role="system")
