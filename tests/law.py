"""The law as somebody with a perfect clock sees it, and a machine that does to two exporters all that may happen.

The `Court` keeps its own record and its own arithmetic: nothing of the budget, the schedule or the ledger is used.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

from conftest import INTERVALS, Exporter, FakeClock, Killed, drop
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from exporter.lists import LISTS
from exporter.model import Answer, Operation, Outcome, Secret
from exporter.poll import Trust
from exporter.setup import Limits, Setup, Target
from exporter.state import Tally

AT_WORK = 60.0  # seconds that the API may go on working on a call that nobody reads
PATIENCE = 55.0  # seconds after which a call is given up
LEAST = 300.0
HOUR, DAY = 3600.0, 86400.0
ROUNDING = 1e-3
SHORT_LIVED = Path("/dev/shm") if Path("/dev/shm").is_dir() else None  # noqa: S108 - mkdtemp makes a folder of its own in it


@dataclass
class Call:
    """One call as it truly happened; `ended` is None while it is under way."""

    token: str
    operation: str
    listed: str
    interval: float
    began: float
    era: int
    ended: float | None = None


class Strikes(NamedTuple):
    """Why a token rests, and how many such answers came in a row."""

    reason: Outcome
    number: int


class Court:
    """Every call, and whether it was legal. An `era` lasts until who is who may be seen in two ways."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.breaches: list[str] = []
        self.era = 0
        self.free: dict[str, float] = {}  # when nobody is at work on a call of the token any more
        self.ended: dict[tuple[str, str], float] = {}  # by token and list
        self.ended_of: dict[tuple[str, str], float] = {}  # by operation and list
        self.rests: dict[tuple[str, str], float] = {}  # until when, by token and list, "" for all lists
        self.strikes: dict[str, Strikes] = {}
        self.lost = -inf

    def legal(self, token: str, operation: str, listed: str, interval: float) -> dict[str, float]:
        """From when on each law allows a call."""
        return {
            "token busy": self.free.get(token, -inf),
            "early by token": self.ended.get((token, listed), -inf) + interval,
            "early by operation": self.ended_of.get((operation, listed), -inf) + interval,
            "token rests": self.rests.get((token, ""), -inf),
            "list rests": self.rests.get((token, listed), -inf),
        }

    def begins(self, call: Call) -> Call:
        for law, at in self.legal(call.token, call.operation, call.listed, call.interval).items():
            if call.began < at - ROUNDING:
                self.breaches.append(f"{law}: {at - call.began:.3f} s too soon: {call}")
        self.calls.append(call)
        self.free[call.token] = inf
        return call

    def ends(self, call: Call, now: float, answer: Answer) -> None:
        """The answer was read, whole or not."""
        self._close(call, now, now if answer.whole else call.began + AT_WORK)
        if call.listed != "connectors" and answer.outcome is Outcome.UNKNOWN_LIST:
            self.rests[call.token, call.listed] = now + DAY
        self._rest(call, now, meant(answer), answer.retry_after or 0.0)

    def dies(self, call: Call, now: float) -> None:
        """The process that made the call is gone; its server may go on. If the storage is, too, the loss counts."""
        self._close(call, now, call.began + AT_WORK if call.began > self.lost else self.lost)

    def loses(self, now: float) -> None:
        """The storage went, and with it who rests; every call counts as made at that moment, so none ends later."""
        self.lost = now
        self.ended = {key: min(at, now) for key, at in self.ended.items()}
        self.rests.clear()
        self.strikes.clear()
        self.unsettled()

    def unsettled(self) -> None:
        """From now on two exporters may know the operations by different names: only the tokens tell who is who."""
        self.era += 1
        self.ended_of.clear()

    def renamed(self, old: str, new: str) -> None:
        for call in self.calls:
            if call.ended is None and call.operation == old:
                call.operation = new
        for operation, listed in [key for key in self.ended_of if key[0] == old]:
            moved = self.ended_of.pop((operation, listed))
            self.ended_of[new, listed] = max(moved, self.ended_of.get((new, listed), -inf))

    def _close(self, call: Call, now: float, ended: float) -> None:
        """Until `ended` the server may have been at work."""
        call.ended = now
        self.free[call.token] = max(now, ended)
        self.ended[call.token, call.listed] = ended
        if call.era == self.era:
            self.ended_of[call.operation, call.listed] = ended

    def _rest(self, call: Call, now: float, outcome: Outcome, asked: float) -> None:
        """The least that the table of outcomes demands."""
        rest = self.rests.get((call.token, ""), -inf)
        if outcome in (Outcome.OK, Outcome.NO_RECORDS):
            self.strikes.pop(call.token, None)
        elif outcome is Outcome.THROTTLED:
            rest = now + max(min(asked, DAY), 2 * call.interval)
        elif outcome in (Outcome.TOKEN_REJECTED, Outcome.QUOTA_EXHAUSTED):
            before = self.strikes.get(call.token)
            count = before.number + 1 if before and before.reason is outcome else 1
            self.strikes[call.token] = Strikes(outcome, count)
            if outcome is Outcome.QUOTA_EXHAUSTED:
                rest = now + max(call.interval, min(call.interval * 2.0 ** (count - 1), HOUR))
            elif count > 1:
                rest = now + max(call.interval, HOUR)
        self.rests[call.token, ""] = rest


