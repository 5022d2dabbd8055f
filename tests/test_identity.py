"""Who an operation is: reloads that add, remove, rename, move and re-key it, also while its call is under way."""

from collections.abc import Callable, Mapping
from functools import partial

import pytest
from conftest import CANARY, Exporter, setup_for

from exporter import flights
from exporter.keeper import PAUSE
from exporter.model import ChangeKind, Operation, Outcome, Secret
from exporter.setup import Target
from exporter.store import StoreError


class Reloads(Exporter):
    """An exporter whose configuration is put together anew; its calls wait in `works` while `is_slow`."""

    def __init__(self, folder, clock, simulator) -> None:
        self.simulator, self.is_slow = simulator, False
        self.works: list[Callable[[], None]] = []
        super().__init__(folder, clock, setup_for(simulator, {"acme": CANARY}, clock), self.take)

    def take(self, work) -> None:
        if self.is_slow:
            self.works.append(work)
        else:
            work()

    def reload(self, operations: Mapping[str, tuple[str, str]], **changes) -> None:
        """Operations by name, each with its server and token."""
        targets = tuple(
            Target(Operation(name, server), partial(Secret, token)) for name, (server, token) in operations.items()
        )
        self.setup = setup_for(self.simulator, {}, self.clock, targets=targets, **changes)
        self.poller.configure(self.setup)

    def names(self) -> list[str]:
        return [each.operation.name for each in self.state.operations]

    def later(self, seconds: float = 450.0) -> None:
        self.clock.advance(seconds)
        self.turn()


@pytest.fixture
def running(api, simulator, clock, tmp_path):
    exporter = Reloads(tmp_path / "data", clock, simulator)
    yield exporter
    exporter.close()


@pytest.fixture
def beta(simulator):
    account = simulator.add("beta", token="canary-beta", server="0010", limit=100_000)
    account.connect("telegram", "77", name="Beta's own")
    return account


ACME = {"acme": ("0010", CANARY)}
BETA = {"beta": ("0010", "canary-beta")}


def kept(simulator) -> bool:
    report = simulator.report()
    return (report.early, report.overlapping) == (0, 0)


def test_an_operation_that_is_added_is_polled_at_once(running, beta, simulator) -> None:
    running.turn()
    running.reload(ACME | BETA)
    running.turn()

    assert [call.account for call in simulator.calls] == ["acme"] * 3 + ["beta"] * 3
    assert running.names() == ["acme", "beta"]


def test_an_operation_that_is_removed_is_neither_told_nor_polled(running, beta, simulator) -> None:
    running.reload(ACME | BETA)
    running.turn()
    running.reload(BETA)
    running.later()

    assert running.names() == ["beta"]
    assert simulator.calls[-1].account == "beta"


def test_an_operation_that_comes_back_finds_all_that_was_its_own(running, beta, api) -> None:
    running.turn()
    running.reload(BETA)
    running.turn()
    api.reroute("whatsapp", "12", "6")
    running.reload(ACME | BETA)
    running.later()

    assert [each.kind for each in running.standing().recent] == [ChangeKind.REROUTED]
    assert running.standing().tally.polls == 2


def test_a_rename_takes_counters_snapshot_and_ledger_along(running, simulator) -> None:
    running.turn()
    before = running.standing()
    running.reload({"acme-co": ("0010", CANARY)})
    running.later(100)

    assert running.names() == ["acme-co"]
    assert running.standing("acme-co") == before
    assert len(simulator.calls) == 3


def test_a_renamed_operation_finds_what_changed_since(running, api) -> None:
    running.turn()
    api.rename("whatsapp", "12", "Ventas")
    running.reload({"acme-co": ("0010", CANARY)})
    running.later(700)

    assert [each.after for each in running.standing("acme-co").recent] == ["Ventas"]


def test_a_rename_to_a_former_name_drops_what_that_left(running, beta, simulator) -> None:
    running.reload(ACME | BETA)
    running.turn()
    running.reload(ACME)
    running.turn()
    running.reload({"beta": ("0010", CANARY)})
    running.turn()

    assert {row.name for row in running.standing("beta").snapshot.rows} == {"Sales", "Inbox"}
    assert len(simulator.calls) == 6


def test_a_rotated_token_changes_nothing_but_the_hash(running, api, simulator) -> None:
    running.turn()
    before = running.standing()
    api.add_token("canary-new")
    running.reload({"acme": ("0010", "canary-new")})
    running.later(290)
    early = len(simulator.calls)
    running.later(160)

    assert early == 3
    assert running.standing().snapshot.rows == before.snapshot.rows
    assert running.standing().tally.polls == 2
    assert simulator.calls[-1].token_id == "acme#1"


def test_a_token_that_returns_is_still_bound_by_its_own_calls(running, api, simulator) -> None:
    api.add_token("canary-new")
    running.turn()
    for token in ("canary-new", CANARY, "canary-new", CANARY):
        running.reload({"acme": ("0010", token)})
        running.later(10)

    assert len(simulator.calls) == 3


def test_a_token_that_moves_to_another_operation_is_bound_by_its_own_calls(running, beta, api, simulator) -> None:
    running.turn()
    running.reload({"acme": ("0010", "canary-beta"), "new": ("0010", CANARY)})
    running.later(200)

    assert len(simulator.calls) == 3


def test_a_new_server_is_a_new_baseline_and_the_law_holds(running, api, simulator) -> None:
    running.turn()
    api.replace_connectors([{"channel": "email", "connector_id": "99"}])
    running.reload({"acme": ("0011", CANARY)})
    running.turn()
    moved = running.standing()
    running.later()

    assert (moved.snapshot, moved.tally.polls) == (None, 1)
    assert [row.key for row in running.standing().snapshot.rows] == [("email", "99")]
    assert running.standing().recent == ()
    assert kept(simulator)


