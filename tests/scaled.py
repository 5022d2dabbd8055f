"""The shipped rules and the shipped alertmanager.yml on a faster clock: a minute is a second, a day not even that.

Every duration goes through one table and nothing else is touched; one that the table does not have is refused.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from exporter.durations import parsed

ROOT: Final = Path(__file__).parent.parent
# Seconds as shipped -> seconds here. Hours are cut more, since somebody waits for them to pass; the order stays.
TABLE: Final[Mapping[float, float]] = {
    30: 1,
    120: 2,
    300: 5,
    360: 6,
    600: 10,
    900: 15,
    1800: 30,
    3600: 40,
    14400: 45,
    21600: 50,
    43200: 60,
    86400: 75,
}
WINDOW: Final = re.compile(r"(?<=\[)\w+(?=\])")
AGE: Final = re.compile(r"(?<=time\(\) - )\d+\b(?! *\*)")  # not of `time() - 3 * interval`: 3 is no time
ALERTMANAGER_TIMES: Final = ("group_wait", "group_interval", "repeat_interval")
RECEIVERS: Final = "http://localhost:8080"


def seconds(shipped: float) -> float:
    """The seconds that stand here for as many in the shipped file; ValueError where the table has none."""
    if shipped not in TABLE:
        raise ValueError(f"{shipped:g} s is not in the table of scaled times; add it, and keep the order")
    return TABLE[shipped]


def duration(text: str) -> str:
    """The scaled duration, in milliseconds as Prometheus and Alertmanager write them."""
    return f"{1000 * seconds(parsed(text) or 0):.0f}ms"


def expression(text: str) -> str:
    """The expression with its windows scaled, and the ages that it compares with."""
    text = WINDOW.sub(lambda found: duration(found[0]), text)
    return AGE.sub(lambda found: f"{seconds(float(found[0])):g}", text)


def rule(shipped: Mapping[str, Any]) -> dict[str, Any]:
    """The rule with its expression and its `for` scaled; labels and annotations as they are."""
    scaled = {**shipped, "expr": expression(shipped["expr"])}
    return scaled | {"for": duration(shipped["for"])} if "for" in shipped else scaled


def rules(path: Path) -> dict[str, Any]:
    """A file of rules, scaled."""
    groups = yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    return {"groups": [{**group, "rules": [rule(each) for each in group["rules"]]} for group in groups]}


def alertmanager(url: str) -> Any:
    """The shipped alertmanager.yml with its times scaled and its receivers at `url`."""
    text = (ROOT / "deploy" / "prometheus" / "alertmanager.yml").read_text(encoding="utf-8")
    shipped = yaml.safe_load(text.replace(RECEIVERS, url))
    return shipped | {"route": route(shipped["route"])}


def route(shipped: Mapping[str, Any]) -> dict[str, Any]:
    """A route and those below it, with their times scaled."""
    times = {name: duration(shipped[name]) for name in ALERTMANAGER_TIMES if name in shipped}
    below = {"routes": [route(each) for each in shipped["routes"]]} if "routes" in shipped else {}
    return {**shipped, **times, **below}
