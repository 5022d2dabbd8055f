"""What is told of the process: the library's own figures, read another way."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from exporter.encoding import Format
from exporter.vitals import Garbage, Process, Vitals
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

    assert list(numbers(told.text(Format.TEXT))) == list(of_library(told))


def test_the_figures_are_those_of_the_library() -> None:
    gc.collect()
    told = vitals(about_process=True)
    ours, theirs = numbers(told.text(Format.TEXT)), of_library(told)

    far = {name for name, value in theirs.items() if abs(ours[name] - value) > CHANGING.get(name, 1)}

    assert far == set()


def test_what_changes_is_read_at_each_scrape() -> None:
    told = Vitals([Process(), Garbage()])
    before = numbers(told.text(Format.TEXT))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(5)]
    gc.collect()
    after = numbers(told.text(Format.TEXT))
    for file in files:
        os.close(file)

    collections = 'python_gc_collections_total{generation="2"}'
    assert after["process_open_fds"] == before["process_open_fds"] + 5
    assert after[collections] > before[collections]


def test_without_proc_there_is_nothing_of_the_process(monkeypatch) -> None:
    monkeypatch.setattr("exporter.vitals.STAT", Path("/nowhere/stat"))

    assert not Process().numbers()


def test_a_percent_sign_stays_one() -> None:
    text = vitals(about_process=False).text(Format.TEXT).decode()

    assert text.splitlines()[0] == "# HELP wolkvox_exporter_build_info The version of this exporter, always 1."
    assert "%" not in text


def test_where_no_file_can_be_opened_the_last_number_of_them_stays() -> None:
    code = (
        "import os, resource\n"
        "from exporter.vitals import Process\n"
        "process = Process()\n"
        "before = process.numbers()\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))\n"
        "after = process.numbers()\n"
        "assert after['process_open_fds'] == before['process_open_fds'] > 0\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
