"""Joins the parts: the only reader of the configuration's values, and the owner of threads and signals."""

import gc
import math
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

import structlog
from prometheus_client import PLATFORM_COLLECTOR, CollectorRegistry, Gauge
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from exporter import __version__, activation, host
from exporter.bell import Bell
from exporter.budget import BUSY, LEAST
from exporter.clock import Clock
from exporter.config import Account, Config, ConfigError, Upstream, load, load_web
from exporter.flags import Options
from exporter.front import Front
from exporter.lists import LISTS
from exporter.log import Redactor
from exporter.model import Answer, Outcome, Secret
from exporter.page import Page, Renderer
from exporter.poll import Trust
from exporter.poller import LONGEST, Poller
from exporter.redaction import blanked
from exporter.server import Server, bound
from exporter.setup import Limits, Setup, Target
from exporter.site import Site
from exporter.state import Recorded, State
from exporter.store import Access, Store
from exporter.vitals import Fixed, Garbage, Process, Source, Vitals
from exporter.web import Application
from exporter.webfile import WebFile

if TYPE_CHECKING:
    from exporter.client import Client

logger = structlog.get_logger()

GATHER: Final = 0.05  # seconds: answers that come one upon the other are told in one page
GRACE: Final = 1.5  # seconds that calls under way get when the exporter ends
SWITCH: Final = 0.0005  # seconds: a scrape waits that long for a thread that reads a large answer, not ten times that
# How often the garbage collector searches. What lives long here has no cycles: to search all of it, as Python would for
# each large answer, holds up every scrape for nothing.
GENERATIONS: Final = (10_000, 20, 1000)
ALIVE: Final = 60.0  # seconds within which a turn must have begun
PRIVATE: Final = tuple(sorted({field for spec in LISTS.values() for field in spec.private}))
USER_AGENT: Final = f"wolkvox-exporter/{__version__}"


def configured(path: str, environ: Mapping[str, str]) -> Config:
    """The configuration of the file; ConfigError with every fault of it."""
    return load(path, {name: spec.interval for name, spec in LISTS.items()}, environ)


class Assembly:
    """Configurations into setups; the client is kept while the upstream stays the same."""

    def __init__(self, clock: Clock, redactor: Redactor) -> None:
        self._clock = clock
        self._redactor = redactor
        self._calls: Calls | None = None

    def setup(self, config: Config) -> Setup:
        """What the poller works with under this configuration."""
        intervals = {name: seconds for name, seconds in config.intervals.items() if seconds is not None}
        return Setup(
            targets=tuple(Target(account.operation, self._reader(account)) for account in config.accounts),
            lists=LISTS,
            intervals=intervals,
            call=self._connected(config.upstream),
            trust=Trust(config.believe.mass_removal, config.retention),
            limits=limits(config, intervals),
            names=config.connector_names,
        )

    def _reader(self, account: Account) -> Callable[[], Secret]:
        """Reads the token anew where its file is another one; the log learns each to strike it out."""
        kept: tuple[object, Secret] = (None, Secret(""))

        def read() -> Secret:
            nonlocal kept
            stamp = account.token.stamp()
            if stamp is None or stamp != kept[0]:
                secret = account.token.read()
                self._redactor.learn([secret.reveal()])
                kept = stamp, secret
            return kept[1]

        return read

    def _connected(self, upstream: Upstream) -> "Calls":
        before = self._calls
        calls = before if before and before.upstream == upstream else Calls(upstream, self._clock)
        self._redactor.learn(passwords(upstream.proxy))
        if before:  # certificates that are no good keep a reload off; a start has a page to show
            calls.connect()
        self._calls = calls
        return calls


class Calls:
    """The calls of one upstream. Its client is made with the first of them: a page from the storage needs none."""

    def __init__(self, upstream: Upstream, clock: Clock) -> None:
        self.upstream = upstream
        self._clock = clock
        self._lock = threading.Lock()
        self._client: Client | None = None

    def __call__(self, server: str, name: str, token: Secret) -> Answer:
        """One call; where the certificates cannot be read none is made, and its answer says so."""
        try:
            connected = self.connect()
        except OSError as error:
            detail = f"the certificates of upstream.ca_file cannot be read: {error.strerror or error}"
            return Answer(Outcome.TLS_ERROR, detail=detail)
        return connected.call(server, name, token)

    def connect(self) -> "Client":
        """The client; OSError where the certificates cannot be read."""
        with self._lock:
            if self._client is None:
                self._client = client(self.upstream, self._clock)
            return self._client


