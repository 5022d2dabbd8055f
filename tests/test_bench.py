"""`make bench-quick` runs, and leaves results with all their rows; what it measures is not judged here."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TIME = 300

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> tuple[Path, str]:
    """The results of a quick run, and what it said meanwhile."""
    output = tmp_path_factory.mktemp("bench") / "RESULTS.md"
    # Without coverage in the programs that are measured: it would double their times.
    environment = {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE_")}
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", f"--output={output}"],
        check=False,
        capture_output=True,
        text=True,
        timeout=TIME,
        cwd=ROOT,
        env=environment,
    )
    assert run.returncode == 0, run.stderr
    return output, run.stderr


def rows(text: str, title: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    section = re.split(r"^## ", text, flags=re.MULTILINE)
    lines = next(each for each in section if each.startswith(title)).splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")][2:]


def test_the_machine_is_described(bench) -> None:
    said = dict(rows(bench[0].read_text(), "The machine"))

    assert {"date", "cores", "CPU", "kernel", "Python"} <= said.keys()
    assert all(said.values())


def test_every_required_figure_has_its_row(bench) -> None:
    figures = rows(bench[0].read_text(), "Required and reached")

    assert len(figures) == 30
    assert all(len(each) == 4 and all(each) for each in figures)


def test_every_server_that_is_there_was_scraped_in_every_form(bench) -> None:
    text, said = bench[0].read_text(), bench[1]
    found = {tuple(each[:3]) for each in rows(text, "Scrapes")}
    forms = {
        "wolkvox-exporter": 3,
        "prometheus_client": 3,
        "node_exporter textfile": 2,
        "nginx static": 3,
    }

    for server, count in forms.items():
        is_there = f"NOT MEASURED: {server}" not in said
        assert len([each for each in found if each[2] == server]) == 2 * count * is_there


def test_what_is_measured_beside_the_peers_is_told(bench) -> None:
    text = bench[0].read_text()

    assert {each[0] for each in rows(text, "Memory and start")} == {"1k", "10k"}
    assert re.search(r"\d+ polls, \d+ scrapes by two scrapers", text)
    assert "the slowest scrape around each took" in text


def test_the_plots_are_drawn(bench) -> None:
    for name in ("scrape", "memory"):
        assert bench[0].with_name(f"{name}.svg").read_text().startswith("<svg")
