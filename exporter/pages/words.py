"""What an outcome, a rule and a misrouted connector mean, and what to do about it, in words. Tables alone.

docs/runbook.md says the same at length.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from exporter.model import Outcome
from exporter.pages.routes import Reason
from exporter.state import Rule


class Advice(NamedTuple):
    """What happened, and what to do about it."""

    what: str
    do: str


FAULT: Final = "Ask wolkvox with the answer at hand. The next poll comes by itself."
NETWORK: Final = "Mend the network, or have the exporter's address allowed again in Manager > Settings."
OUTCOMES: Final[Mapping[Outcome, Advice]] = {
    Outcome.TOKEN_REJECTED: Advice(
        "wolkvox does not accept the token.",
        "Make a new one in Manager > Settings > Integrations > Tokens and write it into the token's file; look at the"
        " operation's server. From the second refusal on it is tried once an hour, and at once with a new token.",
    ),
    Outcome.QUOTA_EXHAUSTED: Advice(
        "The day's calls are used up.",
        "Stop the program that uses them. Polling goes on by itself when the count begins anew.",
    ),
    Outcome.THROTTLED: Advice(
        "wolkvox asked for a pause.", "Nothing: the exporter waits as long as it was told, a day at most."
    ),
    Outcome.TOKEN_BUSY: Advice(
        "Another program used the token at the same moment.",
        "Nothing, once. If it comes again, make a token for the exporter alone.",
    ),
    Outcome.FORBIDDEN: Advice(
        "wolkvox let nobody in: maintenance, a backup, or its firewall.",
        "Wait for the maintenance to end, or have the exporter's address allowed again in Manager > Settings.",
    ),
    Outcome.UNKNOWN_LIST: Advice(
        "This server does not know the list.",
        "Switch it off with poll.routing_points: off or poll.token_info: off. It is tried again after a day.",
    ),
    Outcome.REFUSED: Advice("wolkvox answered with an error.", FAULT),
    Outcome.SERVER_ERROR: Advice("The wolkvox server has a fault.", FAULT),
    Outcome.NOT_FOUND: Advice("Something answered that is not the API.", "Look for a proxy between. " + FAULT),
    Outcome.NO_RECORDS: Advice(
        "wolkvox listed nothing.",
        "Nothing, where nothing is. Else wait for the second answer: what is known stays until it agrees.",
    ),
    Outcome.OK: Advice("wolkvox answered.", "Nothing."),
    Outcome.UNREACHABLE: Advice("The server could not be reached.", NETWORK),
    Outcome.TIMEOUT: Advice("No answer came in time.", NETWORK),
    Outcome.TLS_ERROR: Advice(
        "The certificate could not be trusted.",
        "Look for a proxy that opens connections, and name its authority in upstream.ca_file.",
    ),
    Outcome.REDIRECTED: Advice(
        "Another address was named instead of an answer.",
        "Correct upstream.base_url, or the proxy whose log-in page this is: redirects are not followed.",
    ),
    Outcome.TOO_LARGE: Advice("The answer is larger than is read.", "Raise upstream.max_body, up to 256MiB."),
    Outcome.MALFORMED: Advice("The answer could not be read.", "Look for a proxy between. " + FAULT),
    Outcome.INTERRUPTED: Advice(
        "The exporter died during the call, which is spent.", "Look for what killed it: a memory limit, a kill -9."
    ),
}
RULES: Final[Mapping[Rule, str]] = {
    Rule.INTERVAL: "one interval after the last answer",
    Rule.REST: "after the pause that an answer imposed",
    Rule.BUSY: "when no call on the token is under way any more",
    Rule.RESERVE: "when more than the reserve is left of the day's calls",
    Rule.STORAGE: "when calls can be written down again",
}
REASONS: Final[Mapping[Reason, Advice]] = {
    Reason.NOT_ROUTED: Advice(
        "without a routing point", "Choose a routing point in Manager, or delete the connector if nobody uses it."
    ),
    Reason.UNKNOWN: Advice(
        "on a routing point that wolkvox does not list",
        "Give it a routing point that exists, or make the deleted one anew and choose that.",
    ),
    Reason.FLOW_OFF: Advice(
        "on a routing point where the flow that the channel needs is off",
        "Switch the flow on in Studio, or give the connector another routing point in Manager.",
    ),
}
