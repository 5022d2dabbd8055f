"""`once`: what it calls, what it prints and where, and the exit code; beside a server on the same storage too."""

import itertools
import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from conftest import CANARY, FakeClock, setup_for
from processes import COMMAND, Place, Upstream, environment, program, run, running, upstream, wait_for
from prometheus_client.parser import text_string_to_metric_families as families

from exporter import once
from exporter.lists import LISTS
from exporter.once import Fate, Line, Once, OutputError
from exporter.state import OperationState
from exporter.store import Access, Store, StoreError

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def world() -> Iterator[Upstream]:
    with upstream() as started:
        yield started


@pytest.fixture
def place(tmp_path, world) -> Place:
    """One operation with an account of its own, whose lists are polled every hour."""
    made = Place(tmp_path, world.url, f"once{next(NUMBERS)}")
    made.secret(made.name, made.token)
    world.open(made.name, made.token)
    hourly(made, made.name)
    return made


def hourly(place: Place, *names: str) -> None:
    place.write(*names)
    place.config.write_text(place.config.read_text().replace("1s", "1h"))


def poll(place: Place, *words: str) -> subprocess.CompletedProcess[str]:
    return run("once", *words, f"--config.file={place.config}", f"--storage.path={place.storage}")


def is_lawful(world: Upstream, *names: str) -> bool:
    calls = [call for name in names for call in world.calls(name)]
    return bool(calls) and not any(call["early"] or call["overlapping"] for call in calls)


def without_traceback(ended: subprocess.CompletedProcess[str]) -> bool:
    return "Traceback" not in ended.stderr + ended.stdout


# What it does.


def test_it_polls_every_list_once_and_prints_a_table(place, world) -> None:
    ended = poll(place)

    head, *rows = ended.stdout.splitlines()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert head.split("  ")[0] == "OPERATION"
    assert [row.split()[:4] for row in rows] == [
        [place.name, "connectors", "ok", "2"],
        [place.name, "routing_points", "ok", "1"],
        [place.name, "token_info", "ok", "1"],
    ]
    assert all(re.search(r" in \d\S* \(interval\)$", row) for row in rows)
    assert len(world.calls(place.name)) == 3
    assert is_lawful(world, place.name)


def test_what_is_not_allowed_yet_is_exit_code_3_with_the_stored_values(place, world) -> None:
    poll(place)

    ended = poll(place)

    assert (ended.returncode, ended.stderr) == (3, "")
    assert ended.stdout.count("ok (not polled now)") == 3
    assert re.search(r"connectors +ok \(not polled now\)  2 ", ended.stdout)
    assert len(world.calls(place.name)) == 3


def test_a_poll_that_fails_is_exit_code_1_though_others_were_not_allowed(place, world) -> None:
    poll(place)
    place.write(place.name)
    place.config.write_text(place.config.read_text().replace("token_info: 1s", "token_info: 1h"))
    world.play(place.name, "server_error_500")

    ended = poll(place, "--wait=3s")

    assert ended.returncode == 1
    assert 'event="poll failed"' in ended.stderr
    assert re.search(r"connectors +server_error +2 ", ended.stdout)
    assert "ok (not polled now)" in ended.stdout
    assert is_lawful(world, place.name)


def test_an_unknown_operation_is_exit_code_2_and_names_the_known_ones(place, world) -> None:
    ended = poll(place, "acme-xx")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"wolkvox-exporter: unknown operation 'acme-xx'; configured are {place.name}\n"
    assert world.calls(place.name) == []
    assert not place.storage.exists()


def test_a_bad_configuration_is_exit_code_2(place) -> None:
    place.config.write_text("operations: []\n")

    ended = poll(place)

    assert ended.returncode == 2
    assert ended.stderr.startswith(f"{place.config}:1: ")
    assert without_traceback(ended)


@pytest.mark.parametrize("words", [("--wait=soon",), ("--format=xml",), ("--output",)])
def test_a_wrong_argument_is_exit_code_2_in_one_line(place, words) -> None:
    ended = poll(place, *words)

    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)


def test_it_waits_for_a_legal_second_that_is_near(place, world) -> None:
    poll(place)
    place.write(place.name)

    ended = poll(place, "--wait=5s")

    assert ended.returncode == 0
    assert len(world.calls(place.name)) == 6
    assert is_lawful(world, place.name)


