"""The accounts and the tokens of the simulated upstream, behind one lock."""

from collections.abc import Callable, Mapping
from threading import RLock
from typing import Final

from exporter.simulator.account import Account, Row, Token

LISTS: Final[Mapping[str, Callable[[Account, Token], list[Row]]]] = {
    "connectors": lambda account, _: account.connectors(),
    "routing_points": lambda account, _: account.routing_points(),
    "token_info": lambda account, token: account.token_info(token),
}


class World:
    """All accounts; `lock` also guards whoever judges the calls, so that a verdict and an edit never interleave."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.accounts: dict[str, Account] = {}
        self._keyring: dict[str, Token] = {}
        self._strangers = 0

    def add(self, name: str, token: str, server: str, limit: int) -> Account:
        """Open an account with its first token; ValueError when the name or the token is taken."""
        with self.lock:
            if name in self.accounts:
                raise ValueError(f"account {name} exists already")
            account = Account(name, server, limit, self._keyring, self.lock)
            account.add_token(token)
            self.accounts[name] = account
            return account

    def token(self, text: str) -> Token | None:
        """The token that a header names; a text never seen before is remembered as a stranger's, None is no text.

        Strangers are remembered so that calls with a wrong token are judged like any others.
        """
        if not text:
            return None
        with self.lock:
            if text not in self._keyring:
                self._keyring[text] = Token(f"unknown#{self._strangers}", None, revoked=True)
                self._strangers += 1
            return self._keyring[text]

    def new_day(self) -> None:
        """Start every account's daily counters anew."""
        with self.lock:
            for account in self.accounts.values():
                account.new_day()
