"""Outcomes of polls as a few groups, each with a number, a word and a colour: what a state timeline draws."""

from typing import Final

from dashboards import promql
from dashboards.colours import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION, YELLOW

GROUPS: Final = (
    ("ok", GREEN, ("ok",)),
    ("no records", SKY, ("no_records",)),
    ("token busy", YELLOW, ("token_busy",)),
    ("no calls left", ORANGE, ("quota_exhausted", "throttled")),
    ("refused or broken", PURPLE, ("forbidden", "unknown_list", "refused", "server_error", "not_found")),
    (
        "no answer",
        BLUE,
        ("unreachable", "timeout", "tls_error", "redirected", "too_large", "malformed", "interrupted"),
    ),
    ("token rejected", VERMILLION, ("token_rejected",)),
)
WORDS: Final = {number: (word, colour) for number, (word, colour, _) in enumerate(GROUPS)}
COLOURS: Final = {word: colour for word, colour, _ in GROUPS}
LEGEND: Final = ", ".join(f"{word} ({', '.join(outcomes)})" for word, _, outcomes in GROUPS if len(outcomes) > 1)


def standing(*matchers: str) -> str:
    """The number of the group that each list's last poll belongs to; the worst where copies differ."""
    labels = "operation, list"
    numbered = reversed(list(enumerate(GROUPS)))
    return " or ".join(f"{of(outcomes, labels, *matchers)} * {number}" for number, (_, _, outcomes) in numbered)


def of(outcomes: tuple[str, ...], labels: str, *matchers: str) -> str:
    """The lists whose last poll ended as one of these."""
    return promql.grouped(labels, "wolkvox_poll_outcome", f'outcome=~"{"|".join(outcomes)}"', *matchers)
