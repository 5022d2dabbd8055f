"""What most tests need: a clock that is set by hand, the simulator, and an exporter that can be restarted."""

import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import closing
from typing import Any

import pytest
import structlog
from hypothesis import settings

from exporter.budget import Wait
from exporter.client import Client, Upstream
from exporter.lists import LISTS
from exporter.model import Moment, Operation, Secret
from exporter.poll import Trust
from exporter.poller import Poller
from exporter.setup import Limits, Setup, Target
from exporter.simulator import Account, Simulator
from exporter.state import Standing, State
from exporter.store import Ask, Claim, Store
from exporter.store.owners import Owners

CANARY = "canary-4f1d0c9e8b7a6f5e4d3c2b1a"
START = 1_790_000_000.0
INTERVALS = {"connectors": 300.0, "routing_points": 600.0, "token_info": 3600.0}

settings.register_profile("ci", deadline=None, print_blob=True)
settings.load_profile("ci")


class FakeClock:
    """A clock that stands still until somebody moves it; `true` is the time that no step and no reboot bends."""

    def __init__(self) -> None:
        self.wall, self.boot, self.uptime = START, "boot-1", 1000.0
        self.true = 1000.0

    def now(self) -> Moment:
        return Moment(self.wall, self.boot, self.uptime)

    def monotonic(self) -> float:
        return self.uptime

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.uptime += seconds
        self.true += seconds

    def step(self, seconds: float) -> None:
        """Sets the wall clock, as an operator or NTP does."""
        self.wall += seconds

    def reboot(self, seconds: float = 30.0) -> None:
        self.wall += seconds
        self.true += seconds
        self.uptime = 5.0
        self.boot += "+"


class Killed(BaseException):
    """The end of a process in the middle of its work; nothing of it catches this."""


def kill(store: Store) -> None:
    """Closes a store's files and frees its lock as the kernel does it, which `close` is too polite for."""
    database, owners = store._database, store._owners  # noqa: SLF001 - no public way ends so rudely
    if database._connection:  # noqa: SLF001 - the same
        database._connection.close()  # noqa: SLF001 - the same
    drop(owners)


def drop(owners: Owners) -> None:
    """Frees an owner's lock and leaves its file."""
    handle = owners._handle  # noqa: SLF001 - no public way ends so rudely
    if handle is not None:
        os.close(handle)


def ask_database(folder, question: str) -> list[tuple[Any, ...]]:
    """What the database of a storage answers to an SQL question."""
    with closing(sqlite3.connect(folder / "state.db")) as database:
        return database.execute(question).fetchall()


def claimed(store: Store, asked: Ask) -> Claim | Wait:
    """What the ledger says to one call."""
    (answer,) = store.claim([asked])
    return answer


def standing_of(store: Store, operation: str = "acme", name: str = "connectors") -> Standing:
    """How one list of one operation stands in a storage."""
    return store.standings([operation], [name])[operation, name]


class Exporter:
    """The poller on a real storage, its calls made in the turn itself; can be stopped, killed and started again.

    `run` takes the calls instead, to make them in threads, later or never.
    """

    def __init__(self, folder, clock: FakeClock, setup: Setup, run=lambda work: work()) -> None:
        self.folder, self.clock, self.setup, self.run = folder, clock, setup, run
        self.states: list[State] = []
        self.rung: list[bool] = []
        self.start()

    def start(self) -> None:
        restores = {name: spec.restore for name, spec in LISTS.items()}
        self.store = Store(self.folder, self.clock.now, restores)
        self.poller = Poller(
            self.setup,
            self.store,
            self.clock,
            start=self.run,
            publish=self.states.append,
            wake=lambda: self.rung.append(True),
        )

    def turn(self) -> float:
        return self.poller.turn()

    def turns(self, seconds: float) -> None:
        """Turns as the loop makes them, until so many seconds have gone by."""
        end = self.clock.uptime + seconds
        while True:
            wait = self.turn()
            if self.clock.uptime + wait > end:
                self.clock.advance(end - self.clock.uptime)
                return
            self.clock.advance(max(wait, 0.001))

    def restart(self) -> None:
        self.close()
        self.start()

    def close(self) -> None:
        self.store.close()

    def kill(self) -> None:
        """Ends it as the kernel ends a process: nothing is written or removed any more."""
        kill(self.store)

    @property
    def state(self) -> State:
        return self.states[-1]

    def operation(self, name: str = "acme"):
        return next(each for each in self.state.operations if each.operation.name == name)

    def standing(self, name: str = "acme", listed: str = "connectors"):
        return self.operation(name).standing(listed)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def simulator(clock) -> Iterator[Simulator]:
    with Simulator(
        interval=INTERVALS | {"routing_points": 300.0}, now=lambda: clock.true, wall=lambda: clock.wall
    ) as running:
        yield running


@pytest.fixture
def api(simulator: Simulator) -> Account:
    """One account with two connectors and their routing points."""
    account = simulator.add("acme", token=CANARY, server="0010", limit=100_000)
    account.route("5", "Main menu", chat="yes", ivr="yes")
    account.route("6", "Night desk", chat="yes")
    account.connect("whatsapp", "12", rp_id="5", name="Sales")
    account.connect("email", "13", rp_id="6", name="Inbox")
    return account


def setup_for(simulator, tokens: Mapping[str, str], clock, **changes) -> Setup:
    """A setup that polls these operations (name -> token, read anew each time), all on server 0010."""
    line = Upstream(base_url=simulator.url, timeout=2.0, connect_timeout=1.0)
    client = Client(line, "test", clock.monotonic, wall=lambda: clock.now().wall)

    def reader(name: str):
        return lambda: Secret(tokens[name])

    values: dict[str, Any] = {
        "targets": tuple(Target(Operation(name, "0010"), reader(name)) for name in tokens),
        "lists": LISTS,
        "intervals": INTERVALS,
        "call": client.call,
        "trust": Trust(mass_removal=0.5, retention=90 * 86400.0),
        "limits": Limits(),
    }
    return Setup(**values | changes)


@pytest.fixture
def exporter(api, simulator, clock, tmp_path) -> Iterator[Exporter]:
    """One operation `acme`, polled from the simulator on a storage of its own."""
    running = Exporter(tmp_path / "data", clock, setup_for(simulator, {"acme": CANARY}, clock))
    yield running
    running.close()


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[list[MutableMapping[str, Any]]]:
    """The log's events instead of lines on standard error."""
    with structlog.testing.capture_logs() as events:
        yield events


def needs(program: str, packages: str) -> None:
    """Skips the test loudly where the program is not there; in CI that is a failure."""
    if shutil.which(program):
        return
    text = f"{program} is not installed: apt-get install -y --no-install-recommends {packages}"
    if os.environ.get("REQUIRE_ALL_TOOLS"):
        pytest.fail(text)
    pytest.skip(text)
