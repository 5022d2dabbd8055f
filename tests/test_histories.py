"""Long histories of many operations: the journal is the script, whatever the answers did meanwhile."""

import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from conftest import FakeClock, Killed
from law import SHORT_LIVED, Mortal
from oracle import ROUTING, Key, Reader, Rows, Told, World, replayed

from exporter.lists import LISTS
from exporter.model import Answer, Change, Operation, Outcome, Secret
from exporter.poll import Trust
from exporter.setup import Limits, Setup, Target

OPERATIONS = 50
EDITS = 200
BAD = {"connector_id": " ", "channel": "email", "rp_id": "1", "name": "no key"}
FAILURES = (
    Answer(Outcome.SERVER_ERROR, 500),
    Answer(Outcome.NOT_FOUND, 404),
    Answer(Outcome.MALFORMED, 200),
    Answer(Outcome.TIMEOUT, whole=False),
    Answer(Outcome.UNREACHABLE),
    Answer(Outcome.TOKEN_BUSY, 403),
)


class Script(World):
    """One operation that somebody edits, and the answers about it."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self.reader = Reader()
        self.baseline: dict[Key, Rows] | None = None
        self.is_calm = False
        self.moods: Counter[str] = Counter()

    def answer(self) -> Answer:
        """What the next call is told; the reader hears it where it can be read."""
        rows = list(self.connectors.values())
        self.rng.shuffle(rows)
        words = ("whole", "failed", "empty", "none", "rejected", "unreadable", "twice", "conflict")
        mood = "whole" if self.is_calm else self.rng.choices(words, (60, 12, 4, 4, 8, 2, 6, 4))[0]
        self.moods[mood] += 1
        if mood == "failed":
            return self.rng.choice(FAILURES)
        if mood == "conflict" and rows:
            rows.append(rows[0] | {"rp_id": self.rng.choice(ROUTING), "name": "another"})
        told: dict[str, list[Any]] = {
            "empty": [],
            "none": [],
            "rejected": [*rows, BAD],
            "unreadable": [BAD, 7],
            "twice": [*rows, *rows[:2]],
        }
        records = told.get(mood, rows)
        outcome, status = (Outcome.NO_RECORDS, 404 if mood == "none" else 200) if not records else (Outcome.OK, 200)
        return Answer(outcome, status, "200", tuple(records))

    def heard(self, answer: Answer) -> None:
        """The answer reached somebody who lived to write it down."""
        if not answer.outcome.is_failure:
            self.reader.hears(record if isinstance(record, dict) else {} for record in answer.records)
            if self.baseline is None:
                self.baseline = self.reader.known


class Stage:
    """Operations with their scripts, and the exporter that polls them, is restarted and dies."""

    def __init__(self, folder: Path, rng: random.Random, operations: int) -> None:
        self.rng = rng
        self.scripts = {f"op-{number}": Script(rng) for number in range(operations)}
        self.dies = ""
        self.exporter = Mortal(folder / "data", FakeClock(), self.setup())
        self.falls = Counter[str]()

    def setup(self) -> Setup:
        def target(name: str) -> Target:
            return Target(Operation(name, "0010"), lambda: Secret(name))

        return Setup(
            targets=tuple(map(target, self.scripts)),
            lists=LISTS,
            intervals={"connectors": 300.0},
            call=self.call,
            trust=Trust(mass_removal=0.5, retention=90 * 86400.0),
            limits=Limits(concurrency=1000),
        )

    def call(self, _server: str, _listed: str, token: Secret) -> Answer:
        script = self.scripts[token.reveal()]
        for _ in range(self.rng.randrange(6)):
            if script.edits < EDITS:
                script.edit()
        if self.dies == "asking":
            raise Killed
        answer = script.answer()
        if self.dies == "reading":
            raise Killed
        script.heard(answer)
        return answer

    def goes_on(self) -> None:
        """Some minutes of polls, and now and then the end of the process in one of three ways."""
        self.dies = self.rng.choices(("", "asking", "reading"), (90, 5, 5))[0]
        try:
            self.exporter.turns(self.rng.choice((60.0, 300.0, 700.0)))
        except Killed:
            self.ends(self.dies, self.exporter.kill)
        self.dies = ""
        if self.rng.random() < 0.1:
            self.ends("between", self.rng.choice((self.exporter.kill, self.exporter.close)))

    def ends(self, when: str, end) -> None:
        self.falls[when] += 1
        end()
        self.exporter.start()

    def journal(self) -> dict[str, list[Told]]:
        changes: dict[str, list[Told]] = {name: [] for name in self.scripts}
        for operation, change in reversed(self.exporter.store.changes(0.0, None, 10_000_000)):
            changes[operation].append(told(change))
        return changes


def told(change: Change) -> Told:
    return Told(change.key[0], change.key[1], change.name, change.kind, change.before, change.after)


@pytest.fixture
def folder():
    made = Path(tempfile.mkdtemp(dir=SHORT_LIVED))
    yield made
    shutil.rmtree(made)


def test_the_journal_is_the_script(folder) -> None:
    seed = random.getrandbits(32)
    stage = Stage(folder, random.Random(seed), OPERATIONS)
    while any(script.edits < EDITS for script in stage.scripts.values()):
        stage.goes_on()
    for script in stage.scripts.values():
        script.is_calm = True
    stage.exporter.turns(1500.0)
    journal = stage.journal()
    stage.exporter.close()

    for name, script in stage.scripts.items():
        assert journal[name] == script.reader.told, f"seed {seed}, {name}"
        counted = Counter((each.channel, each.change) for each in journal[name])
        assert stage.exporter.standing(name).tally.changes == counted, f"seed {seed}, {name}"
    moods = sum((script.moods for script in stage.scripts.values()), Counter[str]())
    assert min(moods.values()) > OPERATIONS
    assert len(moods) == 8
    assert sum(stage.falls.values()) > 5
    assert sum(script.reader.held for script in stage.scripts.values()) > OPERATIONS


def test_the_journal_leads_from_the_first_answer_to_the_last(folder) -> None:
    """The same, judged without the rules of belief: told changes, one after the other, end where the world ends."""
    seed = random.getrandbits(32)
    stage = Stage(folder, random.Random(seed), 5)
    for script in stage.scripts.values():
        script.is_calm = True
    while any(script.edits < EDITS for script in stage.scripts.values()):
        stage.goes_on()
    stage.exporter.turns(1500.0)
    journal = stage.journal()
    stage.exporter.close()

    for name, script in stage.scripts.items():
        truth = Reader()
        truth.hears([])
        truth.hears([])
        truth.hears(script.connectors.values())
        assert replayed(script.baseline or {}, journal[name]) == truth.known, f"seed {seed}, {name}"