def test_only_the_named_operations_are_polled_and_printed(place, world) -> None:
    other = f"{place.name}-b"
    world.open(other, f"{CANARY}-{other}")
    place.secret(other, f"{CANARY}-{other}")
    hourly(place, place.name, other)
    poll(place)

    told = {form: poll(place, other, f"--format={form}").stdout for form in ("table", "prometheus", "json")}

    assert (len(world.calls(place.name)), len(world.calls(other))) == (3, 3)
    assert {row.split()[0] for row in told["table"].splitlines()[1:]} == {other}
    assert [each["operation"] for each in json.loads(told["json"])["operations"]] == [other]
    assert f'operation="{other}"' in told["prometheus"]
    assert f'operation="{place.name}"' not in told["prometheus"]


def test_an_operation_that_is_not_named_is_not_polled(place, world) -> None:
    other = f"{place.name}-b"
    world.open(other, f"{CANARY}-{other}")
    place.secret(other, f"{CANARY}-{other}")
    hourly(place, place.name, other)

    ended = poll(place, other)

    assert (ended.returncode, world.calls(place.name), len(world.calls(other))) == (0, [], 3)


def test_beside_a_server_on_the_same_storage_no_call_is_early_or_overlaps(place, world) -> None:
    place.write(place.name)
    with running(*place.flags) as server:
        server.shows(r"wolkvox_poll_last_success_timestamp_seconds\{.*token_info.*")

        codes = [poll(place, f"--wait={wait}").returncode for wait in ("0s", "2s", "0s", "2s")]

        calls = len(world.calls(place.name))
        wait_for(lambda: len(world.calls(place.name)) > calls)
    assert set(codes) <= {0, 3}
    assert is_lawful(world, place.name)
    assert "poll failed" not in server.log


# What it prints, and where.


def test_prometheus_text_is_what_a_textfile_collector_reads(place) -> None:
    page = {family.name: family for family in families(poll(place, "--format=prometheus").stdout)}

    assert {sample.labels["connector_id"] for sample in page["wolkvox_connector_info"].samples} == {"12", "13"}
    assert page["wolkvox_up"].samples[0].value == 1
    assert not any(name.startswith(("process_", "python_")) for name in page)


def test_a_name_with_a_separator_of_lines_stays_within_its_line(place, world) -> None:
    row = {"channel": "sms", "connector_id": "1", "rp_id": "5", "name": "a\u2028b\x0bc"}
    world.say("PUT", f"accounts/{place.name}/connectors", [row])

    told = poll(place, "--format=prometheus").stdout

    assert 'name="a\u2028b\x0bc"' in told


def test_json_is_what_the_api_answers(place) -> None:
    (told,) = json.loads(poll(place, "--format=json").stdout)["operations"]

    assert told["operation"] == place.name
    assert {name: each["outcome"] for name, each in told["lists"].items()} == dict.fromkeys(LISTS, "ok")
    assert told["lists"]["connectors"]["records"] == 2


def test_a_file_is_written_and_nothing_is_printed(place, tmp_path) -> None:
    output = tmp_path / "wolkvox.prom"
    output.write_text("an older page\n")

    ended = poll(place, "--format=prometheus", f"--output={output}")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert "wolkvox_connector_info{" in output.read_text()
    assert output.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.glob("*wolkvox.prom*")] == ["wolkvox.prom"]


def test_a_file_in_no_directory_is_one_sentence_and_exit_code_1(place, tmp_path) -> None:
    output = tmp_path / "none" / "wolkvox.prom"

    ended = poll(place, f"--output={output}")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"wolkvox-exporter: cannot write {output}: No such file or directory; nothing of it was written\n"
    )


def test_a_directory_in_the_place_of_the_file_is_said_and_nothing_is_left_beside_it(tmp_path) -> None:
    (tmp_path / "out").mkdir()

    with pytest.raises(OutputError, match=r"^cannot write .*/out: Is a directory; nothing of it was written$"):
        once.write(tmp_path / "out", "text")

    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_text_that_cannot_be_encoded_leaves_the_older_file(tmp_path) -> None:
    (tmp_path / "out").write_text("older")

    with pytest.raises(UnicodeEncodeError):
        once.write(tmp_path / "out", "\ud800")

    assert [path.read_text() for path in tmp_path.iterdir()] == ["older"]


