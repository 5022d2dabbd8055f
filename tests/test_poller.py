"""The poller on a real storage against the real simulator, with a clock that is set by hand."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
from conftest import CANARY, INTERVALS, START, Exporter, ask_database, setup_for

from exporter import flights, report
from exporter.board import MANY, TOGETHER
from exporter.encoding import Format
from exporter.keeper import PAUSE
from exporter.lists import LISTS, token_info
from exporter.model import DAY, HOUR, Answer, ChangeKind, Operation, Outcome, Secret
from exporter.page import Renderer
from exporter.schedule import pace
from exporter.setup import Limits, Target
from exporter.state import Rule, State
from exporter.store import StoreError
from exporter.vitals import Vitals

PACE = pace("acme", 1.0, None)
CONNECTORS_ALONE = {"connectors": 300.0}


def page(state: State) -> str:
    return Renderer(LISTS, Vitals()).page(state).body(Format.TEXT, compress=False).decode()


def value(exporter: Exporter, series: str) -> float | None:
    """The value of one series of the page; None where it is not there."""
    start = f"{series} "
    found = [line.removeprefix(start) for line in page(exporter.state).splitlines() if line.startswith(start)]
    return float(found[0]) if found else None


def apis(simulator, since: int = 0) -> list[str]:
    return [call.api for call in simulator.calls[since:]]


def kept(simulator) -> bool:
    report = simulator.report()
    return (report.early, report.overlapping) == (0, 0)


def alone(exporter: Exporter, intervals: Mapping[str, float] = CONNECTORS_ALONE, **changes) -> Exporter:
    """The exporter with these lists only."""
    exporter.setup = setup_for_acme(exporter, intervals=intervals, **changes)
    exporter.restart()
    return exporter


def setup_for_acme(exporter: Exporter, **changes):
    fields = {name: getattr(exporter.setup, name) for name in ("targets", "lists", "call", "trust", "limits")}
    return exporter.setup.__class__(**fields | changes)


def due(exporter: Exporter, listed: str = "connectors") -> float:
    """Seconds until the list is planned next."""
    planned: float = exporter.operation().next[listed].at
    return planned - exporter.clock.wall


def poll(exporter: Exporter, listed: str = "connectors") -> None:
    """Goes to the list's next time and polls it."""
    exporter.clock.advance(due(exporter, listed) + 0.001)
    exporter.turn()


def test_the_first_turn_polls_every_list_connectors_first(exporter, simulator) -> None:
    exporter.turn()

    assert apis(simulator) == ["connectors", "routing_points", "token_info"]


def test_a_restart_does_not_call_early(exporter, simulator, clock) -> None:
    exporter.turn()
    clock.advance(60)
    exporter.restart()
    exporter.turn()

    assert len(simulator.calls) == 3


def test_a_day_is_polled_within_the_law(exporter, simulator, clock) -> None:
    exporter.turns(86400)

    report = simulator.report()
    assert (report.early, report.overlapping, report.refused) == (0, 0, 0)
    assert 440 < report.calls <= 288 + 144 + 24


# When a list is polled next.


def test_a_first_poll_is_followed_later_by_the_phase_of_the_name(exporter) -> None:
    exporter.turn()

    assert due(exporter) == pytest.approx(300 * PACE)
    assert due(exporter, "token_info") == pytest.approx(3600 * PACE)
    assert 1 < PACE < 1.5


def test_a_poll_in_time_is_followed_after_one_interval(exporter) -> None:
    alone(exporter).turn()
    poll(exporter)

    assert due(exporter) == pytest.approx(300)


def test_an_overdue_poll_is_followed_later_by_the_phase(exporter, clock) -> None:
    alone(exporter).turn()
    clock.advance(3600)
    exporter.turn()

    assert due(exporter) == pytest.approx(300 * PACE)


def test_the_plan_survives_a_restart(exporter, clock) -> None:
    exporter.turn()
    before = exporter.operation().next
    clock.advance(100)
    exporter.restart()
    exporter.turn()

    assert {name: each.at for name, each in exporter.operation().next.items()} == pytest.approx(
        {name: each.at for name, each in before.items()}
    )


def test_the_interval_counts_from_the_end_of_the_call(exporter, clock) -> None:
    works: list[Callable[[], None]] = []
    exporter.run = works.append
    alone(exporter).turn()
    clock.advance(40)
    works.pop()()
    exporter.turn()

    assert due(exporter) == pytest.approx(300 * PACE)


def test_a_turn_says_when_there_is_work_again(exporter) -> None:
    wait = alone(exporter).turn()

    assert wait == pytest.approx(300 * PACE)


