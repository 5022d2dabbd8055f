"""What the documents say of metrics, flags, commands and answers is what the code has, no more and no less."""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import FakeClock
from exposed import plain_web
from processes import run

from exporter import api
from exporter.exposition import families
from exporter.flags import FLAGS, commands
from exporter.lists import LISTS
from exporter.model import Change, ChangeKind, Operation, Outcome
from exporter.once import Fate
from exporter.state import Memory, OperationState, Recorded, Rule, Snapshot, Standing, State
from exporter.wiring import Reloads, vitals

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
    live = vitals(Reloads(FakeClock()), plain_web(), about_process=True)
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


# Commands.


def arguments() -> dict[str, dict[str, argparse.Action]]:
    """The arguments of each command beside the flags, by their names."""
    (subparsers,) = (each for each in commands()._actions if each.dest == "command")  # noqa: SLF001 - argparse tells no other way
    flags = {f"--{flag.name}" for flag in FLAGS} | {f"--no-{flag.name}" for flag in FLAGS} | {"--help"}
    assert isinstance(subparsers.choices, dict)
    return {
        name: {word: action for action in parser._actions for word in words(action) if word not in flags}  # noqa: SLF001 - the same
        for name, parser in subparsers.choices.items()
    }


def words(action: argparse.Action) -> list[str]:
    return [word for word in action.option_strings if word.startswith("--")] or [str(action.metavar)]


def section(heading: str) -> str:
    """The text of docs/commands.md under a heading."""
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def table_of_commands() -> dict[str, str]:
    """What stands in the table of commands: the rest of the words and the meaning of each."""
    told = {}
    for command, does in rows("commands.md", "| command | does |", 2):
        name, _, rest = command.removeprefix("wolkvox-exporter").strip().partition(" ")
        told[name] = f"{rest} {does}"
    return told


def test_every_command_is_documented_and_no_other() -> None:
    assert table_of_commands().keys() == arguments().keys() | {""}


@pytest.mark.parametrize("command", sorted(arguments()))
def test_every_argument_of_a_command_is_documented_and_no_other(command) -> None:
    text = table_of_commands()[command] + section(command)

    written = set(re.findall(r"--[a-z][a-z-]*(?![a-z.-])", text)) - {"--storage"}
    options = {word for word in arguments()[command] if word.startswith("--")}

    assert written == options
    assert ("OPERATION" in text.split("]")[0]) == ("OPERATION" in arguments()[command])


@pytest.mark.parametrize("command", ["once", "changes"])
def test_every_choice_and_default_of_a_command_is_documented(command) -> None:
    text = section(command)

    for word, action in arguments()[command].items():
        for choice in action.choices or ():
            assert f"`{choice}`" in text or f"{word}={choice}" in text, choice


def test_the_default_number_of_changes_is_the_documented_one() -> None:
    assert f"--limit={arguments()['changes']['--limit'].default}" in section("changes")


def test_every_rule_is_documented_and_no_other() -> None:
    told = {rule for rule, _ in rows("commands.md", "| rule | meaning |", 2)}

    assert told == set(Rule)


def test_the_exit_codes_of_once_are_documented() -> None:
    told = section("once")

    assert "Exit 0: " in told
    assert all(f" {fate.value}: " in told for fate in Fate)


# The answers of the HTTP API.


def documented_keys(path: str) -> list[str]:
    """The quoted words of the shape that is documented for a path."""
    (answer,) = (each for asked, each in rows("commands.md", "| path | answer |", 2) if asked == f"GET {path}")
    return re.findall(r'"(\w+)"', answer)


def answers() -> State:
    (row,) = LISTS["connectors"].restore([["sms"], ["1"], ["5"], ["One"]])
    standing = Standing(snapshot=Snapshot((row,), 1.0), memory=Memory(first_seen={row.key: 1.0}))
    return State((OperationState(Operation("acme", "0010"), {"connectors": 300.0}, {"connectors": standing}),))


def test_the_shape_of_changes_is_the_documented_one() -> None:
    change = Change(1.0, "connectors", ("sms", "1"), "One", ChangeKind.ADDED, "", "5")

    assert documented_keys("/api/v1/changes") == [
        "changes",
        *api.change("acme", change, LISTS["connectors"], names=True),
    ]


def test_the_shape_of_answers_is_the_documented_one() -> None:
    answer = Recorded("connectors", 1.0, 0.5, Outcome.OK, 200, "200", 2, "{}")

    assert documented_keys("/api/v1/answers") == ["answers", *api.answer("acme", answer)]


def test_the_shape_of_operations_is_the_documented_one() -> None:
    (told,) = api.operations(answers())

    assert documented_keys("/api/v1/operations") == ["operations", *told, *told["lists"]["connectors"]]


def test_the_shape_of_connectors_is_the_documented_one() -> None:
    (told,) = api.rows(answers(), LISTS["connectors"], None)

    assert documented_keys("/api/v1/connectors") == ["connectors", *told]
