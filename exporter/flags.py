"""The command line: flags as Prometheus writes them, each also an environment variable, and the commands."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, NoReturn
from urllib.parse import urlsplit

from exporter import __version__, durations
from exporter.log import FORMATS, LEVELS

PREFIX: Final = "WOLKVOX_EXPORTER_"
TRUE: Final = frozenset({"1", "true", "yes", "on"})
FALSE: Final = frozenset({"0", "false", "no", "off", ""})


class Flag(NamedTuple):
    """One flag: its name without dashes, its default as text, its help; `choices` where not every text will do.

    A `switch` takes no value and has a twin with `no-`; a `repeats` flag may stand several times.
    """

    name: str
    default: str
    help: str
    choices: tuple[str, ...] = ()
    switch: bool = False
    repeats: bool = False

    @property
    def variable(self) -> str:
        """The environment variable that sets the flag where the command line does not."""
        return PREFIX + self.name.upper().replace(".", "_").replace("-", "_")

    @property
    def attribute(self) -> str:
        """The name of the value in `Options`."""
        return self.name.replace(".", "_").replace("-", "_")


FLAGS: Final = (
    Flag("config.file", "config.yaml", "the configuration file"),
    Flag("storage.path", "./data", "the directory of the storage; it must be kept, or calls are forgotten"),
    Flag("web.listen-address", ":10096", "where to listen, HOST:PORT or :PORT", repeats=True),
    Flag("web.systemd-socket", "false", "listen on the sockets that systemd passes instead", switch=True),
    Flag("web.config.file", "", "TLS, users and headers, in the file format of Prometheus's exporter-toolkit"),
    Flag("web.telemetry-path", "/metrics", "the path of the metrics"),
    Flag("web.max-requests", "40", "scrapes at the same time; 0 for no limit"),
    Flag("web.enable-lifecycle", "false", "allow POST /-/reload and /-/poll", switch=True),
    Flag("web.external-url", "", "the URL under which Prometheus reaches this exporter, for /sd"),
    Flag("web.disable-exporter-metrics", "false", "leave process_* and python_* out of the page", switch=True),
    Flag("log.level", "info", "the least severe level that is logged", choices=LEVELS),
    Flag("log.format", "logfmt", "the format of the log", choices=FORMATS),
)


class Options(NamedTuple):
    """The command line, checked; one field for each flag, and the command with its own arguments."""

    config_file: str
    storage_path: str
    web_listen_address: tuple[tuple[str, int], ...]
    web_systemd_socket: bool
    web_config_file: str
    web_telemetry_path: str
    web_max_requests: int
    web_enable_lifecycle: bool
    web_external_url: str
    web_disable_exporter_metrics: bool
    log_level: str
    log_format: str
    command: str
    arguments: argparse.Namespace


class Parser(argparse.ArgumentParser):
    """An argparse that takes whole names alone, and names no usage when a value is wrong: the fault is one line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Exits with 2 and the fault."""
        self.exit(2, f"wolkvox-exporter: {message}; see wolkvox-exporter --help\n")


def parse(arguments: Sequence[str], environ: Mapping[str, str]) -> Options:
    """The command line as Options; exits with 2 and a sentence when something of it is wrong, with 0 after help."""
    parser = commands()
    given = parser.parse_args(arguments)
    try:
        values: dict[str, Any] = {flag.attribute: value(flag, given, environ) for flag in FLAGS}
    except ValueError as error:
        parser.error(str(error))
    return Options(**values, command=given.command or "serve", arguments=given)


def commands() -> Parser:
    """The parser of all commands; each takes the flags before or after its own name."""
    flags = Parser(add_help=False)
    for flag in FLAGS:
        add(flags, flag)
    parser = Parser(
        prog="wolkvox-exporter",
        description="Prometheus exporter for the connectors of the wolkvox cloud. Without a command it serves.",
        parents=[flags],
    )
    parser.add_argument("--version", action="version", version=f"wolkvox-exporter {__version__}")
    parsers = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    parsers.add_parser(
        "check",
        parents=[flags],
        help="read the configuration and every token, print the timetable and its cost; no call",
    )
    once = parsers.add_parser("once", parents=[flags], help="poll what the ledger allows now, print what is known, end")
    once.add_argument("operations", nargs="*", metavar="OPERATION", help="only these operations (all)")
    once.add_argument(
        "--format", choices=("table", "prometheus", "json"), default="table", help="what to print (table)"
    )
    once.add_argument("--output", default="", metavar="FILE", help="write to this file, whole or not at all")
    once.add_argument("--wait", type=span, default=0.0, metavar="DURATION", help="wait so long for a legal second (0s)")
    parsers.add_parser("status", parents=[flags], help="last and next call of every list, and the rule that binds")
    changes = parsers.add_parser("changes", parents=[flags], help="the journal of changes, newest first")
    changes.add_argument(
        "--since", type=span, default=0.0, metavar="DURATION", help="only younger ones, as in 24h (all)"
    )
    changes.add_argument("--operation", default="", metavar="NAME", help="only of this operation")
    changes.add_argument("--limit", type=number, default=100, help="at most so many (100)")
    changes.add_argument("--format", choices=("table", "json"), default="table", help="a table or JSON lines (table)")
    parsers.add_parser(
        "healthy",
        parents=[flags],
        help="ask the exporter that runs with the same flags whether it is; for health checks",
    )
    demo = parsers.add_parser("demo", parents=[flags], help="simulator and exporter in one process, no token, no file")
    demo.add_argument("--seconds", type=seconds, default=4.0, help="seconds between two polls of the connectors (4)")
    simulate = parsers.add_parser("simulate", parents=[flags], help="the strict simulator of the API alone")
    simulate.add_argument("--port", type=port, default=10097, help="the port on 127.0.0.1 (10097)")
    simulate.add_argument("--interval", type=seconds, default=300.0, help="seconds under which a call is early (300)")
    simulate.add_argument("--scenarios", action="store_true", help="list the scenarios that can be played, and end")
    return parser


def add(parser: argparse.ArgumentParser, flag: Flag) -> None:
    """Adds the flag; its default stays out of the parser, so that the environment comes between."""
    text = f"{flag.help} [{flag.default or 'none'}; {flag.variable}]".replace("%", "%%")
    name, absent = f"--{flag.name}", argparse.SUPPRESS
    if flag.switch:
        parser.add_argument(name, dest=flag.attribute, action="store_const", const="true", default=absent, help=text)
        twin = f"--no-{flag.name}"
        parser.add_argument(twin, dest=flag.attribute, action="store_const", const="false", default=absent, help=absent)
    elif flag.repeats:
        parser.add_argument(name, dest=flag.attribute, action="append", default=absent, metavar="VALUE", help=text)
    else:
        parser.add_argument(name, dest=flag.attribute, default=absent, metavar="VALUE", help=text)


def value(flag: Flag, given: argparse.Namespace, environ: Mapping[str, str]) -> object:
    """The flag's value: of the command line, else of the environment, else the default; ValueError with a sentence."""
    written = getattr(given, flag.attribute, environ.get(flag.variable, flag.default))
    source = f"--{flag.name}" if hasattr(given, flag.attribute) else flag.variable
    if flag.repeats:
        texts = written if isinstance(written, list) else written.split(",")
        return tuple(listen_address(source, text.strip()) for text in texts)
    check = CHECKS.get(flag.name, as_text)
    return switched(source, written) if flag.switch else chosen(source, check(source, written), flag.choices)