def test_a_turn_with_nothing_to_do_looks_again_within_a_second(simulator, clock, tmp_path) -> None:
    exporter = Exporter(tmp_path / "data", clock, setup_for(simulator, {}, clock))

    assert exporter.turn() <= 1.0


def test_a_state_is_told_once_and_not_again_while_nothing_changes(exporter, clock) -> None:
    exporter.turn()
    told = len(exporter.states)
    clock.advance(1)
    exporter.turn()

    assert len(exporter.states) == told


def test_an_operation_of_which_nothing_is_new_is_told_as_the_same_object(simulator, clock, tmp_path) -> None:
    exporter = Exporter(tmp_path / "data", clock, crowd(simulator, clock, 2))
    exporter.turn()
    clock.advance(300 * min(pace(name, 1.0, None) for name in ("op-00", "op-01")) + 0.01)
    exporter.turn()

    same = [old is new for old, new in zip(exporter.states[-2].operations, exporter.state.operations, strict=True)]
    assert sorted(same) == [False, True]


# Failures: they keep what was known, and are told.


@pytest.mark.parametrize(
    "scenario", ["server_error_500", "html", "maintenance", "reset_at_once", "redirect_other_host"]
)
def test_a_failure_keeps_the_snapshot_and_its_age(exporter, api, scenario) -> None:
    alone(exporter).turn()
    success = value(exporter, 'wolkvox_poll_last_success_timestamp_seconds{list="connectors",operation="acme"}')
    api.play(scenario)
    poll(exporter)

    series = 'wolkvox_poll_last_success_timestamp_seconds{list="connectors",operation="acme"}'
    assert value(exporter, series) == success == START
    assert value(exporter, 'wolkvox_up{operation="acme"}') == 0
    assert value(exporter, 'wolkvox_connectors{channel="whatsapp",operation="acme",rp_id="5"}') == 1


def test_the_next_answer_recovers(exporter, api, clock) -> None:
    alone(exporter).turn()
    api.play("server_error_500", times=1)
    poll(exporter)
    poll(exporter)

    assert value(exporter, 'wolkvox_up{operation="acme"}') == 1
    assert exporter.standing().snapshot.at == clock.wall
    assert exporter.standing().tally.failures == 1


def test_before_the_first_poll_nothing_is_up_or_down(exporter) -> None:
    exporter.run = lambda work: None
    exporter.restart()
    exporter.turn()

    assert value(exporter, 'wolkvox_up{operation="acme"}') is None
    assert value(exporter, 'wolkvox_polls_total{list="connectors",operation="acme"}') == 0


@pytest.mark.parametrize("scenario", ["empty_404", "empty_200"])
def test_no_records_is_no_failure_and_is_held(exporter, api, scenario) -> None:
    alone(exporter).turn()
    api.play(scenario, times=1)
    poll(exporter)

    assert value(exporter, 'wolkvox_up{operation="acme"}') == 1
    assert value(exporter, 'wolkvox_snapshot_suspect{list="connectors",operation="acme"}') == 1
    assert exporter.standing().snapshot.at == START
    assert exporter.standing().tally.failures == 0


def test_a_second_empty_answer_is_believed(exporter, api) -> None:
    alone(exporter).turn()
    api.play("empty_404")
    poll(exporter)
    exporter.restart()
    exporter.turn()
    poll(exporter)

    assert exporter.standing().snapshot.rows == ()
    assert [each.kind for each in exporter.standing().recent] == [ChangeKind.REMOVED] * 2


def test_counters_never_fall_over_restarts(exporter, api, clock) -> None:
    seen: Counter[str] = Counter()
    for number in range(24):
        api.play("server_error_500" if number % 3 == 0 else None)
        clock.advance(500)
        exporter.restart()
        exporter.turn()
        lines = [line.rpartition(" ") for line in page(exporter.state).splitlines() if "_total{" in line]
        told = Counter({name: int(float(text)) for name, _, text in lines})
        assert not seen - told
        seen = told

    assert seen['wolkvox_polls_total{list="connectors",operation="acme"}'] == 24
    assert seen['wolkvox_poll_failures_total{list="connectors",operation="acme"}'] == 8


def test_what_changed_while_the_exporter_was_down_is_found(exporter, api, clock) -> None:
    exporter.turn()
    exporter.close()
    api.reroute("whatsapp", "12", "6")
    clock.advance(3600)
    exporter.start()
    exporter.turn()

    (found,) = exporter.standing().recent
    assert (found.kind, found.before, found.after) == (ChangeKind.REROUTED, "5", "6")
    assert (found.before_name, found.after_name) == ("Main menu", "Night desk")


