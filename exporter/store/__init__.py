"""SQLite: ledger, snapshots, changes, counters. A method is a transaction; no SQL stands outside this folder.

This is the seam where another database will stand beside SQLite: few methods, each of them whole.
"""

import hmac
import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from exporter import budget
from exporter.budget import Past, Wait
from exporter.model import Change, Moment, Outcome, Secret
from exporter.schedule import Rest
from exporter.state import NEVER, Ending, Recorded, Standing, Tally
from exporter.store import answers, identity, journal, ledger
from exporter.store.codec import Reader, Restore, pack_answer
from exporter.store.database import Database
from exporter.store.faults import RefusedError, StoreError
from exporter.store.identity import Identity
from exporter.store.journal import Belief, Parts
from exporter.store.ledger import Ask, Book, Claim, Planned
from exporter.store.opening import Access
from exporter.store.owners import Owners

__all__ = [
    "Access",
    "Ask",
    "Belief",
    "Binding",
    "Claim",
    "Finished",
    "Identity",
    "Planned",
    "RefusedError",
    "Result",
    "Store",
    "StoreError",
]


NONE: Final = "none"  # a response that did not come, as the counters tell it


class Result(NamedTuple):
    """How a claimed call ended: what the ledger, the counters and the journal must hold from now on.

    `response` is the HTTP status and the body's code as the counters tell them. `token_rest` and `list_rest` replace
    what stands, None lifts it. `belief` is None after a failure. `read_meter`: the token's own figures were read.
    `recorded` is what the flight recorder keeps, with nothing in it that must not be kept.
    """

    ending: Ending
    at: Moment
    whole: bool
    response: tuple[str, str]
    token_rest: Rest | None = None
    list_rest: Rest | None = None
    belief: Belief | None = None
    read_meter: bool = False
    recorded: Recorded | None = None


class Large(NamedTuple):
    """What takes long to pack of a result: what is believed, by column, and the recorded answer."""

    belief: Parts
    answer: bytes | None

    @classmethod
    def of(cls, result: Result) -> "Large":
        """The packed parts of a result."""
        answer = None if result.recorded is None else pack_answer(result.recorded)
        return cls({} if result.belief is None else journal.packed(result.belief), answer)


class Finished(NamedTuple):
    """Whose call was finished, and the list's counters afterwards."""

    operation: str
    tally: Tally


class Binding(NamedTuple):
    """When a list was planned on last, and what binds its next call."""

    planned: Planned | None
    past: Past


