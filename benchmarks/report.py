"""The results as Markdown, with two plots beside it."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import figures
from benchmarks.peers import LIBRARY, NGINX, OURS, TEXTFILE
from benchmarks.plot import plot
from benchmarks.results import Results

SERVERS: Final = (OURS, LIBRARY, TEXTFILE, NGINX)
LOADS: Final = ("1k", "10k", "100k", "500k")
INTRODUCTION: Final = """# What a scrape, a poll and a connector cost

Written by `make bench`. All programs ran on this machine in the same run, over loopback, with the same client; rounds
of one server after the other, so that what else the machine does strikes all alike. Believe the ratios more than the
milliseconds. A load of 1k is 500 connectors, each told by two series; the peers serve the very samples of our page,
nginx its very bytes. CPU is the server's own, of all its threads.
"""


def write(results: Results, output: Path) -> None:
    """Writes the file and its plots; a plot needs two loads at least."""
    output.parent.mkdir(parents=True, exist_ok=True)
    for name, (title, values) in plots(results).items():
        if values:
            output.with_name(f"{name}.svg").write_text(plot(title, "connector series", values), encoding="utf-8")
    output.write_text(markdown(results), encoding="utf-8")


def markdown(results: Results) -> str:
    """The whole text."""
    parts = (
        INTRODUCTION,
        *section("The machine", table(("", ""), results.machine.items())),
        *section("What was left out", [f"- **{name}**: {why}" for name, why in results.skipped.items()]),
        *section("Required and reached", required(results)),
        *section("Growth", growth(results)),
        *section("Scrapes", scrapes(results)),
        *section("Seen by Prometheus: scrape_duration_seconds", seen(results)),
        *section("Memory and start", memory(results)),
        *section("Polling", polling(results)),
        *section("A large answer lands", landing(results)),
    )
    return "\n".join(parts)


def section(title: str, lines: Sequence[str]) -> Iterator[str]:
    """A heading and what stands below; nothing where there is nothing."""
    if lines:
        yield "\n".join((f"## {title}", "", *lines, ""))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A table's lines."""
    cells: list[Sequence[object]] = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(map(str, row))} |" for row in cells]


def required(results: Results) -> list[str]:
    """Each figure with its verdict."""
    rows = [(each.name, each.required, each.reached, each.verdict) for each in figures.figures(results)]
    return table(("figure", "required", "reached", "met"), rows)


def scrapes(results: Results) -> list[str]:
    """Each server under each load in each form."""
    rows = [
        (
            cell.load,
            cell.form,
            cell.server,
            *map(ms, (each.p50, each.p99, each.cpu_per_scrape)),
            f"{each.size:,}",
            len(each.seconds),
            ratio(results.serving.ratio(cell.load, cell.server, OURS, cell.form)),
            ratio(results.serving.cpu_ratio(cell.load, cell.server, OURS, cell.form)),
        )
        for cell, each in results.serving.scrapes.items()
    ]
    heads = ("load", "form", "server", "p50 ms", "p99 ms", "CPU ms", "bytes", "scrapes", "time of ours", "CPU of ours")
    return table(heads, rows) if rows else []


def seen(results: Results) -> list[str]:
    """What a real Prometheus measured."""
    rows = [
        (load, server, ms(median(each)), len(each), ratio(results.serving.seen_ratio(load, server, OURS)))
        for (load, server), each in results.serving.seen.items()
        if each
    ]
    return table(("load", "server", "median ms", "scrapes", "time of ours"), rows) if rows else []


def memory(results: Results) -> list[str]:
    """Resident memory of every server, and our start."""
    serving = results.serving
    rows = [
        (
            load,
            f"{serving.series[load]:,}",
            ms(serving.starts[load]),
            *(f"{serving.memory[load, name]:,.0f}" if (load, name) in serving.memory else "-" for name in SERVERS),
        )
        for load in serving.starts
    ]
    heads = ("load", "series of the page", "our start, ms", *(f"{name}, MB" for name in SERVERS))
    return table(heads, rows) if rows else []


def polling(results: Results) -> list[str]:
    """What polls cost."""
    seen = results.polling
    if seen is None:
        return []
    pace = "at real intervals" if seen.speed == 1 else f"at intervals {seen.speed:g} times shorter"
    return [
        f"{seen.load.name} connectors, three lists, {seen.seconds:.0f} s {pace}, the simulator in another process:",
        f"{seen.polls} polls, {seen.scrapes} scrapes by two scrapers, {seen.cpu:.2f} s of CPU, of which a scrape takes",
        f"{ms(seen.scrape_cpu)} ms and a poll, with all else, {ms(seen.cpu_per_poll)} ms.",
        f"Of {len(seen.beside)} scrapes beside polls the median took {ms(median(seen.beside))} ms, the 99th percentile",
        f"{figures.percentile_ms(seen.beside):.3g} ms, the slowest {ms(max(seen.beside))} ms.",
        f"Resident: {seen.resident:.0f} MB, at its highest {seen.peak:.0f} MB.",
    ]


def landing(results: Results) -> list[str]:
    """What a large answer does to scrapes."""
    seen = results.landing
    if seen is None:
        return []
    slowest = ", ".join(ms(each) for each in seen.slowest)
    return [
        f"{seen.load.name}, one name changed in each answer: the slowest scrape around each took {slowest} ms,",
        f"the median of all other scrapes {ms(seen.usual)} ms.",
        f"Resident: {seen.resident:.0f} MB, at its highest {seen.peak:.0f} MB.",
    ]


def growth(results: Results) -> list[str]:
    """Links to the plots."""
    return [f"![{title}]({name}.svg)" for name, (title, values) in plots(results).items() if values]


def plots(results: Results) -> dict[str, tuple[str, dict[str, list[tuple[float, float]]]]]:
    """The plots' titles and lines by the names of their files."""
    return {
        "scrape": ("A gzip scrape, p50 in ms", lines(results, "scrape")),
        "memory": ("Resident memory in MB", lines(results, "memory")),
    }


def lines(results: Results, what: str) -> dict[str, list[tuple[float, float]]]:
    """A line for each server that was measured under two loads at least."""
    read = figures.p50s if what == "scrape" else figures.residents
    known = {server: read(results, server) for server in SERVERS}
    made = {
        server: [(float(load.removesuffix("k")) * 1000, values[load]) for load in LOADS if load in values]
        for server, values in known.items()
    }
    return {server: points for server, points in made.items() if len(points) > 1}


def ms(seconds: float) -> str:
    """Milliseconds with three digits."""
    return figures.number(1000 * seconds)


def ratio(value: float | None) -> str:
    """A ratio, "-" where there is none."""
    return "-" if value is None else f"{figures.number(value)}x"
