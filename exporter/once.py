"""`once`: polls what the ledger allows now, prints what is known then, and ends."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from enum import IntEnum
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final, NamedTuple, TextIO

from exporter import api
from exporter.bell import Bell
from exporter.clock import Clock
from exporter.durations import written
from exporter.encoding import Format
from exporter.page import Renderer
from exporter.poller import LONGEST, Poller
from exporter.setup import Setup
from exporter.state import OperationState, State
from exporter.store import Store, StoreError
from exporter.tables import clipped, table

PATIENCE: Final = 15.0  # seconds for which a storage that failed in between may go on failing


class OutputError(Exception):
    """The file cannot be written; the text says which and why."""


class Fate(IntEnum):
    """What became of one list; the worst of all is the exit code, a failure before what was not allowed."""

    FRESH = 0
    FAILED = 1
    NOT_YET = 3


class Line(NamedTuple):
    """One list of one operation in the end."""

    state: OperationState
    list: str
    fate: Fate


class Once:
    """One round of polls on the storage that a server may be using at the same time."""

    def __init__(self, setup: Setup, store: Store, clock: Clock, start: Callable[[Callable[[], None]], None]) -> None:
        self._clock = clock
        self._store = store
        self._bell = Bell()
        self._state = State()
        self._began = clock.now()
        self._only = setup.only
        self._healthy_at = self._began
        self._poller = Poller(setup, store, clock, start=start, publish=self._take, wake=self._bell.ring)

    def run(self, wait: float, progress: Callable[[int, int], None]) -> list[Line]:
        """Polls until nothing more is legal within `wait` seconds; each list and what became of it.

        StoreError when the storage cannot be used.
        """
        self._store.created()  # a storage that is no good is an error at once, not one that a later turn may heal
        while True:
            pause = self._poller.turn()
            lines = self.lines()
            pending = [line for line in lines if line.fate is Fate.NOT_YET and self._is_near(line, wait)]
            progress(len(lines) - len(pending), len(lines))
            if not pending and not self._poller.is_busy and (lines or self._state.storage_healthy):
                return lines
            self._insist()
            self._bell.wait(min(pause, LONGEST))
            self._bell.hush()

    def lines(self) -> list[Line]:
        """Each list of each chosen operation as it stands now."""
        return [Line(each, name, self._fate(each, name)) for each in self._chosen() for name in each.intervals]

    @property
    def state(self) -> State:
        """What is known in the end of the chosen operations."""
        return replace(self._state, operations=tuple(self._chosen()))

    def _chosen(self) -> Iterator[OperationState]:
        return (each for each in self._state.operations if self._only is None or each.operation.name in self._only)

    def _insist(self) -> None:
        """StoreError when the storage has failed for too long."""
        now = self._clock.now()
        if self._state.storage_healthy:
            self._healthy_at = now
        if now.uptime - self._healthy_at.uptime > PATIENCE:
            raise StoreError(f"store {self._store.folder}: it failed while polls were made; the log says why")

    def _fate(self, state: OperationState, name: str) -> Fate:
        ending = state.standing(name).ending
        if ending is None or ending.finished < self._began.wall:
            return Fate.NOT_YET
        return Fate.FAILED if ending.outcome.is_failure else Fate.FRESH

    def _is_near(self, line: Line, wait: float) -> bool:
        """True when the list is legal now, or becomes so within the wait."""
        following = line.state.next.get(line.list)
        return following is not None and following.at <= max(self._began.wall + wait, self._clock.now().wall)

    def _take(self, state: State) -> None:
        self._state = state


def chosen(setup: Setup, names: Iterable[str]) -> Setup:
    """The setup that polls at once what is legal, of these operations or of all; UnknownError for another name."""
    known = {target.operation.name for target in setup.targets}
    wanted = frozenset(names)
    unknown = sorted(wanted - known)
    if unknown:
        raise UnknownError(f"unknown operation {unknown[0]!r}; configured are {', '.join(sorted(known))}")
    return replace(setup, only=wanted or None, eager=True)


class UnknownError(Exception):
    """An operation was named that is not configured; the text says which are."""


def exit_code(lines: Iterable[Line]) -> int:
    """0 all fresh, 1 a poll failed, 3 something was not allowed yet."""
    fates = {line.fate for line in lines}
    return int(Fate.FAILED if Fate.FAILED in fates else max(fates, default=Fate.FRESH))


def report(lines: Iterable[Line], now: float) -> Iterator[str]:
    """The table for people: what became of each poll, how old the data is, when the next call is legal."""
    head = ("OPERATION", "LIST", "OUTCOME", "ROWS", "AGE", "NEXT CALL")
    yield from table(head, (cells(line, now) for line in lines))


def cells(line: Line, now: float) -> tuple[str, ...]:
    """One line of the table."""
    standing, following = line.state.standing(line.list), line.state.next.get(line.list)
    outcome = standing.ending.outcome if standing.ending else "never polled"
    return (
        clipped(line.state.operation.name),
        line.list,
        f"{outcome} (not polled now)" if line.fate is Fate.NOT_YET else str(outcome),
        str(len(standing.snapshot.rows)) if standing.snapshot else "-",
        written(round(max(0.0, now - standing.snapshot.at))) if standing.snapshot else "-",
        f"in {written(round(max(0.0, following.at - now)))} ({following.rule})" if following else "rests: reserve",
    )


def rendered(form: str, once: Once, lines: list[Line], renderer: Renderer, now: float) -> str:
    """The result in one of the formats table, prometheus and json."""
    if form == "prometheus":
        return renderer.page(once.state).body(Format.TEXT, compress=False).decode()
    if form == "json":
        return json.dumps({"operations": api.operations(once.state)}, indent=2) + "\n"
    return "".join(f"{line}\n" for line in report(lines, now))


def write(path: Path, text: str) -> None:
    """Writes the file whole or not at all: who reads it never sees a half; OutputError."""
    try:
        replaced(path, text)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}; nothing of it was written") from error


def replaced(path: Path, text: str) -> None:
    """Puts a file with the text in the place of the one that stands there."""
    with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).chmod(0o644)  # a collector of another user reads it
            Path(file.name).replace(path)
        except BaseException:  # raised again: whatever ends the writing leaves no half of a file
            Path(file.name).unlink(missing_ok=True)
            raise


def progress(stream: TextIO) -> Callable[[int, int], None]:
    """Shows how far the polls are, on a terminal; elsewhere nothing."""
    if not stream.isatty():
        return lambda _done, _all: None

    def show(done: int, of: int) -> None:
        end = "\r" if done < of else "\r\033[K"
        stream.write(f"\r\033[Kpolling: {done} of {of}{end}")
        stream.flush()

    return show
