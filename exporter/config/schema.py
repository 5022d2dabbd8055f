"""The keys of config.yaml, their types and defaults as frozen pydantic models.

Knows no secret and reads no file but `ca_file`. Its sections are what other files are made of, too.
"""

import ssl
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    create_model,
)

from exporter.config import files, urls, values
from exporter.config.values import Refused
from exporter.model import DAY, MINUTE

REQUIRED_LIST: Final = "connectors"
TOKEN_KEYS: Final = ("token_file", "token_env", "token")
SHORTEST_INTERVAL: Final = 5 * MINUTE
SHORTEST_SIMULATED_INTERVAL: Final = 0.001
MOST_CA_BYTES: Final = 4 * 1024 * files.KIB


class Section(BaseModel):
    """Keys that are all known, and values that no error shows."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def or_empty(empty: Callable[[], Any]) -> BeforeValidator:
    """A key with nothing behind it, as when every line of a section is commented out, is an empty section."""
    return BeforeValidator(lambda value: empty() if value is None else value)


def _context(info: ValidationInfo) -> dict[str, Any]:
    return cast("dict[str, Any]", info.context)


def _interval(value: Any, info: ValidationInfo) -> float | None:
    if value is False or value == "off":
        if info.field_name == REQUIRED_LIST:
            raise Refused("is not allowed here; without connectors there is nothing to export")
        return None
    seconds = values.duration(value)
    if _context(info)["simulator"] and seconds < SHORTEST_SIMULATED_INTERVAL:
        raise Refused("is shorter than 1ms, which is allowed at least")
    if not _context(info)["simulator"] and seconds < SHORTEST_INTERVAL:
        raise Refused("is shorter than 5m, which the API asks for at least")
    if seconds > DAY:
        raise Refused("is longer than 1d, which is allowed at most")
    return seconds


def _base_url(value: Any, info: ValidationInfo) -> str:
    return urls.base_url(value, simulator=info.data.get("simulator"))


def _proxy(value: Any, info: ValidationInfo) -> str | None:
    return urls.proxy(value, simulator=info.data.get("simulator"))


def _connect_timeout(value: Any, info: ValidationInfo) -> float:
    seconds = values.duration(value)
    if not 0 < seconds <= info.data.get("timeout", seconds):
        raise Refused("is not allowed; more than 0 is, and at most upstream.timeout")
    return seconds


def _shorter_of_10s(above: dict[str, Any]) -> float:
    return min(10.0, float(above["timeout"]))


def _ca_file(value: Any, info: ValidationInfo) -> str | None:
    if value is None:
        return None
    path = files.beside(_context(info)["file"], values.text(value))
    try:
        files.read(path, MOST_CA_BYTES)
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except files.Unreadable as error:
        raise Refused(f"{error}; the path is relative to this file") from error
    except ssl.SSLError:
        raise Refused("holds no certificate; a file of PEM certificates is allowed") from None
    return path


Text = Annotated[str, PlainValidator(values.text)]
Flag = Annotated[bool, PlainValidator(values.flag)]
Interval = Annotated[float | None, PlainValidator(_interval)]
Labels = dict[
    Annotated[str, PlainValidator(values.label_name)],
    Annotated[str, PlainValidator(values.label_value)],
]
Expect = dict[
    Annotated[str, PlainValidator(values.channel)],
    Annotated[int, PlainValidator(values.whole(0, values.HIGHEST))],
]


class Entry(Section):
    """One item of `operations`. Which of the token's keys stand there is judged where tokens are read."""

    name: Annotated[str, PlainValidator(values.name)]
    server: Annotated[str, PlainValidator(values.server)]
    token_file: Text = ""
    token_env: Text = ""
    token: Annotated[str, PlainValidator(values.text), Field(repr=False)] = ""
    labels: Annotated[Labels, or_empty(dict)] = {}
    expect: Annotated[Expect, or_empty(dict)] = {}


class Budget(Section):
    """`reserve` is calls a day and token that are left to the operation's other programs."""

    reserve: Annotated[int, PlainValidator(values.whole(0, values.HIGHEST))] = 100


class Upstream(Section):
    """How the API is reached. The order matters: a field is judged by those above it."""

    simulator: Flag = False
    base_url: Annotated[str, PlainValidator(_base_url), Field(validate_default=True)] = "https://wv{server}.wolkvox.com"
    timeout: Annotated[float, PlainValidator(values.span("1s", "60s"))] = 55.0
    connect_timeout: Annotated[float, PlainValidator(_connect_timeout)] = Field(default_factory=_shorter_of_10s)
    max_body: Annotated[int, PlainValidator(values.size)] = 16 * 1024**2
    concurrency: Annotated[int, PlainValidator(values.whole(1, 256))] = 32
    proxy: Annotated[str | None, PlainValidator(_proxy), Field(repr=False)] = None  # it may hold a password
    ca_file: Annotated[str | None, PlainValidator(_ca_file)] = None


class Believe(Section):
    """`mass_removal` is the share of the known entities that may vanish at once and be believed."""

    mass_removal: Annotated[float, PlainValidator(values.share)] = 0.5


class Poll(Section):
    """The interval of each list in seconds, None is off. The lists come from the caller: see `root`."""


class Root(Section):
    """A whole config.yaml."""

    operations: Annotated[list[Entry], or_empty(list)] = []
    operations_files: Annotated[list[Text], or_empty(list)] = []
    poll: Annotated[Poll, or_empty(dict)] = Poll()
    budget: Annotated[Budget, or_empty(dict)] = Budget()
    upstream: Annotated[Upstream, or_empty(dict)] = Upstream()
    believe: Annotated[Believe, or_empty(dict)] = Believe()
    connector_names: Flag = True
    retention: Annotated[float, PlainValidator(values.span("1d", "3650d"))] = 90 * DAY


def root(lists: Mapping[str, float]) -> type[Root]:
    """The model of a file whose `poll` knows these lists, each with its default interval in seconds."""
    intervals: dict[str, Any] = {name: (Interval, default) for name, default in lists.items()}
    poll = create_model("Poll", __base__=Poll, **intervals)
    sections: dict[str, Any] = {"poll": (Annotated[poll, or_empty(dict)], poll())}
    return create_model("Root", __base__=Root, **sections)
