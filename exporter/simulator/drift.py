"""What people do to the accounts while one watches: lines go and come back, routes and names change, servers fail."""

import random
from collections import deque
from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType
from typing import Final, NamedTuple, Self

from exporter.simulator.account import FLOWS, Account
from exporter.simulator.simulator import Simulator

FAILURES: Final = ("maintenance", "quota", "unavailable_503")

Repair = Callable[[], str]


class Edit(NamedTuple):
    """What was done, how many steps later it is put right, and how."""

    did: str
    steps: int
    repair: Repair


class Pending(NamedTuple):
    """A repair that is still to come: at which step, and to which account."""

    step: int
    name: str
    repair: Repair


def _remove(account: Account, rng: random.Random) -> Edit:
    row = account.disconnect(*_any_connector(account, rng))
    line = row["channel"], str(int(row["connector_id"]) + 2000)

    def add_again() -> str:
        account.connect(*line, rp_id=row["rp_id"], name=row["name"])
        return f"{account.name}: {row['name']} is back, as {line[0]} {line[1]}"

    return Edit(f"{account.name}: {row['name']} ({row['channel']} {row['connector_id']}) was removed", 2, add_again)


def _reroute(account: Account, rng: random.Random) -> Edit:
    key = _any_connector(account, rng)
    before = _row(account, key)["rp_id"]
    after = rng.choice([row["rp_id"] for row in account.routing_points() if row["rp_id"] != before])
    account.reroute(*key, after)

    def route_back() -> str:
        account.reroute(*key, before)
        return f"{account.name}: {' '.join(key)} is routed to {before} again"

    return Edit(f"{account.name}: {' '.join(key)} was routed from {before} to {after}", 3, route_back)


def _rename(account: Account, rng: random.Random) -> Edit:
    key = _any_connector(account, rng)
    before = _row(account, key)["name"]
    account.rename(*key, f"{before} (nuevo)")

    def name_back() -> str:
        account.rename(*key, before)
        return f"{account.name}: {' '.join(key)} is called {before} again"

    return Edit(f"{account.name}: {before} is called {before} (nuevo) now", 3, name_back)


def _switch_off(account: Account, rng: random.Random) -> Edit:
    row = rng.choice([row for row in account.routing_points() if row["chat_active"] == "yes"])
    flows = {flow: row[f"{flow}_active"] for flow in FLOWS}
    account.route(row["rp_id"], row["rp_name"], **{**flows, "chat": "no"})

    def switch_on() -> str:
        account.route(row["rp_id"], row["rp_name"], **flows)
        return f"{account.name}: the chat flow of {row['rp_name']} is on again"

    return Edit(f"{account.name}: the chat flow of {row['rp_name']} was switched off", 2, switch_on)


def _fail(account: Account, rng: random.Random) -> Edit:
    scenario = rng.choice(FAILURES)
    account.play(scenario)

    def recover() -> str:
        account.play(None)
        return f"{account.name}: answers normally again"

    return Edit(f"{account.name}: answers {scenario}", 4, recover)


def _any_connector(account: Account, rng: random.Random) -> tuple[str, str]:
    row = rng.choice(account.connectors())
    return row["channel"], row["connector_id"]


def _row(account: Account, key: tuple[str, str]) -> dict[str, str]:
    return next(dict(row) for row in account.connectors() if (row["channel"], row["connector_id"]) == key)


EDITS: Final = (_reroute, _remove, _rename, _switch_off, _fail)


class Drift:
    """Edits one thing every few seconds, and puts it right some steps later; the same seed does the same.

    An account with a repair to come is left alone, so a repair always finds what it repairs.
    """

    def __init__(self, sim: Simulator, seconds: float = 8.0, seed: int = 7) -> None:
        self._accounts = sim.accounts
        self._seconds = seconds
        self._seed = seed
        self._edits = 0
        self._pending: deque[Pending] = deque()
        self._closing = Event()
        self._thread = Thread(target=self._run, daemon=True, name="drift")

    def step(self, n: int) -> str:
        """Do the edit of step `n`, counted from 0 without gaps, and say in a sentence what was done."""
        busy = {pending.name for pending in self._pending}
        free = [account for name, account in self._accounts.items() if name not in busy]
        if self._pending and (self._pending[0].step <= n or not free):
            return self._pending.popleft().repair()
        rng = random.Random(f"{self._seed}:{n}")  # noqa: S311 - the same steps every time are wanted
        account = rng.choice(free)
        edit = EDITS[self._edits % len(EDITS)](account, rng)
        self._edits += 1
        self._pending.append(Pending(n + edit.steps, account.name, edit.repair))
        return edit.did

    def start(self) -> None:
        """Begin, with the first edit after one pause."""
        self._thread.start()

    def close(self) -> None:
        """Stop at once; what is not yet put right stays as it is."""
        self._closing.set()
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _run(self) -> None:
        n = 0
        while not self._closing.wait(self._seconds):
            self.step(n)
            n += 1
