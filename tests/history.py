"""Hours of history in seconds: the exporter on a fake clock polls the simulator, where people and servers have a day.

Each scrape is the real page of that time, written as OpenMetrics with timestamps that end now, for
`promtool tsdb create-blocks-from openmetrics`. What is shown at the end: a held answer, misrouted and missing
connectors, too few of them, an operation that fails and one that rests for the reserve; on the way there, every group
of outcomes, every kind of change, a new day and a restart.

    python tests/history.py FOLDER --minutes=90 --step=30

writes FOLDER/om.txt and says what to do with it.
"""
# ruff: noqa: T201 - the command line speaks to its user

import argparse
import logging
import random
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import structlog
import yaml
from conftest import INTERVALS, Exporter, FakeClock, setup_for
from processes import ask, free_port, program, wait_for
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from exporter.encoding import Format
from exporter.lists import LISTS
from exporter.model import Answer, Operation, Secret
from exporter.page import Renderer
from exporter.setup import Setup, Target
from exporter.simulator import Account, Drift, Simulator, demo_accounts
from exporter.wiring import Reloads, vitals

ROOT: Final = Path(__file__).parent.parent
JOB: Final = "wolkvox"
INSTANCES: Final = ("wolkvox-exporter-0:10096", "wolkvox-exporter-1:10096")
POLLED: Final = INTERVALS | {"token_info": 600.0}
QUESTIONED: Final = {"routing_points": 300.0}  # the list is asked early when a connector names an unknown one
LEAST: Final = 65.0  # minutes: the day that is told below begins so long before its end
EDITS: Final = 4  # minutes between two edits by Drift
SAMPLE: Final = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
# Operations beside those of the demo, whose day is told below: held answers, a used-up budget, failures.
HELD, RESTING, FAILING = "patagonia-ar", "sabana-ec", "llanos-ve"
MODELS: Final = {HELD: "andina-co", RESTING: "pacifico-pe", FAILING: "austral-cl"}


class History(NamedTuple):
    """What was written: the file, and the times of its first and last scrape in Unix seconds, `step` apart."""

    path: Path
    start: float
    end: float
    step: int


