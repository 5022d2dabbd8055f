"""The control surface for other processes, under /_simulator/ on the same port; bodies are JSON. It prints no token.

    GET  report                          the sums, and under `text` the words for people
    GET  calls                           every call so far, oldest first; `edits` tells which rows it was served
    GET  scenarios                       name: description
    GET  accounts                        name: server, limit, valid tokens, calls today, connectors, routing points
    PUT  accounts/NAME                   open an account: {"token", "server", "limit"?}
    PUT  accounts/NAME/connectors        replace them: [{"connector_id", "rp_id", "name", "channel"}]
    PUT  accounts/NAME/routing_points    replace them: [{"rp_id", "rp_name", "chat_active", ...}]
    POST accounts/NAME/play              {"scenario": name or null, "api"?, "times"?, "seconds"?, "location"?}
    POST accounts/NAME/tokens            {"add": token} or {"revoke": token}, or both
    POST accounts/NAME/spend             {"calls": n}: calls that other programs of the account made
    POST new-day                         restart the daily counters

An address that is not listed, or an account that does not exist, answers 404; a body that does not fit answers 400.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeVar

from exporter.simulator.account import Account
from exporter.simulator.answers import SCENARIOS
from exporter.simulator.judge import Call, Report
from exporter.simulator.replies import Reply, encode
from exporter.simulator.request import Request

Thing = TypeVar("Thing")

PREFIX: Final = "/_simulator/"
ACCOUNT: Final = re.compile(r"accounts/(?P<name>[^/]+)(?P<rest>(?:/.*)?)")


class Controlled(Protocol):
    """What the surface needs of a simulator."""

    @property
    def accounts(self) -> Mapping[str, Account]:
        """All accounts by name."""

    @property
    def calls(self) -> list[Call]:
        """All calls, oldest first."""

    def report(self) -> Report:
        """The sums."""

    def add(self, name: str, *, token: str, server: str, limit: int = 1000) -> Account:
        """Open an account."""

    def new_day(self) -> None:
        """Restart the daily counters."""


def _report(sim: Controlled, _: Any) -> Any:
    report = sim.report()
    return {**report._asdict(), "text": str(report)}


def _calls(sim: Controlled, _: Any) -> Any:
    return [call._asdict() for call in sim.calls]


def _scenarios(_: Controlled, __: Any) -> Any:
    return {name: scenario.description for name, scenario in SCENARIOS.items()}


def _accounts(sim: Controlled, _: Any) -> Any:
    return {
        name: {
            "server": account.server,
            "limit": account.limit,
            "tokens": account.tokens,
            "used_today": account.used_today,
            "connectors": account.connectors(),
            "routing_points": account.routing_points(),
        }
        for name, account in sim.accounts.items()
    }


def _tokens(account: Account, body: Any) -> None:
    words = {"add": account.add_token, "revoke": account.revoke}
    for word, token in body.items():
        words[word](token)


WORLD_ROUTES: Final[Mapping[str, Callable[[Controlled, Any], Any]]] = {
    "GET report": _report,
    "GET calls": _calls,
    "GET scenarios": _scenarios,
    "GET accounts": _accounts,
    "POST new-day": lambda sim, _: sim.new_day(),
}
ACCOUNT_ROUTES: Final[Mapping[str, Callable[[Account, Any], None]]] = {
    "PUT /connectors": lambda account, rows: account.replace_connectors(rows),
    "PUT /routing_points": lambda account, rows: account.replace_routing_points(rows),
    "POST /play": lambda account, body: account.play(body.pop("scenario"), **body),
    "POST /tokens": _tokens,
    "POST /spend": lambda account, body: account.spend(int(body["calls"])),
}


def control(sim: Controlled, request: Request) -> Reply:
    """Answer a request under /_simulator/."""
    try:
        result = _routed(sim, request)
    except LookupError as fault:
        return Reply(404, encode({"error": f"{fault.args[0]}; see {PREFIX}accounts and the documentation"}))
    except (ValueError, TypeError, AttributeError) as fault:
        return Reply(400, encode({"error": f"the body does not fit {request.method} {request.path}: {fault}"}))
    return Reply(200, encode({"done": True} if result is None else result))


def _routed(sim: Controlled, request: Request) -> Any:
    body = json.loads(request.body or b"null")
    path = request.path.removeprefix(PREFIX)
    if match := ACCOUNT.fullmatch(path):
        return _of_account(sim, match["name"], f"{request.method} {match['rest']}", body)
    return _found(WORLD_ROUTES, f"{request.method} {path}")(sim, body)


def _of_account(sim: Controlled, name: str, route: str, body: Any) -> None:
    if route == "PUT ":
        sim.add(name, **body)
        return
    act = _found(ACCOUNT_ROUTES, route)
    account = _found(sim.accounts, name)
    try:
        act(account, body)
    except KeyError as missing:
        raise ValueError(f"{missing.args[0]!r} is missing or unknown") from missing


def _found(table: Mapping[str, Thing], key: str) -> Thing:
    if key not in table:
        raise LookupError(f"nothing is known as {key!r}")
    return table[key]
