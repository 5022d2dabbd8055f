"""The command line: joins all parts, answers signals, and ends with an exit code that means something.

0 is success, 1 a failure while running, 2 a wrong command line or configuration.
"""

import sys

if sys.platform == "win32":
    sys.exit("wolkvox-exporter runs on Linux and macOS; on Windows use WSL 2 or a container")

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from tempfile import TemporaryDirectory
from threading import Event
from types import FrameType

import structlog

from exporter import demo, flags, timetable
from exporter.clock import HostClock
from exporter.config import ConfigError
from exporter.flags import Options
from exporter.log import Redactor, configure
from exporter.server import ListenError
from exporter.setup import Setup
from exporter.simulator import Simulator, demo_accounts, scenario_listing
from exporter.wiring import USER_AGENT, Assembly, Service, configured, serving

log = structlog.get_logger()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code."""
    options = flags.parse(sys.argv[1:] if arguments is None else arguments, os.environ)
    redactor = Redactor()
    configure(options.log_level, options.log_format, redactor)
    try:
        return COMMANDS[options.command](options, os.environ, redactor)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except ListenError as error:
        print(f"wolkvox-exporter: {error}", file=sys.stderr)
        return 1


def check(options: Options, environ: Mapping[str, str], _: Redactor) -> int:
    """Reads the configuration and every token, and prints what would be polled and what it costs."""
    for line in timetable.lines(configured(options.config_file, environ)):
        print(line)
    return 0


def serve(options: Options, environ: Mapping[str, str], redactor: Redactor) -> int:
    """Polls and serves until SIGTERM or SIGINT."""
    assembly = Assembly(HostClock(), redactor)

    def read() -> Setup:
        config = configured(options.config_file, environ)
        for warning in config.warnings:
            log.warning("configuration", warning=warning)
        return assembly.setup(config)

    return run(options, read)


def run(options: Options, read: Callable[[], Setup], greet: Callable[[str], None] = lambda _: None) -> int:
    """Runs the service; `greet` is called with its first address once it listens."""
    service = Service(options, read, HostClock())
    server = serving(service, options)
    on_signals(service)
    log.info("listening", addresses=" ".join(server.addresses), metrics=options.web_telemetry_path)
    greet(server.addresses[0])
    was_asked = service.run(server)
    log.info("ended")
    return 0 if was_asked else 1


def on_signals(service: Service) -> None:
    """SIGTERM and SIGINT end the service, SIGHUP reloads its configuration."""

    def end(_number: int, _frame: FrameType | None) -> None:
        service.end()

    def reload(_number: int, _frame: FrameType | None) -> None:
        service.want_reload()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGHUP, reload)


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
    stopped = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
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


COMMANDS: Mapping[str, Callable[[Options, Mapping[str, str], Redactor], int]] = {
    "serve": serve,
    "check": check,
    "demo": demonstrate,
    "simulate": simulate,
}

if __name__ == "__main__":
    sys.exit(main())
