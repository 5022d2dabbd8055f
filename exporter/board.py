"""What the poller has in mind of one operation after the other: how each list stands, and when it is due."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Final, NamedTuple

from exporter import budget, schedule
from exporter.agenda import Agenda
from exporter.budget import Wait
from exporter.model import Moment
from exporter.poll import unknown
from exporter.recent import expiry
from exporter.setup import Setup, Target
from exporter.spec import UpstreamList
from exporter.state import NEVER, Next, OperationState, Rule, Standing
from exporter.store import Ask, Binding, Store, StoreError

TOGETHER: Final = 100  # operations that are read at once: fewer are more statements, more are more memory
# From so many operations on polls are made in groups, so far apart as a share of the shortest legal interval: one that
# comes by itself finds nothing of what it needs in the processor's caches.
MANY: Final = 100
GRAIN: Final = 0.01


class Due(NamedTuple):
    """When a list may be polled, in seconds since boot, and what it waits for; `first` before it was ever polled."""

    uptime: float
    rule: Rule
    first: bool = False


@dataclass
class Seat:
    """One operation in memory; replaced parts, never a shared mutable one, go into the state that pages read."""

    target: Target
    token: str
    standings: dict[str, Standing] = field(default_factory=dict)
    dues: dict[str, Due] = field(default_factory=dict)
    answered: dict[str, frozenset[str]] = field(default_factory=dict)
    next: Mapping[str, Next] = field(default_factory=dict)
    spent: int = 0
    revision: int = 0
    wishes: set[str] = field(default_factory=set)  # lists that somebody asked for, until they are claimed next
    expires: float = inf  # wall time at which a change that is told comes of age

    @property
    def name(self) -> str:
        """The operation's name."""
        return self.target.operation.name

    @property
    def soonest(self) -> float:
        """The first of the dues."""
        return min((due.uptime for due in self.dues.values()), default=inf)

    def due_after(self, uptime: float) -> float:
        """The first of the dues after that time."""
        return min((due.uptime for due in self.dues.values() if due.uptime > uptime), default=inf)


