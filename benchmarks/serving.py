"""Ours and the peers under each load: the same series, the same client, interleaved rounds."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import measure, peers, prometheus
from benchmarks.loads import Load
from benchmarks.peers import PEERS, Server
from benchmarks.plan import Plan, say
from benchmarks.results import Cell, Results
from benchmarks.stored import Folder
from benchmarks.wire import Client, Form

NO_JSON: Final = "it comes as a Go module alone, without a Debian package, and no part of this bench starts it"


def serve(plan: Plan, place: Path, results: Results) -> None:
    """Measures every load of the plan."""
    for peer in PEERS:
        if peer.lack:
            results.skipped[peer.name] = peer.lack
    results.skipped["json_exporter"] = NO_JSON
    if lack := prometheus.lack():
        results.skipped["Prometheus"] = lack
    for load in plan.loads:
        say(f"serving {load.name}")
        under(plan, load, place / f"serving-{load.operations}x{load.connectors}", results)


def under(plan: Plan, load: Load, place: Path, results: Results) -> None:
    """Starts all servers with this load and measures them."""
    folder = Folder(place, load).configure().fill()
    again = [start(folder) for _ in range(plan.starts - 1)]
    serving = results.serving
    with ExitStack() as stack:
        own = stack.enter_context(peers.ours(folder))
        page = peers.pages(own)
        serving.starts[load.name] = median([*again, own.program.started])
        serving.series[load.name] = sum(not line.startswith(b"#") for line in page.text.splitlines())
        started = [stack.enter_context(each.start(page, place)) for each in PEERS if not each.lack]
        servers = [own, *started]
        for form in Form:
            asked = [server for server in servers if form in server.paths]
            scrape(plan, load, asked, form, results)
        for server in servers:
            serving.memory[load.name, server.name] = server.program.rss
        if load in plan.seen and not prometheus.lack():
            look(plan, load, servers, place, results)


def look(plan: Plan, load: Load, servers: Sequence[Server], place: Path, results: Results) -> None:
    """Has Prometheus look at them in turn, round by round as below: one such look is a tenth or two off the next."""
    serving = results.serving
    for _ in range(plan.looks):
        for server in servers:
            usual = serving.scrapes[Cell(load.name, server.name, Form.GZIP)].p50
            pause = prometheus.interval(usual, serving.series[load.name])
            seen = serving.seen.setdefault((load.name, server.name), [])
            seen += prometheus.seen(server, pause, plan.sights, place)


def start(folder: Folder) -> float:
    """Seconds from a start to the first page."""
    with peers.ours(folder) as own:
        return own.program.started


def scrape(plan: Plan, load: Load, servers: Sequence[Server], form: Form, results: Results) -> None:
    """Asks them in turn, round by round, so that what else the machine does strikes all alike."""
    clients = {server.name: Client(server.program.port, server.paths[form], form) for server in servers}
    rounds: dict[str, list[measure.Measured]] = {server.name: [] for server in servers}
    for client in clients.values():
        client.scrape()  # the first one puts a page together, and opens a file
    for _ in range(plan.rounds):
        for server in servers:
            rounds[server.name].append(measure.scraped(server.program, clients[server.name], plan.seconds))
    for server in servers:
        clients[server.name].close()
        results.serving.scrapes[Cell(load.name, server.name, form)] = measure.together(rounds[server.name])
