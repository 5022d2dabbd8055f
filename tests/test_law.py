"""The law under everything that may happen to two exporters on one storage, by random walks.

The machine of `law.py` judges by a model of its own; the walk below it makes its calls to the simulator, which judges
by what comes over the socket. `make soak` lets the machine run for 100,000 steps.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import CANARY, FakeClock, Killed, setup_for
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from law import SHORT_LIVED, Call, Court, Law, Mortal, falls, settings_for

from exporter.model import Answer, Outcome
from exporter.simulator import Simulator
from exporter.state import Tally
from exporter.store import Store


def test_no_call_is_early_or_second_and_no_counter_falls_whatever_happens() -> None:
    Law.steps = Law.calls = 0
    run_state_machine_as_test(Law, settings=settings_for(steps=4000))

    assert Law.steps >= 2000
    assert Law.calls >= Law.steps / 4


def call(began: float, listed: str = "connectors", operation: str = "acme", token: str = CANARY) -> Call:
    return Call(token, operation, listed, 300.0, began, era=0)


@pytest.mark.parametrize(
    ("answer", "second", "law"),
    [
        (Answer(Outcome.OK), call(299), "early by token"),
        (Answer(Outcome.OK), call(299, operation="beta"), "early by token"),
        (Answer(Outcome.OK), call(299, token="u"), "early by operation"),
        (Answer(Outcome.TIMEOUT, whole=False), call(59, "routing_points"), "token busy"),
        (Answer(Outcome.TIMEOUT, whole=False), call(359), "early by token"),
        (Answer(Outcome.THROTTLED, retry_after=900.0), call(899, "routing_points"), "token rests"),
        (Answer(Outcome.QUOTA_EXHAUSTED), call(299, "routing_points"), "token rests"),
        (Answer(Outcome.UNKNOWN_LIST), call(86399, "token_info"), "list rests"),
    ],
)
def test_the_court_would_see(answer, second, law) -> None:
    court = Court()
    court.ends(court.begins(call(0, "token_info" if law == "list rests" else "connectors")), 0, answer)
    court.begins(second)

    assert law in court.breaches[0]


def test_the_court_would_see_a_second_call_at_once() -> None:
    court = Court()
    court.begins(call(0))
    court.begins(call(1000, "routing_points"))

    assert "token busy" in court.breaches[0]


def test_the_court_would_see_a_fallen_counter() -> None:
    assert list(falls(Tally(polls=2, outcomes={"ok": 1}), Tally(polls=1))) == ["polls : 2 to 1", "outcomes ok: 1 to 0"]


@pytest.fixture
def machine():
    """The machine, to be led by hand; what is legal it calls at once."""
    made = Law()
    made.begin(eager=True)
    yield made
    made.teardown()


def test_what_an_answer_demands_holds_in_the_successor_of_a_lost_database(machine) -> None:
    """The successor has another key for its hashes: the rest of a token was filed under one that nobody knew."""
    machine.turn_slowly(0.0, 0)
    machine.mood(["throttled for long"])
    machine.lose(lambda *choices: choices[0])
    machine.turn(1.0, 1)
    slow = machine.under_way.pop()
    machine.lands(slow, machine.answer("connectors"))
    machine.turn(400.0, 1)
    machine.turn(100.0, 0)

    machine.law_is_kept()


@pytest.mark.parametrize("second", [0, 1])
def test_the_interval_runs_from_the_last_moment_at_which_the_server_may_be_at_work_on_a_call(machine, second) -> None:
    """A dead process's call that was buried at once was taken to have ended then."""
    machine.turn_and_die(0.0, 0, "during")
    machine.turn(1.0, second)
    machine.turn(349.0, second)
    machine.law_is_kept()
    calls = [call.listed for call in machine.court.calls]
    machine.turn(100.0, second)

    machine.law_is_kept()
    assert calls.count("connectors") < len(machine.court.calls)


@pytest.mark.parametrize("dies", [False, True])
def test_a_clock_that_is_set_forward_after_a_reboot_makes_no_call_early(machine, dies) -> None:
    if dies:
        machine.turn_and_die(0.0, 0, "during")
    else:
        machine.turn(0.0, 0)
    machine.reboot(lambda *choices: choices[0])
    calls = len(machine.court.calls)
    machine.clock.step(3600.0)
    machine.turn(1.0, 0)

    machine.law_is_kept()
    assert len(machine.court.calls) == calls


def test_a_loss_that_was_found_before_a_reboot_binds_after_it_whatever_the_clock_says(machine) -> None:
    machine.turn(0.0, 0)
    machine.lose(lambda *choices: choices[0])
    machine.turn(0.0, 0)
    machine.reboot(lambda *choices: choices[0])
    machine.clock.step(3600.0)
    machine.turn(1.0, 0)

    machine.law_is_kept()


