"""The SQL of calls and rests, inside somebody's transaction."""

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, NamedTuple

from exporter import budget, schedule
from exporter.budget import Call, Past
from exporter.model import Moment, Outcome
from exporter.schedule import Rest
from exporter.state import Ending

COLUMNS: Final = (
    "claimed_wall, claimed_boot, claimed_uptime, finished_wall, finished_boot, finished_uptime, whole, busy, owner, id"
)
IsLive = Callable[[str, int], bool]


class Ask(NamedTuple):
    """Who wants to call what, and what the law demands: seconds of interval, and of work that the server may do."""

    operation: str
    list: str
    token: str
    interval: float
    busy: float
    essential: bool
    pace: float = 1.0


class Claim(NamedTuple):
    """A call that is written down and may be made now, once.

    `rest` is the token's rest that it may end, `database` the id of the database that its number belongs to.
    """

    id: int
    ask: Ask
    at: Moment
    rest: Rest | None = None
    database: str = ""


class Planned(NamedTuple):
    """When the last call of a list ended, and the factor on its interval until the next."""

    finished: Moment
    pace: float


class Entry(NamedTuple):
    """One call with whose it is, and the factor on its list's interval until the next."""

    operation: str
    list: str
    token: str
    pace: float
    call: Call


class Book:
    """What the ledger holds of some operations and tokens, in two statements for however many lists are asked about.

    A statement for each list would be most of a start with a thousand operations.
    """

    def __init__(self, db: sqlite3.Connection, asks: Sequence[Ask], lost: Moment | None, is_live: IsLive) -> None:
        self._lost = lost
        self._of_list: dict[tuple[str, str], list[Entry]] = {}
        self._of_token: dict[str, list[Entry]] = {}
        self._rests = rests(db, [ask.token for ask in asks])
        for entry in entries(db, asks, is_live):
            self._put(entry)

    def past(self, ask: Ask) -> Past:
        """What it holds against this call."""
        of_list = self._of_list.get((ask.operation, ask.list), [])
        of_token = self._of_token.get(ask.token, [])
        same = [*of_list, *(each for each in of_token if each.list == ask.list)]
        here = [*of_token, *(each for each in of_list if each.token != ask.token)]
        # Calls that were lost count as made at that moment; their tokens, as those of calls whose end nobody saw.
        unknown = () if self._lost is None else (Call(self._lost, self._lost, whole=False, busy=ask.busy),)
        return Past(
            same=(*(each.call for each in same), *(each._replace(whole=True) for each in unknown)),
            open=(*(each.call for each in here if not each.call.whole), *unknown),
            rests=tuple([rest for name, rest in self._rests.get(ask.token, ()) if name in {"", ask.list}]),
        )

    def add(self, ask: Ask, now: Moment) -> None:
        """Holds a call that was written just now against the others."""
        call = Call(now, None, whole=False, busy=ask.busy, live=True)
        self._put(Entry(ask.operation, ask.list, ask.token, ask.pace, call))

    def token_rest(self, ask: Ask) -> Rest | None:
        """The rest of the token itself."""
        return dict(self._rests.get(ask.token, ())).get("")

    def planned(self, ask: Ask) -> Planned | None:
        """When the list's last call ended; None when it was never called or its call is under way."""
        of_list = self._of_list.get((ask.operation, ask.list))
        if not of_list or of_list[-1].call.finished is None:
            return None
        return Planned(of_list[-1].call.finished, of_list[-1].pace)

    def _put(self, entry: Entry) -> None:
        self._of_list.setdefault((entry.operation, entry.list), []).append(entry)
        self._of_token.setdefault(entry.token, []).append(entry)


def entries(db: sqlite3.Connection, asks: Sequence[Ask], is_live: IsLive) -> Iterator[Entry]:
    """The calls of these operations and on these tokens, oldest first."""
    rows = db.execute(
        f"SELECT operation, list, token, pace, {COLUMNS} FROM call"  # noqa: S608 - fixed names
        " WHERE operation IN (SELECT value FROM json_each(?)) OR token IN (SELECT value FROM json_each(?)) ORDER BY id",
        (json.dumps([ask.operation for ask in asks]), json.dumps([ask.token for ask in asks])),
    )
    return (
        Entry(operation, name, token, pace, call(tuple(rest), is_live))
        for operation, name, token, pace, *rest in rows.fetchall()
    )


