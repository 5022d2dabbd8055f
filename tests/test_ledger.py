"""The ledger: a call is written down before it leaves, and nothing makes the next one early."""

import subprocess
import sys
from contextlib import contextmanager

import pytest
from conftest import (
    CANARY,
    INTERVALS,
    START,
    Exporter,
    FakeClock,
    Killed,
    ask_database,
    claimed,
    drop,
    kill,
    setup_for,
    standing_of,
)

from exporter.lists import LISTS
from exporter.model import Moment, Outcome, Secret
from exporter.schedule import Rest, pace
from exporter.setup import Limits
from exporter.state import Ending, Rule, Tally
from exporter.store import Ask, Claim, Finished, Identity, Result, Store, StoreError
from exporter.store.owners import Owners

RESTORES = {name: spec.restore for name, spec in LISTS.items()}


class Books:
    """Any number of stores, as processes have them, on one folder."""

    def __init__(self, folder, clock: FakeClock) -> None:
        self.folder, self.clock = folder, clock
        self.stores: list[Store] = []

    def open(self) -> Store:
        store = Store(self.folder, self.clock.now, RESTORES)
        store.adopt([Identity("acme", "0010", "hash-a"), Identity("beta", "0010", "hash-b")])
        self.stores.append(store)
        return store

    def close(self) -> None:
        for store in self.stores:
            store.close()


@pytest.fixture
def books(tmp_path, clock):
    opened = Books(tmp_path / "data", clock)
    yield opened
    opened.close()


def ask(listed: str = "connectors", operation: str = "acme", hashed: str = "hash-a", interval: float = 300.0) -> Ask:
    return Ask(operation, listed, hashed, interval, busy=60.0, essential=listed == "connectors")


def end(store: Store, claim, clock: FakeClock, outcome: Outcome = Outcome.OK, *, whole: bool = True, **more) -> None:
    assert isinstance(claim, Claim)
    ending = Ending(outcome, claim.at.wall, clock.wall, 1.0)
    store.finish([(claim, Result(ending, clock.now(), whole, ("200", "200"), **more))])


def dead_store(books, clock) -> Claim:
    """A claim whose process died: its store is let go without a close, its lock freed as the kernel does it."""
    store = books.open()
    claim = claimed(store, ask())
    kill(store)
    books.stores.remove(store)
    assert isinstance(claim, Claim)
    return claim


def test_a_first_call_is_claimed_at_once(books) -> None:
    assert isinstance(claimed(books.open(), ask()), Claim)


def test_a_list_waits_its_interval_after_the_end_of_its_last_call(books, clock) -> None:
    store = books.open()
    claim = claimed(store, ask())
    clock.advance(20)
    end(store, claim, clock)
    clock.advance(100)

    assert claimed(store, ask()) == (200.0, Rule.INTERVAL)


@pytest.mark.parametrize(("gone_by", "is_legal"), [(299.0, False), (300.0, True)])
def test_the_interval_ends_on_the_second(books, clock, gone_by, is_legal) -> None:
    store = books.open()
    end(store, claimed(store, ask()), clock)
    clock.advance(gone_by)

    assert isinstance(claimed(store, ask()), Claim) == is_legal


def test_a_token_is_busy_while_a_call_of_it_is_under_way(books) -> None:
    store = books.open()
    claimed(store, ask())

    assert claimed(store, ask("routing_points")) == (60.0, Rule.BUSY)
    assert isinstance(claimed(store, ask(operation="beta", hashed="hash-b")), Claim)


def test_calls_that_are_claimed_together_bind_each_other_as_if_one_came_after_the_other(books) -> None:
    store = books.open()
    claims = store.claim([ask(), ask("routing_points"), ask(operation="beta", hashed="hash-b"), ask(operation="beta")])

    assert [isinstance(claim, Claim) for claim in claims] == [True, False, True, False]
    assert [claims[1], claims[3]] == [(60.0, Rule.BUSY)] * 2
    assert ask_database(books.folder, "SELECT operation, list FROM call") == [
        ("acme", "connectors"),
        ("beta", "connectors"),
    ]