class Board:
    """All seats by name, filled from the storage. Not safe for two threads: its poller guards it.

    `agenda` has the operations that are polled, each at the time of its first list, in seconds since boot.
    """

    def __init__(self, setup: Setup, store: Store) -> None:
        self.setup = setup
        self.seats: dict[str, Seat] = {}
        self.agenda = Agenda({})
        self._store = store
        self._is_blocked = False
        self._told: dict[str, OperationState | None] = {}
        self._stale: set[str] = set()  # operations of which something changed since they were told
        self._expires = inf  # the first of the seats'; it may be of one that has gone

    def ask(self, seat: Seat, spec: UpstreamList, pace: float = 1.0) -> Ask:
        """The call of this list that the ledger is asked for."""
        interval = self.setup.intervals[spec.name]
        return Ask(
            operation=seat.name,
            list=spec.name,
            token=seat.token,
            interval=min(interval, self.setup.limits.least) if self.is_hurried(seat, spec) else interval,
            busy=self.setup.limits.busy,
            essential=spec.essential,
            pace=pace,
        )

    def specs(self) -> Iterable[UpstreamList]:
        """The lists that are polled, in their order."""
        return (spec for name, spec in self.setup.lists.items() if name in self.setup.intervals)

    def expect(self, targets: Iterable[Target]) -> None:
        """Gives each of these operations a seat, an empty one where the storage has not said yet how it stands."""
        self.take([self.seats.get(each.operation.name) or Seat(each, "") for each in targets])

    def take(self, seats: Iterable[Seat]) -> None:
        """Has these seats and no others; of one that it had already, what was told still holds."""
        before, self.seats = self.seats, {seat.name: seat for seat in seats}
        only = self.setup.only
        self.agenda = Agenda({name: seat.soonest for name, seat in self.seats.items() if only is None or name in only})
        same = {name for name, seat in self.seats.items() if before.get(name) is seat} - self._stale
        self._told = {name: self._told[name] if name in same else None for name in self.seats}
        self._stale = self.seats.keys() - same

    def load(self, seats: Sequence[Seat], now: Moment) -> None:
        """Reads from the storage how the operations stand; StoreError."""
        for start in range(0, len(seats), TOGETHER):
            some = seats[start : start + TOGETHER]
            self._read(some)
            self.plan(some, now)

    def plan(self, seats: Sequence[Seat], now: Moment) -> None:
        """Sets when each list of the operations is due, by the ledger; StoreError."""
        asks = [(seat, self.ask(seat, spec)) for seat in seats for spec in self.specs()]
        bindings = self._store.bindings([ask for _, ask in asks])
        reserved = {seat.name: self.is_reserved(seat) for seat in seats}
        for (seat, ask), binding in zip(asks, bindings, strict=True):
            seat.dues[ask.list] = self._due(seat, ask, binding, now, is_reserved=reserved[seat.name])
        for seat in seats:
            self.tell(seat, now)

    def wish(self, seat: Seat, name: str, now: Moment) -> Due:
        """Sets one list due at its next legal second, since somebody asks for it; StoreError.

        For an operation of which more than the reserve is left.
        """
        seat.wishes.add(name)
        try:
            ask = self.ask(seat, self.setup.lists[name])
            (binding,) = self._store.bindings([ask])
            seat.dues[name] = self._due(seat, ask, binding, now, is_reserved=False)
        except StoreError:
            seat.wishes.remove(name)
            raise
        self.tell(seat, now)
        return seat.dues[name]

    def postpone(self, seat: Seat, name: str, wait: Wait, now: Moment) -> None:
        """Sets one list due after a wait that the ledger asked for."""
        seat.dues[name] = seat.dues[name]._replace(uptime=now.uptime + wait.seconds, rule=wait.rule)
        self.tell(seat, now)

    def tell(self, seat: Seat, now: Moment) -> None:
        """Sets the wall times of the dues as pages tell them; a list that waits for another has none of its own."""
        if self.seats.get(seat.name) is seat:
            self.change(seat)
            self.agenda.put(seat.name, seat.soonest)
        seat.next = {
            name: Next(now.wall + max(0.0, due.uptime - now.uptime), due.rule)
            for name, due in seat.dues.items()
            if due.uptime < inf
        }

    def change(self, seat: Seat) -> None:
        """Says that the operation is no longer as pages tell it."""
        self._stale.add(seat.name)

    def is_reserved(self, seat: Seat) -> bool:
        """True while only the reserve of the token's calls is left."""
        return budget.is_reserved(self.left(seat), seat.spent, self.setup.limits.reserve)

    def left(self, seat: Seat) -> float | None:
        """Calls left by the token's own figures when they were last read; None where they say nothing."""
        for spec in self.specs():
            snapshot = seat.standings.get(spec.name, NEVER).snapshot
            if spec.left and snapshot and snapshot.rows:
                return spec.left(snapshot.rows[0])
        return None

    def is_hurried(self, seat: Seat, spec: UpstreamList) -> bool:
        """True when the list is to be asked as soon as the law allows; nobody's wish touches the reserve."""
        return self.is_questioned(seat, spec) or (spec.name in seat.wishes and not self.is_reserved(seat))

    def is_questioned(self, seat: Seat, spec: UpstreamList) -> bool:
        """True when another list refers to entities that this one has not been asked about since."""
        return not self.questions(seat, spec) <= seat.answered.get(spec.name, frozenset())

    def questions(self, seat: Seat, spec: UpstreamList) -> frozenset[str]:
        """The ids that other lists refer to and this one does not know."""
        referred = seat.standings.get(spec.name, NEVER)
        return frozenset().union(
            *(
                unknown(each, seat.standings.get(each.name, NEVER), referred)
                for each in self.specs()
                if spec.name in [watch.refers_to for watch in each.watches]
            )
        )

    def states(self, now: Moment) -> tuple[OperationState, ...]:
        """The operations as pages tell them; of each the same object until something of it changed."""
        for name in self._stale:
            self._told[name] = self._state(self.seats[name], now)
        self._stale = set()
        return tuple([told for told in self._told.values() if told])

    def expire(self, now: Moment) -> bool:
        """Forgets what was told of operations of which a change came of age; True when there is one."""
        if now.wall < self._expires:
            return False
        aged = [seat for seat in self.seats.values() if seat.expires <= now.wall]
        for seat in aged:
            seat.expires = inf
            self.change(seat)
        self._expires = min((seat.expires for seat in self.seats.values()), default=inf)
        return bool(aged)

    def block(self, *, is_blocked: bool) -> bool:
        """Says whether the storage holds all calls up; True when that is new."""
        if is_blocked == self._is_blocked:
            return False
        self._is_blocked = is_blocked
        self._stale = set(self.seats)
        return True

    def _read(self, seats: Sequence[Seat]) -> None:
        names = [spec.name for spec in self.specs()]
        standings = self._store.standings([seat.name for seat in seats], names)
        spent = self._store.spent([seat.token for seat in seats])
        for seat in seats:
            seat.standings = {name: standings[seat.name, name] for name in names}
            seat.spent = spent.get(seat.token, 0)

    def _state(self, seat: Seat, now: Moment) -> OperationState:
        ends = (expiry(standing.recent, now.wall) for standing in seat.standings.values())
        seat.expires = min((end for end in ends if end is not None), default=inf)
        self._expires = min(self._expires, seat.expires)
        # Of a list that could not be read nothing is told: counters that begin at 0 would seem to jump later.
        specs = [spec for spec in self.specs() if spec.name in seat.standings]
        return OperationState(
            operation=seat.target.operation,
            intervals={spec.name: self.setup.intervals[spec.name] for spec in specs},
            standings=dict(seat.standings),
            next={name: each._replace(rule=Rule.STORAGE) for name, each in seat.next.items()}
            if self._is_blocked
            else seat.next,
            spent=seat.spent,
            reserved=self.is_reserved(seat),
            reserve=self.setup.limits.reserve,
            names=self.setup.names,
            at=now.wall,
        )

    def pace(self, seat: Seat, spec: UpstreamList, now: Moment) -> float:
        """The factor on the interval after a poll that is made now.

        Wishes come for many operations at once: their polls are spread out again, as first ones are.
        """
        due = seat.dues[spec.name]
        late = None if due.first or spec.name in seat.wishes else now.uptime - due.uptime
        return schedule.pace(seat.name, self.setup.intervals[spec.name], late)

    def _due(self, seat: Seat, ask: Ask, binding: Binding, now: Moment, *, is_reserved: bool) -> Due:
        spec = self.setup.lists[ask.list]
        if is_reserved and spec.left is None:
            return Due(inf, Rule.RESERVE)
        legal = budget.wait(binding.past, ask.interval, now, essential=spec.essential)
        if binding.planned is None or self.setup.eager:
            return Due(now.uptime + legal.seconds, legal.rule, first=True)
        is_hurried = self.is_hurried(seat, spec)
        pace = 1.0 if is_hurried else binding.planned.pace
        interval = budget.glimpse(ask.interval) if is_reserved else ask.interval
        planned = interval * pace - budget.elapsed(binding.planned.finished, now)
        if legal.seconds > max(planned, 0.0):
            return Due(now.uptime + legal.seconds, legal.rule)
        at = now.uptime + planned
        return Due(at if is_hurried else self._grouped(at), Rule.INTERVAL)

    def _grouped(self, uptime: float) -> float:
        """The time, or where there are many operations the next one that others are polled at too."""
        if len(self.seats) < MANY:
            return uptime
        grain = GRAIN * self.setup.limits.least
        return ceil(uptime / grain) * grain
