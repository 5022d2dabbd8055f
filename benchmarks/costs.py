"""Where the time of a scrape and of a poll goes, function by function: python -m benchmarks.costs [scrape|poll].

In this process, without a socket, with the parts that serve and poll: the ASGI application on a stored state, and the
poller with its storage and an upstream that answers at once. cProfile makes small functions look dearer than they are:
take the order from it, and the milliseconds from the line above each table, which was measured without it.
"""

import argparse
import asyncio
import cProfile
import json
import pstats
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from starlette.types import Message, Scope

from benchmarks.loads import INTERVALS, Load
from benchmarks.stored import NEVER, Folder, Past
from exporter import flags
from exporter.encoding import Format
from exporter.lists import LISTS
from exporter.log import Redactor, configure
from exporter.model import Answer, Outcome, Secret
from exporter.page import Page, Renderer
from exporter.poller import Poller
from exporter.setup import Setup
from exporter.state import State
from exporter.store import Access
from exporter.web import Application
from exporter.wiring import Assembly, Service, configured, stored, vitals

SCRAPES: Final = 500
TURNS: Final = 200
HEADERS: Final = [
    (b"host", b"127.0.0.1"),
    (b"accept", b"application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
    (b"accept-encoding", b"gzip"),
]
Work = Callable[[], None]
Records = Mapping[str, Mapping[str, tuple[Any, ...]]]


class Steps(Past):
    """A clock that goes on by itself and can be set forward."""

    def forward(self, seconds: float) -> None:
        """Later by so much."""
        self.age -= seconds


def scrape(folder: Folder) -> tuple[str, int, Work]:
    """Scrapes of the whole page through the application, as Prometheus asks for it."""
    options = flags.parse(folder.flags, {})
    service = Service(options, lambda: setup(folder), Steps())
    service.step()
    site, loop = Application(service.site()), asyncio.new_event_loop()

    def work() -> None:
        loop.run_until_complete(scrapes(site))

    return "scrape", SCRAPES, work


async def scrapes(site: Any) -> None:
    """One after the other."""
    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/metrics",
        "raw_path": b"/metrics",
        "query_string": b"",
        "headers": HEADERS,
    }
    for _ in range(SCRAPES):
        await site(dict(scope), nothing, drop)


async def nothing() -> Message:
    """No body."""
    return {"type": "http.request"}


async def drop(_: Message) -> None:
    """Nobody reads it."""


def poll(folder: Folder) -> tuple[str, int, Work]:
    """Turns of the poller, of which each finds some lists due, answers them at once and renders."""
    options, clock = flags.parse(folder.flags, {}), Steps()
    renderer = Renderer(LISTS, vitals(about_process=True))
    done: list[str] = []

    pages: list[Page] = []

    def publish(state: State) -> None:
        pages[:] = [renderer.page(state)]

    store = stored(options, clock, Access.SERVE)
    records: Records = {
        name: {key: tuple(rows) for key, rows in folder.load.records(name).items()} for name in folder.load.names
    }

    bodies = {
        name: {key: json.dumps({"code": "200", "error": None, "data": rows}).encode() for key, rows in lists.items()}
        for name, lists in records.items()
    }

    def call(_: str, name: str, token: Secret) -> Answer:
        done.append(name)
        operation = token.reveal().removeprefix("benchmark-")
        body = bodies[operation][name]
        return Answer(Outcome.OK, 200, "200", records[operation][name], body=body, size=len(body))

    polled = Poller(setup(folder, call), store, clock, start=lambda work: work(), publish=publish)
    polled.turn()
    pages[0].body(Format.OPENMETRICS, compress=True)  # a first scrape: from now on pages are made ready for it
    done.clear()

    def work() -> None:
        while len(done) < TURNS:
            clock.forward(max(0.001, polled.turn()))
        done.clear()

    return "poll", TURNS, work


def setup(folder: Folder, call: Callable[[str, str, Secret], Answer] | None = None) -> Setup:
    """The configuration of the folder; with a call of our own where one is given."""
    made = Assembly(Past(), Redactor()).setup(configured(str(folder.place / "config.yaml"), {}))
    return made if call is None else Setup(made.targets, made.lists, made.intervals, call, made.trust)


KINDS: Final[dict[str, Callable[[Folder], tuple[str, int, Work]]]] = {"scrape": scrape, "poll": poll}


def main() -> int:
    """Prints one table for each kind."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="scrape or poll (both)")
    parser.add_argument("--operations", type=int, default=1000)
    parser.add_argument("--connectors", type=int, default=100)
    parser.add_argument("--lines", type=int, default=30, help="lines of each table (30)")
    given = parser.parse_args()
    configure("warning", "logfmt", Redactor())
    load = Load("profile", given.operations, given.connectors)
    for kind in given.kinds or KINDS:
        with TemporaryDirectory(prefix="wolkvox-exporter-costs-") as place:
            intervals = INTERVALS if kind == "poll" else NEVER
            folder = Folder(Path(place) / kind, load).configure(intervals).fill(intervals)
            tell(*KINDS[kind](folder), given.lines)
    return 0


def tell(name: str, count: int, work: Work, lines: int) -> None:
    """Runs the work twice, plain and under the profiler, and prints what it found."""
    work()
    cpu, began = time.process_time(), time.perf_counter()
    work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - began
    sys.stdout.write(f"\n{name}: {1000 * cpu / count:.3f} ms of CPU, {1000 * wall / count:.3f} ms in all\n")
    profile = cProfile.Profile()
    profile.runcall(work)
    pstats.Stats(profile, stream=sys.stdout).strip_dirs().sort_stats("cumulative").print_stats(lines)


if __name__ == "__main__":
    sys.exit(main())