def test_changes_older_than_the_retention_are_dropped_from_the_journal(exporter, api, clock) -> None:
    alone(exporter).turn()
    api.rename("whatsapp", "12", "Ventas")
    poll(exporter)
    clock.advance(91 * DAY)
    exporter.turn()

    assert ask_database(exporter.folder, "SELECT count(*) FROM change") == [(0,)]


# Rests.


def test_a_first_rejection_costs_nothing_but_its_interval(exporter, api) -> None:
    alone(exporter).turn()
    api.play("validate_token", times=1)
    poll(exporter)

    assert due(exporter) == pytest.approx(300)


def test_a_second_rejection_in_a_row_leaves_one_trial_of_connectors_an_hour(exporter, api, simulator, clock) -> None:
    exporter.turn()
    api.play("validate_token")
    before = len(simulator.calls)
    exporter.turns(6 * HOUR)

    calls = simulator.calls[before:]
    trials = [call.started for call in calls[-5:]]
    assert len(calls) in range(7, 10)
    assert {call.api for call in calls[-5:]} == {"connectors"}
    assert [round(later - earlier) for earlier, later in pairwise(trials)] == [3600] * 4


def test_a_rejected_tokens_rest_survives_a_restart(exporter, api, simulator, clock) -> None:
    alone(exporter).turn()
    api.play("no_token_401")
    poll(exporter)
    poll(exporter)
    clock.advance(3500)
    exporter.restart()
    exporter.turn()

    assert len(simulator.calls) == 3
    assert exporter.operation().next["connectors"].rule is Rule.REST
    assert due(exporter) == pytest.approx(100, abs=0.01)


def test_a_trial_that_succeeds_ends_the_rest_for_all_lists(exporter, api, simulator, clock) -> None:
    exporter.turn()
    api.play("validate_token", times=2)
    exporter.turns(2 * HOUR)

    assert exporter.operation().next["connectors"].rule is Rule.INTERVAL
    assert due(exporter) <= 450
    assert set(apis(simulator, 5)) == set(INTERVALS)
    assert kept(simulator)


def test_another_failure_neither_confirms_nor_ends_a_rejection(exporter, api) -> None:
    alone(exporter).turn()
    api.play("validate_token", times=2)
    poll(exporter)
    poll(exporter)
    api.play("server_error_500")
    poll(exporter)

    assert due(exporter) == pytest.approx(3600)


def test_a_new_secret_ends_a_rejected_tokens_rest_at_the_next_legal_second(api, simulator, clock, tmp_path) -> None:
    secrets = {"acme": CANARY}
    setup = setup_for(simulator, secrets, clock, intervals=CONNECTORS_ALONE)
    exporter = Exporter(tmp_path / "data", clock, setup)
    api.revoke(CANARY)
    exporter.turn()
    poll(exporter)
    api.add_token("canary-new")
    secrets["acme"] = "canary-new"
    clock.advance(10)
    exporter.turn()

    assert due(exporter) == pytest.approx(290)


def test_an_exhausted_quota_doubles_its_rest_up_to_an_hour(exporter, api) -> None:
    alone(exporter).turn()
    api.play("quota")
    rests = []
    for _ in range(6):
        poll(exporter)
        rests.append(round(due(exporter)))

    assert rests == [300, 600, 1200, 2400, 3600, 3600]


def test_a_quota_that_is_there_again_ends_the_doubling(exporter, api) -> None:
    alone(exporter).turn()
    api.play("quota", times=3)
    for _ in range(4):
        poll(exporter)

    assert due(exporter) in (pytest.approx(300), pytest.approx(300 * PACE))


@pytest.mark.parametrize(("asked", "rest"), [(10.0, 600), (1800.0, 1800), (1e9, 86400)])
@pytest.mark.parametrize("scenario", ["throttled", "throttled_date"])
def test_a_throttled_token_rests_as_long_as_it_was_asked(exporter, api, clock, scenario, asked, rest) -> None:
    alone(exporter).turn()
    api.play(scenario, seconds=min(asked, 1e8))
    poll(exporter)

    assert due(exporter) == pytest.approx(rest, abs=1)
    assert exporter.standing().ending.outcome is Outcome.THROTTLED


def test_a_rest_is_kept_by_every_list_of_the_token(exporter, api, simulator, clock) -> None:
    exporter.turn()
    api.play("throttled", api="connectors", times=1, seconds=7200)
    poll(exporter)
    before = len(simulator.calls)
    exporter.turns(7190)

    assert len(simulator.calls) == before


