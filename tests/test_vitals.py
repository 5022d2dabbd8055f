"""What is told of the process: the library's own figures, read another way."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from exporter.encoding import Format
from exporter.vitals import Garbage, Process, Vitals, entries
from exporter.wiring import vitals

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="process_* are there on Linux alone")
CHANGING = {
    "process_cpu_seconds_total": 0.5,
    "process_virtual_memory_bytes": 64e6,
    "process_resident_memory_bytes": 64e6,
    "process_open_fds": 2,
    "process_max_fds": 0,
}


def of_library(told: Vitals) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(told)
    return numbers(generate_latest(registry))


def numbers(text: bytes) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in text.decode().splitlines() if not line.startswith("#"))
    return {series: float(value) for series, _, value in lines}


def test_series_and_their_order_are_those_of_the_library() -> None:
    told = vitals(about_process=True)

    assert list(numbers(told.filled(Format.TEXT).plain)) == list(of_library(told))


def test_the_figures_are_those_of_the_library() -> None:
    gc.collect()
    told = vitals(about_process=True)
    ours, theirs = numbers(told.filled(Format.TEXT).plain), of_library(told)

    far = {name for name, value in theirs.items() if abs(ours[name] - value) > CHANGING.get(name, 1)}

    assert far == set()


def test_what_changes_is_read_at_each_scrape() -> None:
    told = Vitals([Process(), Garbage()])
    gc.collect()  # what other tests left open goes now, not below
    before = numbers(told.filled(Format.TEXT).plain)
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(5)]
    gc.collect()
    after = numbers(told.filled(Format.TEXT).plain)
    for file in files:
        os.close(file)

    collections = 'python_gc_collections_total{generation="2"}'
    assert after["process_open_fds"] == before["process_open_fds"] + 5
    assert after[collections] > before[collections]


def test_what_did_not_change_is_not_rendered_again() -> None:
    told = vitals(about_process=False)
    first, second, other = (told.filled(form) for form in (Format.TEXT, Format.TEXT, Format.OPENMETRICS))

    assert second is first
    assert other.plain.endswith(b"# EOF\n")


def test_without_proc_there_is_nothing_of_the_process() -> None:
    assert not Process(Path("/nowhere")).numbers()


@pytest.mark.parametrize("folder", ["fd", "task"])  # the kernel counts the entries of the first alone, if of any
def test_entries_are_counted_where_the_kernel_does_not_count_them(folder) -> None:
    handle = os.open(f"/proc/self/{folder}", os.O_RDONLY)
    counted, listed = entries(handle, 0), len(list(Path(f"/proc/self/{folder}").iterdir()))
    os.close(handle)

    assert listed - 1 <= counted <= listed  # to list them may take a file more


def test_where_entries_cannot_be_counted_their_last_number_stays() -> None:
    assert entries(-1, last=7) == 7


def test_a_percent_sign_stays_one() -> None:
    text = vitals(about_process=False).filled(Format.TEXT).plain.decode()

    assert text.splitlines()[0] == "# HELP wolkvox_exporter_build_info The version of this exporter, always 1."
    assert "%" not in text


def test_where_no_file_can_be_opened_the_last_number_of_them_stays(tmp_path) -> None:
    (tmp_path / "statm").symlink_to("/proc/self/statm")
    (tmp_path / "fd").symlink_to("/proc/self/task")  # whose entries have to be listed on every kernel
    code = (
        "import pathlib, resource\n"
        "from exporter.vitals import Process\n"
        f"process = Process(pathlib.Path({str(tmp_path)!r}))\n"
        "before = process.numbers()\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))\n"
        "after = process.numbers()\n"
        "assert after['process_open_fds'] == before['process_open_fds'] > 0\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
