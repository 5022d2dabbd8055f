"""The log: one event one line, as logfmt or JSON, on standard error; what is secret is struck out."""

import logging
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any, Final

import structlog

LEVELS: Final = ("debug", "info", "warning", "error")
FORMATS: Final = ("logfmt", "json")
STRUCK: Final = "***"
START: Final = 8  # characters of a secret by which a text is looked through
Event = MutableMapping[str, Any]


class Redactor:
    """Strikes known secrets out of every event: the second fence, behind a type that does not show itself."""

    def __init__(self) -> None:
        self._secrets: dict[str, None] = {}
        self._starts: dict[int, set[str]] = {}  # by their length: the secrets' starts, of which a text must have one

    def learn(self, secrets: Iterable[str]) -> None:
        """Also strikes these out from now on; a token of old is still a token."""
        for secret in filter(None, secrets):
            self._secrets[secret] = None
            self._starts.setdefault(min(len(secret), START), set()).add(secret[:START])

    def __call__(self, _logger: object, _method: str, event: Event) -> Event:
        """One event on its way to the log."""
        return {name: self._clean(value) for name, value in event.items()}

    def _clean(self, value: Any) -> Any:
        if value is None or isinstance(value, int | float):
            return value
        text = str(value)
        if any(starts_in(text, starts, length) for length, starts in tuple(self._starts.items())):
            for secret in sorted(self._secrets, key=len, reverse=True):  # else the end of a longer one would stay
                text = text.replace(secret, STRUCK)
        return escaped(text)


def starts_in(text: str, starts: set[str], length: int) -> bool:
    """Whether one of the starts, which have this length, stands in the text, at a cost that they do not raise."""
    return not starts.isdisjoint([text[place : place + length] for place in range(len(text))])


def escaped(text: str) -> str:
    """The text with line ends and other control characters written out: an event stays one line."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def present(_logger: object, _method: str, event: Event) -> Event:
    """The event without fields that have nothing to say."""
    return {name: value for name, value in event.items() if value is not None}


class Forwarder(logging.Handler):
    """What a library logs the standard way, as an event of this log: it keeps to one line and to no secret too."""

    def emit(self, record: logging.LogRecord) -> None:
        """One record."""
        told = structlog.get_logger()
        told.log(record.levelno, record.getMessage().strip(), logger=record.name, exc_info=record.exc_info)


def configure(level: str, form: str, redactor: Redactor) -> None:
    """Sets the log of the whole process up."""
    renderer: Any = (
        structlog.processors.LogfmtRenderer(key_order=["ts", "level", "event"], bool_as_flag=False)
        if form == "logfmt"
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.format_exc_info,
            present,
            redactor,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[Forwarder()], level=logging.WARNING, force=True)
    # Below it uvicorn tells of requests that are none: whoever reaches the port could fill the disk with such lines.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
