"""Draws the dashboards into docs/images: `make pictures`.

A day of history, a real Prometheus on it, and a page of Grafana's own components in Chromium, all on loopback.
"""

# ruff: noqa: INP001 - a tool is no package

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import structlog
from day import END, record
from history import served

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent.parent
IMAGES: Final = ROOT / "docs" / "images"
TIME_ZONE: Final = "America/Bogota"


class Picture(NamedTuple):
    """A dashboard, what is chosen in its variables (All where nothing is said), and the row that it ends before."""

    dashboard: str
    chosen: Mapping[str, str]
    until: str = ""


PICTURES: Final[Mapping[str, Picture]] = {
    "glance": Picture("connectors", {"datasource": "Prometheus", "search": ""}, until="How many"),
    "connectors": Picture("connectors", {"datasource": "Prometheus", "search": ""}),
    "operation": Picture("operation", {"datasource": "Prometheus", "search": "", "operation": "andina-co"}),
    "exporter-health": Picture("exporter-health", {"datasource": "Prometheus"}),
}
NEEDED: Final = {"node": "nodejs", "chromium": "chromium", "prometheus": "prometheus", "promtool": "prometheus"}


def told(name: str) -> dict[str, Any]:
    """What the page must know to draw this picture."""
    picture = PICTURES[name]
    path = ROOT / "dashboards" / f"{picture.dashboard}.json"
    return {"name": name, **picture._asdict(), "dashboard": json.loads(path.read_text(encoding="utf-8"))}


def main() -> None:
    """All pictures, or those that are named."""
    if lacking := sorted({package for program, package in NEEDED.items() if not shutil.which(program)}):
        sys.exit(f"not installed: {' '.join(lacking)}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    IMAGES.mkdir(parents=True, exist_ok=True)
    pictures = [told(name) for name in sys.argv[1:] or PICTURES]
    with TemporaryDirectory() as folder, served(record(Path(folder))) as address:
        words = {"folder": str(IMAGES), "now": 1000 * END, "timeZone": TIME_ZONE, "pictures": pictures}
        environment = {"PROMETHEUS": f"http://{address}", "CHROMIUM": shutil.which("chromium") or ""}
        # A pipe, for an argument may not be as long as a dashboard.
        command = ["node", str(HERE / "shoot.mjs")]
        subprocess.run(command, check=True, input=json.dumps(words), text=True, env=os.environ | environment)  # noqa: S603


if __name__ == "__main__":
    main()