def test_an_unknown_optional_list_rests_for_a_day(exporter, api, clock) -> None:
    exporter.turn()
    api.play("unknown_api", api="routing_points")
    poll(exporter, "routing_points")

    assert due(exporter, "routing_points") == pytest.approx(86400)
    assert due(exporter) < 450


def test_unknown_connectors_keep_their_interval(exporter, api) -> None:
    alone(exporter).turn()
    api.play("unknown_api")
    poll(exporter)

    assert exporter.standing().ending.outcome is Outcome.UNKNOWN_LIST
    assert due(exporter) == pytest.approx(300)


# The reserve.


def test_only_token_info_is_asked_once_the_reserve_is_all_that_is_left(exporter, api, simulator, clock) -> None:
    api.limit = 150
    api.spend(60)
    exporter.turn()
    before = len(simulator.calls)
    exporter.turns(4 * HOUR)

    assert set(apis(simulator, before)) == {"token_info"}
    assert len(simulator.calls) - before in (2, 3)
    assert exporter.operation().reserved
    assert set(exporter.operation().next) == {"token_info"}


def test_polling_goes_on_when_the_counter_falls(exporter, api, simulator) -> None:
    api.limit = 150
    api.spend(60)
    exporter.turns(2 * HOUR)
    simulator.new_day()
    before = len(simulator.calls)
    exporter.turns(2 * HOUR)

    assert not exporter.operation().reserved
    assert apis(simulator, before).count("connectors") > 5
    assert exporter.standing(listed="token_info").memory.fell_at is not None
    assert kept(simulator)


def test_the_reserve_is_reached_by_our_own_calls(exporter, api, simulator) -> None:
    api.limit = 100 + 10
    exporter.turns(HOUR)

    assert exporter.operation().reserved
    assert len(simulator.calls) == 10


def test_a_glimpse_at_the_token_takes_an_hour_at_least(exporter, api, clock) -> None:
    alone(exporter, {"connectors": 300.0, "token_info": 300.0})
    api.limit = 50
    exporter.turn()

    assert due(exporter, "token_info") == pytest.approx(3600 * PACE)
    poll(exporter, "token_info")
    assert due(exporter, "token_info") == pytest.approx(3600)


def test_a_reserve_of_zero_reserves_nothing(exporter, api, simulator) -> None:
    alone(exporter, INTERVALS, limits=Limits(reserve=0))
    api.limit = 4
    exporter.turns(HOUR)

    assert len(simulator.calls) > 5
    assert not exporter.operation().reserved


def test_remaining_is_the_safe_reading_less_our_calls_since(exporter, api, simulator) -> None:
    api.limit = 1000
    api.spend(200)
    exporter.turns(1800)

    since = len(simulator.calls) - 3
    assert since > 3
    assert value(exporter, 'wolkvox_token_calls_remaining{operation="acme"}') == 1000 - 203 - since


def test_the_calls_since_are_counted_over_a_restart(exporter, api) -> None:
    exporter.turns(1800)
    before = value(exporter, 'wolkvox_token_calls_remaining{operation="acme"}')
    exporter.restart()
    exporter.turn()

    assert value(exporter, 'wolkvox_token_calls_remaining{operation="acme"}') == before


# Unknown routing points.


def test_an_unknown_routing_point_is_asked_for_five_minutes_after_the_lists_last_call(exporter, api, simulator) -> None:
    alone(exporter, {"connectors": 300.0, "routing_points": 7200.0}).turn()
    api.reroute("whatsapp", "12", "7")
    poll(exporter)
    exporter.turns(2)

    assert apis(simulator, 2) == ["connectors", "routing_points"]
    assert exporter.standing(listed="routing_points").ending.finished - START >= 300
    assert kept(simulator)


def test_a_routing_point_that_stays_unknown_is_asked_for_once(exporter, api, simulator) -> None:
    alone(exporter, {"connectors": 300.0, "routing_points": 86400.0}).turn()
    api.reroute("whatsapp", "12", "7")
    exporter.turns(2 * HOUR)

    assert apis(simulator).count("routing_points") == 2


def test_each_new_unknown_routing_point_is_asked_for(exporter, api, simulator) -> None:
    alone(exporter, {"connectors": 300.0, "routing_points": 86400.0}).turn()
    for rp_id in ("7", "8", "9"):
        api.reroute("whatsapp", "12", rp_id)
        exporter.turns(HOUR)

    assert apis(simulator).count("routing_points") == 4
    assert kept(simulator)