def as_text(_source: str, text: str) -> str:
    """Any text."""
    return text


def chosen(source: str, made: object, choices: tuple[str, ...]) -> object:
    """The value, if it is among the choices."""
    if choices and made not in choices:
        raise ValueError(f"{source}: {made!r} is none of {', '.join(choices)}")
    return made


def switched(source: str, text: str) -> bool:
    """A switch by its word."""
    word = text.strip().lower()
    if word not in TRUE | FALSE:
        raise ValueError(f"{source}: {text!r} is neither true nor false")
    return word in TRUE


def listen_address(source: str, text: str) -> tuple[str, int]:
    """Host and port; the host is "" for all addresses."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > MOST_PORT:
        raise ValueError(f"{source}: {text!r} is no HOST:PORT or :PORT with a port up to {MOST_PORT}")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f"{source}: write an IPv6 address in brackets, as in [::1]:10096")
    return host.strip("[]"), int(port)


def path(source: str, text: str) -> str:
    """A path of the site that no other page has."""
    is_taken = text.rstrip("/") in TAKEN or text.startswith(PAGES)
    if not text.startswith("/") or is_taken or not set(text) <= PATH_CHARACTERS:
        raise ValueError(f"{source}: {text!r} is no free path; it starts with / and is none of {', '.join(TAKEN)}")
    return text


def count(source: str, text: str) -> int:
    """A whole number from 0."""
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"{source}: {text!r} is no whole number from 0")
    return int(text)


def url(source: str, text: str) -> str:
    """An absolute URL, or nothing."""
    if text and not is_address(text):
        raise ValueError(f"{source}: {text!r} is no URL such as https://metrics.example.com/wolkvox")
    return text


def is_address(text: str) -> bool:
    """True for a URL of a place: a host, maybe a port and a path, but no user, query or fragment."""
    try:
        parts = urlsplit(text)
        strange = parts.query or parts.fragment or "@" in parts.netloc or parts.port == 0
    except ValueError:  # a bracket that does not close, or a port that is no number
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and not strange


def seconds(text: str) -> float:
    """A duration of the demo or the simulator, up to a day."""
    try:
        made = float(text)
    except ValueError:
        made = 0.0
    if not LEAST_SECONDS <= made <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from {LEAST_SECONDS:g} to {MOST_SECONDS:g}")
    return made


def span(text: str) -> float:
    """A duration as Prometheus writes it, in seconds."""
    made = durations.parsed(text)
    if made is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 90s, 5m or 1h30m")
    return made


def number(text: str) -> int:
    """A whole number from 1."""
    if not text.isascii() or not text.isdigit() or len(text) > MOST_DIGITS or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def port(text: str) -> int:
    """A port; 0 is any free one."""
    if not text.isascii() or not text.isdigit() or int(text) > MOST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port up to {MOST_PORT}")
    return int(text)


MOST_PORT: Final = 65535
MOST_DIGITS: Final = 9
LEAST_SECONDS: Final = 0.01
MOST_SECONDS: Final = 86400.0
TAKEN: Final = (
    "",
    "/probe",
    "/sd",
    "/-/healthy",
    "/-/ready",
    "/-/reload",
    "/-/poll",
    "/api/v1/changes",
    "/api/v1/operations",
    "/api/v1/connectors",
    "/operations",
    "/api/v1/answers",
)
PAGES: Final = "/operations/"  # a page of its own for each operation
PATH_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-._~")
CHECKS: Final = {"web.telemetry-path": path, "web.max-requests": count, "web.external-url": url}
