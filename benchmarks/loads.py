"""How much there is to serve: operations, their connectors, and the answers of the API that say so."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from exporter.model import HOUR, MINUTE

Records = list[dict[str, str]]
CHANNELS: Final = ("whatsapp", "chat-web", "facebook", "instagram", "telegram", "sms_bidirect", "email", "twitter")
POINTS: Final = 6  # routing points of an operation
INTERVALS: Final = {"connectors": 5 * MINUTE, "routing_points": 10 * MINUTE, "token_info": HOUR}


class Load(NamedTuple):
    """So many operations with so many connectors each; two series tell of each connector."""

    name: str
    operations: int
    connectors: int

    @property
    def names(self) -> list[str]:
        """The operations' names."""
        return [f"operation-{number:04}" for number in range(self.operations)]

    @property
    def series(self) -> int:
        """Series that tell of single connectors."""
        return 2 * self.operations * self.connectors

    def records(self, operation: str) -> Mapping[str, Records]:
        """What each list of the operation answers."""
        return {"connectors": self.lines(operation), "routing_points": points(), "token_info": [token_info()]}

    def lines(self, operation: str) -> Records:
        """The operation's connectors, spread over channels and routing points."""
        return [
            {
                "connector_id": str(10_000 + number),
                "rp_id": str(number % POINTS + 1),
                "name": f"Line {number} of {operation}",
                "channel": CHANNELS[number % len(CHANNELS)],
            }
            for number in range(self.connectors)
        ]


def points() -> Records:
    """The routing points of an operation."""
    flows = {f"{flow}_active": "yes" for flow in ("ivr", "chat", "interaction", "crm")}
    return [{"rp_id": str(number + 1), "rp_name": f"Menu {number + 1}", **flows} for number in range(POINTS)]


def token_info() -> dict[str, str]:
    """A token with plenty left."""
    return {
        "token_limit": "1000000",
        "token_use_today": "100",
        "all_token_today": "100",
        "available_consumption_options": "999900",
    }


SERIES: Final = (Load("1k", 1, 500), Load("10k", 5, 1000), Load("100k", 50, 1000), Load("500k", 250, 1000))
MANY: Final = Load("1,000 x 100", 1000, 100)
LARGE: Final = Load("1 x 60,000", 1, 60_000)
IDLE: Final = Load("5 x 10", 5, 10)
