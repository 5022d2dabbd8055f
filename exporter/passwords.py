"""Passwords against bcrypt hashes: each is worked out once, wrong ones are counted.

Knows no request and no clock: who asks and when are arguments.
"""

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from typing import Final, NamedTuple

import bcrypt

MOST_KNOWN: Final = 1024  # results of each kind, and visitors, that are remembered; the oldest goes
BURST: Final = 10  # wrong passwords that a visitor may send at once
REFILL: Final = 6.0  # seconds until one more is allowed
LONGEST: Final = 72  # bytes of a password that bcrypt looks at
COST: Final = slice(4, 6)  # where a hash says how much work it is


class Login(NamedTuple):
    """A user's name and password as a request brings them."""

    user: str
    password: bytes

    def __repr__(self) -> str:
        return f"Login({self.user!r}, ...)"


class Passwords:
    """The users of one web configuration; `known` may go on from one to the next, since a result names its hash."""

    def __init__(self, users: Mapping[str, bytes], known: "Known") -> None:
        self._users = users
        self._known = known
        dearest = max((each[COST] for each in users.values()), default=b"10")
        # For users that are not there: as much work as for the dearest hash, and no password fits.
        self._nobody = b"$2b$" + dearest + b"$" + b"." * 53

    def __bool__(self) -> bool:
        return bool(self._users)

    def known(self, login: Login) -> bool | None:
        """What is known of the login already; None where it has to be worked out."""
        return self._known.get(self._hash(login), login)

    def check(self, login: Login) -> bool:
        """Whether the user has this password; the first time as slow as bcrypt is, tenths of a second."""
        known, hashed = self.known(login), self._hash(login)
        if known is not None:
            return known
        fits = fitting(login.password, hashed) and login.user in self._users
        self._known.put(hashed, login, is_right=fits)
        return fits

    def _hash(self, login: Login) -> bytes:
        return self._users.get(login.user, self._nobody)


class Known:
    """Results of the past, under a key that no one can turn back into a password."""

    def __init__(self) -> None:
        self._salt = secrets.token_bytes(32)
        # Apart, so that no number of wrong ones drives a right one out.
        self._results: Mapping[bool, OrderedDict[bytes, None]] = {True: OrderedDict(), False: OrderedDict()}

    def get(self, hashed: bytes, login: Login) -> bool | None:
        """The result, if there is one."""
        digest = self._digest(hashed, login)
        return next((is_right for is_right, known in self._results.items() if digest in known), None)

    def put(self, hashed: bytes, login: Login, *, is_right: bool) -> None:
        """Keeps a result."""
        known = self._results[is_right]
        known[self._digest(hashed, login)] = None
        if len(known) > MOST_KNOWN:
            known.popitem(last=False)

    def _digest(self, hashed: bytes, login: Login) -> bytes:
        user = login.user.encode("utf-8", "surrogateescape")
        parts = (len(user).to_bytes(8, "big"), user, hashed, login.password)
        return hmac.new(self._salt, b"".join(parts), sha256).digest()


class Failures:
    """How many wrong passwords each visitor has sent lately. A leaky bucket each, for the latest thousand visitors."""

    def __init__(self) -> None:
        self._full_until: OrderedDict[str, float] = OrderedDict()

    def wait(self, visitor: str, now: float) -> float:
        """Seconds until the visitor may try again; 0 at once."""
        return max(0.0, self._full_until.get(visitor, now) - now - (BURST - 1) * REFILL)

    def add(self, visitor: str, now: float) -> None:
        """One more of this visitor."""
        self._full_until[visitor] = max(now, self._full_until.pop(visitor, now)) + REFILL
        if len(self._full_until) > MOST_KNOWN:
            self._full_until.popitem(last=False)

    def forgive(self, visitor: str) -> None:
        """The last one was right after all."""
        self._full_until[visitor] = self._full_until.get(visitor, 0.0) - REFILL


def fitting(password: bytes, hashed: bytes) -> bool:
    """Whether the password belongs to the hash."""
    return bcrypt.checkpw(password[:LONGEST], hashed)
