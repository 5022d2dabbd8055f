"""What a real Prometheus sees of a server: its own scrape_duration_seconds."""

import json
import math
import time
from pathlib import Path
from string import Template
from tempfile import mkdtemp
from typing import Final
from urllib.parse import quote

from benchmarks import peers, programs, wire
from benchmarks.peers import Server

CONFIG: Final = Template("""
scrape_configs:
  - job_name: bench
    scrape_interval: ${interval}s
    scrape_timeout: ${interval}s
    metrics_path: $path
    static_configs: [{targets: ['127.0.0.1:$port']}]
""")
QUERY: Final = "/api/v1/query?query=" + quote("scrape_duration_seconds[1h]")


def lack() -> str:
    """Why it cannot be asked; "" when it can."""
    return peers.missing("prometheus", "prometheus")


def interval(scrape: float, series: int) -> int:
    """Whole seconds between two scrapes, enough for one that takes so long, and for Prometheus to store it."""
    return math.ceil(1 + 2 * scrape + series / 100_000)


def seen(server: Server, pause: int, count: int, place: Path) -> list[float]:
    """The seconds of `count` scrapes; the first one is left out, since Prometheus makes the series in it."""
    port = programs.free_port()
    folder = Path(mkdtemp(prefix="prometheus-", dir=place))
    text = CONFIG.substitute(interval=pause, path=server.scrape_path, port=server.program.port)
    (folder / "prometheus.yml").write_text(text, encoding="utf-8")
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with programs.running(command, port, folder, "/-/ready"):
        end = time.monotonic() + (count + 3) * pause + 10
        while len(found := durations(port)) <= count and time.monotonic() < end:
            time.sleep(0.2)
    return found[1 : count + 1]


def durations(port: int) -> list[float]:
    """Those of all scrapes so far, oldest first."""
    result = json.loads(wire.ask(port, QUERY)[1])["data"]["result"]
    return [float(value) for _, value in result[0]["values"]] if result else []
