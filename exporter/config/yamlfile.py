"""YAML text -> plain data, and where each value stands and how it is written there; also names duplicate keys.

Knows no key. Aliases, foreign tags and deep nesting are refused: a configuration needs none of them, and they are what
makes YAML grow without end.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import yaml

from exporter.config import files
from exporter.config.faults import ConfigError, Fault, quoted, shown

MOST_BYTES: Final = 4 * 1024 * files.KIB
MOST_DEPTH: Final = 20

Path = tuple[str | int, ...]

_TAG: Final = "tag:yaml.org,2002:"
_TAGS: Final = {
    yaml.ScalarNode: {_TAG + name for name in ("str", "int", "float", "bool", "null", "timestamp", "merge", "value")},
    yaml.SequenceNode: {f"{_TAG}seq"},
    yaml.MappingNode: {f"{_TAG}map"},
}
_QUOTED: Final = re.compile(r"""'[^']*'|"[^"]*\"""")
_HARMLESS: Final = re.compile(r"""'<[a-z ]+>'|.[^\\]?.|.\\(.|x..|u....).""")
_TRUE: Final = {"yes", "true", "on"}
_KINDS: Final = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "a mapping",
    type(None): "an empty value",
}


class Place(NamedTuple):
    """Where a value stands, how it is written (None for lists, mappings and nothing), and its kind in words."""

    line: int
    written: str | None
    kind: str


@dataclass(frozen=True, slots=True)
class Document:
    """One file as plain data. A key's path leads to its place: ("operations", 0, "server")."""

    file: str
    data: Any
    places: dict[Path, Place] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    def fault(self, path: Path, text: str) -> Fault:
        """A fault at this path, or at the nearest thing above it that is written down."""
        return Fault(self.file, self.line(path), dotted(path), text)

    def line(self, path: Path) -> int | None:
        """The line where this path, or the nearest thing above it, is written; None for a key that the file lacks."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places[path].line if path else None


def dotted(path: Path) -> str:
    """("operations", 0, "server") -> operations[0].server."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{shown(step)}" for step in path).removeprefix(".")


def load(file: str, advice: str) -> Document:
    """The file's one document; ConfigError with one fault where there is none, `advice` says what to do then."""
    try:
        raw = files.read(file, MOST_BYTES).data
    except files.Unreadable as error:
        raise ConfigError([Fault(file, None, "", f"{error}; {advice}")]) from error
    return parse(file, _text(file, raw), advice)


