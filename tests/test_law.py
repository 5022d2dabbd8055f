"""The law under everything that may happen to two exporters on one storage, by random walks."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from conftest import CANARY, Exporter, FakeClock, Killed, setup_for
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from exporter.simulator import Simulator
from exporter.store import Store

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
    """Two exporters, one storage, one token, a clock that is set, a host that boots, and an API in all moods."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.clock = FakeClock()
        self.lowest = self.offset
        self.simulator = Simulator(interval=300.0, now=lambda: self.clock.true, wall=lambda: self.clock.wall)
        self.simulator.start()
        self.api = self.simulator.add("acme", token=CANARY, server="0010", limit=100_000)
        self.api.connect("whatsapp", "12", rp_id="5", name="Sales")
        self.api.route("5", "Main menu")
        self.client_call = setup_for(self.simulator, {}, self.clock).call
        setup = setup_for(self.simulator, {"acme": CANARY}, self.clock, call=self.call)
        self.exporters = [Exporter(self.folder / "data", self.clock, setup, self.run) for _ in range(2)]
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


Walk.TestCase.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)
TestLaw = Walk.TestCase