def test_a_question_is_not_repeated_after_a_reload(exporter, api, simulator) -> None:
    alone(exporter, {"connectors": 300.0, "routing_points": 86400.0}).turn()
    api.reroute("whatsapp", "12", "7")
    exporter.turns(HOUR)
    exporter.poller.configure(exporter.setup)
    exporter.turns(HOUR)

    assert apis(simulator).count("routing_points") == 2


# Many operations, in threads.


def crowd(simulator, clock, count: int, servers: int = 1, **changes):
    """A setup of so many operations, spread over servers, that polls connectors alone."""
    targets = []
    for number in range(count):
        account = simulator.add(f"op-{number:02}", token=f"canary-{number}", server="0010")
        account.connect("whatsapp", "1", name="Line")
        operation = Operation(account.name, f"00{number % servers:02}")
        targets.append(Target(operation, partial(Secret, f"canary-{number}")))
    return setup_for(simulator, {}, clock, targets=tuple(targets), intervals=CONNECTORS_ALONE, **changes)


class Gate:
    """Calls that wait until they are let go, and count how many were under way at once."""

    def __init__(self, call) -> None:
        self.call, self.open = call, threading.Event()
        self.guard = threading.Lock()
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.threads: list[threading.Thread] = []

    def __call__(self, server, name, token):
        with self.guard:
            self.now += Counter([server, "all"])
            self.most |= self.now
        self.open.wait(10)
        with self.guard:
            self.now -= Counter([server, "all"])
        return self.call(server, name, token)

    def run(self, work) -> None:
        thread = threading.Thread(target=work)
        self.threads.append(thread)
        thread.start()

    def join(self) -> None:
        self.open.set()
        while self.threads:
            self.threads.pop().join()


class Gated(Exporter):
    """An exporter whose calls wait at a gate."""

    gate: Gate


@pytest.fixture
def gated(simulator, clock, tmp_path):
    """20 operations on 4 servers, with room for 6 calls at the same time."""
    setup = crowd(simulator, clock, 20, servers=4, limits=Limits(concurrency=6))
    gate = Gate(setup.call)
    setup = crowd_with(setup, gate)
    exporter = Gated(tmp_path / "data", clock, setup, gate.run)
    exporter.gate = gate
    yield exporter
    gate.join()
    exporter.close()


def crowd_with(setup, call):
    fields = {name: getattr(setup, name) for name in ("targets", "lists", "intervals", "trust", "limits")}
    return setup.__class__(**fields, call=call)


@pytest.mark.parametrize(("count", "grain"), [(MANY, 3.0), (MANY - 1, 0.0)])
def test_many_operations_are_polled_in_groups_and_never_early(simulator, clock, tmp_path, count, grain) -> None:
    exporter = Exporter(tmp_path / "data", clock, crowd(simulator, clock, count))
    exporter.turn()

    dues = [each.next["connectors"].at - clock.wall + clock.uptime for each in exporter.state.operations]
    apart = [due % 3.0 for due in dues]
    clock.advance(7.7)
    asked = exporter.poller.hurry("op-00", "connectors")
    exporter.turns(1200)
    exporter.close()

    assert len(dues) == count
    assert asked.seconds == pytest.approx(300 - 7.7)  # who asks for a poll does not wait for others
    assert all(min(each, 3.0 - each) < 1e-4 for each in apart) == (grain > 0)
    assert len(set(map(round, dues))) > count // 4
    assert kept(simulator)
    assert len(simulator.calls) >= 3 * count


def test_calls_at_the_same_time_stay_within_the_limits(gated) -> None:
    gated.turn()
    gated.turn()

    assert len(gated.gate.threads) == 6
    assert max(number for server, number in gated.gate.most.items() if server != "all") <= 3


def test_half_of_the_calls_go_to_one_server_at_most(simulator, clock, tmp_path) -> None:
    setup = crowd(simulator, clock, 12, servers=1, limits=Limits(concurrency=6))
    works: list[Callable[[], None]] = []
    exporter = Exporter(tmp_path / "data", clock, setup, works.append)
    exporter.turn()

    assert len(works) == 3


def test_every_operation_gets_its_turn(gated, simulator, clock) -> None:
    gated.gate.open.set()
    while len(simulator.calls) < 20:
        gated.turn()
        gated.gate.join()

    assert {call.account for call in simulator.calls} == {f"op-{number:02}" for number in range(20)}
    assert kept(simulator)


def test_one_call_at_a_time_per_token(exporter, simulator) -> None:
    works: list[Callable[[], None]] = []
    exporter.run = works.append
    exporter.restart()
    exporter.turn()
    exporter.turn()

    assert len(works) == 1


