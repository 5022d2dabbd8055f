"""The storage fails for real under a running exporter: no crash, a clear sentence, a quick page, no call unwritten.

strace makes system calls fail, a small tmpfs runs full or is read-only, files are cut, deleted and held.
"""

import errno
import itertools
import os
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from conftest import ask_database, needs
from processes import PATIENCE, Place, Program, Upstream, ask, program, running, upstream, wait_for

SICK = r"wolkvox_exporter_storage_healthy 0\.0"
WELL = r"wolkvox_exporter_storage_healthy 1\.0"
INFO = r'wolkvox_operation_info\{{operation="{}",server="0010"\}} 1\.0'
CONNECTOR = r'wolkvox_connector_info\{{.*connector_id="12".*operation="{}".*\}} 1\.0'
FAILED = 'event="storage failed, no call is made"'
LOST = 'event="storage was lost, every call counts as made now"'
ASIDE = 'event="database is damaged and was moved aside"'
NUMBERS = itertools.count()
SIZE = 1024 * 1024  # bytes of the small file system
OFTEN = 0.02  # seconds between two scrapes
QUICK = 0.1  # seconds for nineteen of twenty scrapes
SLOWEST = 2.0  # seconds for the slowest of hundreds, on a machine that does other things too
A_WHILE = 7.0  # seconds: longer than the pause between two tries of a storage
HELD = 30.0  # seconds for which another process holds the database

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world() -> Iterator[Upstream]:
    with upstream() as started:
        yield started


def placed(folder: Path, world: Upstream) -> Place:
    made = Place(folder, world.url, f"fault{next(NUMBERS)}")
    made.secret(made.name, made.token)
    made.write(made.name)
    world.open(made.name, made.token)
    return made


@pytest.fixture
def place(tmp_path, world) -> Place:
    """One operation of its own, polled every second."""
    return placed(tmp_path, world)


@pytest.fixture
def small(tmp_path) -> Iterator[Path]:
    """A file system of its own, of one MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if done.returncode:
        lacks(f"a tmpfs cannot be mounted ({done.stderr.strip()}): run as root, in a container with CAP_SYS_ADMIN")
    yield folder
    subprocess.run(["umount", folder], check=True)


def lacks(text: str) -> None:
    """Skips the test loudly; in CI that is a failure."""
    if os.environ.get("REQUIRE_ALL_TOOLS"):
        pytest.fail(text)
    pytest.skip(text)


class Scrapes:
    """How long each scrape took, in seconds; every one must be answered."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.statuses: Counter[int] = Counter()

    def run(self, address: str, ended: Event) -> None:
        while not ended.wait(OFTEN):
            began = time.perf_counter()
            self.statuses[ask(address, "/metrics").status] += 1
            self.seconds.append(time.perf_counter() - began)


@pytest.fixture
def scraped(record_property):
    """Scrapes a program all the while, and then judges how quickly it answered."""

    @contextmanager
    def scrape(exporter: Program) -> Iterator[Scrapes]:
        scrapes, ended = Scrapes(), Event()
        thread = Thread(target=scrapes.run, args=(exporter.address, ended))
        thread.start()
        try:
            yield scrapes
        finally:
            ended.set()
            thread.join(PATIENCE)
        slow, longest = statistics.quantiles(scrapes.seconds, n=20)[-1], max(scrapes.seconds)
        record_property("scrapes", len(scrapes.seconds))
        record_property("scrape_median_seconds", round(statistics.median(scrapes.seconds), 4))
        record_property("scrape_p95_seconds", round(slow, 4))
        record_property("scrape_longest_seconds", round(longest, 4))
        assert set(scrapes.statuses) == {200}
        assert slow < QUICK
        assert longest < SLOWEST

    return scrape


@contextmanager
def failing(exporter: Program, calls: str, error: int) -> Iterator[None]:
    """These system calls of the running exporter fail."""
    needs("strace", "strace")
    injected = f"inject={calls}:error={errno.errorcode[error]}"
    command = ("strace", "-f", "-o", "/dev/null", "-e", f"trace={calls}", "-e", injected)
    with program(*command, "-p", str(exporter.process.pid)) as tracer:
        wait_for(lambda: "attached" in tracer.log or tracer.process.poll() is not None)
        if "attached" not in tracer.log:
            lacks(f"strace may not attach to another process ({tracer.log.strip()}): run as root, with CAP_SYS_PTRACE")
        yield


