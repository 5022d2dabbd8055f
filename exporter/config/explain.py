"""A document held against a model, and pydantic's errors as sentences: what was found, and what is allowed.

Knows no rule of its own but which values may not be shown.
"""

import difflib
from typing import Any, Final, NamedTuple, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from exporter.config.faults import LONGEST, Fault, quoted, shown
from exporter.config.schema import Entry
from exporter.config.values import Unquoted
from exporter.config.yamlfile import Document, Path

_PRIVATE_KEYS: Final = ("token", "proxy", "key")
_PRIVATE_SECTIONS: Final = ("basic_auth_users",)
_STRUCTURES: Final = {"model_type": "a mapping of keys", "dict_type": "a mapping of keys", "list_type": "a list"}

T = TypeVar("T")


class Faults(NamedTuple):
    """What keeps a document from being what it should be."""

    faults: tuple[Fault, ...]


def validate(kind: type[T], document: Document) -> T | Faults:
    """The document as this type, or every fault that keeps it from being that."""
    upstream = document.data.get("upstream") if isinstance(document.data, dict) else None
    simulator = isinstance(upstream, dict) and upstream.get("simulator") is True
    context = {"simulator": simulator, "file": document.file}
    try:
        return TypeAdapter(kind).validate_python(document.data, context=context)
    except ValidationError as error:
        errors = error.errors(include_input=False, include_url=False)
    return Faults(
        tuple(
            _fault(document, error["loc"], error["type"], error.get("ctx", {}), kind)
            for error in errors
            if error["type"] != "default_factory_not_called"  # it follows from a fault that is in here already
        )
    )


def _fault(document: Document, path: Path, error: str, context: dict[str, Any], kind: type[Any]) -> Fault:
    if path[-1:] == ("[key]",):  # pydantic's mark for a key of a mapping, as in labels
        return document.fault(path[:-1], f"{context['error']}")
    if error == "extra_forbidden":
        return Fault(document.file, document.line(path), "", _unknown(str(path[-1]), keys(kind, path[:-1])))
    if error == "missing":
        return document.fault(path, "is missing")
    if error in _STRUCTURES:  # by its kind: what stands in the wrong place may be anything, a token too
        return document.fault(path, f"{document.places[path].kind} is not {_STRUCTURES[error]}")
    found = _found(document, path)
    refusal = context["error"]
    if isinstance(refusal, Unquoted):
        return document.fault(path, _unquoted(document, path, refusal))
    return document.fault(path, f"{found} {refusal}")


def keys(kind: type[Any], path: Path) -> tuple[str, ...]:
    """The keys that are allowed at this path of a document."""
    if path and isinstance(path[-1], int):
        return tuple(Entry.model_fields)
    model: type[BaseModel] = type(kind.model_fields[path[0]].default) if path else kind
    return tuple(model.model_fields)


def _unknown(key: str, allowed: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(key, allowed, n=1)
    advice = f'did you mean "{near[0]}"?' if near else f"allowed are {', '.join(allowed)}"
    return f"unknown key {quoted(key)}; {advice}"


def _found(document: Document, path: Path) -> str:
    """What stands at the path, as it is written; only its kind where that may be a secret."""
    place = document.places.get(path)
    if place is None:
        return "the default"
    text = place.written
    is_private = path[-1] in _PRIVATE_KEYS or path[0] in _PRIVATE_SECTIONS
    if text is None or is_private or (path[-1] == "base_url" and set(text) & set("@?#")):
        return place.kind
    return shown(text)


def _unquoted(document: Document, path: Path, refusal: Unquoted) -> str:
    found, written = _found(document, path), document.places[path].written or ""
    if found == document.places[path].kind:
        return f"{found} is not text; write it in quotes"
    reading = f"the number {refusal.value}" if len(written) < LONGEST else "a number"
    if isinstance(refusal.value, bool):
        reading = str(refusal.value).lower()
    text = written.zfill(refusal.width) if written.isdigit() else written
    return f"{found} without quotes is read as {reading} by YAML; write it in quotes: {quoted(text)}"