def test_a_hung_server_starves_no_other(simulator, clock, tmp_path) -> None:
    setup = crowd(simulator, clock, 12, servers=2, limits=Limits(concurrency=4))
    for number in range(0, 12, 2):
        simulator.accounts[f"op-{number:02}"].play("hang", seconds=60)
    gate = Gate(setup.call)
    gate.open.set()
    exporter = Exporter(tmp_path / "data", clock, setup, gate.run)
    healthy = {f"op-{number:02}" for number in range(1, 12, 2)}
    while not healthy <= {call.account for call in simulator.calls if call.ended}:
        exporter.turn()
    hung = [call for call in simulator.calls if call.ended is None]

    assert 1 <= len(hung) <= 2
    assert not exporter.poller.stop(0)
    assert exporter.poller.stop(10)
    gate.join()
    exporter.turn()
    assert exporter.standing(next(call.account for call in hung)).ending.outcome is Outcome.TIMEOUT
    exporter.close()


def test_more_operations_than_are_read_at_once_stand_after_a_restart_as_before(simulator, clock, tmp_path) -> None:
    exporter = Exporter(tmp_path / "data", clock, crowd(simulator, clock, TOGETHER + 1))
    exporter.turn()
    before = exporter.state.operations
    exporter.restart()
    exporter.turn()

    assert len(before) == TOGETHER + 1
    assert exporter.state.operations == before


def test_a_bug_in_one_call_harms_no_other_and_not_the_page(simulator, clock, tmp_path, quiet_log) -> None:
    setup = crowd(simulator, clock, 3)

    def call(server, name, token):
        if token == Secret("canary-1"):
            raise ZeroDivisionError
        return setup.call(server, name, token)

    exporter = Exporter(tmp_path / "data", clock, crowd_with(setup, call))
    exporter.turn()

    endings = [exporter.standing(f"op-0{number}").ending.outcome for number in range(3)]
    assert endings == [Outcome.OK, Outcome.INTERRUPTED, Outcome.OK]
    assert value(exporter, 'wolkvox_up{operation="op-01"}') == 0
    assert "call failed unexpectedly" in [event["event"] for event in quiet_log]


def test_a_bug_in_understanding_an_answer_is_a_spent_call(exporter, quiet_log) -> None:
    answer = Answer(Outcome.OK, 200, "200", records=None, body=b"{}")  # type: ignore[arg-type]
    alone(exporter, call=lambda *_: answer).turn()

    assert exporter.standing().ending.outcome is Outcome.INTERRUPTED
    assert "answer not understood" in [event["event"] for event in quiet_log]
    assert due(exporter) == pytest.approx(300 * PACE)
    (kept_answer,) = exporter.store.answers("acme")
    assert (kept_answer.outcome, kept_answer.body) == (Outcome.INTERRUPTED, "{}")


