"""Reading Kubernetes objects from YAML or JSON files: several documents, lists of any kind, lists inside lists."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

MAX_FILE_BYTES = 256 * 1024 * 1024
MAX_OBJECTS = 1_000_000
_MAX_LIST_DEPTH = 3
_SPACE = re.compile(r"\s*")


class UnreadableFile(Exception):
    """The text says `file:line: what is wrong`."""


class _Loader(yaml.CSafeLoader):
    """Safe loading that leaves times as text, as the API sends them."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def read_objects(path: Path) -> list[dict[str, Any]]:
    """All objects of a file, lists taken apart. Raises UnreadableFile."""
    found: list[dict[str, Any]] = []
    for document in _documents(path):
        for obj in _flatten(path, document, "", _MAX_LIST_DEPTH):
            found.append(obj)
            if len(found) > MAX_OBJECTS:
                raise UnreadableFile(f"{path}: more than {MAX_OBJECTS} objects")
    return found


def _documents(path: Path) -> list[Any]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UnreadableFile(f"{path}: larger than {MAX_FILE_BYTES} bytes")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UnreadableFile(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UnreadableFile(f"{path}:{line}: not UTF-8 text") from error
    looks_like_json = text.lstrip()[:1] in ("{", "[")
    try:
        return _json_documents(text) if looks_like_json else _yaml_documents(path, text)
    except json.JSONDecodeError as error:
        if path.suffix == ".json":
            raise UnreadableFile(f"{path}:{error.lineno}: {error.msg}") from error
        return _yaml_documents(path, text)  # YAML may begin with a brace, too
    except ValueError as error:  # a number of more digits than Python reads, a scalar its YAML tag does not fit
        raise UnreadableFile(f"{path}:1: {error}") from error
    except RecursionError as error:
        raise UnreadableFile(f"{path}:1: nested too deeply") from error


def _json_documents(text: str) -> list[Any]:
    """One document, or several behind each other as `kubectl` prints them."""
    decoder = json.JSONDecoder()
    documents: list[Any] = []
    at = _skip_space(text, 0)
    while at < len(text):
        document, at = decoder.raw_decode(text, at)
        documents.append(document)
        at = _skip_space(text, at)
    return documents


def _skip_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _yaml_documents(path: Path, text: str) -> list[Any]:
    try:
        return [document for document in yaml.load_all(text, Loader=_Loader) if document is not None]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise UnreadableFile(f"{path}:{line}: {error.problem or error.context or 'not YAML'}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UnreadableFile(f"{path}:{line}: {error.reason}") from error


def _flatten(path: Path, document: Any, item_kind: str, depth: int) -> Iterator[dict[str, Any]]:
    """Objects of a document. Items of typed lists (`PodList`) carry no kind: the list's name gives it."""
    if isinstance(document, list) and depth:
        for item in document:
            yield from _flatten(path, item, item_kind, depth - 1)
        return
    if not isinstance(document, dict):
        raise UnreadableFile(f"{path}:1: a document is not a Kubernetes object")
    kind = document.get("kind", item_kind)
    if not isinstance(kind, str) or not kind:
        raise UnreadableFile(f"{path}:1: an object has no kind")
    items = document.get("items")
    if kind.endswith("List") and depth and (isinstance(items, list) or "items" in document):
        for item in items or []:
            yield from _flatten(path, item, kind.removesuffix("List"), depth - 1)
        return
    document["kind"] = kind
    yield document
