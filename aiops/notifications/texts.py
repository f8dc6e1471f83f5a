"""Subjects and bodies, by Jinja2.

Templates that people write are data from outside: the sandbox keeps them from reaching Python, but not from eating memory
(`'a' * 10**9`). So only what cannot multiply is admitted: no arithmetic, no calls, no assignments, no nested loops, a few
filters whose output is no longer than their input. Work is then bounded by template length × context size, which both are.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from jinja2 import FileSystemLoader, StrictUndefined, Template, TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from aiops.errors import Invalid

MAX_TEMPLATE = 4_096
MAX_SUBJECT = 512
MAX_BODY = 16_384
MAX_ITEMS = 64

ALLOWED = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Const,
    nodes.Name,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Filter,
    nodes.If,
    nodes.For,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Test,
    nodes.Tuple,
    nodes.List,
)
FILTERS = frozenset({"upper", "lower", "title", "capitalize", "trim", "default", "length", "first", "last"})


class _Sandbox(ImmutableSandboxedEnvironment):
    """Knows neither globals (`range`) nor more than the admitted filters."""


def _environment(**options: Any) -> _Sandbox:
    # a message is plain text; each transport escapes for its own medium
    environment = _Sandbox(autoescape=False, trim_blocks=True, lstrip_blocks=True, **options)
    environment.globals.clear()
    environment.filters = {name: environment.filters[name] for name in FILTERS}
    return environment


@lru_cache(maxsize=1)
def _ours() -> _Sandbox:
    return _environment(loader=FileSystemLoader(Path(settings.BASE_DIR) / "templates" / "notifications"))


@lru_cache(maxsize=1)
def _theirs() -> _Sandbox:
    return _environment(undefined=StrictUndefined)


def check_template(source: Any) -> None:
    """Raises `Invalid` when `source` is no template that we would run."""
    if not isinstance(source, str) or len(source) > MAX_TEMPLATE:
        raise Invalid(f"A text of at most {MAX_TEMPLATE} characters is expected.")
    try:
        tree = _theirs().parse(source)
    except (TemplateError, RecursionError) as error:
        raise Invalid(f"The template cannot be parsed: {error}"[:500]) from error
    _check_nodes(tree.iter_child_nodes(), in_loop=False)


def _check_nodes(children: Iterable[nodes.Node], *, in_loop: bool) -> None:
    for node in children:
        name = type(node).__name__
        if not isinstance(node, ALLOWED) or (isinstance(node, nodes.For) and (in_loop or node.recursive)):
            raise Invalid(f"{name} is not allowed in line {node.lineno}.")
        if isinstance(node, nodes.Filter) and node.name not in FILTERS:
            raise Invalid(f"The filter {node.name!r} is not allowed in line {node.lineno}.")
        _check_nodes(node.iter_child_nodes(), in_loop=in_loop or isinstance(node, nodes.For))


@lru_cache(maxsize=256)
def _compiled(source: str) -> Template:
    check_template(source)
    return _theirs().from_string(source)


def subject_of(context: Mapping[str, Any]) -> str:
    """One line, for mail subjects and the like."""
    text = _ours().get_template("subject.txt").render(bounded(context))
    return " ".join(text.split())[:MAX_SUBJECT]


def body_of(context: Mapping[str, Any], template: str = "") -> str:
    """The text of the message; a template that fails must not lose the message, so the default one stands in for it."""
    facts = bounded(context)
    if template:
        try:
            return _run(_compiled(template), facts)
        except (Invalid, TemplateError, TypeError, ValueError, AttributeError):
            pass
    return _run(_ours().get_template("body.txt"), facts)


def _run(template: Template, context: Mapping[str, Any]) -> str:
    parts: list[str] = []
    size = 0
    for part in template.generate(context):
        parts.append(part)
        size += len(part)
        if size > MAX_BODY:
            break
    return "".join(parts)[:MAX_BODY].strip()


def bounded(value: Any, depth: int = 3) -> Any:
    """`value` with texts, lists and nesting cut to what a message may hold."""
    if isinstance(value, str):
        return value[:MAX_TEMPLATE]
    if isinstance(value, Mapping):
        items = list(value.items())[:MAX_ITEMS]
        return {str(key)[:253]: bounded(item, depth - 1) for key, item in items} if depth else {}
    if isinstance(value, list | tuple):
        return [bounded(item, depth - 1) for item in value[:MAX_ITEMS]] if depth else []
    return value
