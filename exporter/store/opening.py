"""Opening the SQLite file: made, migrated, found lost, moved aside.

An identity file stands beside the database. Where it stands and the database does not, or not the same one, the
storage was lost: that must not look like a first start, so the moment is kept and every call counts as made then.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from secrets import token_bytes
from typing import Final
from uuid import uuid4

import structlog

from exporter import host
from exporter.model import Moment
from exporter.store import identity
from exporter.store.faults import BROKEN, RefusedError, StoreError, primary
from exporter.store.schema import Schema

log = structlog.get_logger()

PATIENCE: Final = 1.0  # seconds to wait for another process's transaction


class Access(Enum):
    """What a process may do with the storage: only the server changes what older versions left."""

    SERVE = "make it, migrate it, write to it"
    POLL = "make it, write to it"
    LOOK = "read it"


class Opening:
    """How the database of one folder is opened, again and again."""

    def __init__(self, folder: Path, now: Callable[[], Moment], access: Access, schema: Schema) -> None:
        self.path = folder / "state.db"
        self._folder = folder
        self._identity = folder / "identity"
        self._now = now
        self._access = access
        self._schema = schema

    def opened(self, known: str) -> tuple[sqlite3.Connection, str]:
        """A connection and the id of its database; `known` is the id that was opened last, "" for none."""
        if self._access is Access.LOOK:
            return self._looked()
        self._folder.mkdir(parents=True, exist_ok=True)
        refuse(self._folder, host.filesystem(self._folder))
        was_there = known or self._identity.exists() or size(self.path) > 0
        lost = bool(was_there) and not self._is_sound()
        connection = connect(self.path)
        try:
            return connection, self._prepare(connection, lost=lost)
        except BaseException:  # raised again: whatever ends the opening leaves no open file
            connection.close()
            raise

    def check(self, connection: sqlite3.Connection) -> int:
        """The version of the schema; RefusedError when it is not for this process."""
        version, own = int(connection.execute("PRAGMA user_version").fetchone()[0]), self._schema.version
        if version > own:
            raise RefusedError(
                f"store {self.path}: written by a newer version (schema {version}, this is {own}); "
                "upgrade, or move the file away"
            )
        if 0 < version < own and self._access is not Access.SERVE:
            raise RefusedError(
                f"store {self.path}: written by an older version (schema {version}, this is {own}); "
                "the server migrates it when it starts"
            )
        return version

    def _looked(self) -> tuple[sqlite3.Connection, str]:
        """A connection that cannot write."""
        if size(self.path) == 0:
            raise StoreError(f"store {self.path}: there is none; name its directory with --storage.path")
        # Where no log stands beside the file nobody has it open, and a reader that may make one would leave it behind.
        is_open = size(self.path.with_name(f"{self.path.name}-wal")) > 0
        place = f"{self.path.resolve().as_uri()}?{'mode=ro' if is_open else 'mode=ro&immutable=1'}"
        connection = sqlite3.connect(place, uri=True, timeout=PATIENCE, isolation_level=None)
        try:
            self.check(connection)
            return connection, name(connection)
        except BaseException:  # raised again, as above
            connection.close()
            raise

    def _is_sound(self) -> bool:
        """True when the file is a whole database; a broken one is moved aside, where somebody may look at it."""
        if size(self.path) == 0:
            return False
        try:
            with closed(connect(self.path)) as connection:
                return connection.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",) or self._moved_aside()
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
        log.error("database is damaged and was moved aside", path=str(self.path), to=f"{self.path}.broken-{stamp}")
        return False

    def _keep_copy(self, version: int) -> None:
        """Copies a database that will be migrated, so that the older version can be gone back to.

        Our transaction is begun and has written nothing: nobody else migrates it or copies it at the same time.
        """
        copy = self.path.with_name(f"{self.path.name}.schema-{version}")
        if 0 < version < self._schema.version and not copy.exists():
            fresh = copy.with_name(f"{copy.name}.new")
            fresh.unlink(missing_ok=True)  # of a process that died while it copied
            # Another connection reads it: one that is within its own transaction waits for itself for ever.
            with closed(connect(self.path)) as source, closed(sqlite3.connect(fresh)) as target:
                source.backup(target)
            fresh.replace(copy)

    def _prepare(self, connection: sqlite3.Connection, *, lost: bool) -> str:
        """Makes or migrates the tables; the database's id, once it is the one that the identity file names."""
        with begun(connection, "IMMEDIATE"):
            version, schema = self.check(connection), self._schema
            self._keep_copy(version)
            for statement in schema.statements(version):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {schema.version}")
            if version == 0:
                self._found(connection)
            return self._recognised(connection, lost=lost)

    def _found(self, connection: sqlite3.Connection) -> None:
        """Writes what is made once: when, under which id, and the key of the tokens' hashes."""
        facts = {"created": self._now().wall, "id": uuid4().hex, "hash_key": token_bytes(32)}
        connection.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())

    def _recognised(self, connection: sqlite3.Connection, *, lost: bool) -> str:
        """Writes the identity file, and the moment of loss where the database is not the one that it names."""
        own = name(connection)
        named = self._identity.read_text(encoding="utf-8", errors="replace") if self._identity.exists() else None
        if named == own and not lost:
            return own
        if named is not None or lost:
            identity.lose(connection, self._now())
            log.error("storage was lost, every call counts as made now", path=str(self.path))
        fresh = self._identity.with_suffix(".new")
        fresh.write_text(own, encoding="utf-8")
        fresh.replace(self._identity)
        return own


def refuse(folder: Path, kind: str) -> None:
    """RefusedError where the folder's file system is of a kind on which locks cannot be trusted."""
    if kind in host.NETWORK:
        raise RefusedError(
            f"store {folder}: lies on a network file system ({kind}), where locks cannot be trusted; "
            "set --storage.path to a local directory"
        )


def name(connection: sqlite3.Connection) -> str:
    """The id that the database was given when it was made."""
    return str(connection.execute("SELECT value FROM meta WHERE name = 'id'").fetchone()[0])


@contextmanager
def begun(connection: sqlite3.Connection, kind: str) -> Iterator[sqlite3.Connection]:
    """The connection inside a transaction."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield connection
    except BaseException:  # raised again: whatever ends it, half a transaction must not stay open
        connection.rollback()
        raise
    connection.execute("COMMIT")


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
