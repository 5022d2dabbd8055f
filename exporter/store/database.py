"""The SQLite file: opened, made, found lost, moved aside; one connection, and a transaction as the only way in.

An identity file stands beside the database. Where it stands and the database does not, or not the same one, the
storage was lost: that must not look like a first start, so the moment is kept and every call counts as made then.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_bytes
from threading import RLock
from typing import Final
from uuid import uuid4

from exporter import host
from exporter.model import Moment
from exporter.store import identity
from exporter.store.schema import MIGRATIONS, TABLES, VERSION

PATIENCE: Final = 1.0  # seconds to wait for another process's transaction
RESULT_CODE: Final = 0xFF  # SQLite's primary result codes are the low byte of the extended ones
BROKEN: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class StoreError(Exception):
    """Nothing was written; the text says which file, why, and what to do."""


class RefusedError(StoreError):
    """The storage is not to be used at all: no later try will help."""


class Database:
    """One database file; safe to use from several threads, one transaction at a time."""

    def __init__(self, folder: Path, now: Callable[[], Moment]) -> None:
        self.folder = folder
        self.path = folder / "state.db"
        self._identity = folder / "identity"
        self._now = now
        self._lock = RLock()
        self._connection: sqlite3.Connection | None = None
        self._inode: int | None = None
        self.id = ""  # of the database that was opened last

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection inside one immediate transaction: all of it is durable afterwards, or none.

        StoreError when it could not be written; a connection that failed is opened anew for the next one.
        """
        with self._guarded() as connection, self._begun(connection):
            yield connection

    def changed_elsewhere(self) -> int:
        """A number that changes when another connection has written; StoreError as for a transaction."""
        with self._guarded() as connection:
            return int(connection.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Closes the connection; the next transaction opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _guarded(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._opened()
            except sqlite3.Error as error:
                self._forget(error)
                raise StoreError(f"store {self.path}: {reason(error)}") from error
            except OSError as error:
                self.close()
                raise StoreError(f"store {self.path}: {error.strerror or error}") from error

    @contextmanager
    def _begun(self, connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.rollback()
            raise
        connection.execute("COMMIT")

    def _forget(self, error: sqlite3.Error) -> None:
        """A locked file is the same file later; after any other fault the connection is not trusted."""
        if primary(error) != sqlite3.SQLITE_BUSY:
            self.close()

    def _opened(self) -> sqlite3.Connection:
        """The connection to the file that stands at the path now: a deleted or replaced one is noticed."""
        if self._connection is not None and inode(self.path) != self._inode:
            self.close()
        if self._connection is None:
            self._connection = self._open()
            self._inode = inode(self.path)
        return self._connection

    def _open(self) -> sqlite3.Connection:
        self.folder.mkdir(parents=True, exist_ok=True)
        refuse(self.folder, host.filesystem(self.folder))
        was_there = self.id or self._identity.exists() or size(self.path) > 0
        lost = bool(was_there) and not self._is_sound()
        connection = connect(self.path)
        try:
            self._prepare(connection, lost=lost)
        except BaseException:
            connection.close()
            raise
        return connection

    def _is_sound(self) -> bool:
        """True when the file is a whole database; a broken one is moved aside, where somebody may look at it."""
        if size(self.path) == 0:
            return False
        try:
            with closed(connect(self.path)) as connection:
                return connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",) or self._moved_aside()
        except sqlite3.DatabaseError as error:
            if primary(error) not in BROKEN:
                raise
            return self._moved_aside()

    def _moved_aside(self) -> bool:
        stamp = int(self._now().wall)
        for suffix in ("", "-wal", "-shm"):
            part = self.path.with_name(self.path.name + suffix)
            if part.exists():
                part.rename(part.with_name(f"{part.name}.broken-{stamp}"))
        return False

    def _prepare(self, connection: sqlite3.Connection, *, lost: bool) -> None:
        """Makes or migrates the tables, and sees whether this is the database that the identity file names."""
        with self._begun(connection):
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise RefusedError(
                    f"store {self.path}: written by a newer version (schema {version}, this is {VERSION}); "
                    "upgrade, or move the file away"
                )
            statements = TABLES if version == 0 else "".join(MIGRATIONS[step] for step in range(version, VERSION))
            for statement in filter(str.strip, statements.split(";\n")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
            if version == 0:
                self._found(connection)
            self._recognise(connection, lost=lost)

    def _found(self, connection: sqlite3.Connection) -> None:
        """Writes what is made once: when, under which id, and the key of the tokens' hashes."""
        facts = {"created": self._now().wall, "id": uuid4().hex, "hash_key": token_bytes(32)}
        connection.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())

    def _recognise(self, connection: sqlite3.Connection, *, lost: bool) -> None:
        """Writes the identity file, and the moment of loss where the database is not the one that it names."""
        own = str(connection.execute("SELECT value FROM meta WHERE name = 'id'").fetchone()[0])
        self.id = own
        named = self._identity.read_text(encoding="utf-8", errors="replace") if self._identity.exists() else None
        if named == own and not lost:
            return
        if named is not None or lost:
            identity.lose(connection, self._now())
        fresh = self._identity.with_suffix(".new")
        fresh.write_text(own, encoding="utf-8")
        fresh.replace(self._identity)


def refuse(folder: Path, kind: str) -> None:
    """RefusedError where the folder's file system is of a kind on which locks cannot be trusted."""
    if kind in host.NETWORK:
        raise RefusedError(
            f"store {folder}: lies on a network file system ({kind}), where locks cannot be trusted; "
            "set --storage.path to a local directory"
        )


def connect(path: Path) -> sqlite3.Connection:
    """A connection that writes through to the disk at every commit and waits `PATIENCE` for a lock."""
    connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def closed(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """The connection, closed afterwards."""
    try:
        yield connection
    finally:
        connection.close()


def size(path: Path) -> int:
    """The file's bytes; 0 where there is no file."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def inode(path: Path) -> int | None:
    """The file's number; None where there is no file."""
    try:
        return path.stat().st_ino
    except (FileNotFoundError, NotADirectoryError):
        return None


def primary(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 where the error is the module's own."""
    return getattr(error, "sqlite_errorcode", 0) & RESULT_CODE


ADVICE: Final = {
    sqlite3.SQLITE_BUSY: "another process holds it locked; no call is made until it lets go",
    sqlite3.SQLITE_FULL: "the disk is full; free some space: no call is made until then",
    sqlite3.SQLITE_READONLY: "it is read-only; let the exporter's user write there: no call is made until then",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; let the exporter's user write there: no call is made until then",
    sqlite3.SQLITE_IOERR: "the disk reports an error; look at the system's log: no call is made until it writes again",
    sqlite3.SQLITE_CORRUPT: "it is damaged; it is moved aside and every call counts as made now",
    sqlite3.SQLITE_NOTADB: "it is no database; it is moved aside and every call counts as made now",
}


def reason(error: sqlite3.Error) -> str:
    """What SQLite says, and what to do about it."""
    advice = ADVICE.get(primary(error))
    return f"{error}: {advice}" if advice else str(error)
