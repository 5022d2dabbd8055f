"""The flight recorder: what is kept of each answer, for how long, and that nothing is kept that must not be."""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from conftest import CANARY, START, Exporter, FakeClock, ask_database, setup_for
from processes import wait_for

from exporter import flags
from exporter.lists import LISTS
from exporter.model import DAY, Answer, Outcome
from exporter.state import Ending, Recorded
from exporter.store import Ask, Claim, Identity, Result, Store, answers
from exporter.store.codec import MOST_PACKED, pack_answer, unpack_answer
from exporter.store.schema import CURRENT
from exporter.wiring import Service

RESTORES = {name: spec.restore for name, spec in LISTS.items()}
ANSWER = Recorded(
    "connectors", START, 0.5, Outcome.OK, 200, "200", 13, '{"data": [1]}', ("record 1: \u2026",), "HTTP 200"
)


def ask(name: str = "acme", listed: str = "connectors") -> Ask:
    return Ask(name, listed, f"hash of {name}", 300.0, busy=60.0, essential=True)


@pytest.fixture
def store(tmp_path, clock) -> Iterator[Store]:
    made = Store(tmp_path / "data", clock.now, RESTORES)
    made.adopt([Identity(name, "0010", f"hash of {name}") for name in ("acme", "beta")])
    yield made
    made.close()