QUICK = (
    "validate_token",
    "quota",
    "throttled",
    "unknown_api",
    "server_error_500",
    "empty_404",
    "html",
    "reset_at_once",
)
WHO = st.sampled_from((0, 1))
PAUSES = st.sampled_from((0.0, 1.0, 30.0, 60.0, 240.0, 299.0, 300.0, 450.0))


class Walk(RuleBasedStateMachine):
    """Two exporters, one storage, one token, a clock that is set, a host that boots, and the simulator as judge."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=SHORT_LIVED))
        self.clock = FakeClock()
        self.lowest = self.offset
        self.simulator = Simulator(interval=300.0, now=lambda: self.clock.true, wall=lambda: self.clock.wall)
        self.simulator.start()
        self.api = self.simulator.add("acme", token=CANARY, server="0010", limit=100_000)
        self.api.connect("whatsapp", "12", rp_id="5", name="Sales")
        self.api.route("5", "Main menu")
        self.client_call = setup_for(self.simulator, {}, self.clock).call
        setup = setup_for(self.simulator, {"acme": CANARY}, self.clock, call=self.call)
        self.exporters = [Mortal(self.folder / "data", self.clock, setup, self.run) for _ in range(2)]
        self.dies, self.is_slow = "", False
        self.turning = self.exporters[0]
        self.under_way: list[tuple[Store, Callable[[], None]]] = []

    @property
    def offset(self) -> float:
        return self.clock.wall - self.clock.true

    def run(self, work) -> None:
        """Makes the call now or later, unless the process is to die before."""
        if self.dies == "before":
            raise Killed
        if self.is_slow:
            self.under_way.append((self.turning.store, work))
        else:
            work()

    @rule(seconds=PAUSES, who=WHO)
    def turn(self, seconds, who) -> None:
        self.clock.advance(seconds)
        self.exporters[who].turn()

    def call(self, *words):
        """The client's call; the process may die before its answer is written down."""
        answer = self.client_call(*words)
        if self.dies == "during":
            raise Killed
        return answer

    @rule(seconds=PAUSES, who=WHO, when=st.sampled_from(("before", "during")))
    def turn_and_die(self, seconds, who, when) -> None:
        """The process ends between the claim and the end of its call, if it makes one."""
        self.clock.advance(seconds)
        self.dies = when
        try:
            self.exporters[who].turn()
        except Killed:
            self.exporters[who].kill()
            self.exporters[who].start()
        self.dies = ""

    @rule(seconds=PAUSES, who=WHO)
    def turn_and_wait(self, seconds, who) -> None:
        """The call that the turn makes, if any, takes until `land`."""
        self.clock.advance(seconds)
        self.is_slow, self.turning = True, self.exporters[who]
        self.turning.turn()
        self.is_slow = False

    @rule()
    def land(self) -> None:
        """The oldest call under way ends, if its process still runs."""
        if self.under_way:
            store, work = self.under_way.pop(0)
            if any(exporter.store is store for exporter in self.exporters):
                work()

    @rule(trouble=st.sampled_from(("restart", "step", "reboot", "mood", "reroute", "reload")), data=st.data())
    def trouble(self, trouble, data) -> None:
        """One rule for all, so that most steps of a walk are turns."""
        getattr(self, trouble)(lambda *choices: data.draw(st.sampled_from(choices)))

    def restart(self, draw) -> None:
        draw(*self.exporters).restart()

    def step(self, draw) -> None:
        self.clock.step(draw(-86400.0, -300.0, -1.0, 1.0, 300.0, 86400.0))
        self.lowest = min(self.lowest, self.offset)

    def reboot(self, draw) -> None:
        """A clock that was ahead is put right first: a step forward across a reboot is the stated limit."""
        for exporter in self.exporters:
            exporter.kill()
        self.clock.step(self.lowest - self.offset)
        self.clock.reboot(draw(20.0, 120.0, 600.0))
        for exporter in self.exporters:
            exporter.start()

    def mood(self, draw) -> None:
        self.api.play(draw(*QUICK, None), times=draw(1, 3, None))

    def reroute(self, draw) -> None:
        self.api.reroute("whatsapp", "12", draw("5", "7", "8"))

    def reload(self, draw) -> None:
        exporter = draw(*self.exporters)
        exporter.poller.configure(exporter.setup)

    @invariant()
    def law_is_kept(self) -> None:
        report = self.simulator.report()
        assert (report.early, report.overlapping) == (0, 0), str(report)

    def teardown(self) -> None:
        for exporter in self.exporters:
            exporter.close()
        self.simulator.close()
        shutil.rmtree(self.folder)


Walk.TestCase.settings = settings(max_examples=10, stateful_step_count=30, deadline=None)
TestWalk = Walk.TestCase
