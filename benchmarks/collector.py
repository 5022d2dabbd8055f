"""The peer prometheus_client: a custom collector over values in memory, on the library's own server.

python -m benchmarks.collector PAGE PORT: serves the samples of a text page, made anew on every scrape as its users do.
"""

import sys
import threading
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector


class Known(Collector):
    """The page's families; labels and values are kept, metrics are made at each scrape."""

    def __init__(self, text: str) -> None:
        self._families = [
            (
                family.name,
                family.documentation,
                family.type,
                [(each.name, each.labels, each.value) for each in family.samples],
            )
            for family in text_string_to_metric_families(text)
        ]

    def collect(self) -> Iterable[Metric]:
        """Every family anew."""
        for name, words, kind, samples in self._families:
            metric = Metric(name, words, kind)
            for full_name, labels, value in samples:
                metric.add_sample(full_name, labels, value)
            yield metric


def main(page: str, port: str) -> None:
    """Serves until it is ended."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Known(Path(page).read_text(encoding="utf-8")))
    start_http_server(int(port), "127.0.0.1", registry)
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