ROWS = {
    "connectors": {"channel": "whatsapp", "connector_id": "12", "rp_id": "5", "name": "Sales"},
    "routing_points": {"rp_id": "5", "rp_name": "Menu", "chat_active": "yes"},
    "token_info": {"token_limit": "9000000", "token_use_today": "1", "all_token_today": "1"},
}
UNREADABLE = "every row rejected"
MOODS: Mapping[str, Answer] = {
    **{outcome: Answer(outcome, 500) for outcome in Outcome if outcome is not Outcome.INTERRUPTED},
    Outcome.OK: Answer(Outcome.OK, 200),
    Outcome.TIMEOUT: Answer(Outcome.TIMEOUT, whole=False),
    Outcome.TOO_LARGE: Answer(Outcome.TOO_LARGE, 200, whole=False),
    Outcome.UNREACHABLE: Answer(Outcome.UNREACHABLE),
    "throttled for long": Answer(Outcome.THROTTLED, 429, retry_after=5000.0),
    "throttled for years": Answer(Outcome.THROTTLED, 429, retry_after=1e9),
    UNREADABLE: Answer(Outcome.OK, 200, records=("no row",)),
}


def meant(answer: Answer) -> Outcome:
    """The outcome, where rows that nobody can read are none."""
    return Outcome.MALFORMED if answer.records == ("no row",) and answer.outcome is Outcome.OK else answer.outcome