@contextmanager
def held(database: Path, seconds: float) -> Iterator[None]:
    """Another process holds the database for itself."""
    script = (
        "import sqlite3, sys, time\n"
        f"db = sqlite3.connect({str(database)!r}, timeout=20, isolation_level=None)\n"
        f"db.execute('BEGIN EXCLUSIVE'); print('held', flush=True); time.sleep({seconds}); db.execute('ROLLBACK')\n"
    )
    with program(sys.executable, "-c", script) as holder:
        holder.says("held")
        yield
        assert holder.process.wait(seconds + PATIENCE) == 0


def fill(folder: Path) -> Path:
    """A file that takes every byte that is left."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017 - one loop ends so each time
    return path


def rename(world: Upstream, place: Place, name: str) -> None:
    """Calls one of the connectors differently from now on."""
    rows = [{"channel": "whatsapp", "connector_id": "12", "rp_id": "5", "name": name}]
    rows += [{"channel": "email", "connector_id": "13", "rp_id": "5", "name": "Inbox"}]
    world.say("PUT", f"accounts/{place.name}/connectors", rows)


def kept(world: Upstream, place: Place) -> bool:
    return not any(call["early"] or call["overlapping"] for call in world.calls(place.name))


def counted(place: Place) -> Counter[str]:
    """How many polls of each list were written down."""
    return Counter(dict(ask_database(place.storage, "SELECT list, value FROM counter WHERE name = 'polls'")))


def written(world: Upstream, place: Place, since: int = 0) -> None:
    """Every call that the simulator saw was counted, and nothing else but claims of which the disk said no."""
    seen = Counter(call["api"] for call in world.calls(place.name)[since:])
    polls = counted(place)
    lost = dict(
        ask_database(place.storage, "SELECT list, value FROM counter WHERE name = 'outcomes' AND first = 'interrupted'")
    )
    assert seen
    for name, calls in seen.items():
        assert calls <= polls[name] <= calls + lost.get(name, 0)


def goes_on(exporter: Program, world: Upstream, place: Place) -> None:
    """Healthy again, and each list was called again and answered."""
    exporter.shows(WELL)
    calls = len(world.calls(place.name))
    wait_for(lambda: len({call["api"] for call in world.calls(place.name)[calls:] if call["ended"]}) == 3)


def begins(exporter: Program, world: Upstream, place: Place) -> None:
    exporter.shows(CONNECTOR.format(place.name))
    goes_on(exporter, world, place)


def said_once(exporter: Program, advice: str) -> None:
    """Each sentence once, the first one with the advice; a full disk has a second one, when the file is opened anew."""
    sentences = re.findall(f'{FAILED} error="(.*)"', exporter.log)
    assert len(sentences) == len(set(sentences)) <= 2, exporter.log
    assert advice in sentences[0]


def unharmed(exporter: Program) -> None:
    """It ends as it was asked to, and never said anything that nobody foresaw."""
    assert exporter.stop() == 0
    assert "unexpected" not in exporter.log
    assert "Traceback" not in exporter.log


def sits_out(exporter: Program, world: Upstream, place: Place, scrapes: Scrapes, seconds: float) -> None:
    """Sick all the while, and no call goes out."""
    exporter.shows(SICK)
    calls, count = len(world.calls(place.name)), len(scrapes.seconds)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert re.search(f"(?m)^{SICK}$", exporter.get("/metrics").text), exporter.log
        time.sleep(OFTEN)
    assert len(world.calls(place.name)) == calls
    assert len(scrapes.seconds) > count


@pytest.mark.parametrize(
    ("calls", "error", "advice"),
    [
        ("fsync,fdatasync", errno.EIO, "look at the system's log"),
        ("pwrite64", errno.EIO, "look at the system's log"),
        ("pwrite64", errno.ENOSPC, "the disk is full"),
    ],
)
def test_a_disk_that_reports_errors_stops_the_calls_until_it_writes_again(
    place, world, scraped, calls, error, advice
) -> None:
    with running(*place.flags) as exporter:
        begins(exporter, world, place)
        with failing(exporter, calls, error), scraped(exporter) as scrapes:
            sits_out(exporter, world, place, scrapes, A_WHILE)
        goes_on(exporter, world, place)
        unharmed(exporter)

    said_once(exporter, advice)
    assert kept(world, place)
    written(world, place)


def test_an_answer_whose_end_could_not_be_synced_is_counted_once_and_its_change_told_once(place, world) -> None:
    needs("strace", "strace")
    with running(*place.flags) as exporter:
        begins(exporter, world, place)
        world.play(place.name, "slow", api="connectors", times=1, seconds=3)
        rename(world, place, "Ventas")
        wait_for(lambda: any(call["scenario"] == "slow" and not call["ended"] for call in world.calls(place.name)))
        with failing(exporter, "fsync,fdatasync", errno.EIO):
            exporter.shows(SICK)
        goes_on(exporter, world, place)
        unharmed(exporter)

    told = ask_database(place.storage, "SELECT kind, before, after FROM change")
    assert told == [("renamed", "Sales", "Ventas")]
    assert kept(world, place)
    written(world, place)


def test_a_full_disk_stops_the_calls_until_there_is_space(small, world, scraped) -> None:
    place = placed(small, world)
    with running(*place.flags) as exporter:
        begins(exporter, world, place)
        filler = fill(small)
        with scraped(exporter) as scrapes:
            sits_out(exporter, world, place, scrapes, A_WHILE)
        filler.unlink()
        goes_on(exporter, world, place)
        unharmed(exporter)

    said_once(exporter, "the disk is full")
    assert kept(world, place)
    written(world, place)


def test_a_first_start_on_a_full_disk_lists_the_operations_and_calls_nobody(small, world, scraped) -> None:
    place = placed(small, world)
    filler = fill(small)
    with running(*place.flags) as exporter:
        with scraped(exporter) as scrapes:
            exporter.shows(INFO.format(place.name))
            sits_out(exporter, world, place, scrapes, A_WHILE)
        assert world.calls(place.name) == []
        assert "wolkvox_polls_total{" not in exporter.get("/metrics").text
        filler.unlink()
        begins(exporter, world, place)
        unharmed(exporter)

    said_once(exporter, "the disk is full")
    assert kept(world, place)
    written(world, place)


def test_a_read_only_directory_lists_the_operations_and_calls_nobody(small, world, scraped) -> None:
    place = placed(small, world)
    with running(*place.flags) as exporter:
        begins(exporter, world, place)
        assert exporter.stop() == 0
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    with running(*place.flags) as exporter:
        with scraped(exporter) as scrapes:
            exporter.shows(INFO.format(place.name))
            sits_out(exporter, world, place, scrapes, A_WHILE)
        subprocess.run(["mount", "-o", "remount,rw", small], check=True)
        begins(exporter, world, place)
        unharmed(exporter)

    said_once(exporter, "let the exporter's user write there")
    assert kept(world, place)
    written(world, place)


def cut(database: Path) -> None:
    os.truncate(database, database.stat().st_size // 2)


def emptied(database: Path) -> None:
    os.truncate(database, 0)


@pytest.mark.parametrize(("lose", "sentences"), [(cut, (ASIDE, LOST)), (emptied, (LOST,))])
def test_a_file_that_was_cut_while_nothing_ran_counts_every_call_as_made_now(
    place, world, scraped, lose, sentences
) -> None:
    with running(*place.flags) as exporter:
        begins(exporter, world, place)
        assert exporter.stop() == 0
    lose(place.storage / "state.db")
    calls = len(world.calls(place.name))
    with running(*place.flags) as exporter:
        with scraped(exporter):
            begins(exporter, world, place)
        unharmed(exporter)

    assert [exporter.log.count(sentence) for sentence in sentences] == [1] * len(sentences), exporter.log
    assert FAILED not in exporter.log
    assert kept(world, place)
    written(world, place, calls)


def test_a_database_that_is_deleted_under_way_is_made_anew_and_nothing_is_called_early(place, world, scraped) -> None:
    with running(*place.flags) as exporter:
        begins(exporter, world, place)
        wait_for(lambda: counted(place) == Counter(call["api"] for call in world.calls(place.name)))
        with scraped(exporter):
            for path in place.storage.glob("state.db*"):
                path.unlink()
            calls = len(world.calls(place.name))
            exporter.says(LOST)
            goes_on(exporter, world, place)
        unharmed(exporter)

    assert exporter.log.count(LOST) == 1, exporter.log
    assert kept(world, place)
    written(world, place, calls)


def test_a_database_that_another_process_holds_for_half_a_minute_stops_the_calls(place, world, scraped) -> None:
    with running(*place.flags) as exporter:
        begins(exporter, world, place)
        with held(place.storage / "state.db", HELD), scraped(exporter) as scrapes:
            sits_out(exporter, world, place, scrapes, HELD - 5)
        goes_on(exporter, world, place)
        unharmed(exporter)

    said_once(exporter, "another process holds it locked")
    assert kept(world, place)
    written(world, place)
