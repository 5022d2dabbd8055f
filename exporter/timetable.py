"""What `check` prints: what was understood of a configuration, and what polling by it costs. Makes no call."""

import ssl
from collections.abc import Iterator
from typing import Final

from exporter.config import Account, Config, Web
from exporter.durations import written
from exporter.lists import LISTS
from exporter.model import DAY
from exporter.spec import UpstreamList

CERTIFICATES: Final = {
    ssl.CERT_NONE: "clients show no certificate",
    ssl.CERT_OPTIONAL: "clients may show a certificate",
    ssl.CERT_REQUIRED: "clients must show a certificate",
}


def lines(config: Config) -> Iterator[str]:
    """The report, line by line; no token is in it."""
    polled = {name: seconds for name, seconds in config.intervals.items() if seconds is not None}
    yield f"{config.path}: {plural(len(config.accounts), 'operation')}, {plural(len(polled), 'list')}, no fault"
    yield from (f"warning: {warning}" for warning in config.warnings)
    yield ""
    yield from (operation(account) for account in config.accounts)
    yield ""
    yield "A day of each token:"
    for name, spec in LISTS.items():
        yield f"  {name:<16}{cost(config.intervals.get(name), spec)}"
    total = sum(calls(seconds) for seconds in polled.values())
    yield f"  {'together':<16}{total:>5} calls, when nothing fails; the smallest operation may make 1000"
    yield from questions(config)
    yield reserve(config)


def web(path: str, settings: Web) -> Iterator[str]:
    """What the web configuration asks of visitors, line by line; no password's hash is in it."""
    yield ""
    tls, bound = settings.tls, sum(map(len, (settings.user_operations, settings.san_operations)))
    versions = f"TLS, {CERTIFICATES[tls.verify_mode]}" if tls else "no TLS"
    users = plural(len(settings.users), "user") if settings.users else "no login"
    headers = plural(len(settings.headers), "header")
    yield f"{path}: {versions}; {users}, {bound} of users and certificates bound to operations; {headers}"
    if settings.users and not tls:
        yield "warning: passwords go over the wire as they are; add tls_server_config, or a proxy that speaks TLS"


def operation(account: Account) -> str:
    """One operation: where it is asked, and where its token comes from."""
    told = account.operation
    labels = "".join(f" {name}={text}" for name, text in told.labels.items())
    expected = "".join(f", expects {n} {channel}" for channel, n in told.expect.items())
    return (
        f"  {told.name:<24} server {told.server}, token from {account.token}{expected}{labels and ', labels' + labels}"
    )


def cost(seconds: float | None, spec: UpstreamList) -> str:
    """Calls a day of one list."""
    if seconds is None:
        return "  off"
    return f"{calls(seconds):>5} calls, one every {written(seconds)}" + (
        " (decides wolkvox_up)" if spec.essential else ""
    )


def calls(seconds: float) -> int:
    """The most calls of one list within a day."""
    return int(DAY // seconds)


def questions(config: Config) -> Iterator[str]:
    """The calls that are made out of turn."""
    referred = {watch.refers_to for spec in LISTS.values() for watch in spec.watches} - {""}
    for name in sorted(referred):
        if config.intervals.get(name) is not None:
            yield f"  {name} is asked once more, 5 minutes after its last call at the earliest, when a connector"
            yield "  names one that is not known"


def reserve(config: Config) -> str:
    """What is left to the operation's other programs."""
    meter = next(name for name, spec in LISTS.items() if spec.left)
    if not config.budget.reserve:
        return "No reserve is kept (budget.reserve is 0)."
    if config.intervals.get(meter) is None:
        return f"No reserve can be kept: {meter} is off, so nobody reads what is left of the day's calls."
    return (
        f"Polling rests when {config.budget.reserve} calls or fewer are left of the day, as soon as {meter} says so;\n"
        f"without a readable limit there, no reserve is kept."
    )


def plural(count: int, word: str) -> str:
    """A number with its word."""
    return f"{count} {word}" + ("" if count == 1 else "s")
