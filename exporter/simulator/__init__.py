"""A strict copy of the upstream over a real socket, for the demo, the tests and the benchmarks.

Imports nothing else of the exporter: what both know of the API, each knows from the vendor's pages. Other processes
drive it over HTTP, see `exporter.simulator.control`.
"""

from exporter.simulator.account import Account
from exporter.simulator.answers import SCENARIOS, scenario_listing
from exporter.simulator.demo import Operation, demo_accounts
from exporter.simulator.drift import Drift
from exporter.simulator.judge import Call, Report
from exporter.simulator.simulator import Simulator
from exporter.simulator.wire import Scenario

__all__ = [
    "SCENARIOS",
    "Account",
    "Call",
    "Drift",
    "Operation",
    "Report",
    "Scenario",
    "Simulator",
    "demo_accounts",
    "scenario_listing",
]