def client(upstream: Upstream, clock: Clock) -> "Client":
    """The client of this upstream."""
    # requests is a fifth of all that a start imports.
    from exporter.client import Client  # noqa: PLC0415
    from exporter.client import Upstream as Line  # noqa: PLC0415

    line = Line(
        base_url=upstream.base_url,
        timeout=upstream.timeout,
        connect_timeout=upstream.connect_timeout,
        max_body=upstream.max_body,
        proxy=upstream.proxy,
        ca_file=upstream.ca_file,
    )
    return Client(line, USER_AGENT, clock.monotonic, wall=lambda: clock.now().wall)


def passwords(url: str | None) -> Iterable[str]:
    """The password in a URL, as written and as meant."""
    password = urlsplit(url or "").password
    return () if not password else (password, unquote(password))


def limits(config: Config, intervals: Mapping[str, float]) -> Limits:
    """How far the poller may go; the simulator allows what the API would not."""
    upstream = config.upstream
    return Limits(
        concurrency=upstream.concurrency,
        busy=upstream.timeout if upstream.simulator else BUSY,
        reserve=config.budget.reserve,
        least=min(intervals.values(), default=math.inf) if upstream.simulator else LEAST,
    )


class Reloads:
    """The outcome of the last reading of the configuration, as the page tells it."""

    SUCCESSFUL: Final = "wolkvox_exporter_config_last_reload_successful"
    AT: Final = "wolkvox_exporter_config_last_reload_success_timestamp_seconds"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._is_successful = False
        self._at = 0.0

    def succeeded(self) -> None:
        """The configuration that was read is in force."""
        self._is_successful, self._at = True, self._clock.now().wall

    def failed(self) -> None:
        """The configuration that stands in the file is not in force."""
        self._is_successful = False

    def collect(self) -> Iterable[Metric]:
        """Both gauges."""
        help_text = "Whether the last attempt to read the configuration succeeded."
        yield GaugeMetricFamily(self.SUCCESSFUL, help_text, float(self._is_successful))
        yield GaugeMetricFamily(self.AT, "When the configuration was last read with success.", self._at)

    def numbers(self) -> Mapping[str, float]:
        """Their numbers."""
        return {self.SUCCESSFUL: float(self._is_successful), self.AT: self._at}


def vitals(*more: Source, about_process: bool) -> Vitals:
    """What is told of the exporter itself at each scrape."""
    made = CollectorRegistry(auto_describe=False)
    build = Gauge("wolkvox_exporter_build_info", "The version of this exporter, always 1.", ["version"], registry=made)
    build.labels(__version__).set(1)
    of_process = (Process(), Fixed(PLATFORM_COLLECTOR), Garbage()) if about_process else ()
    return Vitals((Fixed(made), *of_process, *more))