def test_an_end_that_is_written_once_more_after_the_next_call_changes_nothing(books, clock) -> None:
    """Its copy of the exporter did not learn that it was written, and another one has called since."""
    first, second = books.open(), books.open()
    (claim,) = first.claim([ask()])
    ended = Result(Ending(Outcome.OK, START, clock.wall, 1.0), clock.now(), whole=True, response=("200", "200"))
    first.finish([(claim, ended)])
    clock.advance(300)
    end(second, claimed(second, ask()), clock)
    clock.advance(6)
    first.finish([(claim, ended)])

    assert claimed(second, ask()) == (294.0, Rule.INTERVAL)
    assert standing_of(second).tally.polls == 2


def test_a_late_end_in_the_successor_of_a_lost_database_makes_no_call_early(books, clock) -> None:
    first = books.open()
    key = first.token_hashes([Secret(CANARY)])[0]
    (claim,) = first.claim([ask(hashed=key)])
    clock.advance(50)
    late = Result(Ending(Outcome.OK, START, clock.wall, 1.0), clock.now(), whole=True, response=("200", "200"))
    for part in books.folder.glob("state.db*"):
        part.unlink()
    second = books.open()
    again = ask(hashed=second.token_hashes([Secret(CANARY)])[0])
    clock.advance(310)
    end(second, claimed(second, again), clock)
    clock.advance(40)
    first.finish([(claim, late)])

    assert claimed(second, again) == (260.0, Rule.INTERVAL)


def test_a_call_that_is_given_up_is_ended_as_that_of_a_dead_owner(books, clock) -> None:
    store = books.open()
    (claim,) = store.claim([ask()])
    store.disown(claim)
    clock.advance(61)

    assert claimed(store, ask()) == (299.0, Rule.INTERVAL)
    assert standing_of(store).tally.outcomes == {"interrupted": 1}


def test_a_claim_that_the_disk_denied_is_nobodys(books, monkeypatch) -> None:
    store = books.open()
    transaction = store._database.transaction  # noqa: SLF001 - the disk's answer comes with its end

    @contextmanager
    def denied():
        with transaction() as db:
            yield db
        raise StoreError("the disk reports an error")

    with monkeypatch.context() as patch:
        patch.setattr(store._database, "transaction", denied)  # noqa: SLF001 - as above
        with pytest.raises(StoreError):
            store.claim([ask()])
    store.revisions()

    assert standing_of(store).tally.outcomes == {"interrupted": 1}


def test_ends_are_written_together_or_not_at_all(books, clock) -> None:
    store = books.open()
    calls = [each for each in store.claim([ask(), ask(operation="beta", hashed="hash-b")]) if isinstance(each, Claim)]
    ended = Result(Ending(Outcome.OK, START, clock.wall, 1.0), clock.now(), whole=True, response=("200", "200"))
    unwritable = ended._replace(response=("200", "\ud800"))

    with pytest.raises(UnicodeEncodeError):
        store.finish([*zip(calls, (ended, unwritable), strict=True)])
    assert [standing_of(store, name).tally.polls for name in ("acme", "beta")] == [0, 0]

    finished = store.finish([(call, ended) for call in calls])
    assert [(each.operation, each.tally.polls) for each in finished] == [("acme", 1), ("beta", 1)]


def test_a_token_is_busy_for_other_processes_while_its_owner_lives(books, clock) -> None:
    first, second = books.open(), books.open()
    claimed(first, ask())
    clock.advance(3600)

    assert claimed(second, ask("routing_points")) == (1.0, Rule.BUSY)


def test_a_finished_call_frees_the_token_for_all(books, clock) -> None:
    first, second = books.open(), books.open()
    end(first, claimed(first, ask()), clock)

    assert isinstance(claimed(second, ask("routing_points")), Claim)


def test_an_answer_that_was_not_read_whole_leaves_the_token_busy_for_60_s_after_its_claim(books, clock) -> None:
    store = books.open()
    claim = claimed(store, ask())
    clock.advance(2)
    end(store, claim, clock, Outcome.TIMEOUT, whole=False)
    clock.advance(8)

    assert claimed(store, ask("routing_points")) == (50.0, Rule.BUSY)


