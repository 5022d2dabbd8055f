"""The command `serve`: the service with its web server and its signals, from start to end."""

import signal
from collections.abc import Callable, Mapping
from types import FrameType

import structlog

from exporter.clock import HostClock
from exporter.flags import Options
from exporter.log import Redactor
from exporter.setup import Setup
from exporter.wiring import Assembly, Service, configured, serving

log = structlog.get_logger()


def serve(options: Options, environ: Mapping[str, str], redactor: Redactor) -> int:
    """Polls and serves until SIGTERM or SIGINT."""
    return run(options, reader(options, environ, redactor))


def reader(options: Options, environ: Mapping[str, str], redactor: Redactor) -> Callable[[], Setup]:
    """Reads the configuration anew each time it is called; ConfigError."""
    assembly = Assembly(HostClock(), redactor)

    def read() -> Setup:
        config = configured(options.config_file, environ)
        for warning in config.warnings:
            log.warning("configuration", warning=warning)
        return assembly.setup(config)

    return read


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
