"""The turn: what is due is claimed in the ledger, called, understood, and written down.

Meets the pages in one immutable state that it hands on; touches no metric and no socket.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from math import inf
from threading import RLock
from typing import Final, TypeVar

import structlog

from exporter import report
from exporter.board import Board, Seat
from exporter.budget import Wait
from exporter.clock import Clock
from exporter.flights import Arrival, Flight, Landed, bare, landed, spent
from exporter.keeper import Keeper
from exporter.model import DAY, Moment
from exporter.poll import stands
from exporter.redaction import redacted
from exporter.setup import Setup
from exporter.spec import UpstreamList
from exporter.state import EMPTY, Asked, Histogram, Rule, Standing, State
from exporter.store import Claim, Finished, Identity, Store
from exporter.tokens import Tokens
from exporter.underway import UnderWay

log = structlog.get_logger()
Done = TypeVar("Done")

LONGEST: Final = 1.0  # seconds between two turns: other processes' writes are followed within that
TOKENS: Final = 10.0  # seconds between two looks at the tokens' sources
ORPHANS: Final = 5.0  # seconds between two looks for calls whose owner died
NOT_NOW: Final = Asked(inf, inf, Rule.STORAGE)


class Poller:
    """Polls within the budget, one step at a time; `turn` is called again and again by one thread.

    `start` runs a call, in a thread of its own or at once; `publish` takes each new state; `wake` is called from the
    calls' threads when there is something for the next turn.
    """

    def __init__(
        self,
        setup: Setup,
        store: Store,
        clock: Clock,
        *,
        start: Callable[[Callable[[], None]], None],
        publish: Callable[[State], None],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._publish = publish
        self._wake = wake
        self._lock = RLock()
        self._keeper = Keeper()
        self._tokens = Tokens()
        self._board = Board(setup, store)
        self._under_way = UnderWay(start, clock.now, wake)
        self._done: set[tuple[str, str]] = set()  # what was polled once, where once is enough
        self._durations: Mapping[str, Histogram] = {}
        self._created: float | None = None
        self._looked_at_tokens = self._looked_for_orphans = -TOKENS
        self._pruned_at = -DAY
        self._version = -1
        self._is_loaded = False
        self._is_stopping = False
        self._is_news = True
        self.began = clock.now()

    def turn(self) -> float:
        """Starts every call that is due, and publishes what is new; the seconds until the next turn has work.

        Nothing here waits for an answer of the API.
        """
        with self._lock:
            self.began = now = self._clock.now()
            if self._keeper.may_try(now.uptime):
                self._catch_up()
            if self._is_loaded:
                self._start_due()
            self._tell()
            return self._until_next()

    def configure(self, setup: Setup) -> None:
        """Takes another configuration; calls under way end by the old one."""
        with self._lock:
            self._board.setup = setup
            self._tokens.refresh(setup.targets)
            self._is_loaded = False
            self._is_news = True

    def stop(self, patience: float) -> bool:
        """Claims nothing from now on and waits `patience` seconds for the calls under way; True when all landed."""
        end = self._clock.now().uptime + patience
        with self._lock:
            self._is_stopping = True
        while True:
            with self._lock:
                self._write_ends()
            if not self._under_way or not self._under_way.wait(max(0.0, end - self._clock.now().uptime)):
                return not self._under_way

    def hurry(self, operation: str, name: str) -> Asked:
        """Asks for a poll of one list at its next legal second, and says when that is.

        Makes no call: the next turn claims it from the ledger, as any other. Who asks twice has asked once. In memory
        alone: a restart forgets it.
        """
        with self._lock:
            now = self._clock.now()
            seat = self._board.seats.get(operation)
            if seat is None or name not in seat.dues or not (self._is_loaded and self._keeper.is_healthy):
                return NOT_NOW
            if self._under_way.asks(operation, name):
                return Asked(0.0, now.wall, Rule.BUSY)
            if self._board.is_reserved(seat):
                return Asked(inf, inf, Rule.RESERVE)
            return self._wished(seat, name, now)

    @property
    def is_busy(self) -> bool:
        """True while a call is under way or its end is not written yet."""
        return bool(self._under_way)

    @property
    def is_waiting(self) -> bool:
        """True while an answer is still to come."""
        return not self._under_way.is_all_here

    def _wished(self, seat: Seat, name: str, now: Moment) -> Asked:
        is_new = name not in seat.wishes
        due = self._attempt(lambda: self._board.wish(seat, name, now)) if is_new else seat.dues[name]
        if due is None:
            return NOT_NOW
        seconds = max(0.0, due.uptime - now.uptime)
        asked = Asked(seconds, now.wall + seconds, due.rule)
        if is_new:
            report.asked(seat.name, name, asked)
            self._is_news = True
            self._wake()
        return asked

    def _catch_up(self) -> None:
        """Everything that may have happened since the last turn: tokens, fallen storage, other processes."""
        uptime = self._clock.now().uptime
        if uptime - self._looked_at_tokens >= TOKENS:
            self._looked_at_tokens = uptime
            if self._tokens.refresh(self._board.setup.targets):
                self._is_loaded = False
        # Before a reload takes effect: these ends belong to the operations as they were.
        if not self._write_ends():
            return
        if not self._is_loaded:
            self._is_loaded = self._attempt(self._load) is not None
        if self._is_loaded:
            self._attempt(self._follow)

    def _load(self) -> bool:
        """Makes the configured operations known to the storage, and reads how they stand."""
        now = self._clock.now()
        targets = [target for target in self._board.setup.targets if target.operation.name in self._tokens]
        self._board.expect(targets)
        self._is_news = True
        hashes = self._store.token_hashes([self._tokens[each.operation.name] for each in targets])
        seats = list(map(Seat, targets, hashes))
        self._store.adopt(Identity(seat.name, seat.target.operation.server, seat.token) for seat in seats)
        revisions, before = self._store.revisions(), self._board.seats
        for seat in seats:
            seat.answered, seat.wishes = before[seat.name].answered, before[seat.name].wishes
            seat.revision = revisions.get(seat.name, 0)
        self._board.load(seats, now)
        self._created = self._store.created()
        self._board.take(seats)
        return True

    def _follow(self) -> None:
        """Reads again what another process wrote, and ends the calls of dead ones."""
        now = self._clock.now()
        version = self._store.changed_elsewhere()
        if not self._store.is_adopted:
            self._load()  # the database was lost and made anew: it knows nothing of us
        if version == self._version and now.uptime - self._looked_for_orphans < ORPHANS:
            return
        self._looked_for_orphans = now.uptime
        revisions = self._store.revisions()
        changed = [
            seat
            for name, seat in self._board.seats.items()
            if name not in self._under_way and revisions.get(name, seat.revision) != seat.revision
        ]
        if changed:
            self._board.load(changed, now)
            self._is_news = True
        for seat in changed:
            seat.revision = revisions[seat.name]
        if now.uptime - self._pruned_at >= DAY:
            self._store.prune(now.wall - self._board.setup.trust.retention)
            self._pruned_at = now.uptime
        self._version = version

    def _start_due(self) -> None:
        now = self._clock.now()
        tried: set[tuple[str, str]] = set()  # a wait may be too short to move a clock on
        while due := self._chosen(now, tried):
            tried.update((seat.name, spec.name) for seat, spec in due)
            self._claim(due)
            if self._under_way.is_all_here:  # else the others are waited for, and written with these
                self._write_ends()

    def _chosen(self, now: Moment, tried: Collection[tuple[str, str]]) -> list[tuple[Seat, UpstreamList]]:
        """What to claim at once: of each operation the untried list that waits longest, while there is room."""
        limits = self._board.setup.limits
        room, per_server = limits.concurrency - len(self._under_way), self._under_way.by_server()
        if self._is_stopping or room <= 0 or not self._keeper.may_try(now.uptime):
            return []
        chosen: dict[str, tuple[Seat, UpstreamList]] = {}
        for operation, name in self._ready(now):
            seat = self._board.seats[operation]
            server = seat.target.operation.server
            if operation not in chosen and (operation, name) not in tried and per_server[server] < limits.per_server:
                per_server[server] += 1
                chosen[operation] = seat, self._board.setup.lists[name]
        return [*chosen.values()][:room]

    def _ready(self, now: Moment) -> list[tuple[str, str]]:
        """The lists that are due, of operations without a call under way; those that wait longest first."""
        order = {spec.name: place for place, spec in enumerate(self._board.specs())}
        ready = [
            (due.uptime if not due.first else 0.0, order[name], operation, name)
            for operation in self._board.agenda.due(now.uptime)
            if operation not in self._under_way
            for name, due in self._board.seats[operation].dues.items()
            if due.uptime <= now.uptime and (operation, name) not in self._done
        ]
        return [(operation, name) for _, _, operation, name in sorted(ready)]

    def _claim(self, due: Sequence[tuple[Seat, UpstreamList]]) -> None:
        """Claims these calls in one piece, and makes those that may be made."""
        now = self._clock.now()
        asks = [self._board.ask(seat, spec, self._board.pace(seat, spec, now)) for seat, spec in due]
        claims = self._attempt(lambda: self._store.claim(asks)) or ()
        for (seat, spec), claim in zip(due, claims, strict=False):
            if isinstance(claim, Wait):
                self._board.postpone(seat, spec.name, claim, now)
                self._is_news = True
            else:
                self._begin(seat, spec, claim)

    def _begin(self, seat: Seat, spec: UpstreamList, claim: Claim) -> None:
        """Makes a call that was claimed."""
        seat.spent += 1
        self._board.change(seat)
        seat.wishes.discard(spec.name)
        if self._board.setup.eager:
            self._done.add((seat.name, spec.name))
        flight = Flight(claim, spec, seat.target.operation.server)
        call, token = self._board.setup.call, self._tokens[seat.name]
        private = () if self._board.setup.names else spec.private
        self._under_way.begin(flight, lambda: redacted(call(flight.server, spec.name, token), token, private))

    def _write_ends(self) -> bool:
        """Understands the answers that came and writes their ends; False while some cannot be written."""
        arrivals = self._under_way.arrived()
        if not arrivals:
            return True
        if not self._keeper.may_try(self._clock.now().uptime):
            return False
        try:
            return self._write(arrivals)
        except Exception:
            # The boundary between operations, as for the calls themselves.
            log.exception("answers not understood together", operations=len(arrivals))
        return all(map(self._write_alone, arrivals))

    def _write_alone(self, arrival: Arrival) -> bool:
        """Writes one end, be it as that of a spent call of which nothing is believed; or gives the call up."""
        claim = arrival.flight.claim
        for land in (landed, spent, bare):
            try:
                return self._write([arrival], land)
            except Exception:
                # The same boundary: a bug that is met in one answer must not stop the others.
                log.exception("answer not understood", operation=claim.ask.operation, list=claim.ask.list)
        self._store.disown(claim)
        self._under_way.forget([arrival])
        return True

    def _write(self, arrivals: Sequence[Arrival], land: Callable[[Arrival, Board], Landed] = landed) -> bool:
        """Writes ends in one piece, and what follows from them on the board; False when the storage failed."""
        ends = [land(each, self._board) for each in arrivals]
        finished = self._attempt(lambda: self._store.finish([(each.flight.claim, each.result) for each in ends]))
        if finished is None:
            return False
        self._under_way.forget(arrivals)
        self._is_news = True
        try:
            self._seat([*zip(ends, finished, strict=True)])
        except Exception:
            # They are written: what a bug kept from the board is read from there.
            log.exception("ends not taken in, all is read anew", operations=len(arrivals))
            self._is_loaded = False
        return True

    def _seat(self, written: Sequence[tuple[Landed, Finished]]) -> None:
        """Puts the lists of ended calls in their new places on the board, where their operations still have a seat."""
        seats = self._board.seats
        seated = [(seats[whose.operation], ended, whose) for ended, whose in written if whose.operation in seats]
        for seat, ended, finished in seated:
            self._settle(seat, ended, finished)
        if not self._attempt(lambda: self._planned([seat for seat, *_ in seated])):
            self._is_loaded = False
        for seat, ended, _ in seated:
            self._report(seat, ended)

    def _settle(self, seat: Seat, ended: Landed, finished: Finished) -> None:
        """Sets how the ended call's list stands now."""
        spec = ended.flight.spec
        standing = seat.standings.get(spec.name, Standing())
        seat.standings[spec.name] = stands(standing, ended.meaning, ended.result.ending, finished.tally)
        seat.revision += 1  # ours; what others wrote meanwhile is still to be read
        seat.spent = 0 if ended.result.read_meter else seat.spent
        seat.answered[spec.name] = self._board.questions(seat, spec)
        histogram = self._durations.get(spec.name, EMPTY).observed(ended.answer.duration)
        self._durations = {**self._durations, spec.name: histogram}

    def _planned(self, seats: Sequence[Seat]) -> bool:
        self._board.plan(seats, self._clock.now())
        return True

    def _report(self, seat: Seat, ended: Landed) -> None:
        name, meaning, ending = ended.flight.spec.name, ended.meaning, ended.result.ending
        report.ended(seat.name, name, ending, ended.answer, seat.next.get(name))
        if ending.rejected:
            report.rejected(seat.name, name, ending)
        if meaning.held and meaning.reading and not meaning.believed:
            report.held(seat.name, name, meaning.held, names=self._board.setup.names)
        for change in meaning.changes:
            report.changed(seat.name, change, names=self._board.setup.names)

    def _tell(self) -> None:
        """Hands the state on, if there is anything new in it."""
        now = self._clock.now()
        self._is_news |= self._board.expire(now) | self._board.block(is_blocked=not self._keeper.is_healthy)
        if not self._is_news:
            return
        self._is_news = False
        self._publish(
            State(
                operations=self._board.states(now),
                durations=self._durations,
                storage_healthy=self._keeper.is_healthy,
                created=self._created,
            )
        )

    def _until_next(self) -> float:
        """Seconds until something comes due; what was due in this turn had its chance, and waits for a landing."""
        began = self.began.uptime
        board = self._board
        waiting = [
            board.seats[name].due_after(began) for name in board.agenda.due(began) if name not in self._under_way
        ]
        soonest = min((board.agenda.next(), *waiting))
        return LONGEST if soonest == inf else max(0.0, soonest - self._clock.now().uptime)

    def _attempt(self, work: Callable[[], Done]) -> Done | None:
        return self._keeper.attempt(work, self._clock.now().uptime)
