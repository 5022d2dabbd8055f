"""`status` and `changes`: what the storage says, with or without a server; and that a look leaves no trace."""

import itertools
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import CANARY, START, Exporter, standing_of
from hypothesis import given
from hypothesis import strategies as st
from processes import COMMAND, Place, Upstream, environment, run, running, upstream, wait_for

from exporter import durations, look
from exporter.lists import LISTS
from exporter.model import Change, ChangeKind, Outcome
from exporter.state import Ending, Memory
from exporter.store import Access, Ask, Belief, Claim, Identity, Result, Store, StoreError
from exporter.tables import clipped, table

NUMBERS = itertools.count()
RESTORES = {name: spec.restore for name, spec in LISTS.items()}


def looking(exporter: Exporter) -> Store:
    return Store(exporter.folder, exporter.clock.now, RESTORES, Access.LOOK)


def status(exporter: Exporter) -> dict[str, list[str]]:
    """The cells of each list's line."""
    store = looking(exporter)
    try:
        lines = list(look.status(exporter.setup, store, exporter.clock))
    finally:
        store.close()
    assert re.split("  +", lines[0]) == ["OPERATION", "LIST", "LAST CALL", "OUTCOME", "BELIEVED", "NEXT CALL", "RULE"]
    rows = [re.split("  +", line) for line in lines[1:]]
    return {cells[1]: [cells[0], *cells[2:]] for cells in rows}


# Status: every rule.


def test_a_list_waits_for_its_interval(exporter, clock) -> None:
    exporter.turn()
    clock.advance(90)

    connectors = status(exporter)["connectors"]

    assert connectors[:4] == ["acme", "1m30s ago", "ok", "1m30s ago"]
    assert connectors[5] == "interval"
    left = exporter.operation().next["connectors"].at - clock.wall
    assert connectors[4] == f"in {durations.written(round(left))}"


def test_a_list_that_is_due_is_due_now(exporter, clock) -> None:
    exporter.turn()
    clock.advance(5400)

    assert status(exporter)["connectors"][4:] == ["now", "interval"]


def test_an_operation_that_the_storage_does_not_know_was_never_called(exporter) -> None:
    exporter.store.created()

    assert status(exporter)["connectors"] == ["acme", "never", "-", "never", "now", "interval"]


def test_a_token_rests_after_an_answer_that_imposed_it(exporter, api, clock) -> None:
    api.play("throttled")
    exporter.turn()

    rows = status(exporter)
    assert {cells[5] for cells in rows.values()} == {"rest"}
    assert rows["connectors"][1:4] == ["0s ago", "throttled", "never"]


def test_a_token_is_busy_while_a_call_is_under_way(exporter) -> None:
    works: list[Callable[[], None]] = []
    exporter.run = works.append
    exporter.restart()
    exporter.turn()

    rows = status(exporter)
    assert {cells[5] for cells in rows.values()} == {"busy token"}
    works.pop()()
    exporter.turn()
    assert status(exporter)["connectors"][5] == "interval"


def test_polling_rests_when_the_reserve_is_all_that_is_left(exporter, api) -> None:
    api.spend(99_950)
    exporter.turn()

    rows = status(exporter)
    assert rows["connectors"][4:] == ["rests", "reserve"]
    assert rows["routing_points"][4:] == ["rests", "reserve"]
    assert rows["token_info"][5] == "interval"


# A look leaves no trace.