class Process:
    """The figures of a process on the fake clock; those of the real one belong to another time."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.started = clock.wall

    def collect(self) -> Iterator[Metric]:
        age = self._clock.wall - self.started
        yield CounterMetricFamily("process_cpu_seconds", "CPU time.", value=0.9 + age * 0.004)
        figures = {
            "process_start_time_seconds": self.started,
            "process_resident_memory_bytes": 62e6 + 4e6 * min(1.0, age / 1800),
            "process_virtual_memory_bytes": 390e6,
            "process_open_fds": 17 + int(age / 600) % 3,
            "process_max_fds": 1024,
        }
        for name, value in figures.items():
            yield GaugeMetricFamily(name, "The same.", value=value)

    def numbers(self) -> Mapping[str, float]:
        return {sample.name: sample.value for metric in self.collect() for sample in metric.samples}


@dataclass
class Stage:
    """Everything that acts: the upstream with its people, the exporter, and whether that runs."""

    clock: FakeClock
    simulator: Simulator
    drift: Drift
    exporter: Exporter
    process: Process
    is_up: bool = True
    edits: int = 0

    def account(self, name: str) -> Account:
        return self.simulator.accounts[name]

    def line(self, name: str, channel: str) -> str:
        """The id of the first connector of that channel."""
        rows = self.account(name).connectors()
        return next(str(row["connector_id"]) for row in rows if row["channel"] == channel)

    def point(self, name: str, title: str) -> str:
        """The id of that routing point."""
        return next(str(row["rp_id"]) for row in self.account(name).routing_points() if row["rp_name"] == title)

    def edit(self) -> None:
        """The next edit of what people do all the time."""
        self.drift.step(self.edits)
        self.edits += 1

    def down(self) -> None:
        self.exporter.close()
        self.is_up = False

    def up(self) -> None:
        self.exporter.start()
        self.process.started = self.clock.wall
        self.is_up = True

    def pass_time(self, until: float) -> None:
        """Turns as the loop makes them, up to that wall time."""
        while self.is_up and self.clock.wall < until:
            wait = self.exporter.turn()
            self.clock.advance(min(max(wait, 0.001), until - self.clock.wall))
        self.clock.advance(until - self.clock.wall)


Act = Callable[[Stage], object]


def plays(name: str, scenario: str, times: int | None = None, api: str | None = None) -> Act:
    """An account answers by a scenario."""
    return lambda on: on.account(name).play(scenario, api=api, times=times)


# Minutes before the end, and what happens then.
STORY: Final[tuple[tuple[float, Act], ...]] = (
    (59, plays(FAILING, "simultaneous", times=2)),
    (53, lambda on: on.down()),
    (51, lambda on: on.up()),
    (49, plays(FAILING, "validate_token", times=1)),
    (48, lambda on: on.simulator.new_day()),
    (44, lambda on: on.account(RESTING).spend(900)),
    (42, plays(FAILING, "close_at_once", times=2)),
    (38, plays(FAILING, "empty_404", times=1, api="routing_points")),
    (36, lambda on: on.account(HELD).disconnect("email", on.line(HELD, "email"))),
    (32, lambda on: on.account(HELD).reroute("telegram", on.line(HELD, "telegram"), "")),
    (30, plays(FAILING, "quota", times=1)),
    (28, lambda on: on.account(HELD).reroute("chat-web", on.line(HELD, "chat-web"), on.point(HELD, "Correo y redes"))),
    (26, lambda on: on.account(HELD).rename("whatsapp", on.line(HELD, "whatsapp"), "WhatsApp Ventas (nuevo)")),
    (24, lambda on: on.account(HELD).connect("whatsapp", "7001", rp_id=on.point(HELD, "Ventas"), name="WhatsApp VIP")),
    (22, plays(FAILING, "unavailable_503")),
    (4.9, plays(HELD, "empty_200", api="connectors")),
)


def record(folder: Path, end: float | None = None, minutes: float = 90.0, step: int = 30, copies: int = 1) -> History:
    """Writes folder/om.txt: scrapes every `step` seconds for so many minutes until `end`, which is now by default.

    Two copies of the exporter, which have one storage, tell the same.
    """
    end = (time.time() if end is None else end) // step * step
    start = end - max(minutes, LEAST) * 60 // step * step
    clock = FakeClock()
    clock.wall = start
    path = folder / "om.txt"
    with TemporaryDirectory() as storage, Simulator(POLLED | QUESTIONED, now=lambda: clock.true) as api:
        stage = staged(Path(storage), clock, api)
        reloads = Reloads(clock)
        reloads.succeeded()
        renderer = Renderer(LISTS, vitals(stage.process, reloads, about_process=False))
        with path.open("w", encoding="utf-8") as file:
            for at in ticks(stage, start, end, step):
                page = renderer.page(stage.exporter.state).body(Format.OPENMETRICS, compress=False).decode()
                for instance in INSTANCES[:copies]:
                    file.writelines(scraped(page if stage.is_up else "", instance, at))
            file.write("# EOF\n")
        stage.exporter.close()
        report = api.report()
    if report.early or report.overlapping:
        raise AssertionError(f"the exporter broke a limit of the API: {report}")
    return History(path, start, end, step)


def ticks(stage: Stage, start: float, end: float, step: int) -> Iterator[float]:
    """The times of all scrapes; between them everything happens that is due."""
    todo: list[tuple[float, Act]] = [
        (start + 60 * at, Stage.edit) for at in range(EDITS, int(end - start) // 60, EDITS)
    ]
    todo = sorted([*todo, *((end - 60 * minutes, act) for minutes, act in STORY)], key=lambda due: due[0])
    at = start
    while at <= end:
        while todo and todo[0][0] <= at:
            moment, act = todo.pop(0)
            stage.pass_time(moment)
            act(stage)
        stage.pass_time(at)
        if stage.is_up:
            stage.exporter.turn()
        yield at
        at += step


def staged(storage: Path, clock: FakeClock, simulator: Simulator) -> Stage:
    """The accounts of the demo, which drift, and three more, which follow the story."""
    demo = demo_accounts(simulator)
    drift = Drift(simulator)
    operations = {each.name: Operation(each.name, each.server, {"region": each.name[-2:]}) for each in demo}
    tokens = {each.name: each.token for each in demo}
    for name, model in MODELS.items():
        tokens[name] = f"token-of-{name}"
        account = simulator.add(name, token=tokens[name], server="0063")
        account.replace_routing_points(simulator.accounts[model].routing_points())
        account.replace_connectors(simulator.accounts[model].connectors())
        operations[name] = Operation(name, "0063", {"region": name[-2:]}, expected(account))
    setup = delayed(setup_for(simulator, tokens, clock, targets=targets(operations, tokens), intervals=POLLED))
    return Stage(clock, simulator, drift, Exporter(storage, clock, setup), Process(clock))


def expected(account: Account) -> Mapping[str, int]:
    """As many mailboxes as there are."""
    return {"email": sum(row["channel"] == "email" for row in account.connectors())}


def targets(operations: Mapping[str, Operation], tokens: Mapping[str, str]) -> tuple[Target, ...]:
    secrets = {name: Secret(text) for name, text in tokens.items()}
    return tuple(Target(each, lambda name=name: secrets[name]) for name, each in operations.items())  # type: ignore[misc]


def delayed(setup: Setup) -> Setup:
    """The setup whose calls take as long as those of an API far away; a fake clock knows of no delay."""
    rng, call = random.Random(7), setup.call

    def later(server: str, listed: str, secret: Secret) -> Answer:
        return replace(call(server, listed, secret), duration=rng.lognormvariate(-1.1, 0.7))

    return replace(setup, call=later)


def scraped(page: str, instance: str, at: float) -> Iterable[str]:
    """The page as Prometheus keeps it: with the target's labels, `up` and the time. "" is a failed scrape."""
    target = f'instance="{instance}",job="{JOB}"'
    yield f"up{{{target}}} {int(bool(page))} {at:.0f}\n"
    for line in page.splitlines():
        if sample := SAMPLE.fullmatch(line):
            name, labels, value = sample.groups()
            yield f"{name}{{{target}{',' + labels if labels else ''}}} {value} {at:.0f}\n"


