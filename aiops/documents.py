"""YAML that people write and read: several documents in a text, errors that name the line, a stable way of writing.

JSON is a subset and is read as well. What YAML can do beyond plain data (aliases, tags of programming languages) is refused:
nobody writes it by hand, and it is what attacks are made of.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from aiops.errors import Invalid

MOST_DOCUMENTS = 500
DEEPEST = 32
CORE = "tag:yaml.org,2002:"
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # what no database keeps in a text
TRUE = frozenset({"true", "yes", "on", "y"})  # the last three only where a text says %YAML 1.1


@dataclass(frozen=True, slots=True)
class Document:
    """`number` counts from 1; `line` is where it begins. `problem` says what makes it unreadable."""

    number: int
    line: int
    content: Any = None
    problem: str = ""


class _Refused(Exception):
    def __init__(self, node: Node, reason: str) -> None:
        super().__init__(f"line {node.start_mark.line + 1}: {reason}")


def read(text: str) -> list[Document]:
    """The documents of `text`; empty ones are left out. Raises `Invalid` when it is no YAML at all."""
    try:
        nodes = list(_nodes(text))
    except MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise Invalid("The text is not valid YAML", f"{where}{error.problem or error.context}") from error
    except YAMLError as error:
        raise Invalid("The text is not valid YAML", "It holds characters that YAML does not allow.") from error
    except RecursionError as error:
        raise Invalid("The text is not valid YAML", "It is nested too deeply.") from error
    return [_document(number, node) for number, node in enumerate(nodes, 1)]


def write(content: Any) -> str:
    """One document as block-style YAML; the same content always gives the same text."""
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 4096  # never folded: a folded text is hard to compare
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = StringIO()
    yaml.dump(_styled(content), stream)
    return stream.getvalue()


def _nodes(text: str) -> Iterator[Node]:
    for count, node in enumerate(YAML(typ="safe", pure=True).compose_all(text)):
        if count >= MOST_DOCUMENTS:
            raise Invalid("The text holds too many documents", f"At most {MOST_DOCUMENTS} are read at once.")
        if node is not None and not (isinstance(node, ScalarNode) and node.tag == f"{CORE}null"):
            yield node


def _document(number: int, node: Node) -> Document:
    line = node.start_mark.line + 1
    try:
        return Document(number, line, _plain(node, 0, set()))
    except _Refused as refused:
        return Document(number, line, problem=str(refused))


def _plain(node: Node, depth: int, seen: set[int]) -> Any:
    """The Python value of a node. A node met twice was an alias."""
    if id(node) in seen:
        raise _Refused(node, "aliases are not supported")
    if depth > DEEPEST:
        raise _Refused(node, "nested too deeply")
    seen.add(id(node))
    if isinstance(node, MappingNode):
        return _mapping(node, depth, seen)
    if isinstance(node, SequenceNode):
        return [_plain(item, depth + 1, seen) for item in node.value]
    return _scalar(node)


def _mapping(node: Node, depth: int, seen: set[int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            raise _Refused(key, "a key must be a plain word")
        if UNSTORABLE.search(key.value):
            raise _Refused(key, "NUL characters and surrogates are not supported")
        if key.value in found:
            raise _Refused(key, f"{key.value!r} is given twice")
        found[key.value] = _plain(value, depth + 1, seen)
    return found


def _scalar(node: Node) -> Any:
    tag, text = str(node.tag), str(node.value)
    if UNSTORABLE.search(text):
        raise _Refused(node, "NUL characters and surrogates are not supported")
    try:
        match tag.removeprefix(CORE):
            case "str" | "timestamp":  # times are texts here, as in JSON
                return text
            case "null":
                return None
            case "bool":
                return text.lower() in TRUE
            case "int":
                return int(text.replace("_", ""), 0) if text.lstrip("+-").startswith("0") else int(text)
            case "float":
                return float(text.replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError as error:
        raise _Refused(node, f"{text[:64]!r} is no number") from error
    raise _Refused(node, f"the tag {tag} is not supported")


def _styled(value: Any) -> Any:
    if isinstance(value, dict):
        return {_styled_text(str(key), is_key=True): _styled(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_styled(inner) for inner in value]
    return _styled_text(value) if isinstance(value, str) else value


def _styled_text(text: str, *, is_key: bool = False) -> str:
    """Texts of several lines as literal blocks, where a block can hold them; strange characters escaped."""
    if text.isprintable():
        return text
    styled: str = LiteralScalarString(text) if not is_key and _fits_block(text) else DoubleQuotedScalarString(text)
    return styled


def _fits_block(text: str) -> bool:
    lines = text.removesuffix("\n").split("\n")
    return bool(lines[0]) and all(line == line.strip() and line.isprintable() for line in lines) and bool(lines[-1])