def parse(file: str, text: str, advice: str) -> Document:
    """The text's one document, see `load`."""
    try:
        root = _compose(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError([Fault(file, line, "", "holds a control character; remove it")]) from None
    except yaml.MarkedYAMLError as error:
        raise ConfigError([_syntax_fault(file, error)]) from None
    except (ValueError, OverflowError):  # PyYAML lets these out for "\UFFFFFFFF" and for huge version numbers
        raise ConfigError([Fault(file, None, "", "is not valid YAML: a number in it is out of range")]) from None
    if root is None:
        raise ConfigError([Fault(file, None, "", f"is empty; {advice}")])
    builder = _Builder(file)
    data = builder.build(root, ())
    return Document(file, data, builder.places, tuple(builder.faults))


class _Composer(yaml.composer.Composer):
    """Composes nodes, and refuses what could grow without end while it does."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[attr-defined] # the parser that it is joined with has it
        if isinstance(event, yaml.AliasEvent):
            raise _refusal(event, "an alias (*name) is not read here; write the value out, in quotes if it is text")
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise _refusal(event, f"nested deeper than {MOST_DEPTH} levels")
        node = super().compose_node(parent, index)
        self.depth -= 1
        if node is not None and node.tag not in _TAGS[type(node)]:
            raise _refusal(node, "a tag (!name) is not read here; write the value alone, in quotes if it is text")
        return node


class _Loader(_Composer, yaml.SafeLoader):
    """Reads slowly, and says what is wrong in the same words everywhere."""


_Quick: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is in every wheel of PyYAML, not in every build


class _QuickLoader(_Composer, _Quick):  # type: ignore[misc]  # it is one of two
    """Reads a thousand operations in a fifth of the time; where it finds a fault, the other one says which."""

    def __init__(self, text: str) -> None:
        _Quick.__init__(self, text)
        _Composer.__init__(self)


class _Builder:
    """Turns nodes into plain data and notes the place of each."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.places: dict[Path, Place] = {}
        self.faults: list[Fault] = []

    def build(self, node: yaml.Node, path: Path, line: int = 0) -> Any:
        line = line or _line(node)
        data: Any
        if isinstance(node, yaml.MappingNode):
            data = {key: self.build(value, (*path, key), line) for key, value, line in self._pairs(node, path)}
        elif isinstance(node, yaml.SequenceNode):
            data = [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        else:
            data = self._scalar(node, path)
        written = node.value if isinstance(data, str | bool | int | float) else None
        self.places[path] = Place(line, written, _KINDS[type(data)])
        return data

    def _pairs(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, yaml.Node, int]]:
        first: dict[str, int] = {}
        for key_node, value in node.value:
            line = _line(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self.faults.append(Fault(self.file, line, dotted(path), "a key is not text but a list or a mapping"))
                continue
            key = self._text(key_node, path)
            if key in first:
                text = f"duplicate key {quoted(key)}; it stands in line {first[key]} already"
                self.faults.append(Fault(self.file, line, "", text))
                continue
            first[key] = line
            yield key, value, line

    def _scalar(self, node: yaml.Node, path: Path) -> str | float | bool | None:
        """The value as YAML 1.1 reads it, but dates and numbers to the base of 60 (1:30) stay text."""
        tag, text = node.tag.removeprefix(_TAG), self._text(node, path)
        if tag == "null":
            return None
        if tag == "bool":
            return text.lower() in _TRUE
        if tag in ("int", "float") and ":" not in text:
            return _number(tag, text)
        return text

    def _text(self, node: yaml.Node, path: Path) -> str:
        text = str(node.value)
        try:
            text.encode()
        except UnicodeEncodeError:  # half of a pair, written as "\uD800"
            self.faults.append(Fault(self.file, _line(node), dotted(path), "holds an escape that is no character"))
            return ""
        return text


def _number(tag: str, text: str) -> str | float:
    """The number, or the text itself where it only looks like one: `0x_`, or `!!int ten`."""
    digits = text.replace("_", "").lower()
    try:
        if tag == "float":
            return float(re.sub(r"\.(inf|nan)$", r"\1", digits))
        is_octal = re.fullmatch(r"[-+]?0[0-7]+", digits)
        return int(digits, 8 if is_octal else 0)
    except ValueError:
        return text


def _compose(text: str) -> yaml.Node | None:
    try:
        return _composed(_QuickLoader(text))
    except (yaml.YAMLError, ValueError):
        return _composed(_Loader(text))


def _composed(loader: Any) -> yaml.Node | None:
    try:
        node: yaml.Node | None = loader.get_single_node()
        return node
    finally:
        loader.dispose()


def _text(file: str, raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError([Fault(file, line, "", "is not UTF-8 text; save it as UTF-8")]) from None


def _syntax_fault(file: str, error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    # What the parser quotes may be a piece of a token: only single characters and <names of things> may pass.
    problem = _QUOTED.sub(lambda quote: quote[0] if _HARMLESS.fullmatch(quote[0]) else "…", error.problem or "")
    hint = "; indent with spaces, not with tabs" if r"'\t'" in problem else ""
    return Fault(file, mark.line + 1 if mark else None, "", f"is not valid YAML: {problem}{hint}")


def _refusal(place: Any, text: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=text, problem_mark=place.start_mark)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