CONFIG: Final = {"global": {"evaluation_interval": "30s"}, "rule_files": [str(ROOT / "alerts" / "*.yml")]}


def flags(history: History) -> tuple[str, str]:
    """How Prometheus must be started on such a history.

    The blocks have no marks of staleness: a series that ended would be seen for 5 more minutes. With a look back just
    short of the step it ends with its last scrape; times that are asked for must lie on the steps.
    """
    return f"--query.lookback-delta={history.step - 1}s", "--storage.tsdb.retention.time=1y"


def imported(history: History) -> tuple[str, ...]:
    """The command that makes blocks of the file."""
    return "promtool", "tsdb", "create-blocks-from", "openmetrics", str(history.path), str(history.path.parent / "data")


@contextmanager
def served(history: History) -> Iterator[str]:
    """A Prometheus with this history and the shipped rules: its address."""
    folder, address = history.path.parent, f"127.0.0.1:{free_port()}"
    subprocess.run(imported(history), check=True, stdout=subprocess.DEVNULL, timeout=600)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(CONFIG))
    files = f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"
    with program("prometheus", *files, *flags(history), f"--web.listen-address={address}") as started:
        started.says("Server is ready to receive web requests")
        wait_for(lambda: ask(address, "/-/ready").status == 200)
        yield address


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=90.0, help=f"at least {LEAST:g}")
    parser.add_argument("--step", type=int, default=30, help="seconds between two scrapes")
    parser.add_argument("--copies", type=int, default=1, choices=(1, 2), help="exporters that tell the same")
    parser.add_argument("--end", type=float, help="Unix seconds of the last scrape, now by default")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    options.folder.mkdir(parents=True, exist_ok=True)
    history = record(options.folder, options.end, options.minutes, options.step, options.copies)
    print(f"{history.path}: {history.start:.0f} to {history.end:.0f}, every {history.step} s")
    print(" ".join(imported(history)))
    print(f"prometheus --storage.tsdb.path={options.folder / 'data'}", *flags(history))


if __name__ == "__main__":
    main()
