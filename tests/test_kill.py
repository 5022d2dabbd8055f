"""Two real exporters on one storage that are killed again and again: the law, the counters and the journal hold."""

import json
import random
import re
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from conftest import CANARY
from oracle import Reader, Told, World
from processes import COMMAND, LOOPBACK, Program, Upstream, ask, run, upstream, wait_for

KILLS = 60  # at least; on a slow machine more, until there were enough edits to lose
MOST_KILLS = 4 * KILLS
EDITS = 21  # nearly each makes a change or more
INTERVAL = 2.0
TIMEOUT = 1.0
SLOW = 0.3  # seconds that an answer takes, so that kills meet calls under way
MARGIN = 0.5  # seconds around a kill within which nobody can say whether an answer was still written down
OPERATIONS = ("op1", "op2", "op3", "op4")
COUNTER = re.compile(r"^(wolkvox_\w+_total\{.*\}) (\S+)$", re.MULTILINE)
HISTOGRAM = "wolkvox_upstream_request_duration"  # of each life anew
CONFIG = """
poll: {{connectors: 2s, routing_points: 2s, token_info: 2s}}
upstream: {{base_url: '{url}', simulator: true, timeout: 1s}}
operations:
"""

pytestmark = pytest.mark.slow


class Served(NamedTuple):
    """One connectors call of an operation, as the simulator wrote it down."""

    edits: int
    started: float
    ended: float


class Account:
    """An operation in the simulator: its rows by the number of edits that they came with."""

    def __init__(self, name: str, world: Upstream, rng: random.Random) -> None:
        self.name, self.world = name, world
        self.script = World(rng)
        world.say("PUT", f"accounts/{name}", {"token": f"{CANARY}-{name}", "server": "0010", "limit": 10_000_000})
        self.editions: list[list[dict[str, str]]] = [[]]
        self.shown: dict[str, int] = {}
        self.show()
        self.play("slow", seconds=SLOW)

    def show(self) -> None:
        self.editions.append(list(self.script.connectors.values()))
        self.world.say("PUT", f"accounts/{self.name}/connectors", self.editions[-1])

    def play(self, scenario: str, **knobs: object) -> None:
        self.world.play(self.name, scenario, **knobs)

    def edit(self) -> None:
        """A few edits at once that change something."""
        before = dict(self.script.connectors)
        for _ in range(self.script.rng.randint(1, 3)):
            self.script.edit()
        while self.script.connectors == before:
            self.script.edit()
        self.show()


class Life:
    """One exporter through all its lives, as a Prometheus sees it."""

    def __init__(self, flags: tuple[str, ...]) -> None:
        self.command = [COMMAND, *flags]
        self.program = Program(self.command)
        self.seen: dict[str, float] = {}
        self.falls: list[str] = []

    def scrape(self) -> None:
        """A series may be absent for a while; one that is there is not lower than before."""
        for series, text in COUNTER.findall(ask(self.program.address, "/metrics").text):
            value = float(text)
            if value < self.seen.get(series, 0.0):
                self.falls.append(f"{series}: {self.seen[series]} to {value}")
            self.seen[series] = value

    def kill(self) -> float:
        """The moment of its end; the next life begins at once."""
        at = time.monotonic()
        self.program.close()
        self.program = Program(self.command)
        return at