@pytest.mark.parametrize(("gone_by", "is_legal"), [(59.0, False), (60.0, True)])
def test_a_dead_owners_call_leaves_the_token_busy_for_60_s_after_its_claim(books, clock, gone_by, is_legal) -> None:
    dead_store(books, clock)
    clock.advance(gone_by)

    assert isinstance(claimed(books.open(), ask("routing_points")), Claim) == is_legal


def test_a_dead_owners_call_becomes_interrupted_and_counts_as_poll_and_failure(books, clock) -> None:
    dead_store(books, clock)
    clock.advance(10)
    store = books.open()
    store.revisions()

    standing = standing_of(store)
    assert standing.ending == Ending(Outcome.INTERRUPTED, START, START + 10, 10.0)
    assert (standing.tally.polls, standing.tally.failures) == (1, 1)
    assert standing.tally.outcomes == {"interrupted": 1}
    assert standing.tally.responses == {("none", "none"): 1}


def test_an_interrupted_call_is_taken_to_have_ended_as_late_as_its_server_may_have_worked(books, clock) -> None:
    dead_store(books, clock)
    clock.advance(200)

    assert claimed(books.open(), ask()) == (160.0, Rule.INTERVAL)


def test_the_end_of_a_process_by_the_kernel_frees_its_calls(books, clock) -> None:
    code = (
        "import os, sys; from pathlib import Path; sys.path.insert(0, 'tests')\n"
        "from conftest import FakeClock, claimed; from test_ledger import RESTORES, ask; from exporter.store import *\n"
        f"store = Store(Path({str(books.folder)!r}), FakeClock().now, RESTORES)\n"
        "store.adopt([Identity('acme', '0010', 'hash-a')]); claimed(store, ask()); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    store = books.open()
    store.revisions()

    ending = standing_of(store).ending
    assert ending is not None
    assert ending.outcome is Outcome.INTERRUPTED


def test_a_live_owners_call_is_not_buried(books, clock) -> None:
    claimed(books.open(), ask())
    clock.advance(3600)
    store = books.open()
    store.revisions()

    assert standing_of(store).ending is None


def test_a_closed_store_leaves_its_calls_to_be_buried(books, clock) -> None:
    first = books.open()
    claimed(first, ask())
    first.close()

    store = books.open()
    assert claimed(store, ask("routing_points")) == (60.0, Rule.BUSY)
    assert standing_of(store).tally.failures == 1


def test_the_law_binds_a_new_token_by_the_operation(books, clock) -> None:
    store = books.open()
    end(store, claimed(store, ask()), clock)

    assert claimed(store, ask(hashed="hash-new")) == (300.0, Rule.INTERVAL)


def test_the_law_binds_another_operation_by_the_token(books, clock) -> None:
    store = books.open()
    end(store, claimed(store, ask()), clock)

    assert claimed(store, ask(operation="gamma")) == (300.0, Rule.INTERVAL)


def test_what_binds_many_calls_is_what_binds_each_of_them(books, clock) -> None:
    store = books.open()
    rest = Rest(Outcome.THROTTLED, 1, clock.now(), 60.0)
    end(store, claimed(store, ask()), clock, token_rest=rest)
    end(store, claimed(store, ask("routing_points", "beta", "hash-b")), clock, list_rest=rest)
    clock.advance(60)
    claimed(store, ask("token_info", "beta", "hash-b"))
    asks = [
        ask(listed, operation, hashed)
        for listed in RESTORES
        for operation, hashed in (("acme", "hash-a"), ("beta", "hash-b"), ("acme", "hash-b"), ("gamma", "hash-c"))
    ]

    bindings = store.bindings(asks)
    assert bindings == [store.bindings([each])[0] for each in asks]
    assert len(set(bindings)) > len(asks) / 2


@pytest.mark.parametrize("step", [-86400.0, 86400.0, -1.0, 299.0])
def test_a_step_of_the_wall_clock_changes_nothing_within_a_boot(books, clock, step) -> None:
    store = books.open()
    end(store, claimed(store, ask()), clock)
    clock.step(step)
    clock.advance(100)

    assert claimed(store, ask()) == (200.0, Rule.INTERVAL)


def test_across_a_reboot_the_wall_clock_decides(books, clock) -> None:
    store = books.open()
    end(store, claimed(store, ask()), clock)
    clock.reboot(120)

    assert claimed(store, ask()) == (180.0, Rule.INTERVAL)


def test_a_clock_that_was_set_back_across_a_reboot_makes_the_call_count_as_made_now(books, clock) -> None:
    store = books.open()
    end(store, claimed(store, ask()), clock)
    clock.step(-1e9)
    clock.reboot(1000)

    assert claimed(store, ask()) == (300.0, Rule.INTERVAL)


def test_a_call_from_the_future_is_waited_for_once_and_not_for_ever(books, clock) -> None:
    store = books.open()
    end(store, claimed(store, ask()), clock)
    clock.step(-1e9)
    clock.reboot()
    store.revisions()
    clock.advance(300)

    assert isinstance(claimed(store, ask()), Claim)


def test_a_rest_from_the_future_ends_like_any_other(books, clock) -> None:
    store = books.open()
    rest = Rest(Outcome.QUOTA_EXHAUSTED, 2, clock.now(), 600.0)
    end(store, claimed(store, ask()), clock, Outcome.QUOTA_EXHAUSTED, token_rest=rest)
    clock.step(-1e9)
    clock.reboot()
    store.revisions()
    clock.advance(599)

    assert claimed(store, ask("routing_points")) == (1.0, Rule.REST)


def test_a_rest_holds_off_every_list_of_its_token_only(books, clock) -> None:
    store = books.open()
    rest = Rest(Outcome.THROTTLED, 1, clock.now(), 900.0)
    end(store, claimed(store, ask()), clock, Outcome.THROTTLED, token_rest=rest)

    assert claimed(store, ask("token_info")) == (900.0, Rule.REST)
    assert isinstance(claimed(store, ask("token_info", "beta", "hash-b")), Claim)


def test_a_rest_of_a_list_holds_off_that_list_alone(books, clock) -> None:
    store = books.open()
    rest = Rest(Outcome.UNKNOWN_LIST, 1, clock.now(), 86400.0)
    end(store, claimed(store, ask("token_info")), clock, Outcome.UNKNOWN_LIST, list_rest=rest)
    clock.advance(3600)

    assert claimed(store, ask("token_info")) == (82800.0, Rule.REST)
    assert isinstance(claimed(store, ask()), Claim)


def test_a_claim_brings_the_tokens_rest_along(books, clock) -> None:
    store = books.open()
    rest = Rest(Outcome.TOKEN_REJECTED, 1, clock.now(), 0.0)
    end(store, claimed(store, ask()), clock, Outcome.TOKEN_REJECTED, token_rest=rest)
    clock.advance(300)
    claim = claimed(store, ask())

    assert isinstance(claim, Claim)
    assert claim.rest == rest


def test_a_trial_that_dies_is_a_trial_that_was_made(books, clock) -> None:
    store = books.open()
    rest = Rest(Outcome.TOKEN_REJECTED, 2, clock.now(), 3600.0, is_locked=True)
    end(store, claimed(store, ask()), clock, Outcome.TOKEN_REJECTED, token_rest=rest)
    clock.advance(3600)
    dead_store(books, clock)
    clock.advance(400)

    assert claimed(store, ask()) == (3600 + 60 - 400, Rule.REST)


def test_an_end_that_was_written_for_one_who_lost_its_name_meanwhile_has_counted_nothing(books, clock) -> None:
    store = books.open()
    (claim,) = store.claim([ask()])
    end(store, claim, clock)
    other = books.open()
    other.adopt([Identity("beta", "0010", "hash-b")])
    other.adopt([Identity("acme", "0010", "hash-b")])

    result = Result(
        Ending(Outcome.OK, claim.at.wall, clock.wall, 1.0), clock.now(), whole=True, response=("200", "200")
    )

    assert store.finish([(claim, result)]) == [Finished("acme", Tally())]


def test_a_claim_counts_as_spent_until_the_meter_is_read(books, clock) -> None:
    store = books.open()
    end(store, claimed(store, ask()), clock)
    end(store, claimed(store, ask("routing_points")), clock)
    before = store.spent(["hash-a"])
    end(store, claimed(store, ask("token_info")), clock, read_meter=True)

    assert (before, store.spent(["hash-a", "hash-b"])) == ({"hash-a": 2}, {"hash-a": 0})


def test_only_the_last_call_of_each_list_is_kept(books, clock) -> None:
    store = books.open()
    for _ in range(5):
        end(store, claimed(store, ask()), clock)
        clock.advance(300)

    assert ask_database(books.folder, "SELECT count(*) FROM call") == [(1,)]


def test_a_claim_needs_operations_that_were_adopted(tmp_path, clock) -> None:
    store = Store(tmp_path, clock.now, RESTORES)

    with pytest.raises(StoreError, match="the database was replaced; its state is read anew"):
        claimed(store, ask())


def test_the_hash_of_a_token_is_the_same_for_all_processes_and_not_the_token(books) -> None:
    hashes = {books.open().token_hashes([Secret(CANARY)])[0] for _ in range(2)}

    assert len(hashes) == 1
    assert CANARY not in hashes


def test_an_owner_without_a_file_is_dead(tmp_path) -> None:
    owners = Owners(tmp_path / "owners")

    assert not owners.is_live(owners.me)
    assert owners.is_live(owners.live())
    assert not owners.is_live("0" * 32)

    owners.close()
    owners.close()


def test_a_dead_owners_file_is_removed(tmp_path) -> None:
    dead, alive = Owners(tmp_path), Owners(tmp_path)
    dead.live(), alive.live()
    drop(dead)

    assert not alive.is_live(dead.me)
    assert [path.name for path in tmp_path.iterdir()] == [alive.me]

    alive.close()


def test_who_only_looks_leaves_a_dead_owners_file(tmp_path) -> None:
    dead, looking = Owners(tmp_path), Owners(tmp_path, only_look=True)
    dead.live()
    assert looking.is_live(dead.me)
    drop(dead)

    assert not looking.is_live(dead.me)
    assert [path.name for path in tmp_path.iterdir()] == [dead.me]


# What follows is the same law seen from outside: whole exporters against the judge in the simulator.


def kept(simulator) -> bool:
    report = simulator.report()
    return (report.early, report.overlapping) == (0, 0)


@pytest.mark.parametrize("pause", [0.0, 1.0, 60.0, 299.0])
def test_restarts_in_a_row_make_no_call_early(exporter, simulator, clock, pause) -> None:
    for _ in range(12):
        exporter.restart()
        exporter.turn()
        clock.advance(pause)

    assert kept(simulator)
    assert len(simulator.calls) >= 3


@pytest.mark.parametrize(("seconds", "step"), [(30, 0), (30, -1e6), (600, 0), (30, -10), (1000, -900)])
def test_reboots_make_no_call_early(exporter, simulator, clock, seconds, step) -> None:
    for _ in range(4):
        exporter.turns(400)
        exporter.kill()
        clock.step(step)
        clock.reboot(seconds)
        exporter.start()
    exporter.turns(400)

    assert kept(simulator)


def test_an_exporter_polls_on_after_its_clock_was_set_back_for_years_across_a_reboot(
    exporter, simulator, clock
) -> None:
    exporter.turn()
    exporter.kill()
    clock.step(-1e8)
    clock.reboot()
    exporter.start()
    exporter.turns(3600)

    assert kept(simulator)
    assert len(simulator.calls) > 12


@pytest.mark.parametrize("step", [-86400.0, 86400.0])
def test_wall_clock_steps_neither_hurry_nor_stop_the_polls(exporter, simulator, clock, step) -> None:
    for _ in range(4):
        exporter.turns(900)
        clock.step(step)

    assert kept(simulator)
    assert len([call for call in simulator.calls if call.api == "connectors"]) in range(10, 13)


def test_two_exporters_on_one_folder_keep_one_budget(exporter, simulator, clock) -> None:
    other = Exporter(exporter.folder, clock, exporter.setup)
    for _ in range(3600):
        other.turn()
        exporter.turn()
        clock.advance(1)

    assert kept(simulator)
    assert len([call for call in simulator.calls if call.api == "connectors"]) in range(11, 13)
    assert other.standing().snapshot == exporter.standing().snapshot
    assert other.standing().tally == exporter.standing().tally
    other.close()


def test_what_one_exporter_polls_the_other_tells_within_a_second(exporter, api, simulator, clock) -> None:
    other = Exporter(exporter.folder, clock, exporter.setup)
    exporter.turn()
    other.turn()
    clock.advance(1)
    other.turn()

    assert other.standing() == exporter.standing()
    assert other.operation().next == exporter.operation().next
    other.close()


def killed_after(call, when):
    """A call that is made, and never comes back where `when` says so."""

    def call_and_die(server, name, token):
        answer = call(server, name, token)
        if when():
            raise Killed
        return answer

    return call_and_die


def test_a_process_killed_within_a_call_is_seen_after_its_restart(exporter, simulator, clock) -> None:
    exporter.setup = setup_for(simulator, {"acme": CANARY}, clock, call=killed_after(exporter.setup.call, lambda: True))
    exporter.restart()
    with pytest.raises(Killed):
        exporter.turn()
    exporter.kill()
    clock.advance(5)
    exporter.start()
    exporter.poller.stop(0)
    exporter.turn()

    ending = exporter.standing().ending
    assert ending is not None
    assert (ending.outcome, ending.duration) == (Outcome.INTERRUPTED, 5.0)
    assert (exporter.standing().tally.polls, exporter.standing().tally.failures) == (1, 1)
    assert exporter.operation().next["connectors"].at == clock.wall + pace("acme", 300.0, None) * 300.0
    assert exporter.operation().next["routing_points"] == (clock.wall + 55, Rule.BUSY)


def test_another_exporter_takes_over_from_a_killed_one(exporter, simulator, clock) -> None:
    dying = setup_for(simulator, {"acme": CANARY}, clock, call=killed_after(exporter.setup.call, lambda: True))
    other = Exporter(exporter.folder, clock, dying)
    with pytest.raises(Killed):
        other.turn()
    other.kill()
    for _ in range(900):
        exporter.turn()
        clock.advance(1)

    assert kept(simulator)
    assert exporter.standing().tally.outcomes == {"interrupted": 1, "ok": 2}
    assert simulator.calls[1].started == pytest.approx(simulator.calls[0].started + 60, abs=1)


def test_a_simulated_upstream_is_busy_for_as_long_as_the_setup_says(exporter, simulator, clock) -> None:
    setup = setup_for(simulator, {"acme": CANARY}, clock, limits=Limits(busy=2.0, least=10.0))
    dying = setup_for(
        simulator, {"acme": CANARY}, clock, call=killed_after(setup.call, lambda: True), limits=setup.limits
    )
    other = Exporter(exporter.folder, clock, dying)
    with pytest.raises(Killed):
        other.turn()
    other.kill()
    clock.advance(2)
    exporter.setup = setup
    exporter.restart()
    exporter.turn()

    assert [call.api for call in simulator.calls] == ["connectors", "routing_points", "token_info"]


def test_an_overdue_poll_after_a_long_stop_is_made_at_once(exporter, simulator, clock) -> None:
    exporter.turn()
    exporter.close()
    clock.advance(7200)
    exporter.start()
    exporter.turn()

    assert [call.api for call in simulator.calls[3:]] == ["connectors", "routing_points", "token_info"]


def test_the_judge_itself_would_see_an_early_call(exporter, simulator, clock) -> None:
    exporter.setup.call("0010", "connectors", Secret(CANARY))
    exporter.setup.call("0010", "connectors", Secret(CANARY))

    assert not kept(simulator)


def test_times_are_stored_with_their_boot(books, clock) -> None:
    store = books.open()
    end(store, claimed(store, ask()), clock)

    planned = store.bindings([ask()])[0].planned
    assert planned is not None
    assert planned.finished == Moment(START, "boot-1", 1000.0)
    assert set(INTERVALS) == set(RESTORES)