def test_a_shorter_interval_counts_from_the_last_call(running, simulator) -> None:
    running.reload(ACME, intervals={"connectors": 3600.0})
    running.turn()
    running.later(1200)
    running.reload(ACME, intervals={"connectors": 600.0})
    running.turn()

    assert [call.api for call in simulator.calls] == ["connectors"] * 2


def test_a_longer_interval_counts_from_the_last_call(running, simulator, clock) -> None:
    running.turn()
    running.reload(ACME, intervals={"connectors": 7200.0})
    running.later(3600)

    assert len(simulator.calls) == 3
    assert running.operation().next["connectors"].at > clock.wall + 3600
    assert running.operation().intervals == {"connectors": 7200.0}


def test_a_list_that_is_switched_off_is_not_asked_and_comes_back_as_it_was(running, simulator, clock) -> None:
    running.turn()
    running.reload(ACME, intervals={"connectors": 300.0})
    running.later(100)
    off = running.operation().standings
    running.reload(ACME)
    running.turn()

    assert set(off) == {"connectors"}
    assert running.standing(listed="routing_points").tally.polls == 1
    assert len(simulator.calls) == 3


def test_a_reload_counts_no_call_twice_and_makes_none_early(running, simulator) -> None:
    for _ in range(30):
        running.reload(ACME)
        running.later(100)

    assert kept(simulator)
    assert running.standing().tally.polls == len([call for call in simulator.calls if call.api == "connectors"])


# A call is under way while the configuration changes: it was asked under the old one.


@pytest.fixture
def flying(running, api):
    """All was polled once, something changed, and the next call of connectors is under way."""
    running.turn()
    api.rename("whatsapp", "12", "Ventas")
    running.is_slow = True
    running.later()
    running.is_slow = False
    return running


def test_a_call_under_way_lands_in_the_operations_new_name(flying) -> None:
    flying.reload({"acme-co": ("0010", CANARY)})
    flying.turn()
    flying.works.pop()()
    flying.turn()

    assert [each.after for each in flying.standing("acme-co").recent] == ["Ventas"]
    assert flying.standing("acme-co").tally.polls == 2


def test_a_call_that_lands_before_the_reload_is_looked_at_keeps_its_change(flying) -> None:
    flying.reload({"acme-co": ("0010", CANARY)})
    flying.works.pop()()
    flying.turn()

    assert [each.after for each in flying.standing("acme-co").recent] == ["Ventas"]


def test_an_end_that_cannot_be_written_before_a_reload_takes_effect_keeps_its_change(flying, monkeypatch) -> None:
    def finish(_):
        raise StoreError("the disk is full")

    flying.works.pop()()
    with monkeypatch.context() as patch:
        patch.setattr(flying.store, "finish", finish)
        flying.reload({"acme": ("0011", CANARY)})
        flying.turn()
    flying.clock.advance(PAUSE)
    flying.turn()

    assert [change.after for _, change in flying.store.changes(0, None, 10)] == ["Ventas"]


def test_a_call_under_way_of_a_removed_operation_is_counted_and_believed_by_nobody(flying, beta) -> None:
    flying.reload(BETA)
    flying.turn()
    flying.works.pop()()
    flying.turn()
    flying.reload(ACME | BETA)
    flying.turn()

    assert flying.standing().tally.polls == 2
    assert {row.name for row in flying.standing().snapshot.rows} == {"Sales", "Inbox"}


def test_an_answer_of_the_old_server_is_no_baseline_for_the_new_one(flying) -> None:
    flying.reload({"acme": ("0011", CANARY)})
    flying.turn()
    flying.works.pop()()
    flying.turn()

    standing = flying.standing()
    assert (standing.snapshot, standing.tally.polls) == (None, 2)
    assert standing.ending.outcome is Outcome.OK


def test_an_answer_of_the_old_server_that_trips_a_bug_is_counted_and_not_kept(flying, monkeypatch) -> None:
    def understand(*_):
        raise ZeroDivisionError

    before = flying.store.answers("acme")
    flying.reload({"acme": ("0011", CANARY)})
    flying.turn()
    monkeypatch.setattr(flights, "understand", understand)
    flying.works.pop()()
    flying.turn()

    assert flying.standing().tally.outcomes == {"ok": 1, "interrupted": 1}
    assert flying.store.answers("acme") == before


def test_a_call_under_way_of_a_list_that_is_switched_off_still_ends(flying, simulator) -> None:
    flying.reload(ACME, intervals={"routing_points": 600.0})
    flying.turn()
    flying.works.pop()()
    flying.later(600)

    assert set(flying.operation().intervals) == {"routing_points"}
    assert [call.api for call in simulator.calls].count("routing_points") == 2


def test_a_token_with_a_call_under_way_is_busy_under_its_new_name_too(flying, simulator) -> None:
    before = len(simulator.calls)
    flying.reload({"acme-co": ("0010", CANARY)})
    flying.later(3000)

    assert len(simulator.calls) == before


def test_a_new_token_waits_for_the_old_ones_call_of_its_list(flying, api, simulator) -> None:
    api.add_token("canary-new")
    flying.reload({"acme": ("0010", "canary-new")})
    flying.turn()
    flying.works.pop()()
    flying.turn()

    assert flying.standing().tally.polls == 2
    assert [each.after for each in flying.standing().recent] == ["Ventas"]
    assert kept(simulator)
