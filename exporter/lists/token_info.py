"""The list `token_info`: what the token may still spend today, by the API's own count.

wolkvox_token_calls_limit{operation="acme-co"} 1000
wolkvox_token_calls_remaining{operation="acme-co"} 612
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from exporter.model import HOUR, Family, Key, Row, Sample
from exporter.records import number, text
from exporter.spec import Samples, UpstreamList, restorer
from exporter.state import OperationState

NAME: Final = "token_info"


class TokenInfo(NamedTuple):
    """The token's figures as the API wrote them: texts, possibly blank."""

    limit: str
    used: str
    used_by_all: str
    remaining: str

    @property
    def key(self) -> Key:
        """Empty: the list tells of the one token that asks."""
        return ()

    @property
    def title(self) -> str:
        """Empty: the token's description is not read."""
        return ""


def parse(record: Mapping[object, object]) -> TokenInfo:
    """The record's figures; the vendor's other product misspells the field that says what remains."""
    remaining = text(record, "available_consumption_options") or text(record, "available_consumition_options")
    return TokenInfo(
        text(record, "token_limit"), text(record, "token_use_today"), text(record, "all_token_today"), remaining
    )


def left(row: Row) -> float | None:
    """Calls that remain today by the safe reading; None where no figure says it.

    The quota is described per token, yet operators report one that all tokens of the operation share: the smaller
    of both readings holds, and never less than 0.
    """
    limit, _, used_by_all, remaining = map(number, row)
    shared = None if limit is None or used_by_all is None else limit - used_by_all
    readings = [reading for reading in (remaining, shared) if reading is not None]
    return max(0.0, min(readings)) if readings else None


OF_TOKEN: Final = ("operation",)
POLLED: Final = "By the API list token_info, polled in the background."

LIMIT: Final = Family("wolkvox_token_calls_limit", "gauge", f"Calls that the token may make a day. {POLLED}", OF_TOKEN)
TODAY: Final = Family(
    "wolkvox_token_calls_today", "gauge", f"Calls made today with the token, by all programs. {POLLED}", OF_TOKEN
)
ALL_TODAY: Final = Family(
    "wolkvox_operation_calls_today",
    "gauge",
    f"Calls made today with all tokens of the operation. {POLLED}",
    OF_TOKEN,
)
REMAINING: Final = Family(
    "wolkvox_token_calls_remaining",
    "gauge",
    f"Calls that remain today: the smaller reading of the API's figures, less our calls since. {POLLED}",
    OF_TOKEN,
)
RESET: Final = Family(
    "wolkvox_token_calls_reset_timestamp_seconds",
    "gauge",
    f"When the count of today's calls was last seen to have fallen. {POLLED}",
    OF_TOKEN,
)


def samples(state: OperationState) -> Samples:
    """The figures of one operation's token; a figure that cannot be read has no series."""
    standing, own = state.standing(NAME), (state.operation.name,)
    if standing.snapshot is None or not standing.snapshot.rows:
        return
    row = standing.snapshot.rows[0]
    limit, used, used_by_all, _ = map(number, row)
    reading = left(row)
    remaining = None if reading is None else max(0.0, reading - state.spent)
    figures = {LIMIT: limit, TODAY: used, ALL_TODAY: used_by_all, REMAINING: remaining, RESET: standing.memory.fell_at}
    for family, figure in figures.items():
        if figure is not None:
            yield family, (Sample(own, figure),)


LIST: Final = UpstreamList(
    name=NAME,
    interval=HOUR,
    parse=parse,
    restore=restorer(TokenInfo),
    families=(LIMIT, TODAY, ALL_TODAY, REMAINING, RESET),
    samples=samples,
    falls="used",
    left=left,
)