def test_who_reads_the_file_never_sees_a_half(tmp_path) -> None:
    output, seen = tmp_path / "out", set[str]()
    versions = [sign * 300_000 for sign in "abcdefgh"]
    once.write(output, versions[0])
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            seen.add(output.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for version in versions * 5:
        once.write(output, version)
    ended.set()
    reader.join()

    assert seen <= set(versions)


def test_progress_is_shown_on_a_terminal_and_wiped_at_the_end(place) -> None:
    master, slave = pty.openpty()
    words = ["once", f"--config.file={place.config}", f"--storage.path={place.storage}"]
    with subprocess.Popen(
        [COMMAND, *words], stdout=subprocess.PIPE, stderr=slave, text=True, env=environment()
    ) as process:
        out, _ = process.communicate(timeout=20)
    os.close(slave)
    shown = os.read(master, 65536).decode()
    os.close(master)

    steps = re.findall(r"polling: (\d) of 3", shown)
    assert (process.returncode, out.count("\n")) == (0, 4)
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == ("0", "3")
    assert shown.endswith("\r\033[K")


def test_a_reader_that_goes_early_is_no_error(place) -> None:
    words = ["once", f"--config.file={place.config}", f"--storage.path={place.storage}"]
    process = subprocess.Popen([COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    assert process.stdout
    process.stdout.close()

    with process:
        assert process.stderr
        assert (process.stderr.read(), process.wait(20)) == (b"", 0)


# What goes wrong.


def test_a_storage_that_cannot_be_used_is_one_sentence_and_exit_code_1(place, world) -> None:
    place.storage.write_text("a file")

    ended = poll(place)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"wolkvox-exporter: store {place.storage}/state.db: File exists\n"
    assert world.calls(place.name) == []


def test_interrupted_by_hand_it_ends_without_a_traceback(place, world) -> None:
    poll(place)
    words = ["once", "--wait=3h", f"--config.file={place.config}", f"--storage.path={place.storage}"]

    with program(COMMAND, *words, "--log.level=debug") as waiting:
        wait_for(lambda: list((place.storage).glob("state.db-wal")))
        code = waiting.stop(signal.SIGINT)

    assert code == 130
    assert "Traceback" not in waiting.log


INTERRUPTED = """
import sys
from exporter import commands, flags

def interrupted(*_):
    raise KeyboardInterrupt

commands.serve = interrupted
sys.exit(commands.ran(flags.parse([], {}), {}))
"""


def test_whatever_is_interrupted_by_hand_ends_as_the_shell_expects() -> None:
    ended = subprocess.run([sys.executable, "-c", INTERRUPTED], check=False, capture_output=True, text=True, timeout=60)

    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


class Ticking(FakeClock):
    """A clock that goes on by three seconds whenever it is read."""

    def now(self):
        self.advance(3)
        return super().now()


def test_a_storage_that_fails_for_long_in_between_ends_it(api, simulator, tmp_path) -> None:
    clock = Ticking()
    store = Store(tmp_path / "data", clock.now, {name: spec.restore for name, spec in LISTS.items()}, Access.POLL)
    store.created()
    with closing(sqlite3.connect(tmp_path / "data" / "state.db", isolation_level=None)) as holder:

        def start(work) -> None:
            holder.execute("BEGIN IMMEDIATE")
            work()

        round_ = Once(once.chosen(setup_for(simulator, {"acme": CANARY}, clock), []), store, clock, start)
        with pytest.raises(StoreError, match=r"^store .*/data: it failed while polls were made; the log says why$"):
            round_.run(0.0, lambda _done, _all: None)
    store.close()


def test_the_worst_fate_is_the_exit_code_and_a_failure_comes_before_what_was_not_allowed() -> None:
    def code(*fates: Fate) -> int:
        state: OperationState = None  # type: ignore[assignment]  # not looked at
        return once.exit_code(Line(state, "connectors", fate) for fate in fates)

    assert code() == code(Fate.FRESH) == 0
    assert code(Fate.NOT_YET, Fate.FRESH) == 3
    assert code(Fate.NOT_YET, Fate.FAILED, Fate.FRESH) == 1


def test_what_was_never_polled_and_what_rests_is_said_in_the_table(api, simulator, clock, tmp_path) -> None:
    api.spend(99_950)
    store = Store(tmp_path / "data", clock.now, {name: spec.restore for name, spec in LISTS.items()}, Access.POLL)
    setup = once.chosen(setup_for(simulator, {"acme": CANARY}, clock, lists={"token_info": LISTS["token_info"]}), [])
    Once(setup, store, clock, lambda work: work()).run(0.0, lambda _done, _all: None)
    round_ = Once(once.chosen(setup_for(simulator, {"acme": CANARY}, clock), []), store, clock, lambda work: work())
    lines = round_.run(0.0, lambda _done, _all: None)

    told = list(once.report(lines, clock.wall))
    assert once.exit_code(lines) == 3
    assert re.fullmatch(r"acme +connectors +never polled \(not polled now\)  -     -    rests: reserve", told[1])
    store.close()
