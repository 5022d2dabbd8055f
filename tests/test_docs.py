"""What the documents say of metrics and flags is what the code has, no more and no less."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import FakeClock
from processes import run

from exporter.exposition import families
from exporter.flags import FLAGS
from exporter.lists import LISTS
from exporter.wiring import Reloads, registry

DOCS = Path(__file__).parent.parent / "docs"
NAMES = re.compile(r"\b(?:wolkvox|process|python)_[a-z_]+[a-z]\b")


class Documented(NamedTuple):
    kind: str
    labels: frozenset[str]


def rows(file: str, heading: str, columns: int) -> Iterator[list[str]]:
    """The cells of the tables of a document whose header is this line, without backticks."""
    in_table = False
    for line in (DOCS / file).read_text(encoding="utf-8").splitlines():
        in_table = line.startswith("|") and (in_table or line == heading)
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if in_table and line != heading and not line.startswith("| ---"):
            assert len(cells) == columns, line
            yield [cell.strip("`") for cell in cells[:-1]] + cells[-1:]


def documented() -> dict[str, Documented]:
    found: dict[str, Documented] = {}
    for name, kind, labels, meaning in rows("metrics.md", "| metric | type | labels | meaning |", 4):
        assert name not in found, f"{name} stands twice in docs/metrics.md"
        assert meaning.endswith("."), f"{name}: its meaning is no sentence"
        found[name] = Documented(kind, frozenset(filter(None, re.split(r",\s*", labels))))
    return found


def of_states() -> dict[str, Documented]:
    """Every family that a state may fill."""
    return {family.name: Documented(family.kind, frozenset(family.labels)) for family in families(LISTS)}


def of_this_process() -> dict[str, Documented]:
    """Every family that is told of the process at each scrape."""
    live = registry(about_process=True)
    Reloads(live, FakeClock()).succeeded()
    return {
        metric.name + "_total" * (metric.type == "counter"): Documented(
            metric.type, frozenset(name for sample in metric.samples for name in sample.labels)
        )
        for metric in live.collect()
    }


@pytest.mark.skipif(sys.platform != "linux", reason="process_* are there on Linux alone")
def test_every_metric_is_documented_and_no_other() -> None:
    code = of_states() | of_this_process()

    assert documented().keys() == code.keys()


def test_every_metric_is_documented_with_its_type_and_labels() -> None:
    written = documented()

    assert {name: written[name] for name in of_states()} == of_states()
    assert {name: written[name] for name in of_this_process()} == of_this_process()


def test_no_document_names_a_metric_that_is_not_there() -> None:
    suffixes = re.compile("_(bucket|count|sum|total)$")
    known = of_states().keys() | of_this_process().keys() | documented().keys()
    known |= {suffixes.sub("", name) for name in known}

    text = (DOCS / "metrics.md").read_text(encoding="utf-8")

    assert {name for name in NAMES.findall(text) if name not in known and suffixes.sub("", name) not in known} == set()


def test_every_flag_is_documented_with_variable_and_default_and_no_other() -> None:
    table = rows("configuration.md", "| flag | variable | default | meaning |", 4)

    written = {flag: (variable, default) for flag, variable, default, _ in table}

    assert written == {f"--{flag.name}": (flag.variable, flag.default) for flag in FLAGS}


def test_help_names_every_documented_flag_and_no_other() -> None:
    helped = run("--help", COLUMNS="300").stdout

    flags = re.findall(r"^ +(--[a-z]+\.[a-z.-]+)\s", helped, re.MULTILINE)

    assert set(flags) == {row[0] for row in rows("configuration.md", "| flag | variable | default | meaning |", 4)}