class Store:
    """The storage of one directory, shared with any number of processes on this host.

    Every method raises StoreError when it could not do all of its work; then nothing of it was written.
    """

    def __init__(
        self,
        folder: Path,
        now: Callable[[], Moment],
        restores: Mapping[str, Restore],
        access: Access = Access.SERVE,
    ) -> None:
        self._database = Database(folder, now, access)
        self.folder = folder
        self._now = now
        self._reader = Reader(restores)
        self._owners = Owners(folder / "owners", only_look=access is Access.LOOK)
        self._under_way: set[tuple[str, int]] = set()
        self._secrets: dict[str, Secret] = {}
        self._adopted = ""

    def created(self) -> float:
        """When the database was made, Unix seconds."""
        return float(self._meta("created"))

    def token_hashes(self, tokens: Sequence[Secret]) -> list[str]:
        """The keyed hash of each token; their key was made once, in this database."""
        key = self._meta("hash_key")
        hashed = [keyed(key, token) for token in tokens]
        self._secrets.update(zip(hashed, tokens, strict=True))
        return hashed

    def adopt(self, operations: Iterable[Identity]) -> None:
        """Makes these the configured operations: new, renamed, moved to a new server, with a new token, or gone."""
        with self._database.transaction() as db:
            identity.adopt(db, tuple(operations))
            adopted = self._database.id
        self._adopted = adopted

    @property
    def is_adopted(self) -> bool:
        """False once the database is another one than that in which operations were adopted last."""
        return self._database.id == self._adopted

    def claim(self, asks: Sequence[Ask]) -> list[Claim | Wait]:
        """Writes calls down before they leave; for each the wait until it would be legal, where it is not written."""
        written: set[tuple[str, int]] = set()
        try:
            with self._database.transaction() as db:
                self._insist()
                now = self._now()
                self._bury(db, now)
                book, database = self._book(db, asks), self._database.id
                claims: list[Claim | Wait] = []
                for ask in asks:
                    wait = budget.wait(book.past(ask), ask.interval, now, essential=ask.essential)
                    if wait.seconds > 0:
                        claims.append(wait)
                        continue
                    number = ledger.write(db, ask, self._owners.live(), now)
                    claims.append(Claim(number, ask, now, book.token_rest(ask), database))
                    book.add(ask, now)
                written = {(database, claim.id) for claim in claims if isinstance(claim, Claim)}
                self._under_way |= written
        except StoreError:
            self._under_way -= written  # whether they reached the disk or not, nobody will make these calls
            raise
        return claims

    def finish(self, ends: Sequence[tuple[Claim, Result]]) -> list[Finished]:
        """Writes the ends of calls with all that follows from them, in one piece.

        Where the database with a claim was lost meanwhile, the call is written into its successor, by its hashes. An
        end that reached the disk although the disk reported an error, as it may, is not written a second time.
        """
        large = [Large.of(result) for _, result in ends]  # packed before the transaction, which keeps others waiting
        with self._database.transaction() as db:
            operations = [self._ended(db, *end, parts) for end, parts in zip(ends, large, strict=True)]
            counted = journal.tallies(db, operations)
        self._under_way -= {(claim.database, claim.id) for claim, _ in ends}
        return [
            Finished(operation, counted.get((operation, claim.ask.list), NEVER.tally))
            for operation, (claim, _) in zip(operations, ends, strict=True)
        ]

    def disown(self, claim: Claim) -> None:
        """Gives up a call whose end cannot be written: it is ended as that of a dead owner."""
        self._under_way.discard((claim.database, claim.id))

    def standings(self, operations: Collection[str], lists: Iterable[str]) -> Mapping[tuple[str, str], Standing]:
        """How each of these lists of each of these operations stands, as stored."""
        with self._database.transaction() as db:
            stored = journal.stored(db, operations, lists, self._now().wall)
        # Unpacked after the transaction, which would keep others from writing.
        return {place: journal.standing(each, *place, self._reader) for place, each in stored.items()}

    def bindings(self, asks: Sequence[Ask]) -> list[Binding]:
        """What binds each of these calls."""
        with self._database.transaction() as db:
            book = self._book(db, asks)
        return [Binding(book.planned(ask), book.past(ask)) for ask in asks]

    def spent(self, tokens: Collection[str]) -> Mapping[str, int]:
        """Calls claimed on each of these tokens since its own figures were last read; without those of no call."""
        with self._database.transaction() as db:
            rows = db.execute(
                "SELECT hash, spent FROM token WHERE hash IN (SELECT value FROM json_each(?))",
                (json.dumps([*tokens]),),
            )
            return dict(rows.fetchall())

    def revisions(self) -> Mapping[str, int]:
        """A number for each operation that grows by one with every write about it.

        Dead owners' calls are ended first, and times of another boot are brought to this one's clock.
        """
        with self._database.transaction() as db:
            now = self._now()
            ledger.rebase(db, now)
            identity.rebase(db, now)
            self._bury(db, now)
            return identity.revisions(db)

    def changed_elsewhere(self) -> int:
        """A number that changes when another process has written."""
        return self._database.changed_elsewhere()

    def changes(self, since: float, operation: str | None, limit: int) -> list[tuple[str, Change]]:
        """The journal's changes after `since`, Unix seconds, newest first, each with whose it is; at most `limit`."""
        with self._database.transaction() as db:
            return journal.changes(db, since, operation, limit)

    def answers(self, operation: str) -> list[Recorded]:
        """What the flight recorder has of an operation, of all its lists, newest first; damaged ones are left out."""
        with self._database.transaction() as db:
            kept = answers.kept(db, operation)
        read = (self._reader.answer(packed, operation, name, number) for packed, name, number in kept)
        return [answer for answer in read if answer is not None]

    def prune(self, before: float) -> None:
        """Drops the journal's changes and the answers from before then; the counters keep counting them."""
        with self._database.transaction() as db:
            db.execute("DELETE FROM change WHERE at < ?", (before,))
            answers.prune(db, before)

    def close(self) -> None:
        """Closes the database and gives up our owner's lock."""
        self._database.close()
        self._owners.close()

    def _book(self, db: sqlite3.Connection, asks: Sequence[Ask]) -> Book:
        return Book(db, asks, identity.lost(db), self._is_live)

    def _ended(self, db: sqlite3.Connection, claim: Claim, result: Result, large: Large) -> str:
        """Writes the end of a call unless that was done before; whose it was.

        Where the call is gone and another followed it, its end had been written: nothing follows a call without one,
        but in a copy that was put back, where the other binds instead.
        """
        is_ours = claim.database == self._database.id
        ask, at = claim.ask if is_ours else self._moved(db, claim.ask), result.at
        operation = ledger.ended(db, ask, at)
        if operation is not None:
            return operation
        if is_ours and ledger.has(db, claim):
            return self._end(db, claim.id, ask, result, large)
        follower = ledger.follower(db, ask, at) if is_ours else None
        return follower or self._end(db, ledger.write(db, ask, self._owners.live(), claim.at), ask, result, large)

    def _end(self, db: sqlite3.Connection, number: int, ask: Ask, result: Result, large: Large) -> str:
        """Writes all that follows from the end of a call; whose it was."""
        name, token = ask.list, ask.token
        operation = ledger.bearer(db, number)
        ledger.finish(db, number, result.ending, result.at, whole=result.whole)
        ledger.rest(db, token, "", result.token_rest)
        ledger.rest(db, token, name, result.list_rest)
        self._count(db, operation, name, result.ending.outcome, result.response)
        if result.belief is not None:
            journal.believe(db, operation, name, result.belief, large.belief)
        if result.read_meter:
            db.execute("UPDATE token SET spent = 0 WHERE hash = ?", (token,))
        if large.answer is not None:
            answers.keep(db, operation, name, result.ending.finished, large.answer)
        identity.touch(db, operation)
        return operation

    def _moved(self, db: sqlite3.Connection, ask: Ask) -> Ask:
        """The call with its token as this database tells it; the one that was lost had another key."""
        key = db.execute("SELECT value FROM meta WHERE name = 'hash_key'").fetchone()[0]
        secret = self._secrets.get(ask.token)
        return ask if secret is None else ask._replace(token=keyed(key, secret))

    def _insist(self) -> None:
        """StoreError in a database that knows nothing of the operations: its token hashes are others."""
        if not self.is_adopted:
            raise StoreError(f"store {self.folder}: the database was replaced; its state is read anew")

    def _bury(self, db: sqlite3.Connection, now: Moment) -> None:
        """Ends the calls whose owners died: they were spent, and nobody knows what came."""
        for orphan in ledger.orphans(db, self._is_live):
            ledger.bury(db, orphan, now)
            self._count(db, orphan.operation, orphan.list, Outcome.INTERRUPTED, (NONE, NONE))
            identity.touch(db, orphan.operation)

    def _count(
        self, db: sqlite3.Connection, operation: str, name: str, outcome: Outcome, response: tuple[str, str]
    ) -> None:
        journal.count(db, operation, name, "polls")
        if outcome.is_failure:
            journal.count(db, operation, name, "failures")
        journal.count(db, operation, name, "outcomes", outcome)
        journal.count(db, operation, name, "responses", *response)

    def _is_live(self, owner: str, number: int) -> bool:
        """True while somebody is at work on the call; our own calls are known one by one."""
        if owner == self._owners.me:
            return (self._database.id, number) in self._under_way
        return self._owners.is_live(owner)

    def _meta(self, name: str) -> Any:
        with self._database.transaction() as db:
            return db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()[0]


def keyed(key: bytes, token: Secret) -> str:
    """The token's hash under the key of one database."""
    return hmac.digest(key, token.reveal().encode(), "sha256").hex()
