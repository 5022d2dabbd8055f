"""Scenarios with an HTTP status other than 200, or a body that is no JSON."""

from collections.abc import Mapping
from email.utils import formatdate
from typing import Final

from exporter.simulator import replies
from exporter.simulator.replies import JSON, Ask, Reply, encode, envelope, page, refusal
from exporter.simulator.wire import Scenario, replied

RETRY_SECONDS: Final = 600.0


def always(description: str, reply: Reply) -> Scenario:
    """A scenario that gives one and the same reply."""
    return replied(description, lambda _: reply)


def _wait(ask: Ask) -> float:
    return RETRY_SECONDS if ask.seconds is None else ask.seconds


def _throttled(retry_after: str) -> Reply:
    return refusal(429, "TOO MANY REQUESTS")._replace(headers=(JSON, ("Retry-After", retry_after)))


def _elsewhere(ask: Ask) -> Reply:
    location = ask.location or f"http://localhost:{ask.port}{ask.target}"
    return Reply(302, b"", (("Location", location),))


REFUSALS: Final[Mapping[str, Scenario]] = {
    "no_token_401": always("401, as if the wolkvox-token header were missing", replies.NO_TOKEN),
    "quota": always("403, the daily quota is used up", replies.QUOTA),
    "simultaneous": always("403, as for a third request at the same time", replies.SIMULTANEOUS),
    "validate_token": always(
        "403, as for a token that is wrong, expired or of another account", replies.VALIDATE_TOKEN
    ),
    "maintenance": always("403 with an HTML page: the server is in maintenance", page(403, "Server under maintenance")),
    "firewall_403": always("403 with another msg: the caller's IP is not listed", refusal(403, "IP IS NOT AUTHORIZED")),
    "throttled": replied(
        "429 with Retry-After in seconds (knob: seconds, 600)", lambda ask: _throttled(f"{_wait(ask):.0f}")
    ),
    "throttled_date": replied(
        "429 with Retry-After as an HTTP date (knob: seconds from now, 600)",
        lambda ask: _throttled(formatdate(ask.wall + _wait(ask), usegmt=True)),
    ),
    "unknown_api": always("400, the API does not exist", replies.UNKNOWN_API),
    "parameters_required": always("400, a parameter is missing", replies.PARAMETERS_REQUIRED),
    "server_error_500": always("500 with the envelope", refusal(500, "UNEXPECTED ERROR")),
    "bad_gateway_502_html": always("502 with a proxy's HTML page", page(502, "502 Bad Gateway")),
    "unavailable_503": always("503 with an HTML page", page(503, "503 Service Unavailable")),
    "not_found_404_html": always("404 with an HTML page: no envelope, so no answer of the API", replies.NOT_FOUND),
    "empty_404": always("404 with the envelope: how the API tells that there are no rows", replies.NO_RECORDS),
    "empty_200": always("200 with no rows in data", Reply(200, encode(envelope(())))),
    "created_201": replied("HTTP 201 around the normal body", lambda ask: ask.normal._replace(status=201)),
    "no_content_204": always("HTTP 204 without a body", Reply(204, b"", ())),
    "redirect_other_host": replied("302 to another host name (knob: location, localhost)", _elsewhere),
    "redirect_same": replied("301 to the very same address", lambda ask: Reply(301, b"", (("Location", ask.target),))),
    "html": always("200 with an HTML page", page(200, "wolkvox")),
    "empty_body": always("200 with nothing in it", Reply(200)),
}
