"""People for tests."""

from aiops.audit.actor import Actor, ActorKind

PERSON = Actor(kind=ActorKind.USER, name="ines.okafor@harbor.example", role="operator", ip="192.0.2.17")
