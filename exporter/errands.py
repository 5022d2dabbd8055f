"""The commands beside the server: each joins the parts that it needs, runs, and gives an exit code."""

import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from exporter import demo, look, once, timetable
from exporter.bell import Bell
from exporter.clock import HostClock
from exporter.config import ConfigError, Fault, load_web
from exporter.flags import Options
from exporter.lists import LISTS
from exporter.log import Redactor
from exporter.once import Once, OutputError, UnknownError
from exporter.page import Renderer
from exporter.server import ListenError
from exporter.serving import reader, run
from exporter.setup import Setup
from exporter.simulator import Simulator, demo_accounts, scenario_listing
from exporter.store import Access, Store
from exporter.wiring import USER_AGENT, configured, in_thread, stored, vitals


def check(options: Options, environ: Mapping[str, str], _: Redactor) -> int:
    """Reads both configurations and every token, and prints what would be polled, what it costs and who may look."""
    reports: list[Callable[[], Iterable[str]]] = [lambda: timetable.lines(configured(options.config_file, environ))]
    if web := options.web_config_file:
        reports.append(lambda: timetable.web(web, load_web(web)))
    lines: list[str] = []
    faults: list[Fault] = []
    for report in reports:
        try:
            lines += report()
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(faults)
    say(lines)
    return 0


def demonstrate(options: Options, _: Mapping[str, str], redactor: Redactor) -> int:
    """Simulator and exporter in one process, on a storage that is thrown away."""
    seconds = options.arguments.seconds
    with (
        TemporaryDirectory(prefix="wolkvox-exporter-demo-") as folder,
        demo.simulated(seconds, HostClock(), USER_AGENT) as setup,
    ):
        redactor.learn(target.read().reveal() for target in setup.targets)
        own = options._replace(storage_path=folder)
        return run(own, lambda: setup, lambda address: print(demo.greeting(address), flush=True))


def simulate(options: Options, _: Mapping[str, str], __: Redactor) -> int:
    """The simulator alone, until it is stopped; then its judgement of all calls."""
    arguments = options.arguments
    if arguments.scenarios:
        print(scenario_listing())
        return 0
    stopped = Bell()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.ring())
    with simulated(arguments.interval, arguments.port) as simulator:
        print(f"simulating wolkvox at {simulator.url}, control at {simulator.url}/_simulator/", flush=True)
        for account in demo_accounts(simulator):
            print(f"  {account.name} on server {account.server}, token {account.token}", flush=True)
        stopped.wait()
        print(simulator.report())
    return 0


def simulated(interval: float, port: int) -> Simulator:
    """A simulator that listens; ListenError."""
    simulator = Simulator(interval=interval, port=port)
    try:
        simulator.start()
    except OSError as error:
        raise ListenError(f"cannot listen on 127.0.0.1:{port}: {error.strerror}") from error
    return simulator


def poll_once(options: Options, environ: Mapping[str, str], redactor: Redactor) -> int:
    """Polls what the ledger allows now and prints what is known then."""
    try:
        return polled(options, reader(options, environ, redactor)())
    except UnknownError as error:
        print(f"wolkvox-exporter: {error}", file=sys.stderr)
        return 2
    except OutputError as error:
        print(f"wolkvox-exporter: {error}", file=sys.stderr)
        return 1


def polled(options: Options, setup: Setup) -> int:
    """The round of `once`; the exit code."""
    arguments, clock = options.arguments, HostClock()
    chosen = once.chosen(setup, arguments.operations)
    store = stored(options, clock, Access.POLL)
    try:
        round_ = Once(chosen, store, clock, in_thread)
        lines = round_.run(arguments.wait, once.progress(sys.stderr))
    finally:
        store.close()
    renderer = Renderer(LISTS, vitals(about_process=False))
    give(arguments.output, once.rendered(arguments.format, round_, lines, renderer, clock.now().wall))
    return once.exit_code(lines)


def give(path: str, text: str) -> None:
    """Writes the text to the file, whole or not at all; without one to standard output."""
    if path:
        once.write(Path(path), text)
    else:
        say(text.removesuffix("\n").split("\n"))


def status(options: Options, environ: Mapping[str, str], redactor: Redactor) -> int:
    """Prints last and next call of every list, and the rule that binds."""
    clock = HostClock()
    setup = reader(options, environ, redactor)()
    return printed(options, clock, lambda store: look.status(setup, store, clock))


def changes(options: Options, _: Mapping[str, str], __: Redactor) -> int:
    """Prints the change journal, newest first."""
    arguments, clock = options.arguments, HostClock()
    since = clock.now().wall - arguments.since if arguments.since else 0.0

    def lines(store: Store) -> Iterable[str]:
        told = store.changes(since, arguments.operation or None, arguments.limit)
        return look.lines(told) if arguments.format == "json" else look.changes(told, clock)

    return printed(options, clock, lines)


def printed(options: Options, clock: HostClock, lines: Callable[[Store], Iterable[str]]) -> int:
    """Prints what a look at the existing storage gives; StoreError where there is none."""
    store = stored(options, clock, Access.LOOK)
    try:
        say(lines(store))
    finally:
        store.close()
    return 0


def say(lines: Iterable[str]) -> None:
    """Prints the lines; a reader that has seen enough, as `| head` has, ends it quietly."""
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()  # few lines meet a closed pipe only here
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


COMMANDS: Final[Mapping[str, Callable[[Options, Mapping[str, str], Redactor], int]]] = {
    "check": check,
    "demo": demonstrate,
    "simulate": simulate,
    "once": poll_once,
    "status": status,
    "changes": changes,
}
