"""One run: python -m benchmarks [--quick] [--part NAME]... [--output FILE].

Starts everything itself on loopback ports, ends it by its pid, and keeps nothing but its results.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks import crowd, landing, machine, polling, report, serving
from benchmarks.plan import FULL, QUICK, Plan, say
from benchmarks.results import Results


def idle(_: Plan, place: Path, results: Results) -> None:
    """The exporter at rest."""
    landing.idle(place, results)


PARTS: Final[dict[str, Callable[[Plan, Path, Results], None]]] = {
    "idle": idle,
    "landing": landing.land,
    "crowd": crowd.crowd,
    "serving": serving.serve,
    "polling": polling.poll,
}


def main() -> int:
    """Measures, writes, and says loudly what could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="up to 10k series, within two minutes")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part; may stand several times")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where the results go (standard output)")
    given = parser.parse_args()
    results = Results(machine.described())
    with TemporaryDirectory(prefix="wolkvox-exporter-bench-") as folder:
        for part in given.part or PARTS:
            PARTS[part](QUICK if given.quick else FULL, Path(folder), results)
    for name, why in results.skipped.items():
        say(f"NOT MEASURED: {name}: {why}")
    if given.output is None:
        sys.stdout.write(report.markdown(results))
    else:
        report.write(results, given.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
