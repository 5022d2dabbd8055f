"""One operation with very many connectors: scrapes around the moment in which its answer lands; and one at rest."""

import json
import time
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import peers
from benchmarks.loads import IDLE, Load
from benchmarks.peers import Server
from benchmarks.plan import Plan, say
from benchmarks.results import Landing, Results
from benchmarks.stored import NEVER, Folder
from benchmarks.upstream import Upstream, simulated
from benchmarks.wire import Client, Form

INTERVAL: Final = 4.0  # seconds between two answers
BEFORE: Final = 0.25  # seconds before the end of an answer in which its scrapes count
AFTER: Final = 1.0
PAUSE: Final = 0.002
Scrapes = list[tuple[float, float]]  # when each began, by the monotonic clock, and its seconds


def land(plan: Plan, place: Path, results: Results) -> None:
    """Lets the answers land, each with another connector renamed."""
    load = plan.large
    say(f"{plan.landings} answers of {load.name} land, one every {INTERVAL:.0f} s")
    folder = Folder(place / "landing", load).fill(NEVER)
    with simulated(load, INTERVAL, folder.place) as upstream:
        folder.configure({**NEVER, "connectors": INTERVAL}, upstream.url)
        with peers.ours(folder) as server:
            scrapes = around(plan, server, upstream, answers(load))
            results.landing = told(load, scrapes, upstream.ended(), server)


def answers(load: Load) -> list[bytes]:
    """Two answers that differ in one name."""
    lines = load.lines(load.names[0])
    return [json.dumps([*lines[:-1], {**lines[-1], "name": name}]).encode() for name in ("One", "Other")]


def around(plan: Plan, server: Server, upstream: Upstream, bodies: list[bytes]) -> Scrapes:
    """Scrapes without end but for a moment in each interval, in which the upstream learns its next answer."""
    client, scrapes = Client(server.program.port, "/metrics", Form.GZIP), Scrapes()
    for number in range(plan.landings):
        upstream.say("PUT", f"accounts/{plan.large.names[0]}/connectors", bodies[number % 2])
        end = time.monotonic() + INTERVAL
        while (began := time.monotonic()) < end:
            client.scrape()
            scrapes.append((began, time.monotonic() - began))
            time.sleep(PAUSE)
    client.close()
    return scrapes


def told(load: Load, scrapes: Scrapes, ended: list[float], server: Server) -> Landing:
    """The slowest scrape around each answer, and the median of the others."""
    near = [[seconds for began, seconds in scrapes if -BEFORE <= began - end <= AFTER] for end in ended]
    slowest = tuple([max(each) for each in near if each])
    usual = median(seconds for began, seconds in scrapes if all(not -BEFORE <= began - end <= AFTER for end in ended))
    return Landing(load, slowest, usual, server.program.rss, server.program.peak)


def idle(place: Path, results: Results) -> None:
    """Resident memory of an exporter with a handful of operations, after some scrapes."""
    say("idle with 5 operations")
    folder = Folder(place / "idle", IDLE).configure().fill()
    with peers.ours(folder) as server:
        client = Client(server.program.port, "/metrics", Form.GZIP)
        for _ in range(10):
            client.scrape()
        client.close()
        results.idle = server.program.rss
