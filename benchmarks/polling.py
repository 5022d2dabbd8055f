"""Polls of many operations against the simulator in another process, and the page that is scraped meanwhile."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks import measure, peers
from benchmarks.loads import INTERVALS
from benchmarks.measure import Measured
from benchmarks.peers import Server
from benchmarks.plan import Plan, say
from benchmarks.results import Polling, Results
from benchmarks.stored import Folder
from benchmarks.upstream import Upstream, simulated
from benchmarks.wire import Client, Form

SCRAPERS: Final = 2
SCRAPE_INTERVAL: Final = 15.0
PAUSE: Final = 0.05  # seconds between two scrapes whose times are taken


def poll(plan: Plan, place: Path, results: Results) -> None:
    """Measures one interval of the connectors with two scrapers, then scrapes more often beside the polls."""
    intervals = {name: seconds / plan.speed for name, seconds in INTERVALS.items()}
    seconds = intervals["connectors"]
    say(f"polling {plan.many.name} for {seconds + plan.beside:.0f} s")
    folder = Folder(place / "polling", plan.many)
    with simulated(plan.many, seconds, folder.place) as upstream:
        folder.fill(intervals).configure(intervals, upstream.url)
        with peers.ours(folder) as server:
            results.polling = measured(plan, seconds, server, upstream)
        if early := upstream.early():
            results.skipped["the budget"] = f"{early} calls were early, which must not be"


def measured(plan: Plan, seconds: float, server: Server, upstream: Upstream) -> Polling:
    """What the polls cost; the scrapes' own CPU is measured afterwards, back to back."""
    polls, cpu = upstream.calls, server.program.cpu
    began = time.monotonic()
    with scrapers(server, SCRAPE_INTERVAL / plan.speed) as counted:
        time.sleep(seconds)
    seconds = time.monotonic() - began
    cpu, polls = server.program.cpu - cpu, upstream.calls - polls
    beside = scrapes_beside(server, plan.beside)
    return Polling(
        plan.many,
        plan.speed,
        seconds,
        polls,
        cpu,
        alone(server).cpu_per_scrape,
        len(counted),
        beside,
        server.program.rss,
        server.program.peak,
    )


@contextmanager
def scrapers(server: Server, pause: float) -> Iterator[list[int]]:
    """Two Prometheus that scrape with this pause; the list grows with each scrape."""
    done, sizes = threading.Event(), list[int]()

    def scrape() -> None:
        client = Client(server.program.port, "/metrics", Form.GZIP)
        while not done.wait(pause):
            sizes.append(client.scrape())
        client.close()

    threads = [threading.Thread(target=scrape) for _ in range(SCRAPERS)]
    for thread in threads:
        thread.start()
    try:
        yield sizes
    finally:
        done.set()
        for thread in threads:
            thread.join()


def scrapes_beside(server: Server, seconds: float) -> tuple[float, ...]:
    """Seconds of scrapes while polls go on."""
    client, taken = Client(server.program.port, "/metrics", Form.GZIP), []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        client.scrape()
        taken.append(time.perf_counter() - began)
        time.sleep(PAUSE)
    client.close()
    return tuple(taken)


def alone(server: Server) -> Measured:
    """Scrapes one after the other."""
    client = Client(server.program.port, "/metrics", Form.GZIP)
    try:
        return measure.scraped(server.program, client, 1.0)
    finally:
        client.close()
