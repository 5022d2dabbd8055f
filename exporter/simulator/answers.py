"""The table of scenarios: every answer that an account can be told to give instead of its normal one."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from exporter.simulator.envelopes import ENVELOPES
from exporter.simulator.faults import FAULTS
from exporter.simulator.refusals import REFUSALS
from exporter.simulator.rows import ROWS
from exporter.simulator.wire import Scenario

SCENARIOS: Final[Mapping[str, Scenario]] = MappingProxyType({**REFUSALS, **ENVELOPES, **ROWS, **FAULTS})


def scenario_listing() -> str:
    """The table for people: a scenario a line, its name and what it is."""
    width = max(map(len, SCENARIOS))
    return "\n".join(f"{name:{width}}  {scenario.description}" for name, scenario in SCENARIOS.items())
