"""Where the paths of the API lead."""

from functools import lru_cache
from typing import Any

from django.urls import ResolverMatch, URLPattern, URLResolver
from django.urls.resolvers import RoutePattern

PATHS = 2_000  # that a process remembers
LENGTH = 256  # characters of a path that is remembered


class Remembered(URLResolver):
    """`path(route, include(routes))` that remembers the paths asked for last: clients poll the same ones.

    Django tries the patterns of all routes in turn, for each request anew. What leads nowhere is not remembered.
    """

    def __init__(self, route: str, routes: list[URLPattern | URLResolver]) -> None:
        super().__init__(RoutePattern(route, is_endpoint=False), routes)
        self._known: Any = lru_cache(maxsize=PATHS)(super().resolve)

    def resolve(self, path: str) -> ResolverMatch:
        found: ResolverMatch = self._known(path) if len(path) <= LENGTH else super().resolve(path)
        return found