class Service:
    """The exporter as it serves: poller, page and web server around one storage, from start to end."""

    def __init__(self, options: Options, read: Callable[[], Setup], clock: Clock) -> None:
        self.monotonic = clock.monotonic
        self._options = options
        self._read = read
        self._clock = clock
        self._bell = Bell()
        self._reloading = threading.Lock()
        self._wants_reload = False
        self._is_ending = False
        self._state: State | None = None
        self._page: Page | None = None
        self._reloads = Reloads(clock)
        self.web = WebFile(options.web_config_file, load_web, clock.monotonic, lambda: clock.now().wall)
        own = vitals(self._reloads, self.web, about_process=not options.web_disable_exporter_metrics)
        self._renderer = Renderer(LISTS, own)
        self._store = stored(options, clock, Access.SERVE)
        self._poller = Poller(read(), self._store, clock, start=in_thread, publish=self._publish, wake=self._bell.ring)
        self._reloads.succeeded()

    def site(self) -> Site:
        """What the web application asks of this service."""
        return Site(
            page=lambda: self._page,
            state=lambda: self._state,
            changes=self._store.changes,
            answers=self._answers,
            is_alive=lambda: self._clock.now().uptime - self._poller.began.uptime < ALIVE,
            version=__version__,
            lists=LISTS,
            now=lambda: self._clock.now().wall,
            reload=self.reload if self._options.web_enable_lifecycle else None,
            poll=self._poller.hurry if self._options.web_enable_lifecycle else None,
            telemetry_path=self._options.web_telemetry_path,
            external_url=self._options.web_external_url,
            max_requests=self._options.web_max_requests,
        )

    def reload(self) -> str:
        """Reads the configuration again and puts it in force; the faults as text, "" for none.

        A faulty configuration leaves the running one in place.
        """
        with self._reloading:
            try:
                setup = self._read()
            except (ConfigError, OSError) as error:  # OSError: certificates that are gone or no longer readable
                self._reloads.failed()
                # The faults are the event; a traceback of ours says nothing about somebody's file.
                logger.error("configuration not reloaded, the running one stays", faults=str(error))  # noqa: TRY400
                return str(error)
            self._poller.configure(setup)
            self._reloads.succeeded()
            logger.info("configuration reloaded", operations=len(setup.targets))
        self._bell.ring()
        return ""

    def want_reload(self) -> None:
        """Asks the loop for a reload; fit for a signal handler."""
        self._wants_reload = True
        self._bell.ring()

    def end(self) -> None:
        """Asks the loop to end; fit for a signal handler."""
        self._is_ending = True
        self._bell.ring()

    def run(self, server: Server) -> bool:
        """Serves and polls until `end`; then nothing is claimed any more, and calls under way get `GRACE` seconds.

        False when it was not asked to end, but its web server did.
        """
        sys.setswitchinterval(SWITCH)
        gc.set_threshold(*GENERATIONS)
        host.give_memory_back()
        host.allow_files()
        with unsearched():
            self.step()
        server.start()
        activation.tell(activation.READY)
        while not self._is_ending and server.is_alive:
            self._bell.wait(min(self.step(), LONGEST))
            threading.Event().wait(GATHER if self._poller.is_waiting else 0.0)
            self._bell.hush()
            activation.tell(activation.ALIVE)
        server.quit()
        if not self._poller.stop(GRACE):
            logger.warning("ended with calls under way; they count as spent")
        server.join()
        self._store.close()
        return self._is_ending

    def step(self) -> float:
        """One turn of the loop; seconds until there is work again."""
        try:
            if self._wants_reload:
                self._wants_reload = False
                self.reload()
            return self._poller.turn()
        except Exception:
            # The loop outlives a bug: the page stays, the next turn tries again, and /-/healthy tells if none begins.
            logger.exception("turn failed unexpectedly")
            return LONGEST

    def _answers(self, operation: str) -> list[Recorded]:
        """What the flight recorder has of an operation, as it may be shown now, whatever it was recorded under."""
        answers, state = self._store.answers(operation), self._state
        if state is not None and state.names:
            return answers
        return [each._replace(body=blanked(each.body, PRIVATE)) for each in answers]

    def _publish(self, state: State) -> None:
        self._page = self._renderer.page(state)
        self._state = state


def stored(options: Options, clock: Clock, access: Access) -> Store:
    """The storage that the command line names."""
    restores = {name: spec.restore for name, spec in LISTS.items()}
    return Store(Path(options.storage_path), clock.now, restores, access)


@contextmanager
def unsearched() -> Iterator[None]:
    """What is made inside lives as long as the process: the garbage collector searches it neither now nor later."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def in_thread(work: Callable[[], None]) -> None:
    """Runs a call in a thread of its own; the process does not wait for it at its end."""
    threading.Thread(target=work, name="poll", daemon=True).start()


def serving(service: Service, options: Options) -> Server:
    """The service's web server, listening; ListenError."""
    web = service.web
    front = Front(Application(service.site()), lambda: web.doorman, service.monotonic)
    return Server(front, sockets(options), at_once=front.at_once, tls=web if web.is_secured else None)


def sockets(options: Options) -> list[socket.socket]:
    """What to listen on: the addresses, or what systemd passed; ListenError."""
    if options.web_systemd_socket:
        return activation.passed(os.environ, os.getpid())
    return bound(options.web_listen_address)
