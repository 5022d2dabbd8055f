"""Writes the dashboards: `python -m dashboards.build`. The JSON is committed; a test compares it with this code."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import connectors, exporter_health, operation

FOLDER: Final = Path(__file__).parent
DASHBOARDS: Final[Mapping[str, Callable[[], Dashboard]]] = {
    "connectors.json": connectors.dashboard,
    "operation.json": operation.dashboard,
    "exporter-health.json": exporter_health.dashboard,
}


def text(dashboard: Dashboard) -> str:
    """The dashboard's JSON, as it is committed."""
    return json.dumps(dashboard, cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Writes all of them beside this file."""
    for name, dashboard in DASHBOARDS.items():
        (FOLDER / name).write_text(text(dashboard()), encoding="utf-8")


if __name__ == "__main__":
    main()