def test_what_an_answer_demands_binds_though_it_trips_a_bug(exporter, monkeypatch) -> None:
    def record(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(flights, "recorded", record)
    answer = Answer(Outcome.THROTTLED, 429, retry_after=5000.0)
    alone(exporter, call=lambda *_: answer).turn()

    assert exporter.standing().tally.outcomes == {"interrupted": 1}
    assert due(exporter) == 5000.0
    assert not exporter.poller.is_busy
    assert exporter.store.answers("acme") == []


def test_an_end_that_cannot_be_written_for_a_bug_is_spent_and_harms_no_other(
    simulator, clock, tmp_path, quiet_log
) -> None:
    setup = crowd(simulator, clock, 3)

    def call(server, name, token):
        answer = setup.call(server, name, token)
        broken = ({"channel": "sms", "connector_id": "1", "name": "\ud800"},)
        return replace(answer, records=broken) if token == Secret("canary-1") else answer

    exporter = Exporter(tmp_path / "data", clock, crowd_with(setup, call))
    exporter.turn()

    endings = [exporter.standing(f"op-0{number}").ending.outcome for number in range(3)]
    assert endings == [Outcome.OK, Outcome.INTERRUPTED, Outcome.OK]
    assert [event["operation"] for event in quiet_log if event["event"] == "answer not understood"] == ["op-01"]
    exporter.close()


def broken_once(finish, *, parts: Callable[[int], Exception | None] = lambda _: None):
    """A store's `finish` that trips a bug the first time; `parts` says what happens at each use after that."""
    uses = iter(range(100))

    def end(ends):
        use = next(uses)
        trouble = ZeroDivisionError() if use == 0 else parts(use)
        if trouble is not None:
            raise trouble
        return finish(ends)

    return end


def test_ends_that_are_tried_alone_are_kept_from_the_first_that_the_storage_refuses(
    simulator, clock, tmp_path, monkeypatch
) -> None:
    exporter = Exporter(tmp_path / "data", clock, crowd(simulator, clock, 3))
    refused: list[int] = []

    def parts(use: int) -> Exception | None:
        if use == 2:
            refused.append(use)
            return StoreError("the disk is full")
        return None

    monkeypatch.setattr(exporter.store, "finish", broken_once(exporter.store.finish, parts=parts))
    exporter.turn()
    written = ask_database(exporter.folder, "SELECT operation FROM call WHERE outcome = 'ok'")
    clock.advance(PAUSE)
    exporter.turn()

    assert (written, refused) == ([("op-00",)], [2])
    assert [exporter.standing(f"op-0{number}").tally.polls for number in range(3)] == [1, 1, 1]
    assert kept(simulator)
    exporter.close()


def test_what_cannot_be_written_at_all_is_given_up_and_polled_again(exporter, simulator, monkeypatch) -> None:
    def bug(use: int) -> Exception | None:
        return ZeroDivisionError() if use < 4 else None

    alone(exporter)
    monkeypatch.setattr(exporter.store, "finish", broken_once(exporter.store.finish, parts=bug))
    exporter.turn()
    is_busy = exporter.poller.is_busy
    exporter.turns(400)

    assert not is_busy
    assert exporter.standing().tally.outcomes == {"interrupted": 1, "ok": 1}
    assert len(simulator.calls) == 2
    assert kept(simulator)


def test_a_bug_after_the_ends_are_written_costs_no_more_than_a_line_of_the_log(
    exporter, monkeypatch, quiet_log
) -> None:
    def ended(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(report, "ended", ended)
    alone(exporter).turn()
    exporter.turn()

    assert exporter.standing().ending.outcome is Outcome.OK
    assert not exporter.poller.is_busy
    assert [event["event"] for event in quiet_log if "exc_info" in event] == ["ends not taken in, all is read anew"]


def test_a_wait_too_short_to_move_the_clock_does_not_keep_the_turn(exporter, clock, monkeypatch) -> None:
    began = next(each / 7 for each in range(7000, 9000) if 300.0 - (each / 7 + 300.0 - each / 7) > 0)
    clock.uptime = began
    alone(exporter).turn()
    exporter.poller.hurry("acme", "connectors")
    clock.uptime = began + 300.0
    claims: list[int] = []
    claim = exporter.store.claim

    def counted(asks):
        claims.append(len(asks))
        assert len(claims) < 10
        return claim(asks)

    monkeypatch.setattr(exporter.store, "claim", counted)
    exporter.turn()

    assert claims == [1]


def test_answers_are_not_written_while_others_of_their_turn_are_on_their_way(simulator, clock, tmp_path) -> None:
    works: list[Callable[[], None]] = []

    def run(work) -> None:
        works.append(work)
        if len(works) == 1:
            work()

    exporter = Exporter(tmp_path / "data", clock, crowd(simulator, clock, 2), run)
    exporter.turn()
    first = [exporter.standing(name).ending for name in ("op-00", "op-01")]
    works[1]()
    exporter.turn()

    assert first == [None, None]
    assert [exporter.standing(name).tally.polls for name in ("op-00", "op-01")] == [1, 1]
    exporter.close()


def test_an_answer_waits_for_no_other_beyond_its_turn(simulator, clock, tmp_path) -> None:
    works: list[Callable[[], None]] = []
    exporter = Exporter(tmp_path / "data", clock, crowd(simulator, clock, 2), works.append)
    exporter.turn()
    works[0]()
    is_waiting = exporter.poller.is_waiting
    exporter.turn()

    assert is_waiting
    assert exporter.standing("op-00").ending.outcome is Outcome.OK
    assert exporter.poller.is_busy
    works[1]()
    assert not exporter.poller.is_waiting
    exporter.close()


def test_calls_that_are_due_together_are_written_together(simulator, clock, tmp_path, monkeypatch) -> None:
    exporter = Exporter(tmp_path / "data", clock, crowd(simulator, clock, 20, limits=Limits(concurrency=32)))
    sizes: list[tuple[str, int]] = []

    def counting(name: str):
        work = getattr(exporter.store, name)

        def count(some):
            sizes.append((name, len(some)))
            return work(some)

        monkeypatch.setattr(exporter.store, name, count)

    counting("claim")
    counting("finish")
    exporter.turn()

    assert sizes == [("claim", 16), ("finish", 16), ("claim", 4), ("finish", 4)]
    assert kept(simulator)
    exporter.close()


def test_a_value_that_sqlite_refuses_harms_no_other(simulator, clock, tmp_path) -> None:
    setup = crowd(simulator, clock, 3)

    def call(server, name, token):
        answer = setup.call(server, name, token)
        return replace(answer, duration=float("nan")) if token == Secret("canary-1") else answer

    exporter = Exporter(tmp_path / "data", clock, crowd_with(setup, call))
    exporter.turns(HOUR)

    assert exporter.state.storage_healthy
    assert [exporter.standing(f"op-0{number}").ending.outcome for number in (0, 2)] == [Outcome.OK] * 2
    assert exporter.standing("op-01").ending.outcome is Outcome.INTERRUPTED
    assert kept(simulator)
    exporter.close()


def test_a_call_that_began_although_its_thread_could_not_be_started_lands_once(simulator, clock, tmp_path) -> None:
    works: list[Callable[[], None]] = []

    def run(work) -> None:
        works.append(work)
        if len(works) == 1:
            raise MemoryError

    exporter = Exporter(tmp_path / "data", clock, crowd(simulator, clock, 3), run)
    exporter.turn()
    for work in works:
        work()
    exporter.turn()

    assert not exporter.poller.is_busy
    assert [exporter.standing(f"op-0{number}").ending.outcome for number in range(3)] == [
        Outcome.INTERRUPTED,
        Outcome.OK,
        Outcome.OK,
    ]
    exporter.close()


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()])
def test_a_thread_that_cannot_be_started_is_a_spent_call(exporter, simulator, error) -> None:
    def run(work) -> None:
        raise error

    exporter.run = run
    alone(exporter).turn()
    exporter.turn()

    assert exporter.standing().ending.outcome is Outcome.INTERRUPTED
    assert simulator.calls == []
    assert exporter.poller.stop(0)


