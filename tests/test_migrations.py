"""The storage of another version: who changes it, what is kept of it, and what the older process does then."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from conftest import START, Exporter, FakeClock, ask_database

from exporter.store import Access, Identity, RefusedError, Store, StoreError
from exporter.store.database import Database
from exporter.store.schema import ANSWERS, CURRENT, TABLES, Schema

OLD, NEW = CURRENT.version, CURRENT.version + 1
STEP = "ALTER TABLE token ADD COLUMN note TEXT;\nCREATE TABLE place (name TEXT PRIMARY KEY) WITHOUT ROWID;\n"
NEXT = Schema(NEW, CURRENT.tables + STEP, {OLD: STEP})
TORN = Schema(NEW, CURRENT.tables + STEP, {OLD: STEP + "NO SUCH STATEMENT;\n"})
RELEASED = {1: Schema(1, TABLES, {}), 2: Schema(2, TABLES + ANSWERS, {})}
REFUSED = f"written by a newer version \\(schema {NEW}, this is {OLD}\\); upgrade, or move the file away$"


@pytest.fixture
def folder(tmp_path, clock) -> Path:
    """A storage of this version that knows one operation."""
    store = Store(tmp_path / "data", clock.now, {})
    store.adopt([Identity("acme", "0010", "hash")])
    store.close()
    return store.folder


def opened(folder: Path, access: Access = Access.SERVE, schema: Schema = NEXT) -> None:
    """Opens the storage as a process of the other version does, once."""
    database = Database(folder, FakeClock().now, access, schema)
    try:
        with database.transaction():
            pass
    finally:
        database.close()


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def columns(folder: Path) -> list[str]:
    return [row[1] for row in ask_database(folder, "PRAGMA table_info(token)")]


def copy_of(folder: Path) -> Path:
    return folder / f"state.db.schema-{OLD}"


def test_the_server_brings_an_older_storage_forward_and_keeps_what_it_holds(folder) -> None:
    before = ask_database(folder, "SELECT * FROM operation"), ask_database(folder, "SELECT * FROM meta")
    opened(folder)

    assert version(folder / "state.db") == NEW
    assert columns(folder) == ["hash", "spent", "note"]
    assert (ask_database(folder, "SELECT * FROM operation"), ask_database(folder, "SELECT * FROM meta")) == before


def test_a_copy_of_the_older_storage_is_kept_whole(folder, clock) -> None:
    opened(folder)
    copy_of(folder).rename(folder / "state.db")

    store = Store(folder, clock.now, {})
    assert store.created() == START
    assert store.revisions().keys() == {"acme"}
    store.close()


def test_there_is_one_copy_and_nothing_half_beside_it(folder) -> None:
    opened(folder)
    opened(folder)

    assert sorted(path.name for path in folder.glob("state.db.*")) == [copy_of(folder).name]
    assert version(copy_of(folder)) == OLD


def test_a_copy_that_is_there_is_not_written_again(folder) -> None:
    copy_of(folder).write_bytes(b"the first one")
    opened(folder)

    assert copy_of(folder).read_bytes() == b"the first one"


@pytest.mark.parametrize("rest", [b"", b"half a copy of a process that died"])
def test_what_a_process_left_that_died_while_it_copied_is_replaced(folder, rest) -> None:
    fresh = copy_of(folder).with_name(f"{copy_of(folder).name}.new")
    fresh.write_bytes(rest)
    opened(folder)

    assert not fresh.exists()
    assert version(copy_of(folder)) == OLD


def test_a_fresh_storage_has_the_newest_schema_and_no_copy(tmp_path) -> None:
    opened(tmp_path / "fresh")

    assert version(tmp_path / "fresh" / "state.db") == NEW
    assert not list((tmp_path / "fresh").glob("state.db.schema-*"))


@pytest.mark.parametrize("access", [Access.POLL, Access.LOOK])
def test_nobody_but_the_server_migrates(folder, access) -> None:
    before = (folder / "state.db").read_bytes()

    with pytest.raises(RefusedError, match=rf"older version \(schema {OLD}, this is {NEW}\); the server migrates it"):
        opened(folder, access)

    assert (folder / "state.db").read_bytes() == before
    assert not copy_of(folder).exists()


@pytest.mark.parametrize("access", list(Access))
def test_nobody_touches_a_newer_storage(folder, access) -> None:
    opened(folder)
    before = (folder / "state.db").read_bytes()

    with pytest.raises(RefusedError, match=REFUSED):
        opened(folder, access, CURRENT)

    assert (folder / "state.db").read_bytes() == before


@pytest.mark.parametrize("access", [Access.POLL, Access.LOOK])
def test_a_storage_of_this_version_is_open_to_all(folder, access) -> None:
    opened(folder, access, CURRENT)


def test_a_migration_that_fails_leaves_the_older_storage_whole(folder, clock) -> None:
    with pytest.raises(StoreError, match='near "NO": syntax error'):
        opened(folder, schema=TORN)

    assert (version(folder / "state.db"), columns(folder)) == (OLD, ["hash", "spent"])
    store = Store(folder, clock.now, {})
    assert store.revisions().keys() == {"acme"}
    store.close()


def test_a_migration_that_is_killed_leaves_the_older_storage_whole_and_is_made_later(folder) -> None:
    script = (
        "import os, sys; from pathlib import Path; sys.path.insert(0, 'tests')\n"
        "from test_migrations import *\n"
        "class Dying(Schema):\n"
        "    def statements(self, version):\n"
        "        yield next(iter(NEXT.statements(version)))\n"
        "        os.kill(os.getpid(), 9)\n"
        f"opened(Path({str(folder)!r}), schema=Dying(*NEXT))\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    halfway = columns(folder)
    opened(folder)

    assert killed.returncode == -9, killed.stderr
    assert halfway == ["hash", "spent"]
    assert columns(folder) == ["hash", "spent", "note"]
    assert version(copy_of(folder)) == OLD


def test_a_running_process_of_the_older_version_stops_its_calls_and_says_why(exporter, simulator, quiet_log) -> None:
    exporter.turn()
    opened(exporter.folder)
    for _ in range(200):
        exporter.clock.advance(5)
        exporter.turn()

    said = [event["error"] for event in quiet_log if event["event"] == "storage failed, no call is made"]
    assert len(simulator.calls) == 3
    advice = f"written by a newer version (schema {NEW}, this is {OLD}); upgrade, or move the file away"
    assert said == [f"store {exporter.folder}/state.db: {advice}"]
    assert not exporter.state.storage_healthy
    assert exporter.standing().snapshot is not None


def test_a_call_that_ends_after_the_migration_is_not_lost_to_the_newer_version(exporter, simulator) -> None:
    works: list[Callable[[], None]] = []
    exporter.run = works.append
    exporter.restart()
    exporter.turn()
    opened(exporter.folder)
    works.pop()()
    exporter.turn()

    assert len(simulator.calls) == 1
    assert ask_database(exporter.folder, "SELECT list, outcome FROM call") == [("connectors", None)]
    assert not exporter.state.storage_healthy


@pytest.mark.parametrize("round_", range(5))
def test_two_servers_that_migrate_at_once_do_it_once(folder, round_) -> None:
    ready, faults = threading.Barrier(4), list[str]()

    def migrate() -> None:
        ready.wait()
        for _ in range(10):
            try:
                return opened(folder)
            except StoreError as error:  # on a busy machine one may have to wait for the other, and comes again
                faults.append(str(error))
        return None

    threads = [threading.Thread(target=migrate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all("another process holds it locked" in fault for fault in faults)
    assert columns(folder) == ["hash", "spent", "note"]
    assert version(copy_of(folder)) == OLD
    assert sorted(path.name for path in folder.glob("state.db.*")) == [copy_of(folder).name]


def test_an_exporter_of_the_older_version_goes_on_with_the_copy(exporter: Exporter, simulator) -> None:
    exporter.turn()
    exporter.close()
    opened(exporter.folder)
    copy_of(exporter.folder).rename(exporter.folder / "state.db")
    exporter.start()
    exporter.turns(900)

    report = simulator.report()
    assert (report.early, report.overlapping) == (0, 0)
    assert exporter.standing().tally.polls == 3


# Each version that was ever released, brought to this one.


def made(folder: Path, schema: Schema) -> dict[str, str]:
    """A new storage by this schema: its tables, indexes and triggers, each as it is told."""
    opened(folder, schema=schema)
    return dict(ask_database(folder, "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


@pytest.mark.parametrize("former", RELEASED)
def test_a_storage_of_a_former_version_becomes_the_same_as_a_new_one(tmp_path, former) -> None:
    made(tmp_path / "old", RELEASED[former])

    assert made(tmp_path / "old", CURRENT) == made(tmp_path / "new", CURRENT)
    assert ask_database(tmp_path / "old", "SELECT value FROM meta WHERE name = 'answer_bytes'") == [(0,)]
    assert version(tmp_path / "old" / f"state.db.schema-{former}") == former


def test_an_exporter_goes_on_with_a_storage_of_the_first_version(exporter, simulator) -> None:
    exporter.turn()
    exporter.close()
    with closing(sqlite3.connect(exporter.folder / "state.db")) as db:
        db.executescript("DROP TABLE answer; DELETE FROM meta WHERE name = 'answer_bytes'; PRAGMA user_version = 1;")
    exporter.start()
    exporter.turns(900)

    report = simulator.report()
    assert (report.early, report.overlapping) == (0, 0)
    assert exporter.standing().tally.polls == 3
    assert len(exporter.store.answers("acme")) == len(simulator.calls) - 3
