"""What the web asks of the rest of the exporter: questions that are answered at once, from memory or by the storage."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse

from exporter.access import access_of
from exporter.model import Change
from exporter.page import Page
from exporter.spec import UpstreamList
from exporter.state import Asked, Recorded, State

NOT_YET: Final = PlainTextResponse("the first page is not rendered yet\n", 503)


@dataclass(frozen=True, slots=True)
class Site:
    """What the pages need of the rest: each is a question that is answered at once.

    `page` is the newest one, None before the first, and so is `state`; `changes` reads the journal by time, operation
    and number, newest first, StoreError; `now` is Unix seconds; `answers` what the flight recorder has of an operation,
    newest first, as it may be shown, StoreError. `reload` reads the configuration again and gives the faults as text,
    "" for none; `poll` asks for a poll of one list of one operation; both are None where the life cycle may not be
    steered over HTTP.
    """

    page: Callable[[], Page | None]
    state: Callable[[], State | None]
    changes: Callable[[float, str | None, int], list[tuple[str, Change]]]
    is_alive: Callable[[], bool]
    version: str
    lists: Mapping[str, UpstreamList]
    now: Callable[[], float]
    answers: Callable[[str], list[Recorded]] = lambda _: []
    reload: Callable[[], str] | None = None
    poll: Callable[[str, str], Asked] | None = None
    telemetry_path: str = "/metrics"
    external_url: str = ""
    max_requests: int = 40

    def seen(self, request: Request) -> State | None:
        """The part of the state that the visitor sees; None before the first page."""
        state = self.state()
        return None if state is None else access_of(request.scope).part(state)
