"""The words that every floor shares: outcomes, moments, rows, changes, families.

Knows no list by name, no clock, no file and no socket.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86400.0


class Secret:
    """A token that shows itself to nobody but the caller of `reveal`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The token's text; for the request's header and for the keyed hash, nothing else."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a Secret is not to be copied to another process or file")


class SecretError(Exception):
    """A token cannot be had. The text is a sentence about the operation; `problem` is the part after its name."""

    def __init__(self, operation: str, problem: str) -> None:
        super().__init__(f"operation {operation}: {problem}")
        self.operation = operation
        self.problem = problem


class Outcome(StrEnum):
    """How a poll ended. The order is the rank: of two readings of one answer, the one that stands higher wins."""

    TOKEN_REJECTED = "token_rejected"  # noqa: S105 - an outcome, not a password
    QUOTA_EXHAUSTED = "quota_exhausted"
    THROTTLED = "throttled"
    TOKEN_BUSY = "token_busy"  # noqa: S105 - the same
    FORBIDDEN = "forbidden"
    UNKNOWN_LIST = "unknown_list"
    REFUSED = "refused"
    SERVER_ERROR = "server_error"
    NOT_FOUND = "not_found"
    NO_RECORDS = "no_records"
    OK = "ok"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    TLS_ERROR = "tls_error"
    REDIRECTED = "redirected"
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    INTERRUPTED = "interrupted"

    @property
    def is_failure(self) -> bool:
        """True unless the API answered what was asked, be it with nothing."""
        return self not in (Outcome.OK, Outcome.NO_RECORDS)


class ChangeKind(StrEnum):
    """What happened to an entity between two believed snapshots."""

    ADDED = "added"
    REMOVED = "removed"
    RENAMED = "renamed"
    REROUTED = "rerouted"


class Moment(NamedTuple):
    """One instant as this host tells it: Unix seconds, the boot's id, and seconds since that boot (sleep included)."""

    wall: float
    boot: str
    uptime: float


Key = tuple[str, ...]


class Row(Protocol):
    """One entity of a list as the API showed it: in practice a NamedTuple of trimmed texts."""

    @property
    def key(self) -> Key:
        """What tells this entity from the others of its list."""

    @property
    def title(self) -> str:
        """What people call it; "" where it has no name."""

    def _asdict(self) -> dict[str, str]: ...

    def __iter__(self) -> Iterator[str]: ...

    def __getitem__(self, place: int, /) -> str: ...

    def __hash__(self) -> int: ...


class Change(NamedTuple):
    """One difference between two believed snapshots of one operation's list.

    `at` is when it was believed. `before` and `after` are the watched field's texts ("" where the entity was not
    there); `before_name` and `after_name` are the titles of what these refer to, where the field is a reference.
    """

    at: float
    list: str
    key: Key
    name: str
    kind: ChangeKind
    before: str
    after: str
    before_name: str = ""
    after_name: str = ""

    def shown(self, *, names: bool) -> "Change":
        """The change as it may be shown: names of entities, and what a rename tells, only where `names` are."""
        if names:
            return self
        if self.kind is ChangeKind.RENAMED:
            return self._replace(name="", before="", after="")
        return self._replace(name="")


class Family(NamedTuple):
    """A metric family without its samples: name as exposed, type, help, and the labels every sample has."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()


class Sample(NamedTuple):
    """One value of a family.

    `labels` are in the family's order, `extra` are labels that only this sample has, `suffix` is put to the family's
    name in a histogram.
    """

    labels: tuple[str, ...]
    value: float
    extra: tuple[tuple[str, str], ...] = ()
    suffix: str = ""


Values = Mapping[tuple[str, ...], float]  # samples that have their family's labels alone: the value by the labels


@dataclass(frozen=True, slots=True)
class Operation:
    """A configured (server, token) pair by its name; the token is elsewhere."""

    name: str
    server: str
    labels: Mapping[str, str] = field(default_factory=dict)
    expect: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one call brought: an outcome, and the records if it is `ok` or `no_records`.

    `status` is the HTTP status, None where none came; `code` the body's code as trimmed text, None where there was
    none. `duration` and `retry_after` are seconds. `whole` says that the answer was read to its end, so that the
    server is surely done with it. `detail` is for the log: one line, no token.

    `body` is the unpacked body as it came, cut where it is long, and `size` how many bytes came in all. A server may
    have put the token into it, so it is not shown with the rest.
    """

    outcome: Outcome
    status: int | None = None
    code: str | None = None
    records: tuple[Any, ...] = ()
    duration: float = 0.0
    retry_after: float | None = None
    whole: bool = True
    detail: str = ""
    body: bytes = field(default=b"", repr=False)
    size: int = 0
