"""The log: one event one line, as logfmt or JSON, on standard error; what is secret is struck out."""

import logging
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any, Final

import structlog

LEVELS: Final = ("debug", "info", "warning", "error")
FORMATS: Final = ("logfmt", "json")
STRUCK: Final = "***"
Event = MutableMapping[str, Any]


class Redactor:
    """Strikes known secrets out of every event: the second fence, behind a type that does not show itself."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def learn(self, secrets: Iterable[str]) -> None:
        """Also strikes these out from now on; a token of old is still a token."""
        self._secrets.update(filter(None, secrets))

    def __call__(self, _logger: object, _method: str, event: Event) -> Event:
        """One event on its way to the log."""
        return {name: self._clean(value) for name, value in event.items()}

    def _clean(self, value: Any) -> Any:
        if value is None or isinstance(value, int | float):
            return value
        text = str(value)
        for secret in sorted(self._secrets, key=len, reverse=True):  # else the end of a longer one would stay
            text = text.replace(secret, STRUCK)
        return escaped(text)


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
