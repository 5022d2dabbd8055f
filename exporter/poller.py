"""The turn: what is due is claimed in the ledger, called, understood, and written down.

Meets the pages in one immutable state that it hands on; touches no metric and no socket.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf
from threading import Condition, RLock
from typing import Final, TypeVar

import structlog

from exporter import report
from exporter.board import Board, Seat
from exporter.budget import Wait
from exporter.clock import Clock
from exporter.flights import Flight, Landed, landed
from exporter.keeper import Keeper
from exporter.model import DAY, Answer, Moment, Outcome
from exporter.poll import stands
from exporter.redaction import redacted
from exporter.setup import Setup
from exporter.spec import UpstreamList
from exporter.state import EMPTY, Asked, Histogram, Rule, Standing, State
from exporter.store import Finished, Identity, Store
from exporter.tokens import Tokens

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
        self._start = start
        self._publish = publish
        self._wake = wake
        self._lock = RLock()
        self._landing = Condition(self._lock)
        self._keeper = Keeper()
        self._tokens = Tokens()
        self._board = Board(setup, store)
        self._flights: dict[str, Flight] = {}
        self._unwritten: list[Landed] = []
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
        with self._lock:
            self._is_stopping = True
            return self._landing.wait_for(lambda: not self._flights, timeout=patience)

    def hurry(self, operation: str, name: str) -> Asked:
        """Asks for a poll of one list at its next legal second, and says when that is.

        Makes no call: the next turn claims it from the ledger, as any other. Who asks twice has asked once. In memory
        alone: a restart forgets it.
        """
        with self._lock:
            now = self._clock.now()
            seat, flight = self._board.seats.get(operation), self._flights.get(operation)
            if seat is None or name not in seat.dues or not (self._is_loaded and self._keeper.is_healthy):
                return NOT_NOW
            if flight is not None and flight.spec.name == name:
                return Asked(0.0, now.wall, Rule.BUSY)
            if self._board.is_reserved(seat):
                return Asked(inf, inf, Rule.RESERVE)
            return self._wished(seat, name, now)

    @property
    def is_busy(self) -> bool:
        """True while a call is under way or its end is not written yet."""
        return bool(self._flights)

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
        self._write_ends()  # before a reload takes effect: they belong to the operations as these were
        if not self._is_loaded and not self._unwritten:
            self._is_loaded = self._attempt(self._load) is not None
        if self._is_loaded and not self._unwritten:
            self._attempt(self._follow)

    def _write_ends(self) -> None:
        """Writes the ends that could not be written before, one after the other while the storage takes them."""
        while self._unwritten:
            ended = self._unwritten.pop(0)
            if not self._write(ended):
                self._unwritten.insert(0, ended)
                return

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
            if name not in self._flights and revisions.get(name, seat.revision) != seat.revision
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
        order = {spec.name: place for place, spec in enumerate(self._board.specs())}
        ready = [
            (due.uptime if not due.first else 0.0, order[name], operation, name)
            for operation in self._board.agenda.due(now.uptime)
            for name, due in self._board.seats[operation].dues.items()
            if due.uptime <= now.uptime and (operation, name) not in self._done
        ]
        for _, _, operation, name in sorted(ready):
            seat = self._board.seats[operation]
            # An answer that came meanwhile may have moved the list's time.
            is_due = seat.dues[name].uptime <= now.uptime
            if is_due and self._has_room(operation) and self._keeper.may_try(now.uptime):
                self._claim(seat, self._board.setup.lists[name])

    def _has_room(self, operation: str) -> bool:
        """True when one more call may be under way: at all, to this server, and on this token."""
        limits = self._board.setup.limits
        server = self._board.seats[operation].target.operation.server
        per_server = Counter(flight.server for flight in self._flights.values())
        return (
            not self._is_stopping
            and operation not in self._flights
            and len(self._flights) < limits.concurrency
            and per_server[server] < limits.per_server
        )

    def _claim(self, seat: Seat, spec: UpstreamList) -> None:
        now = self._clock.now()
        ask = self._board.ask(seat, spec, self._board.pace(seat, spec, now))
        claim = self._attempt(lambda: self._store.claim(ask))
        if isinstance(claim, Wait):
            self._board.postpone(seat, spec.name, claim, now)
            self._is_news = True
        elif claim is not None:
            seat.spent += 1
            self._board.change(seat)
            seat.wishes.discard(spec.name)
            if self._board.setup.eager:
                self._done.add((seat.name, spec.name))
            flight = Flight(claim, spec, seat.target.operation.server)
            self._flights[seat.name] = flight
            call, token = self._board.setup.call, self._tokens[seat.name]
            private = () if self._board.setup.names else spec.private

            def answer() -> Answer:
                return redacted(call(flight.server, spec.name, token), token, private)

            try:
                self._start(lambda: self._land(flight, self._answer(flight, answer)))
            except RuntimeError as error:  # no thread is to be had: the call counts as spent, though none was made
                self._land(flight, Answer(Outcome.INTERRUPTED, detail=str(error)))

    def _answer(self, flight: Flight, call: Callable[[], Answer]) -> Answer:
        try:
            return call()
        except Exception:
            # The boundary between operations: a bug met in one answer must not stop the others.
            log.exception("call failed unexpectedly", operation=flight.claim.ask.operation, list=flight.spec.name)
            return Answer(Outcome.INTERRUPTED, whole=False, detail="an unexpected error, see the log")

    def _land(self, flight: Flight, answer: Answer) -> None:
        """Understands the answer and writes it down; what cannot be written now is kept for a later turn."""
        with self._lock:
            try:
                ended = landed(flight, answer, self._board, self._clock.now())
            except Exception:
                # The same boundary: an answer that trips a bug of ours is spent, and nothing is believed of it.
                log.exception("answer not understood", operation=flight.claim.ask.operation, list=flight.spec.name)
                spent = replace(answer, outcome=Outcome.INTERRUPTED)
                ended = landed(flight, spent, self._board, self._clock.now())
            if not (self._keeper.may_try(self._clock.now().uptime) and self._write(ended)):
                self._unwritten.append(ended)
            self._landing.notify_all()
        self._wake()

    def _write(self, ended: Landed) -> bool:
        """Writes an ended call down, and sets what follows from it; False when the storage failed."""
        claim = ended.flight.claim
        finished = self._attempt(lambda: self._store.finish(claim, ended.result))
        if finished is None:
            return False
        self._flights.pop(claim.ask.operation, None)
        seat = self._board.seats.get(finished.operation)
        if seat is not None:
            self._seat(seat, ended, finished)
        self._is_news = True
        return True

    def _seat(self, seat: Seat, ended: Landed, finished: Finished) -> None:
        """Puts the ended call's list in its new place on the board."""
        spec, now, meaning = ended.flight.spec, self._clock.now(), ended.meaning
        standing = seat.standings.get(spec.name, Standing())
        seat.standings[spec.name] = stands(standing, meaning, ended.result.ending, finished.tally)
        seat.revision += 1  # ours; what others wrote meanwhile is still to be read
        seat.spent = 0 if ended.result.read_meter else seat.spent
        seat.answered[spec.name] = self._board.questions(seat, spec)
        if not self._attempt(lambda: self._planned(seat, now)):
            self._is_loaded = False
        histogram = self._durations.get(spec.name, EMPTY).observed(ended.answer.duration)
        self._durations = {**self._durations, spec.name: histogram}
        self._report(seat, ended)

    def _planned(self, seat: Seat, now: Moment) -> bool:
        self._board.plan([seat], now)
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
        waiting = [board.seats[name].due_after(began) for name in board.agenda.due(began) if name not in self._flights]
        soonest = min((board.agenda.next(), *waiting))
        return LONGEST if soonest == inf else max(0.0, soonest - self._clock.now().uptime)

    def _attempt(self, work: Callable[[], Done]) -> Done | None:
        return self._keeper.attempt(work, self._clock.now().uptime)