class Stage:
    """A simulator, four operations, two exporters and a storage."""

    def __init__(self, folder, world: Upstream, rng: random.Random) -> None:
        self.rng, self.world = rng, world
        self.storage = f"--storage.path={folder / 'data'}"
        self.accounts = [Account(name, world, rng) for name in OPERATIONS]
        self.kills: list[float] = []
        config = folder / "config.yaml"
        entry = '  - {{name: {0}, server: "0010", token: "{1}-{0}"}}\n'
        operations = "".join(entry.format(name, CANARY) for name in OPERATIONS)
        config.write_text(CONFIG.format(url=world.url) + operations)
        self.lives = [Life((f"--config.file={config}", self.storage, LOOPBACK)) for _ in range(2)]

    def served(self) -> Mapping[str, list[Served]]:
        """The readable answers of connectors that surely reached a live exporter or surely did not matter."""
        found: dict[str, list[Served]] = {name: [] for name in OPERATIONS}
        for call in self.world.say("GET", "calls"):
            if call["api"] == "connectors" and call["ended"] is not None and call["scenario"] in (None, "slow"):
                found[call["account"]].append(Served(call["edits"], call["started"], call["ended"]))
        return {name: [call for call in calls if self.is_sure(call)] for name, calls in found.items()}

    def is_sure(self, call: Served) -> bool:
        """True when no process was killed around it and it came well within the timeout."""
        near = any(call.started - MARGIN <= at <= call.ended + MARGIN for at in self.kills)
        return not near and call.ended - call.started < TIMEOUT - 0.3 and time.monotonic() > call.ended + MARGIN

    def is_played(self) -> bool:
        edits = sum(len(account.editions) - 2 for account in self.accounts)  # the first is empty, the second no edit
        return len(self.kills) >= KILLS and edits >= EDITS

    def goes_on(self) -> None:
        """Edits what was served twice, lets some time go by, kills one of the two."""
        self.edits()
        for life in self.lives:
            life.scrape()
        time.sleep(self.rng.uniform(0.3, 1.8))
        for life in self.lives:
            life.scrape()
        self.kills.append(self.rng.choice(self.lives).kill())

    def edits(self) -> None:
        served = self.served()
        for account in self.accounts:
            if len([call for call in served[account.name] if call.edits == len(account.editions) - 1]) >= 2:
                account.edit()
                if self.rng.random() < 0.3:
                    account.play("server_error_500", api="connectors", times=1)
                elif self.rng.random() < 0.3:
                    account.play("slow", seconds=SLOW)

    def settle(self) -> None:
        """Until the last edit of each operation was served twice."""

        def is_settled() -> bool:
            served = self.served()
            return all(
                sum(call.edits == len(account.editions) - 1 for call in served[account.name]) >= 2
                for account in self.accounts
            )

        wait_for(is_settled, 60)

    def close(self) -> None:
        for life in self.lives:
            life.program.stop()
            life.program.close()

    def journal(self) -> Mapping[str, list[Told]]:
        lines = run("changes", "--format=json", "--limit=1000000", self.storage).stdout.splitlines()
        told: dict[str, list[Told]] = {name: [] for name in OPERATIONS}
        for change in map(json.loads, reversed(lines)):
            told[change["operation"]].append(Told(*(change[field] for field in Told._fields)))
        return told

    def expected(self) -> Mapping[str, list[Told]]:
        """What the answers that were served had to make a reader tell."""
        served, told = self.served(), {}
        for account in self.accounts:
            reader = Reader()
            for call in sorted(served[account.name], key=lambda call: call.started):
                reader.hears(account.editions[call.edits])
            told[account.name] = reader.told
        return told


def counted(life: Life, pattern: str) -> float:
    return sum(value for series, value in life.seen.items() if re.search(pattern, series))


def test_sixty_kills_break_no_law_lower_no_counter_and_lose_no_change(tmp_path) -> None:
    seed = random.getrandbits(32)
    with upstream(INTERVAL) as world:
        stage = Stage(tmp_path, world, random.Random(seed))
        try:
            while not stage.is_played() and len(stage.kills) < MOST_KILLS:
                stage.goes_on()
            stage.settle()
            for life in stage.lives:
                life.scrape()
        finally:
            stage.close()
        report: dict[str, Any] = world.say("GET", "report")
        journal, expected = stage.journal(), stage.expected()

    changes = {(told.channel, told.change) for all_ in expected.values() for told in all_}
    interrupted = counted(stage.lives[0], "interrupted")
    figures = (report["calls"], interrupted, sum(map(len, expected.values())), len(changes))
    print("calls, interrupted calls, changes, kinds by channel:", *figures)  # noqa: T201 - shown by pytest -s
    assert (report["early"], report["overlapping"]) == (0, 0), f"seed {seed}: {report['text']}"
    assert [life.falls for life in stage.lives] == [[], []], f"seed {seed}"
    assert journal == expected, f"seed {seed}"
    assert interrupted > 5, figures
    assert sum(map(len, expected.values())) >= EDITS, figures
    for name, told in expected.items():
        counts = [counted(life, f'changes_total.*operation="{name}"') for life in stage.lives]
        assert counts == [len(told)] * 2, f"seed {seed}"
