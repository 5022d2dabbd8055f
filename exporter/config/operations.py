"""The operations of all files as they stand there: one name and one token each, and where each token comes from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from exporter.config import files
from exporter.config.faults import Fault, shown
from exporter.config.schema import TOKEN_KEYS
from exporter.config.tokens import TokenSource
from exporter.config.yamlfile import Document, Path
from exporter.model import Secret, SecretError


class Item(NamedTuple):
    """One operation as it stands in a file, valid or not."""

    document: Document
    path: Path
    raw: dict[str, Any]

    @property
    def name(self) -> str:
        """The name, "" where there is none to speak of."""
        name = self.raw.get("name")
        return name if isinstance(name, str) else ""

    def fault(self, key: str, text: str) -> Fault:
        """A fault at this key, or at the whole operation for ""."""
        return self.document.fault((*self.path, key) if key else self.path, text)

    def place(self) -> str:
        """File and line, for a fault that stands elsewhere."""
        return f"{self.document.file}:{self.document.line((*self.path, 'name'))}"


@dataclass(slots=True)
class Findings:
    """What was found wrong so far, and what only looks unwise."""

    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)

    def in_order(self, main: str) -> list[Fault]:
        """The faults by file and line, the main file's first."""
        return sorted(self.faults, key=lambda fault: (fault.file != main, fault.file, fault.line or 0))


def items_of(document: Document) -> Iterator[Item]:
    """The operations of a main file or of a list file, so far as they are mappings; the schema names the others."""
    listed = document.data
    path: Path = ()
    if isinstance(listed, dict):
        listed, path = listed.get("operations"), ("operations",)
    for index, raw in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(raw, dict):
            yield Item(document, (*path, index), raw)


def check_names(items: list[Item], findings: Findings) -> None:
    """Notes each operation whose name another had first."""
    first: dict[str, Item] = {}
    for item in items:
        other = first.setdefault(item.name, item)
        if item.name and other is not item:
            text = f"{shown(item.name)} is the name of the operation at {other.place()} already; give it another"
            findings.faults.append(item.fault("name", text))


def sources_of(items: list[Item], environ: Mapping[str, str], findings: Findings) -> list[TokenSource]:
    """The source of each token that can be had; no two operations may have one token."""
    first: dict[Secret, Item] = {}
    sources = []
    for item in items:
        source = _source(item, environ, findings)
        secret = _read(item, source, findings) if source else None
        if source is None or secret is None:
            continue
        other = first.setdefault(secret, item)
        if other is not item:
            text = f"holds the token of the operation at {other.place()}; each operation has its own"
            findings.faults.append(item.fault(source.key, text))
        sources.append(source)
    return sources


def _source(item: Item, environ: Mapping[str, str], findings: Findings) -> TokenSource | None:
    given = [key for key in TOKEN_KEYS if key in item.raw]
    if not given and any(key.startswith("token") for key in item.raw):
        return None  # a mistyped key, which the schema names
    if len(given) != 1:
        text = f"{' and '.join(given)} stand together" if given else "has no token"
        findings.faults.append(item.fault("", f"{text}; give one of {', '.join(TOKEN_KEYS)}"))
        return None
    key = given[0]
    value = item.raw[key]
    if not isinstance(value, str):
        return None  # the schema says so
    if key == "token":
        findings.warnings.append(item.fault(key, "the token stands in the configuration; token_file keeps it apart"))
        return TokenSource(item.name, key, "", Secret(value))
    place = files.beside(item.document.file, value) if key == "token_file" else value
    return TokenSource(item.name, key, place, environ=environ)


def _read(item: Item, source: TokenSource, findings: Findings) -> Secret | None:
    try:
        secret, is_public = source.fetch()
    except SecretError as error:
        findings.faults.append(item.fault(source.key, error.problem))
        return None
    if is_public:
        findings.warnings.append(item.fault(source.key, f"{source} can be read by every user; chmod 600 it"))
    return secret
