"""One connection to the SQLite file, and a transaction as the only way in."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from exporter.model import Moment
from exporter.store.faults import BUGS, StoreError, primary, reason
from exporter.store.opening import Access, Opening, begun
from exporter.store.schema import CURRENT, Schema


class Database:
    """One database file; safe to use from several threads, one transaction at a time."""

    def __init__(
        self, folder: Path, now: Callable[[], Moment], access: Access = Access.SERVE, schema: Schema = CURRENT
    ) -> None:
        self._opening = Opening(folder, now, access, schema)
        self._begin = "DEFERRED" if access is Access.LOOK else "IMMEDIATE"
        self._lock = RLock()
        self._connection: sqlite3.Connection | None = None
        self._inode: int | None = None
        self.path = self._opening.path
        self.id = ""  # of the database that was opened last

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection inside one immediate transaction: all of it is durable afterwards, or none.

        StoreError when it could not be written; a connection that failed is opened anew for the next one.
        """
        with self._guarded() as connection, begun(connection, self._begin):
            self._opening.check(connection)  # another process may have brought a newer schema meanwhile
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
            except BUGS:
                raise  # it is what we wrote that is wrong, not the file
            except sqlite3.Error as error:
                self._forget(error)
                raise StoreError(f"store {self.path}: {reason(error)}") from error
            except OSError as error:
                self.close()
                raise StoreError(f"store {self.path}: {error.strerror or error}") from error

    def _forget(self, error: sqlite3.Error) -> None:
        """A locked file is the same file later; after any other fault the connection is not trusted."""
        if primary(error) != sqlite3.SQLITE_BUSY:
            self.close()

    def _opened(self) -> sqlite3.Connection:
        """The connection to the file that stands at the path now: a deleted or replaced one is noticed."""
        if self._connection is not None and inode(self.path) != self._inode:
            self.close()
        if self._connection is None:
            self._connection, self.id = self._opening.opened(self.id)
            self._inode = inode(self.path)
        return self._connection


def inode(path: Path) -> int | None:
    """The file's number; None where there is no file."""
    try:
        return path.stat().st_ino
    except (FileNotFoundError, NotADirectoryError):
        return None
