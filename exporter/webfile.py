"""The web configuration in force: read at the start and when a file of it changes, kept where the new one is bad."""

import ssl
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast

import structlog
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from exporter.config import ConfigError, Web, files
from exporter.doorman import Doorman, Rules
from exporter.passwords import Failures, Known, Passwords

log = structlog.get_logger()

PAUSE: Final = 1.0  # seconds between two looks at the files
Stamps = tuple[files.Stamp | None, ...]


class WebFile:
    """A web configuration and whoever guards the door by it; without a path nothing is asked of anyone.

    Not safe for two threads: the web server's looks at it.
    """

    SUCCESSFUL: Final = "wolkvox_exporter_web_config_last_reload_successful"
    AT: Final = "wolkvox_exporter_web_config_last_reload_success_timestamp_seconds"

    def __init__(
        self, path: str, load: Callable[[str], Web], monotonic: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self._path = path
        self._load = load
        self._monotonic = monotonic
        self._wall = wall
        self._known, self._failures = Known(), Failures()
        self._complaint = ""
        self._looked = monotonic()
        web = load(path) if path else Web()
        self._stamp = self._seen = stamps(web.files)
        self._take(web)

    @property
    def doorman(self) -> Doorman:
        """Whoever guards the door now."""
        self.look()
        return self._doorman

    @property
    def is_secured(self) -> bool:
        """True when it speaks TLS, from its start to its end."""
        return self._web.tls is not None

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """One connection under the certificates of now, as an ssl.SSLContext would wrap it."""
        self.look()
        return cast("ssl.SSLContext", self._web.tls).wrap_bio(*arguments, **options)  # there is one where there was one

    def look(self) -> None:
        """Takes over what changed in the files and has stayed for a second; looks at most once a second."""
        now = self._monotonic()
        if not self._path or now - self._looked < PAUSE:
            return
        self._looked = now
        fresh, last = stamps(self._web.files), self._seen
        self._seen = fresh
        # What differs from one look to the next is still being written.
        if fresh == last and (fresh != self._stamp or self._complaint):
            self._read(fresh)

    def collect(self) -> Iterable[Metric]:
        """How the last reading went; nothing without a file."""
        if self._path:
            help_text = "Whether the web configuration that stands in its files is in force."
            yield GaugeMetricFamily(self.SUCCESSFUL, help_text, float(not self._complaint))
            yield GaugeMetricFamily(self.AT, "When the web configuration was last read with success.", self._at)

    def numbers(self) -> Mapping[str, float]:
        """Their numbers."""
        return {self.SUCCESSFUL: float(not self._complaint), self.AT: self._at} if self._path else {}

    def _read(self, stamp: Stamps) -> None:
        self._stamp = stamp
        try:
            web = self._load(self._path)
        except ConfigError as error:
            self._complain(str(error))
            return
        if (web.tls is None) == self.is_secured:
            self._complain(f"{self._path}: tls_server_config came or went, which takes a restart")
            return
        if web.files != self._web.files:
            self._stamp = stamps(web.files)
        self._take(web)
        self._complaint = ""
        log.info("web configuration reloaded", users=len(web.users))

    def _take(self, web: Web) -> None:
        self._web = web
        self._at = self._wall()
        rules = Rules(web.headers, web.open_health, web.user_operations, web.san_operations)
        self._doorman = Doorman(rules, Passwords(web.users, self._known), self._failures)

    def _complain(self, complaint: str) -> None:
        if complaint != self._complaint:
            log.error("web configuration not reloaded, the last good one stays", faults=complaint)
        self._complaint = complaint


def stamps(paths: Iterable[str]) -> Stamps:
    """What tells that one of the files became another."""
    return tuple([files.stamp(path) for path in paths])
