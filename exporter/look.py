"""`status` and `changes`: what the storage says, while the server runs or not. Makes no call and writes nothing."""

import json
from collections.abc import Iterable, Iterator

from exporter import api
from exporter.board import Board, Seat
from exporter.clock import Clock
from exporter.durations import written
from exporter.lists import LISTS
from exporter.model import Change, Moment
from exporter.setup import Setup
from exporter.spec import UpstreamList
from exporter.store import Store
from exporter.tables import clipped, table


def seats(setup: Setup, store: Store, clock: Clock) -> tuple[Board, list[Seat]]:
    """Every configured operation as stored; StoreError when the storage cannot be read."""
    board = Board(setup, store)
    hashes = store.token_hashes([target.read() for target in setup.targets])
    loaded = list(map(Seat, setup.targets, hashes))
    board.load(loaded, clock.now())
    return board, loaded


def status(setup: Setup, store: Store, clock: Clock) -> Iterator[str]:
    """Last and next call of each list of each operation, and the rule that binds."""
    board, loaded = seats(setup, store, clock)
    head = ("OPERATION", "LIST", "LAST CALL", "OUTCOME", "BELIEVED", "NEXT CALL", "RULE")
    now = clock.now()
    yield from table(head, (row(seat, spec, now) for seat in loaded for spec in board.specs()))


def row(seat: Seat, spec: UpstreamList, now: Moment) -> tuple[str, ...]:
    """One line of the status."""
    standing, following = seat.standings[spec.name], seat.next.get(spec.name)
    return (
        clipped(seat.name),
        spec.name,
        ago(standing.ending.finished, now) if standing.ending else "never",
        str(standing.ending.outcome) if standing.ending else "-",
        ago(standing.snapshot.at, now) if standing.snapshot else "never",
        "rests"
        if following is None
        else "now"
        if following.at <= now.wall
        else f"in {written(round(following.at - now.wall))}",
        str(seat.dues[spec.name].rule),
    )


def ago(at: float, now: Moment) -> str:
    """How long ago, in words."""
    return f"{written(round(max(0.0, now.wall - at)))} ago"


def changes(told: Iterable[tuple[str, Change]], clock: Clock) -> Iterator[str]:
    """The journal as a table, newest first."""
    head = ("WHEN", "OPERATION", "CHANGE", "CONNECTOR", "NAME", "BEFORE", "AFTER")
    now = clock.now()
    yield from table(
        head,
        (
            (
                ago(change.at, now),
                clipped(operation),
                str(change.kind),
                clipped(" ".join(change.key)),
                clipped(change.name),
                clipped(named(change.before, change.before_name)),
                clipped(named(change.after, change.after_name)),
            )
            for operation, change in told
        ),
    )


def named(text: str, name: str) -> str:
    """An id with its name, if it has one."""
    return f"{text} ({name})" if name else text


def lines(told: Iterable[tuple[str, Change]]) -> Iterator[str]:
    """The journal as JSON lines, newest first."""
    for operation, change in told:
        yield json.dumps(api.change(operation, change, LISTS[change.list], names=True), ensure_ascii=False)