def record(store: Store, clock: FakeClock, asked: Ask) -> Recorded:
    """Writes one answer down, as the end of a call of its own."""
    (claim,) = store.claim([asked])
    assert isinstance(claim, Claim)
    answer = ANSWER._replace(list=asked.list, at=clock.wall)
    ending = Ending(answer.outcome, claim.at.wall, clock.wall, answer.duration)
    store.finish([(claim, Result(ending, clock.now(), whole=True, response=("200", "200"), recorded=answer))])
    clock.advance(300)
    return answer


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    """A database in memory with one operation."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        made.executescript(CURRENT.tables)
        made.execute("INSERT INTO operation (name, server, token) VALUES ('acme', '0010', 'hash')")
        yield made


def sizes(db: sqlite3.Connection) -> list[int]:
    return [size for (size,) in db.execute("SELECT length(packed) FROM answer ORDER BY id")]


# What is kept, and for how long.


def test_an_answer_is_read_back_as_it_was_written(store, clock) -> None:
    written = record(store, clock, ask())

    assert store.answers("acme") == [written]
    assert written.rejected == ANSWER.rejected


def test_answers_come_newest_first_over_all_lists_of_one_operation(store, clock) -> None:
    written = [record(store, clock, ask(listed=name)) for name in ("connectors", "routing_points", "connectors")]
    record(store, clock, ask("beta"))

    assert store.answers("acme") == written[::-1]
    assert store.answers("nobody") == []


def test_of_each_list_the_last_20_are_kept(store, clock) -> None:
    kept = record(store, clock, ask(listed="token_info"))
    written = [record(store, clock, ask()) for _ in range(23)]

    assert store.answers("acme") == [*written[:2:-1], kept]


def test_answers_end_with_the_retention(store, clock) -> None:
    record(store, clock, ask())
    younger = record(store, clock, ask())
    store.prune(younger.at)
    left = store.answers("acme")
    store.prune(younger.at + DAY)

    assert left == [younger]
    assert store.answers("acme") == []
    assert ask_database(store.folder, "SELECT value FROM meta WHERE name = 'answer_bytes'") == [(0,)]


def test_over_all_operations_the_oldest_go_when_64_mib_are_full(db) -> None:
    count = answers.MOST_BYTES // MOST_PACKED
    for number in range(count + 3):
        answers.keep(db, "acme", f"list {number}", 0.0, bytes(MOST_PACKED))
    full = sizes(db)
    answers.keep(db, "acme", "small", 0.0, b"1")

    assert full == [MOST_PACKED] * count
    assert sizes(db) == [*[MOST_PACKED] * (count - 1), 1]
    assert answers.total(db) == sum(sizes(db)) <= answers.MOST_BYTES


def test_a_count_that_is_wrong_empties_the_recorder_and_ends(db) -> None:
    db.execute("UPDATE meta SET value = 1e12 WHERE name = 'answer_bytes'")
    answers.keep(db, "acme", "connectors", 0.0, b"1")

    assert sizes(db) == []


@pytest.mark.parametrize("length", [0, 1000, 300_000])
def test_an_answer_takes_64_kib_at_most_and_keeps_its_start(length) -> None:
    body = os.urandom(length).hex()
    packed = pack_answer(ANSWER._replace(body=body))
    read = unpack_answer(packed, "connectors")

    assert len(packed) <= MOST_PACKED
    assert body.startswith(read.body)
    assert (len(read.body) > 100_000) if length > 100_000 else (read.body == body)
    assert read._replace(body=ANSWER.body) == ANSWER


def test_a_damaged_answer_is_left_out_and_said_once(store, clock, quiet_log) -> None:
    record(store, clock, ask())
    written = record(store, clock, ask())
    with closing(sqlite3.connect(store.folder / "state.db")) as database, database:
        database.execute("UPDATE answer SET packed = x'00' WHERE id = 1")

    assert store.answers("acme") == store.answers("acme") == [written]
    assert [event["part"] for event in quiet_log] == ["answer 1"]


# Whose they are.


def test_a_rename_takes_the_answers_along(store, clock) -> None:
    written = record(store, clock, ask())
    kept = record(store, clock, ask("beta"))
    store.adopt([Identity("acme-co", "0010", "hash of acme"), Identity("beta", "0010", "hash of beta")])

    assert store.answers("acme-co") == [written]
    assert (store.answers("acme"), store.answers("beta")) == ([], [kept])


def test_an_operation_that_goes_leaves_no_answer(store, clock) -> None:
    record(store, clock, ask())
    kept = record(store, clock, ask("beta"))
    store.adopt([Identity("beta", "0010", "hash of beta")])
    store.adopt([Identity(name, "0010", f"hash of {name}") for name in ("acme", "beta")])

    assert (store.answers("acme"), store.answers("beta")) == ([], [kept])


def test_an_operation_that_went_during_its_call_leaves_no_answer(store, clock) -> None:
    (claim,) = store.claim([ask()])
    assert isinstance(claim, Claim)
    store.adopt([Identity("beta", "0010", "hash of beta")])
    ending = Ending(Outcome.OK, START, START, 0.5)
    store.finish([(claim, Result(ending, clock.now(), whole=True, response=("200", "200"), recorded=ANSWER))])

    assert ask_database(store.folder, "SELECT count(*) FROM answer") == [(0,)]


# What a poll brings in.


def test_each_poll_is_recorded_with_what_came(exporter, api, clock) -> None:
    exporter.turn()
    token_info, routing_points, connectors = exporter.store.answers("acme")

    assert [each.list for each in (token_info, routing_points, connectors)] == [
        "token_info",
        "routing_points",
        "connectors",
    ]
    assert connectors._replace(body="", duration=0.0, detail="") == Recorded(
        "connectors", START, 0.0, Outcome.OK, 200, "200", len(connectors.body), ""
    )
    assert {row["name"] for row in json.loads(connectors.body)["data"]} == {"Sales", "Inbox"}


def test_rejected_rows_are_recorded_with_their_reasons(exporter, api) -> None:
    api.connect("", "14")
    exporter.turn()

    assert exporter.store.answers("acme")[-1].rejected == ("record 3: channel is missing or blank",)


@pytest.mark.parametrize(
    ("scenario", "outcome", "told"),
    [
        ("html", Outcome.MALFORMED, "<"),
        ("quota", Outcome.QUOTA_EXHAUSTED, "{"),
        ("server_error_500", Outcome.SERVER_ERROR, ""),
        ("reset_at_once", Outcome.UNREACHABLE, ""),
    ],
)
def test_a_failure_is_recorded_too(exporter, api, scenario, outcome, told) -> None:
    api.play(scenario)
    exporter.turn()
    answer = exporter.store.answers("acme")[-1]

    assert (answer.list, answer.outcome, answer.body[: len(told)]) == ("connectors", outcome, told)
    assert answer.detail


def test_looking_costs_no_call(exporter, simulator) -> None:
    exporter.turn()
    for _ in range(100):
        exporter.store.answers("acme")

    assert len(simulator.calls) == 3


def parroting(exporter: Exporter, **changes) -> Exporter:
    """The exporter with an API that sends the token and a name back in a text that is no JSON."""

    def call(_server, _name, token) -> Answer:
        body = f'{{"msg": "{token.reveal()}", "data": [{{"name": "Ana 57300", "id": 1}}, oops'.encode()
        return Answer(Outcome.MALFORMED, 200, detail="not JSON", body=body, size=len(body))

    exporter.setup = replace(exporter.setup, call=call, **changes)
    exporter.restart()
    return exporter


def test_no_token_is_recorded(exporter) -> None:
    parroting(exporter).turn()
    answer = exporter.store.answers("acme")[-1]

    assert answer.body == '{"msg": "***", "data": [{"name": "Ana 57300", "id": 1}, oops'
    assert CANARY not in str(exporter.store.answers("acme"))


def test_no_name_is_recorded_where_names_are_hidden(exporter) -> None:
    parroting(exporter, names=False).turn()
    names = {each.list: "Ana" in each.body for each in exporter.store.answers("acme")}

    assert names == {"connectors": False, "routing_points": True, "token_info": True}


def test_an_answer_that_comes_after_its_operation_went_is_not_recorded(exporter) -> None:
    works: list[Callable[[], None]] = []
    exporter.run = works.append
    exporter.restart()
    exporter.turn()
    exporter.poller.configure(replace(exporter.setup, targets=()))
    exporter.turn()
    works.pop()()
    exporter.turn()

    assert ask_database(exporter.folder, "SELECT outcome FROM call") == [("ok",)]
    assert ask_database(exporter.folder, "SELECT count(*) FROM answer") == [(0,)]


# What a page is given.


def test_names_that_were_recorded_are_hidden_from_now_on_once_names_are(tmp_path, api, simulator, clock) -> None:
    options = flags.parse([f"--storage.path={tmp_path / 'data'}"], {})
    names = [True]
    service = Service(options, lambda: setup_for(simulator, {"acme": CANARY}, clock, names=names[-1]), clock)
    unknown = service.site().answers("acme")

    def answers() -> list[Recorded]:
        service.step()
        return service.site().answers("acme")

    told = wait_for(answers)
    names.append(False)
    service.reload()
    service.step()
    hidden = service.site().answers("acme")

    assert unknown == []
    assert "Sales" in told[-1].body
    assert "Sales" not in hidden[-1].body
    assert hidden[-1]._replace(body="") == told[-1]._replace(body="")
