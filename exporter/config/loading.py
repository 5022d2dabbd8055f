"""Joins the files of a configuration into one Config, or gathers every fault of all of them."""

import glob
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from exporter.config import files, yamlfile
from exporter.config.explain import Faults, validate
from exporter.config.faults import ConfigError, Fault, shown
from exporter.config.operations import Findings, check_names, items_of, sources_of
from exporter.config.schema import Believe, Budget, Entry, Root, Upstream, root
from exporter.config.tokens import TokenSource
from exporter.config.yamlfile import Document, Path
from exporter.model import Operation

MAIN_ADVICE: Final = "name it with --config.file, or start from the config.yaml that is shipped"
MORE_ADVICE: Final = "write a list of operations there, or take it out of operations_files"


@dataclass(frozen=True, slots=True)
class Account:
    """One configured operation with the source of its token."""

    operation: Operation
    token: TokenSource


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that config.yaml says. `intervals` has every list, in seconds; None is off."""

    path: str
    accounts: tuple[Account, ...]
    intervals: Mapping[str, float | None]
    budget: Budget
    upstream: Upstream
    believe: Believe
    connector_names: bool
    retention: float
    warnings: tuple[str, ...] = field(default=(), compare=False)


def load(path: str, lists: Mapping[str, float], environ: Mapping[str, str]) -> Config:
    """The configuration in the file and what it names; ConfigError with every fault of it.

    `lists` are the keys that `poll` may have, each with its default interval in seconds. Every secret is read once.
    """
    main = yamlfile.load(path, MAIN_ADVICE)
    if not isinstance(main.data, dict):
        raise ConfigError([Fault(path, 1, "", f"holds {main.places[()].kind}, no keys; {MAIN_ADVICE}")])
    findings = Findings()
    documents = [main, *_more_documents(main, findings)]
    kinds: list[Any] = [root(lists), *[list[Entry]] * (len(documents) - 1)]
    read = [_valid(kind, document, findings) for kind, document in zip(kinds, documents, strict=True)]
    items = [item for document in documents for item in items_of(document)]
    check_names(items, findings)
    sources = sources_of(items, environ, findings)
    if not items and not findings.faults:
        text = "there is none; give at least one, with name, server and token_file"
        findings.faults.append(Fault(path, main.line(("operations",)), "operations", text))
    if findings.faults:
        raise ConfigError(findings.in_order(path))
    settings: Root = read[0]
    entries = [*settings.operations, *(entry for more in read[1:] for entry in more)]
    accounts = tuple(_account(entry, source) for entry, source in zip(entries, sources, strict=True))
    return _config(path, settings, accounts, findings)


def _config(path: str, settings: Root, accounts: tuple[Account, ...], findings: Findings) -> Config:
    return Config(
        path=path,
        accounts=accounts,
        intervals=MappingProxyType(dict(settings.poll)),
        budget=settings.budget,
        upstream=settings.upstream,
        believe=settings.believe,
        connector_names=settings.connector_names,
        retention=settings.retention,
        warnings=tuple(map(str, findings.warnings)),
    )


def _account(entry: Entry, source: TokenSource) -> Account:
    labels, expect = MappingProxyType(entry.labels), MappingProxyType(entry.expect)
    return Account(Operation(entry.name, entry.server, labels, expect), source)


def _valid(kind: Any, document: Document, findings: Findings) -> Any:
    """The document as that type; None where it is not, and then the faults are noted."""
    findings.faults += document.faults
    valid = validate(kind, document)
    if not isinstance(valid, Faults):
        return valid
    findings.faults += valid.faults
    return None


def _more_documents(main: Document, findings: Findings) -> Iterator[Document]:
    patterns = main.data.get("operations_files")
    paths: set[str] = set()
    for index, pattern in enumerate(patterns if isinstance(patterns, list) else ()):
        if isinstance(pattern, str):
            paths.update(_matches(main, pattern, ("operations_files", index), findings))
    for path in sorted(paths):
        try:
            yield yamlfile.load(path, MORE_ADVICE)
        except ConfigError as error:
            findings.faults += error.faults


def _matches(main: Document, pattern: str, path: Path, findings: Findings) -> list[str]:
    """The files that the pattern means, as seen from the main file's folder. A plain name must exist."""
    # Not Path.glob: it refuses absolute patterns and "..", and says "./" otherwise than it was written.
    matches = [] if "\0" in pattern else glob.glob(pattern if os.path.isabs(pattern) else _folder(main) + pattern)  # noqa: PTH117, PTH207
    if matches:
        return matches
    if set(pattern) & set("*?["):
        findings.warnings.append(main.fault(path, f"{shown(pattern)} matches no file"))
    else:
        findings.faults.append(main.fault(path, f"{shown(pattern)} does not exist; {MORE_ADVICE}"))
    return []


def _folder(main: Document) -> str:
    return glob.escape(files.beside(main.file, ""))
