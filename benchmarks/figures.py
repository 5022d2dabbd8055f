"""What must be reached, and what was: one row for each figure, also where it falls short."""

from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import Final, NamedTuple

from benchmarks.peers import LIBRARY, NGINX, OURS, TEXTFILE
from benchmarks.results import Results
from benchmarks.wire import Form

NOT_MEASURED: Final = "not measured"
SLACK: Final = 1.5  # of the other forms' ratios against the one of compressed text


class Figure(NamedTuple):
    """One figure: what it is, what is required, what was reached; None where it was not measured."""

    name: str
    required: str
    reached: str
    is_met: bool | None

    @property
    def verdict(self) -> str:
        """A word for people."""
        return {True: "yes", False: "**no**", None: "-"}[self.is_met]


def at_most(name: str, reached: float | None, limit: float, unit: str = "x") -> Figure:
    """A figure that must not be larger."""
    met = None if reached is None else reached <= limit
    return Figure(name, f"at most {number(limit)}{unit}", shown(reached, unit), met)


def at_least(name: str, reached: float | None, limit: float, unit: str = "x") -> Figure:
    """A figure that must not be smaller."""
    met = None if reached is None else reached >= limit
    return Figure(name, f"at least {number(limit)}{unit}", shown(reached, unit), met)


def shown(value: float | None, unit: str) -> str:
    """The value with its unit."""
    return NOT_MEASURED if value is None else f"{number(value)}{unit}"


def number(value: float) -> str:
    """Three digits that say something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - from there on no decimals


FASTER: Final = {LIBRARY: {"1k": 50, "10k": 500, "100k": 1500}, TEXTFILE: {"1k": 50, "10k": 400, "100k": 1500}}
OF_NGINX: Final = {"100k": 1.3, "500k": 1.2}
PUT_OUT: Final = 62.0  # 60 s from the last request, which the server takes up a moment after it was sent
MEMORY: Final = {"many": 140, "large": 190, "idle": 60}


def faster(results: Results) -> Iterator[Figure]:
    """Scrapes against the generating peers."""
    for peer, limits in FASTER.items():
        for load, limit in limits.items():
            ratio = results.serving.ratio(load, peer, OURS)
            yield at_least(f"gzip scrape p50, {load}: faster than {peer}", ratio, limit)


def of_nginx(results: Results) -> Iterator[Figure]:
    """Scrapes against a static file."""
    serving = results.serving
    for load, limit in OF_NGINX.items():
        yield at_most(f"gzip scrape p50, {load}: of {NGINX}", serving.ratio(load, OURS, NGINX), limit)
        yield at_most(f"gzip scrape CPU, {load}: of {NGINX}", serving.cpu_ratio(load, OURS, NGINX), limit)
    ratio = serving.seen_ratio("100k", OURS, NGINX)
    yield at_most(f"Prometheus's scrape_duration, 100k: of {NGINX}", ratio, 1.15)


def other_forms(results: Results) -> Iterator[Figure]:
    """Plain text and OpenMetrics: the required ratios, within half as much again."""
    for form in (Form.PLAIN, Form.OPENMETRICS):
        for peer, limits in FASTER.items():
            if peer == LIBRARY or form is Form.PLAIN:
                ratio = results.serving.ratio("100k", peer, OURS, form)
                yield at_least(f"{form} p50, 100k: faster than {peer}", ratio, limits["100k"] / SLACK)
        ratio = results.serving.ratio("100k", OURS, NGINX, form)
        yield at_most(f"{form} p50, 100k: of {NGINX}", ratio, OF_NGINX["100k"] * SLACK)


def beside_polls(results: Results) -> Iterator[Figure]:
    """Scrapes while polls go on, and what the polls cost."""
    polling, landing = results.polling, results.landing
    p99 = percentile_ms(polling.beside) if polling else None
    name = polling.load.name if polling else "1,000 x 100"
    yield at_most(f"scrape p99 while {name} are polled", p99, 10, " ms")
    worst = 1000 * max(landing.slowest) if landing and landing.slowest else None
    large = landing.load.name if landing else "1 x 60,000"
    yield at_most(f"slowest scrape around an answer of {large} that lands", worst, 80, " ms")
    yield at_most(
        f"CPU of {name}, three lists, two scrapers at 15 s", 100 * polling.share if polling else None, 2, " % of a core"
    )


def percentile_ms(seconds: tuple[float, ...]) -> float:
    """The 99th percentile in milliseconds."""
    return 1000 * sorted(seconds)[int(0.99 * (len(seconds) - 1))]


def memory(results: Results) -> Iterator[Figure]:
    """Resident memory, and the start."""
    polling, landing = results.polling, results.landing
    for name, reached, limit in (
        (polling.load.name if polling else "1,000 x 100", polling.resident if polling else None, MEMORY["many"]),
        (landing.load.name if landing else "1 x 60,000", landing.resident if landing else None, MEMORY["large"]),
        ("idle with 5 operations", results.idle, MEMORY["idle"]),
    ):
        yield at_most(f"memory, {name}", reached, limit, " MB")
    start = results.serving.starts.get("1,000 x 100")
    yield at_most("start to the first page, 100k stored connectors", start, 1, " s")


def growth(results: Results) -> Iterator[Figure]:
    """How scrape and memory grow from 1k to 500k series: the exponent, 1 is linear."""
    for name, values in (("scrape", p50s(results)), ("memory", residents(results))):
        known = {load: values[load] for load in ("1k", "500k") if load in values}
        ratio = known["500k"] / known["1k"] if len(known) > 1 else None
        yield at_most(f"{name}: growth from 1k to 500k series", ratio, 500)


def p50s(results: Results, server: str = OURS) -> Mapping[str, float]:
    """Milliseconds of a compressed scrape by load."""
    found = results.serving.scrapes.items()
    return {cell.load: 1000 * each.p50 for cell, each in found if (cell.server, cell.form) == (server, Form.GZIP)}


def residents(results: Results, server: str = OURS) -> Mapping[str, float]:
    """Resident MB by load."""
    return {load: value for (load, name), value in results.serving.memory.items() if name == server}


def crowd(results: Results) -> Iterator[Figure]:
    """Slow connections and stalled readers."""
    seen = results.crowd
    if seen is None:
        yield Figure("1,000 slow connections, 20 stalled readers", "every scrape answered", NOT_MEASURED, None)
        return
    who = f"{seen.slow:,} slow connections, {seen.stalled} stalled readers of {seen.page / 1e6:.0f} MB"
    answered = f"{len(seen.scrapes)} answered, {seen.refused} not, p50 {1000 * median(seen.scrapes):.1f} ms"
    yield Figure(who, "every scrape answered", answered, seen.refused == 0)
    yield at_most("memory of each slow connection", seen.slow_mb, 0.2, " MB")
    yield at_most("memory of each stalled reader", seen.stalled_mb, 0.2, " MB")
    yield at_most("slow connections put out after", seen.slow_seconds, PUT_OUT, " s")
    yield at_most("stalled readers put out after", seen.stalled_seconds, PUT_OUT, " s")


ALL: Final[tuple[Callable[[Results], Iterator[Figure]], ...]] = (
    faster,
    of_nginx,
    other_forms,
    beside_polls,
    memory,
    growth,
    crowd,
)


def figures(results: Results) -> list[Figure]:
    """Every figure, in the order in which they are required."""
    return [figure for group in ALL for figure in group(results)]