class Slow:
    """A call that is made now, in a thread of its own, and answered later or never; `call` is set on its way."""

    def __init__(self, exporter: "Process", work: Callable[[], None]) -> None:
        self.exporter = exporter
        self.call: Call | None = None
        self.answer: Answer | None = None
        self._arrived, self._released = Event(), Event()
        self._thread = Thread(target=self._live, args=(work,), daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._arrived.wait()

    def wait(self) -> Answer | None:
        """What the thread of the call waits for."""
        self._arrived.set()
        self._released.wait()
        return self.answer

    def land(self, answer: Answer | None) -> None:
        """Gives the answer, None for the end of the process, and waits for what follows from it."""
        self.answer = answer
        self._released.set()
        self._thread.join()

    def _live(self, work: Callable[[], None]) -> None:
        with suppress(Killed):
            work()


class Config(NamedTuple):
    """What config.yaml says: (server, token) by name, intervals of the lists that are on."""

    operations: Mapping[str, tuple[str, str]]
    intervals: Mapping[str, float] = INTERVALS
    concurrency: int = 32
    eager: bool = False


class Mortal(Exporter):
    """An exporter that can be killed before its first call too, when it has no lock to free."""

    def kill(self) -> None:
        self.store._database.close()  # noqa: SLF001 - no public way ends so rudely
        if self.store._owners._handle is not None:  # noqa: SLF001 - the same
            drop(self.store._owners)  # noqa: SLF001 - the same


class Process(Mortal):
    """One of the two exporters, with what it was told last and what its page last said."""

    stale = False

    def __init__(self, machine: "Law", folder: Path, clock: FakeClock, config: Config) -> None:
        self.machine = machine
        self.names: dict[str, str] = {}
        self.floor: dict[tuple[str, str], Tally] = {}
        self.config = config
        super().__init__(folder, clock, self.read(config), self.make)

    def read(self, config: Config) -> Setup:
        self.config = config
        self.names |= {token: name for name, (_, token) in config.operations.items()}
        return Setup(
            targets=tuple(
                Target(Operation(name, server), partial(Secret, token))
                for name, (server, token) in config.operations.items()
            ),
            lists=LISTS,
            intervals=config.intervals,
            call=lambda server, listed, token: self.machine.call(self, listed, token.reveal()),
            trust=Trust(mass_removal=0.5, retention=90 * DAY),
            limits=Limits(concurrency=config.concurrency),
            eager=config.eager,
        )

    def make(self, work: Callable[[], None]) -> None:
        self.machine.make(self, work)

    def configure(self, config: Config) -> None:
        self.setup = self.read(config)
        self.poller.configure(self.setup)
        self.stale = True

    def interval(self, listed: str) -> float:
        """The shortest that this one may take: routing points are asked early where a connector names an unknown."""
        seconds = self.config.intervals.get(listed, inf)
        return min(seconds, LEAST) if listed == "routing_points" else seconds


NAMES = ("acme", "beta", "gamma", "delta")
TOKENS = tuple(f"token-{letter}" for letter in "abcdef")
SERVERS = ("0010", "0011")
PACES = {"connectors": (300.0, 450.0), "routing_points": (300.0, 600.0), "token_info": (300.0, 3600.0)}
WHO = st.sampled_from((0, 1))
PAUSES = st.sampled_from((0.0, 1.0, 10.0, 30.0, 54.0, 60.0, 240.0, 299.0, 300.0, 450.0, 3599.0))
EDITS = ("add", "remove", "rename", "rotate", "swap", "move", "pace", "switch", "narrow", "hurry")
SERIES = st.one_of(
    st.lists(st.sampled_from(EDITS), min_size=1, max_size=2), st.sampled_from((["rename", "rotate"], ["remove", "add"]))
)
SPELLS = st.one_of(
    st.lists(st.sampled_from(sorted(MOODS)), min_size=1, max_size=4),
    st.sampled_from([[mood] * 4 for mood in sorted(MOODS)]),
)
TROUBLES = ("restart", "step", "reboot", "lose", "long")
Draw = Callable[..., Any]


class Law(RuleBasedStateMachine):
    """Two exporters on one storage, what they are told, a clock that is set, a host that boots, an API in all moods."""

    steps = calls = walks = 0

    @initialize(eager=st.booleans())
    def begin(self, *, eager: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=SHORT_LIVED))
        self.clock = FakeClock()
        self.lowest = self.offset
        self.court = Court()
        self.config = Config({"acme": ("0010", "token-a"), "beta": ("0010", "token-b")}, eager=eager)
        self.moods: list[str] = []
        self.dies, self.is_slow = "", False
        self.under_way: list[Slow] = []
        self.starting: Slow | None = None
        self.exporters = [Process(self, self.folder / "data", self.clock, self.config) for _ in range(2)]
        self.settled = True

    @property
    def offset(self) -> float:
        return self.clock.wall - self.clock.true

    # What the exporters meet.

    def make(self, exporter: Process, work: Callable[[], None]) -> None:
        """Makes a claimed call: now, in its own time, or not at all."""
        if self.dies == "before":
            raise Killed
        if not self.is_slow:
            work()
            return
        self.starting = slow = Slow(exporter, work)
        slow.start()

    def call(self, exporter: Process, listed: str, token: str) -> Answer:
        slow, self.starting = self.starting, None
        operation, interval = exporter.names[token], exporter.interval(listed)
        era = self.court.era if self.settled else -1
        call = self.court.begins(Call(token, operation, listed, interval, self.clock.true, era))
        answer: Answer | None = None
        if slow:
            slow.call = call
            self.under_way.append(slow)
            answer = slow.wait()
        elif self.dies != "during":
            answer = self.answer(listed)
        if answer is None:
            self.court.dies(call, self.clock.true)
            raise Killed
        self.court.ends(call, self.clock.true, answer)
        return answer

    def answer(self, listed: str) -> Answer:
        mood = self.moods.pop(0) if self.moods else Outcome.OK
        answer = MOODS[mood]
        return replace(answer, records=(ROWS[listed],)) if mood is Outcome.OK else answer

    # What moves time.

    def advance(self, seconds: float) -> None:
        """Time goes by; a call that takes too long is given up on the way."""
        end = self.clock.true + seconds
        while self.under_way and (first := self.under_way[0].call) and first.began + PATIENCE <= end:
            self.clock.advance(max(0.0, first.began + PATIENCE - self.clock.true))
            self.lands(self.under_way.pop(0), MOODS[Outcome.TIMEOUT])
        self.clock.advance(max(0.0, end - self.clock.true))

    def lands(self, slow: Slow, answer: Answer) -> None:
        """The answer comes, and wakes whoever asked."""
        slow.land(answer)
        self.turned(self.exporters.index(slow.exporter))

    def turned(self, who: int) -> None:
        """One turn of one exporter, to its end or to its death."""
        exporter = self.exporters[who]
        exporter.rung.clear()
        try:
            exporter.turn()
            if exporter.rung:  # an answer came at once: its ring makes the loop turn again
                exporter.turn()
        except Killed:
            self.killed(exporter)
            exporter.start()
            return
        if exporter.state.storage_healthy:
            exporter.stale = False
        if not self.settled and not any(each.stale for each in self.exporters):
            self.settled = True
            self.court.unsettled()
        if self.settled:
            self.compare(exporter)

    def killed(self, exporter: Process) -> None:
        exporter.kill()
        self.bury(exporter)

    def bury(self, exporter: Process) -> None:
        """Its calls end with it."""
        for slow in [each for each in self.under_way if each.exporter is exporter]:
            self.under_way.remove(slow)
            slow.land(None)

    def compare(self, exporter: Process) -> None:
        """No counter that this page told before is lower now."""
        for each in exporter.state.operations:
            for listed, standing in each.standings.items():
                key = each.operation.name, listed
                fallen = list(falls(exporter.floor.get(key, Tally()), standing.tally))
                self.court.breaches += [f"a counter fell: {key} {fall}" for fall in fallen]
                exporter.floor[key] = standing.tally

    # What happens.

    @rule(seconds=PAUSES, who=WHO)
    def turn(self, seconds: float, who: int) -> None:
        self.advance(seconds)
        self.turned(who)

    @rule(seconds=PAUSES, who=WHO, when=st.sampled_from(("before", "during")))
    def turn_and_die(self, seconds: float, who: int, when: str) -> None:
        """The process ends between the claim and the end of its call, if it makes one."""
        self.advance(seconds)
        self.dies = when
        self.turned(who)
        self.dies = ""

    @rule(seconds=PAUSES, who=WHO)
    def turn_slowly(self, seconds: float, who: int) -> None:
        """The calls of the turn, if any, take until `land`, or until they are given up."""
        self.advance(seconds)
        self.is_slow = True
        self.turned(who)
        self.is_slow = False

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def land(self, data: st.DataObject) -> None:
        slow = data.draw(st.sampled_from(self.under_way))
        self.under_way.remove(slow)
        assert slow.call is not None
        self.lands(slow, self.answer(slow.call.listed))

    @rule(data=st.data(), before=st.sampled_from((0.01, 1.0, 60.0, 300.0, 4000.0)), is_slow=st.booleans())
    def lurk(self, data: st.DataObject, before: float, *, is_slow: bool) -> None:
        """Both turn before a legal second, and on it."""
        legal = sorted(at - self.clock.true for at in self.awaited() if self.clock.true + before < at < inf)
        if legal:
            self.advance(data.draw(st.sampled_from(legal)) - before)
            self.both()
            self.advance(before)
        self.is_slow = is_slow
        self.both()
        self.is_slow = False

    def both(self) -> None:
        for who in range(2):
            self.turned(who)

    def awaited(self) -> Iterator[float]:
        """The legal seconds of all that is configured."""
        for name, (_, token) in self.config.operations.items():
            for listed in self.config.intervals:
                yield max(self.court.legal(token, name, listed, self.exporters[0].interval(listed)).values())

    @rule(moods=SPELLS)
    def mood(self, moods: list[str]) -> None:
        self.moods = moods[:]

    @rule(trouble=st.sampled_from(TROUBLES), data=st.data())
    def trouble(self, trouble: str, data: st.DataObject) -> None:
        """One rule for all, so that most steps are turns."""
        getattr(self, trouble)(lambda *choices: data.draw(st.sampled_from(choices)))

    def long(self, draw: Draw) -> None:
        self.advance(draw(2 * HOUR, DAY, 3 * DAY))

    def restart(self, draw: Draw) -> None:
        exporter = self.exporters[draw(0, 1)]
        exporter.close()
        self.bury(exporter)
        exporter.start()

    def step(self, draw: Draw) -> None:
        self.clock.step(draw(-DAY, -300.0, -1.0, 1.0, 300.0, DAY))
        self.lowest = min(self.lowest, self.offset)

    def reboot(self, draw: Draw) -> None:
        """A clock that is ahead is put right before the first turn, since a step while the host is down is a limit."""
        for exporter in self.exporters:
            self.killed(exporter)
        self.clock.step(self.lowest - self.offset)
        self.clock.reboot(draw(20.0, 120.0, 600.0))
        for exporter in self.exporters:
            exporter.start()
        self.turned(draw(0, 1))
        self.clock.step(draw(0.0, 300.0, DAY))

    def lose(self, draw: Draw) -> None:
        """The database goes, with or without what stands beside it, under running exporters or killed ones."""
        if draw("running", "killed") == "killed":
            for exporter in self.exporters:
                self.killed(exporter)
        for suffix in draw(("",), ("", "-wal", "-shm")):
            (self.folder / "data" / f"state.db{suffix}").unlink(missing_ok=True)
        self.court.loses(self.clock.true)
        self.settled = False
        for exporter in self.exporters:
            exporter.floor.clear()
            exporter.stale = True
            if exporter.store._database._connection is None:  # noqa: SLF001 - only a killed one is to be started
                exporter.start()

    @rule(edits=SERIES, lags=st.booleans(), first=WHO, data=st.data())
    def reload(self, edits: list[str], lags: bool, first: int, data: st.DataObject) -> None:  # noqa: FBT001 - by name
        for edit in edits:
            self.edited(edit, first, lambda *choices: data.draw(st.sampled_from(choices)), lags=lags)

    def edited(self, edit: str, first: int, draw: Draw, *, lags: bool) -> None:
        """Another configuration, for both at once or for one of them until the other turns."""
        before = self.config
        self.config = getattr(self, edit)(draw)
        if lags or not self.settled:
            self.settled = False
            self.court.unsettled()
            for exporter in self.exporters:
                exporter.floor.clear()
        else:
            self.rename_records(before)
        for who in (first, 1 - first):
            self.exporters[who].configure(self.config)
            if not lags or who == first:
                self.turned(who)

    def rename_records(self, before: Config) -> None:
        """A name that goes while another comes with its server and token is the same operation."""
        gone = {account: name for name, account in before.operations.items() if name not in self.config.operations}
        for name, account in self.config.operations.items():
            if name not in before.operations and account in gone:
                self.court.renamed(gone[account], name)
                for exporter in self.exporters:
                    self.rename_floor(exporter, gone[account], name)

    def rename_floor(self, exporter: Process, old: str, new: str) -> None:
        floor = {key: tally for key, tally in exporter.floor.items() if key[0] != new}
        exporter.floor = {(new if name == old else name, listed): tally for (name, listed), tally in floor.items()}

    def hurry(self, _: Draw) -> Config:
        """What is legal is called before its planned time, as `once` does; or no longer."""
        return self.config._replace(eager=not self.config.eager)

    def free(self) -> tuple[list[str], list[str]]:
        """Names and tokens that are not in use."""
        used = {token for _, token in self.config.operations.values()}
        names = [name for name in NAMES if name not in self.config.operations]
        return names, [token for token in TOKENS if token not in used]

    def with_operations(self, **changes: tuple[str, str] | None) -> Config:
        merged = {**self.config.operations, **changes}
        return self.config._replace(operations={name: account for name, account in merged.items() if account})

    def add(self, draw: Draw) -> Config:
        names, tokens = self.free()
        return self.with_operations(**{draw(*names): (draw(*SERVERS), draw(*tokens))}) if names else self.config

    def remove(self, draw: Draw) -> Config:
        return self.with_operations(**{draw(*self.config.operations): None}) if self.config.operations else self.config

    def rename(self, draw: Draw) -> Config:
        names, _ = self.free()
        if not names or not self.config.operations:
            return self.config
        old = draw(*self.config.operations)
        return self.with_operations(**{old: None, draw(*names): self.config.operations[old]})

    def rotate(self, draw: Draw) -> Config:
        if not self.config.operations:
            return self.config
        name = draw(*self.config.operations)
        return self.with_operations(**{name: (self.config.operations[name][0], draw(*self.free()[1]))})

    def swap(self, draw: Draw) -> Config:
        """Two operations with each other's token."""
        if len(self.config.operations) < 2:
            return self.config
        (one, (server, token)), (other, (place, text)) = list(self.config.operations.items())[:2]
        return self.with_operations(**{one: (server, text), other: (place, token)})

    def move(self, draw: Draw) -> Config:
        if not self.config.operations:
            return self.config
        name = draw(*self.config.operations)
        return self.with_operations(**{name: (draw(*SERVERS), self.config.operations[name][1])})

    def pace(self, draw: Draw) -> Config:
        if not self.config.intervals:
            return self.config
        listed = draw(*self.config.intervals)
        return self.config._replace(intervals={**self.config.intervals, listed: draw(*PACES[listed])})

    def switch(self, draw: Draw) -> Config:
        """A list goes off, or comes on again."""
        listed = draw(*PACES)
        rest = {name: seconds for name, seconds in self.config.intervals.items() if name != listed}
        is_on = listed in self.config.intervals
        return self.config._replace(intervals=rest if is_on else {**rest, listed: draw(*PACES[listed])})

    def narrow(self, draw: Draw) -> Config:
        return self.config._replace(concurrency=draw(1, 32))

    @invariant()
    def law_is_kept(self) -> None:
        Law.steps += 1
        assert not self.court.breaches, "\n".join(self.court.breaches)

    def teardown(self) -> None:
        for exporter in self.exporters:
            self.killed(exporter)
        Law.calls += len(self.court.calls)
        Law.walks += 1
        shutil.rmtree(self.folder)


def settings_for(steps: int) -> settings:
    """About so many steps, in walks of 50."""
    return settings(
        max_examples=steps // 50, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
    )


def falls(before: Tally, after: Tally) -> Iterator[str]:
    """The counters that are lower than they were."""
    for name in Tally.__slots__:
        old, new = getattr(before, name), getattr(after, name)
        if isinstance(old, int):
            old, new = {"": old}, {"": new}
        yield from (
            f"{name} {key}: {count} to {new.get(key, 0)}" for key, count in old.items() if new.get(key, 0) < count
        )
