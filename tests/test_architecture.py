"""Who may import whom (style guide: the folders are layers). Reads the code as text; nothing is imported."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = {"aiops": 0, "federation": 1, "incidents": 2, "runbooks": 3, "slos": 3, "analytics": 4}
# inside an app, each of these may import itself and the ones before it
ORDER = ["states", "models", "rules", "signals", "services", "tasks", "receivers", "outer"]
RANKS = {
    "states": "states", "models": "models", "signals": "signals", "services": "services", "tasks": "tasks",
    "receivers": "receivers", "api": "outer", "admin": "outer", "management": "outer",
}  # fmt: skip
OUTER = {"api", "admin", "management"}
VENDORS = {
    "kubernetes": {"aiops.clients"},
    "httpx": {"aiops.clients", "aiops.notifications.transports", "aiops.llm.providers"},
    "openai": {"aiops.llm.providers"},
    "slack_sdk": {"aiops.notifications.transports"},
    "aiohttp": {"aiops.simulator"},
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for app in LAYERS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" in path.parts:
                continue
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(module: str) -> str:
    """The part of its app that a module belongs to; what has no rank of its own is a pure rule."""
    pieces = module.split(".")
    return RANKS.get(pieces[1], "rules") if len(pieces) > 1 else "states"


MODULES = list(modules())
NAMES = {name for name, _ in MODULES}


@pytest.mark.parametrize(("name", "tree"), MODULES, ids=[name for name, _ in MODULES])
class TestImports:
    def test_point_down(self, name: str, tree: ast.Module) -> None:
        app = name.partition(".")[0]
        outer = app != "aiops" and part(name) == "outer"
        for target in imports(tree):
            other = target.partition(".")[0]
            if other == app or other not in LAYERS:
                continue
            assert outer or LAYERS[other] < LAYERS[app], f"{name} imports {target}"

    def test_leave_the_outer_ring_alone(self, name: str, tree: ast.Module) -> None:
        if set(name.split(".")) & OUTER or name.startswith("aiops."):
            return
        for target in imports(tree):
            pieces = target.split(".")
            assert pieces[0] not in LAYERS or pieces[0] == "aiops" or not set(pieces) & OUTER, (
                f"{name} imports {target}"
            )

    def test_follow_the_order_inside_the_app(self, name: str, tree: ast.Module) -> None:
        app = name.partition(".")[0]
        if app == "aiops":
            return
        for target in imports(tree):
            if target.partition(".")[0] == app and target in NAMES and target != name:
                assert ORDER.index(part(target)) <= ORDER.index(part(name)), f"{name} imports {target}"

    def test_vendor_packages_stay_behind_their_clients(self, name: str, tree: ast.Module) -> None:
        for target in imports(tree):
            allowed = VENDORS.get(target.partition(".")[0])
            assert not allowed or any(name.startswith(place) for place in allowed), f"{name} imports {target}"


def test_no_package_imports_itself_in_a_circle() -> None:
    graph = {name: {t for t in imports(tree) if t in NAMES and t != name} for name, tree in MODULES}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join([*path[path.index(name) :], name])
        if name in done:
            return
        for target in sorted(graph[name]):
            # a package's __init__ that gathers its own modules is no circle
            if not name.startswith(f"{target}."):
                visit(target, (*path, name))
        done.add(name)

    for name in sorted(graph):
        visit(name, ())