def call(row: tuple[float, str, float, float | None, str, float, int, float, str, int], is_live: IsLive) -> Call:
    """A row of `COLUMNS` as a call."""
    wall, boot, uptime, finished_wall, finished_boot, finished_uptime, whole, busy, owner, number = row
    finished = None if finished_wall is None else Moment(finished_wall, finished_boot, finished_uptime)
    return Call(
        claimed=Moment(wall, boot, uptime),
        finished=finished,
        whole=bool(whole),
        busy=busy,
        live=finished is None and is_live(owner, number),
    )


def rests(db: sqlite3.Connection, tokens: Collection[str]) -> dict[str, list[tuple[str, Rest]]]:
    """The rests of each of these tokens that has any: its own under "", and those of its lists."""
    found: dict[str, list[tuple[str, Rest]]] = {}
    for token, name, reason, strikes, *since, seconds, locked in db.execute(
        "SELECT token, list, reason, strikes, since_wall, since_boot, since_uptime, seconds, locked FROM rest"
        " WHERE token IN (SELECT value FROM json_each(?))",
        (json.dumps([*tokens]),),
    ):
        rest = Rest(Outcome(reason), strikes, Moment(*since), seconds, bool(locked))
        found.setdefault(token, []).append((name, rest))
    return found


def write(db: sqlite3.Connection, ask: Ask, owner: str, now: Moment) -> int:
    """Writes the call down; its number."""
    db.execute("INSERT INTO token VALUES (?, 1) ON CONFLICT DO UPDATE SET spent = spent + 1", (ask.token,))
    cursor = db.execute(
        "INSERT INTO call (operation, list, token, owner, claimed_wall, claimed_boot, claimed_uptime, busy, pace)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (ask.operation, ask.list, ask.token, owner, *now, ask.busy, ask.pace),
    )
    return int(cursor.lastrowid or 0)


def finish(db: sqlite3.Connection, number: int, ending: Ending, now: Moment, *, whole: bool) -> None:
    """Writes the call's end, and forgets the older ones of the same three: this one was legal, so they bind no more."""
    db.execute(
        "UPDATE call SET finished_wall = ?, finished_boot = ?, finished_uptime = ?, whole = ?, outcome = ?,"
        " duration = ?, records = ?, rejected = ?, duplicates = ? WHERE id = ?",
        (*now, whole, ending.outcome, ending.duration, *ending[-3:], number),
    )
    db.execute(
        "DELETE FROM call WHERE outcome IS NOT NULL AND id IN (SELECT old.id FROM call AS new JOIN call AS old"
        " ON old.operation = new.operation AND old.list = new.list AND old.token = new.token AND old.id < new.id"
        " AND (old.claimed_boot <> new.claimed_boot OR old.claimed_uptime <= new.claimed_uptime)"
        " WHERE new.id = ?)",
        (number,),
    )


def token_rest(db: sqlite3.Connection, token: str) -> Rest | None:
    """The rest of the token itself."""
    return dict(rests(db, [token]).get(token, ())).get("")


def has(db: sqlite3.Connection, claim: Claim) -> bool:
    """True when the claim stands there: in a copy that was put back it does not, or its number is another's."""
    row = db.execute("SELECT token, claimed_boot, claimed_uptime FROM call WHERE id = ?", (claim.id,)).fetchone()
    return bool(row == (claim.ask.token, claim.at.boot, claim.at.uptime))


def bearer(db: sqlite3.Connection, number: int) -> str:
    """The operation that the call belongs to now: it may have been renamed while the call was under way."""
    return str(db.execute("SELECT operation FROM call WHERE id = ?", (number,)).fetchone()[0])


