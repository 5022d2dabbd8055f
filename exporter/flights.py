"""Calls under way and calls that ended: from an answer to all that must be written of it.

Reads the board and changes nothing of it.
"""

from collections.abc import Callable
from typing import NamedTuple

from exporter import schedule
from exporter.board import Board, Seat
from exporter.diff import Title
from exporter.model import Answer, Moment, Outcome
from exporter.poll import Meaning, response, titles, understand
from exporter.spec import UpstreamList
from exporter.state import Ending, Memory, Recorded, Standing
from exporter.store import Belief, Claim, Result


class Flight(NamedTuple):
    """A call under way: its claim, its list and its server."""

    claim: Claim
    spec: UpstreamList
    server: str


class Arrival(NamedTuple):
    """An answer that came, and when; its body is one that may be kept."""

    flight: Flight
    answer: Answer
    at: Moment


class Landed(NamedTuple):
    """A call that ended, and what must be written of it."""

    flight: Flight
    answer: Answer
    meaning: Meaning
    result: Result


def landed(arrival: Arrival, board: Board) -> Landed:
    """The ended call, understood by how its list stands now."""
    flight, answer, at = arrival
    seat, standing = place(flight, board)
    meaning = understand(answer, flight.spec, standing, board.setup.trust, at.wall, titles_of(seat))
    if seat is None:
        meaning = Meaning(meaning.outcome, meaning.reading, None, None, Memory())
    written = result(arrival, meaning, meaning.outcome)
    if seat is not None:
        kept = recorded(flight.spec.name, answer, meaning, at.wall)
        written = written._replace(belief=belief(standing, meaning), recorded=kept)
    return Landed(flight, answer, meaning, written)


def spent(arrival: Arrival, board: Board) -> Landed:
    """The ended call whose answer trips a bug: nothing of it is believed, but what it demands binds, and it is kept."""
    flight, answer, at = arrival
    ended = bare(arrival, board)
    if asker(flight, board) is None:
        return ended
    kept = recorded(flight.spec.name, answer, ended.meaning, at.wall)
    return ended._replace(result=ended.result._replace(recorded=kept))


def bare(arrival: Arrival, board: Board) -> Landed:
    """The ended call where its answer cannot be kept either."""
    flight, answer, _ = arrival
    _, standing = place(flight, board)
    meaning = Meaning(Outcome.INTERRUPTED, None, standing.snapshot, standing.held, standing.memory)
    demanding = answer.outcome if answer.outcome.is_failure else Outcome.INTERRUPTED
    return Landed(flight, answer, meaning, result(arrival, meaning, demanding))


def place(flight: Flight, board: Board) -> tuple[Seat | None, Standing]:
    """Whose answer it is, and how the list stands."""
    seat = asker(flight, board)
    return seat, seat.standings.get(flight.spec.name, Standing()) if seat else Standing()


def result(arrival: Arrival, meaning: Meaning, demanding: Outcome) -> Result:
    """What must be written of the call itself; `demanding` is the outcome by which token and list rest."""
    (claim, spec, _), answer, at = arrival
    reading, interval = meaning.reading, claim.ask.interval
    counts = (reading.records, reading.rejected, reading.duplicates) if reading else ()
    return Result(
        ending=Ending(meaning.outcome, claim.at.wall, at.wall, answer.duration, *counts),
        at=at,
        whole=answer.whole,
        response=response(answer),
        token_rest=schedule.token_rest(claim.rest, demanding, interval, answer.retry_after, at),
        list_rest=schedule.list_rest(demanding, interval, at, essential=spec.essential),
        read_meter=spec.left is not None and meaning.believed,
    )


def recorded(name: str, answer: Answer, meaning: Meaning, at: float) -> Recorded:
    """What the flight recorder keeps of the answer."""
    return Recorded(
        list=name,
        at=at,
        duration=answer.duration,
        outcome=meaning.outcome,
        status=answer.status,
        code=answer.code,
        size=answer.size,
        body=answer.body.decode(errors="replace"),
        rejected=meaning.reading.reasons if meaning.reading else (),
        detail=answer.detail,
    )


def asker(flight: Flight, board: Board) -> Seat | None:
    """Whose answer it is after a reload that came meanwhile.

    None where the operation went, or moved to another server: then the call counts and nothing is believed of it.
    """
    ask, seats = flight.claim.ask, board.seats
    seat = seats.get(ask.operation) or next((each for each in seats.values() if each.token == ask.token), None)
    return seat if seat and seat.target.operation.server == flight.server else None


def titles_of(seat: Seat | None) -> Title:
    """The last known names of what rows refer to, looked up list by list when one is asked for."""
    if seat is None:
        return lambda _list, _text: ""
    names: dict[str, Callable[[str], str]] = {}

    def title(name: str, text: str) -> str:
        if name not in names:
            standing = seat.standings.get(name, Standing())
            names[name] = titles(standing.snapshot.rows if standing.snapshot else (), standing.memory)
        return names[name](text)

    return title


def belief(standing: Standing, meaning: Meaning) -> Belief | None:
    """What of the meaning is new to the storage; None after a failure."""
    if meaning.reading is None or meaning.outcome.is_failure:
        return None
    if not meaning.believed or meaning.snapshot is None:
        return Belief(held=meaning.held)
    known = standing.snapshot.rows if standing.snapshot else None
    return Belief(
        at=meaning.snapshot.at,
        rows=meaning.snapshot.rows if meaning.snapshot.rows != known else None,
        memory=meaning.memory if meaning.memory != standing.memory else None,
        held=meaning.held,
        changes=meaning.changes,
    )