def test_nothing_is_claimed_after_stop(exporter, simulator) -> None:
    assert exporter.poller.stop(0)

    exporter.turn()
    assert simulator.calls == []


def test_stop_waits_for_the_calls_under_way_and_writes_their_ends(gated) -> None:
    gated.turn()
    early = gated.poller.stop(0)
    gated.gate.open.set()

    assert not early
    assert gated.poller.stop(10)
    assert ask_database(gated.folder, "SELECT count(*), sum(outcome = 'ok') FROM call") == [(6, 6)]


def test_stop_ends_though_nothing_can_be_written(gated, monkeypatch) -> None:
    tries: list[int] = []

    def finish(ends):
        tries.append(len(ends))
        raise StoreError("the disk is full")

    gated.turn()
    monkeypatch.setattr(gated.store, "finish", finish)
    gated.gate.open.set()

    assert not gated.poller.stop(1)
    assert len(tries) == 1


def test_a_landing_wakes_the_loop(exporter) -> None:
    exporter.turn()

    assert len(exporter.rung) == 3


# What is said.


def test_while_a_reload_waits_for_the_storage_nothing_is_told_anew(exporter, monkeypatch, clock) -> None:
    exporter.turn()

    def failing(_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(exporter.store, "adopt", failing)
    exporter.poller.configure(exporter.setup)
    for _ in range(3):
        exporter.turn()
        clock.advance(PAUSE)

    *_, before, last = exporter.states
    assert before is not last
    assert before.operations[0] is last.operations[0]


def test_a_failed_poll_is_one_line_with_what_came_and_when_it_goes_on(exporter, api, clock, quiet_log) -> None:
    alone(exporter).turn()
    api.play("maintenance")
    poll(exporter)

    (event,) = [event for event in quiet_log if event["event"] == "poll failed"]
    assert (event["operation"], event["list"], event["outcome"], event["status"]) == (
        "acme",
        "connectors",
        "forbidden",
        403,
    )
    assert event["next"] == round(clock.wall + 300)


def test_a_held_answer_and_rejected_rows_are_said(exporter, api, quiet_log) -> None:
    alone(exporter).turn()
    api.play("empty_404", times=1)
    poll(exporter)
    api.play("rejected_rows", times=1)
    poll(exporter)

    events = [event["event"] for event in quiet_log]
    assert "answer held back until the next one agrees" in events
    assert "rows rejected, none is taken as removed" in events


def test_no_token_is_on_any_page(exporter, api) -> None:
    for scenario in ("validate_token", "server_error_500", None):
        api.play(scenario)
        exporter.clock.advance(5000)
        exporter.turn()

    assert all(CANARY not in page(state) for state in exporter.states)
    assert "wolkvox_up" in page(exporter.state)
    assert token_info.NAME in LISTS