def ended(db: sqlite3.Connection, ask: Ask, at: Moment) -> str | None:
    """Whose call of this list and token ended at just that moment; None where none did."""
    row = db.execute(
        "SELECT operation FROM call WHERE token = ? AND list = ?"
        " AND finished_wall = ? AND finished_boot = ? AND finished_uptime = ?",
        (ask.token, ask.list, *at),
    ).fetchone()
    return None if row is None else str(row[0])


def follower(db: sqlite3.Connection, ask: Ask, at: Moment) -> str | None:
    """Whose call of this list and token was claimed after that moment; None where none was."""
    row = db.execute(
        "SELECT operation FROM call WHERE token = ? AND list = ? AND claimed_boot = ? AND claimed_uptime > ?",
        (ask.token, ask.list, at.boot, at.uptime),
    ).fetchone()
    return None if row is None else str(row[0])


def rest(db: sqlite3.Connection, token: str, name: str, rest: Rest | None) -> None:
    """Writes or lifts the rest of a token (`name` is "") or of one of its lists."""
    if rest is None:
        db.execute("DELETE FROM rest WHERE token = ? AND list = ?", (token, name))
        return
    db.execute(
        "REPLACE INTO rest VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (token, name, rest.reason, rest.strikes, *rest.since, rest.seconds, rest.is_locked),
    )


def endings(db: sqlite3.Connection, operations: Collection[str]) -> dict[tuple[str, str], Ending]:
    """How the last poll of each list of these operations ended, by operation and list."""
    rows = db.execute(
        "SELECT operation, list, outcome, claimed_wall, finished_wall, duration, records, rejected, duplicates"
        " FROM call WHERE outcome IS NOT NULL AND operation IN (SELECT value FROM json_each(?)) ORDER BY id",
        (json.dumps([*operations]),),
    )
    return {(operation, name): Ending(Outcome(outcome), *rest) for operation, name, outcome, *rest in rows}


class Orphan(NamedTuple):
    """A call that has no end and whose owner is dead."""

    id: int
    operation: str
    list: str
    token: str
    call: Call


def orphans(db: sqlite3.Connection, is_live: IsLive) -> list[Orphan]:
    """The calls that nobody will finish, oldest first."""
    rows = db.execute(
        f"SELECT operation, list, token, {COLUMNS} FROM call WHERE outcome IS NULL"  # noqa: S608 - fixed names
    ).fetchall()
    # Put in order here: SQLite would read all calls in their order rather than the few of its index.
    return sorted(
        Orphan(rest[-1], operation, name, token, call(tuple(rest), is_live))
        for operation, name, token, *rest in rows
        if not is_live(rest[-2], rest[-1])
    )


def bury(db: sqlite3.Connection, orphan: Orphan, now: Moment) -> None:
    """Writes the end of an orphan: interrupted, as late as its server may have worked.

    It may have been the one trial that a lasting rest allows: then the pause begins anew.
    """
    end = budget.interrupted(orphan.call, now)
    seconds = end.uptime - orphan.call.claimed.uptime
    finish(db, orphan.id, Ending(Outcome.INTERRUPTED, 0.0, 0.0, seconds), end, whole=False)
    paused = schedule.token_rest(token_rest(db, orphan.token), Outcome.INTERRUPTED, 0.0, None, end)
    rest(db, orphan.token, "", paused)


def rebase(db: sqlite3.Connection, now: Moment) -> None:
    """Times of another boot are told by this one's clock from now on, once and for all; those in the future become now.

    Left to the wall clock, a step forward after the boot would make a call early; and after a step back a time that
    counts as now again and again would put it off for ever.
    """
    for table, name in (("call", "claimed"), ("call", "finished"), ("rest", "since")):
        db.execute(
            f"UPDATE {table} SET {name}_wall = min({name}_wall, ?1), {name}_boot = ?2,"  # noqa: S608 - fixed names
            f" {name}_uptime = ?3 - max(0, ?1 - {name}_wall) WHERE {name}_boot <> ?2",
            now,
        )