def files(folder: Path) -> dict[str, bytes]:
    """Every file of the storage; the shared index of SQLite's readers is no content."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".db-shm"
    }


@pytest.mark.parametrize("is_open", [True, False], ids=["running", "stopped"])
def test_a_look_leaves_the_storage_as_it_is(exporter, api, clock, is_open) -> None:
    exporter.turn()
    api.reroute("whatsapp", "12", "6")
    exporter.turns(460)
    if not is_open:
        exporter.close()
    before = files(exporter.folder)

    status(exporter)
    store = looking(exporter)
    list(look.changes(store.changes(0.0, None, 10), clock))
    store.close()

    assert files(exporter.folder) == before
    assert any(name.endswith("-wal") for name in before) == is_open


def test_a_look_cannot_write(exporter, clock) -> None:
    exporter.turn()
    store = looking(exporter)

    with pytest.raises(StoreError, match="attempt to write a readonly database"):
        store.prune(clock.wall)

    store.close()


def test_what_the_server_writes_during_a_look_is_seen_by_the_next_one(exporter, api, clock) -> None:
    exporter.turn()
    store = looking(exporter)
    before = standing_of(store).tally.polls
    exporter.turns(460)

    assert standing_of(store).tally.polls == before + 1
    store.close()


def test_an_empty_file_is_no_storage(exporter) -> None:
    exporter.folder.mkdir()
    (exporter.folder / "state.db").touch()

    with pytest.raises(StoreError, match=r"state\.db: there is none; name its directory with --storage\.path$"):
        status(exporter)


def test_a_file_that_is_no_database_is_said(exporter) -> None:
    exporter.folder.mkdir()
    (exporter.folder / "state.db").write_bytes(b"no database" * 100)

    with pytest.raises(StoreError, match="file is not a database: "):
        status(exporter)


# The commands, as processes.


@pytest.fixture(scope="module")
def world() -> Iterator[Upstream]:
    with upstream() as started:
        yield started


@pytest.fixture
def place(tmp_path, world) -> Place:
    made = Place(tmp_path, world.url, f"look{next(NUMBERS)}")
    made.secret(made.name, made.token)
    world.open(made.name, made.token)
    made.write(made.name)
    return made


def ask(place: Place, *words: str) -> subprocess.CompletedProcess[str]:
    return run(*words, f"--storage.path={place.storage}", f"--config.file={place.config}")


@pytest.fixture
def changed(place, world):
    """An operation in which a connector was renamed, and then another one went; its server has ended."""
    rows = [{"channel": "sms", "connector_id": key, "rp_id": "5", "name": "One\tname"} for key in ("1", "2", "3")]
    world.say("PUT", f"accounts/{place.name}/connectors", rows)
    with running(*place.flags) as server:
        server.shows(r'wolkvox_connectors\{channel="sms",.*\} 3\.0')
        world.say("PUT", f"accounts/{place.name}/connectors", [{**rows[0], "name": "Uno"}, *rows[1:]])
        server.shows(r'wolkvox_connector_changes_total\{change="renamed",.*\} 1\.0')
        world.say("PUT", f"accounts/{place.name}/connectors", [{**rows[0], "name": "Uno"}, rows[1]])
        server.shows(r'wolkvox_connector_changes_total\{change="removed",.*\} 1\.0')
    return place


@pytest.mark.parametrize("command", ["status", "changes"])
def test_a_missing_storage_is_said_and_none_is_made(place, world, command) -> None:
    ended = ask(place, command)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"wolkvox-exporter: store {place.storage}/state.db: there is none; name its directory with --storage.path\n"
    )
    assert not place.storage.exists()
    assert world.calls(place.name) == []


def test_status_works_while_the_server_runs_and_after_it(place, world) -> None:
    with running(*place.flags) as server:
        server.shows(r"wolkvox_poll_last_success_timestamp_seconds\{.*token_info.*")
        during = ask(place, "status")
    calls = len(world.calls(place.name))
    after = ask(place, "status")

    for ended in (during, after):
        assert (ended.returncode, ended.stderr) == (0, "")
        assert re.findall(rf"^{place.name} +(\w+) +\ds ago +ok ", ended.stdout, re.MULTILINE) == list(LISTS)
    assert len(world.calls(place.name)) == calls
    assert place.token not in during.stdout + after.stdout


def test_status_with_a_bad_configuration_is_exit_code_2(place) -> None:
    place.config.write_text("operations: []\n")

    assert ask(place, "status").returncode == 2


def test_changes_are_a_table_newest_first(changed) -> None:
    ended = ask(changed, "changes")

    head, *rows = ended.stdout.splitlines()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert head.split() == ["WHEN", "OPERATION", "CHANGE", "CONNECTOR", "NAME", "BEFORE", "AFTER"]
    removed, renamed = (re.split("  +", row) for row in rows)
    assert removed[1:] == [changed.name, "removed", "sms 3", "One�name", "5 (Menu)"]
    assert renamed[1:] == [changed.name, "renamed", "sms 1", "Uno", "One�name", "Uno"]
    assert re.fullmatch(r"\d+s ago", removed[0])


def test_changes_are_json_lines_as_the_api_has_them(changed) -> None:
    removed, renamed = map(json.loads, ask(changed, "changes", "--format=json").stdout.splitlines())

    assert (removed["change"], removed["before"], removed["before_name"]) == ("removed", "5", "Menu")
    assert (renamed["channel"], renamed["connector_id"]) == ("sms", "1")
    assert (renamed["before"], renamed["after"], renamed["name"]) == ("One\tname", "Uno", "Uno")
    assert removed["at"] > renamed["at"]


def test_changes_of_one_operation_since_a_while_and_so_many(changed) -> None:
    def count(*words: str) -> int:
        return len(ask(changed, "changes", "--format=json", *words).stdout.splitlines())

    assert count(f"--operation={changed.name}", "--since=1h") == 2
    assert count("--limit=1") == 1
    assert count("--operation=nobody") == 0
    wait_for(lambda: count("--since=1s") == 0)


def test_changes_need_no_configuration(changed) -> None:
    changed.config.unlink()

    assert ask(changed, "changes").returncode == 0


@pytest.mark.parametrize("words", [("--since=soon",), ("--limit=0",), ("--limit=many",), ("--format=xml",), ("extra",)])
def test_a_wrong_argument_is_exit_code_2_in_one_line(place, words) -> None:
    ended = ask(place, "changes", *words)

    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("command", ["status", "changes", "check"])
def test_a_reader_that_goes_early_is_no_error(changed, command) -> None:
    words = [command, f"--storage.path={changed.storage}", f"--config.file={changed.config}"]
    process = subprocess.Popen([COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    assert process.stdout
    process.stdout.close()

    with process:
        assert process.stderr
        assert (process.stderr.read(), process.wait(20)) == (b"", 0)


def test_head_ends_a_long_journal_quietly(place, clock) -> None:
    store = Store(place.storage, clock.now, RESTORES)
    fill(store, 3000)

    ended = subprocess.run(
        [
            "bash",
            "-o",
            "pipefail",
            "-c",
            '"$0" changes --limit=3000 --storage.path="$1" | head -n 2',
            COMMAND,
            place.storage,
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
        env=environment(),
    )

    assert (ended.returncode, ended.stderr, len(ended.stdout.splitlines())) == (0, "", 2)


def fill(store: Store, count: int) -> None:
    """A journal of so many changes, with long names."""
    changes = (Change(START, "connectors", ("sms", str(n)), "x" * 190, ChangeKind.ADDED, "", "5") for n in range(count))
    wanted = Ask("acme", "connectors", "hash", 300.0, busy=60.0, essential=True)
    store.adopt([Identity("acme", "0010", "hash")])
    (claim,) = store.claim([wanted])
    assert isinstance(claim, Claim)
    ending = Ending(Outcome.OK, START, START, 1.0)
    belief = Belief(START, (), Memory(), changes=tuple(changes))
    store.finish([(claim, Result(ending, claim.at, whole=True, response=("200", "none"), belief=belief))])
    store.close()


# What people read.


@given(st.integers(0, 10**10))
def test_whole_seconds_are_read_as_they_were_written(seconds) -> None:
    assert durations.parsed(durations.written(seconds)) == seconds


@given(st.text())
def test_no_text_is_a_duration_by_accident(text) -> None:
    parsed = durations.parsed(text)

    assert parsed is None or (parsed >= 0 and re.fullmatch(r"([0-9]+(y|w|d|h|ms|m|s))+", text))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90.0),
        ("1h30m", 5400.0),
        ("1y2w3d", (365 + 14 + 3) * 86400.0),
        ("250ms", 0.25),
        ("0s", 0.0),
        ("", None),
        ("90", None),
        ("30m1h", None),
        ("1h1h", None),
        ("-1s", None),
        ("1.5s", None),
        ("٣s", None),
        (" 1s", None),
        ("1s\n", None),
    ],
)
def test_a_duration_is_read_as_prometheus_does(text, seconds) -> None:
    assert durations.parsed(text) == seconds


def test_a_part_of_a_second_is_written_as_a_number() -> None:
    assert durations.written(1.5) == "1.5s"


TEXTS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1)


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS)))
def test_columns_are_aligned_and_no_line_ends_in_blanks(rows) -> None:
    head, *lines = table(("A", "B", "C"), rows)

    starts = {head.index("B"), head.index("C")}
    assert len(lines) == len(rows)
    assert all(line[start - 2 : start] == "  " for line in (head, *lines) for start in starts)
    assert all(line == line.rstrip() for line in (head, *lines))


@given(st.text(), st.integers(1, 50))
def test_a_text_is_cut_to_its_column_and_holds_nothing_that_a_terminal_obeys(text, most) -> None:
    cut = clipped(text, most)

    assert len(cut) == min(len(text), most)
    assert cut.isprintable()
    assert clipped(cut, most) == cut


def test_an_escape_of_a_terminal_becomes_a_sign() -> None:
    assert clipped("a\x1b[31mb") == "a�[31mb"


def test_the_token_is_in_no_table(exporter) -> None:
    exporter.turn()

    assert CANARY not in str(status(exporter))
