"""Who may come in, and what they may see: one request's headers and certificate against the web configuration.

Decides at once where a password is known; otherwise it says what is to be worked out. Does no I/O.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Any, Final, NamedTuple

from exporter.access import ALL, Access
from exporter.passwords import Failures, Login, Passwords

OPEN: Final = frozenset({"/-/healthy", "/-/ready"})
NEIGHBOURS: Final = 64  # bits of an IPv6 address that its owner cannot choose
RawHeaders = list[tuple[bytes, bytes]]


class Refusal(NamedTuple):
    """Why a visitor stays outside."""

    status: int
    text: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


UNKNOWN: Final = Refusal(
    401,
    "a user and a password of the web configuration are needed\n",
    ((b"www-authenticate", b'Basic realm="wolkvox-exporter"'),),
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a web configuration says of visitors; see exporter.config.web.Web."""

    headers: Mapping[str, str] = field(default_factory=dict)
    open_health: bool = False
    user_operations: Mapping[str, frozenset[str]] = field(default_factory=dict)
    san_operations: Mapping[str, frozenset[str]] = field(default_factory=dict)


class Doorman:
    """The rules, and the passwords that fit them."""

    def __init__(self, rules: Rules, passwords: Passwords, failures: Failures) -> None:
        self._rules = rules
        self._passwords = passwords
        self._failures = failures
        self.headers: RawHeaders = [(name.lower().encode(), text.encode()) for name, text in rules.headers.items()]

    def decide(self, scope: Mapping[str, Any], now: float) -> Access | Refusal | Login:
        """What the request may see, or why it is refused; a login that is not known to be right. Changes nothing.

        `scope` is ASGI's, with the names of the client's certificate in its state; `now` is any clock's seconds.
        """
        if not self._passwords or (self._rules.open_health and scope["path"] in OPEN):
            return self._access(scope, None)
        login = login_of(scope["headers"])
        if login is None:
            return UNKNOWN
        if self._passwords.known(login):
            return self._access(scope, login.user)
        wait = self._failures.wait(visitor(scope), now)
        if wait > 0:
            seconds = b"%d" % (wait + 1)
            return Refusal(429, "too many wrong passwords; try again later\n", ((b"retry-after", seconds),))
        return login

    def suspect(self, scope: Mapping[str, Any], now: float) -> None:
        """Counts such a login as wrong until it is worked out: many at once are as many guesses."""
        self._failures.add(visitor(scope), now)

    def work_out(self, login: Login, scope: Mapping[str, Any]) -> Access | Refusal:
        """What a suspected login may see; where it was not seen before, as slow as bcrypt is."""
        if not self._passwords.check(login):
            return UNKNOWN
        self._failures.forgive(visitor(scope))
        return self._access(scope, login.user)

    def _access(self, scope: Mapping[str, Any], user: str | None) -> Access:
        rules, sans = self._rules, scope.get("state", {}).get("sans", frozenset())
        bound = [names for name, names in rules.user_operations.items() if name == user]
        certified = [rules.san_operations[name] for name in sans if name in rules.san_operations]
        if certified:
            bound.append(frozenset().union(*certified))
        return Access(frozenset.intersection(*bound)) if bound else ALL


def login_of(headers: Iterable[tuple[bytes, bytes]]) -> Login | None:
    """The login in an Authorization header (RFC 7617); None where there is none, or more than one."""
    given = [value for name, value in headers if name == b"authorization"]
    scheme, _, packed = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
    if scheme.lower() != b"basic":
        return None
    try:
        user, colon, password = base64.b64decode(packed.strip(), validate=True).partition(b":")
    except binascii.Error:
        return None
    return Login(user.decode("utf-8", "surrogateescape"), password) if colon else None


def visitor(scope: Mapping[str, Any]) -> str:
    """Whose wrong passwords are counted together: an address, of IPv6 its network."""
    host = (scope.get("client") or ("",))[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return f"{int(address) >> NEIGHBOURS:x}"
    return str(address)
