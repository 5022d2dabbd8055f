"""The two addresses of the configuration: the API's and the proxy's. See `values` for what a refusal says."""

import ipaddress
import re
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from exporter.config import values
from exporter.config.values import Refused

SERVER: Final = "{server}"

_PORTS: Final = range(1, 65536)
_HOST: Final = re.compile(r"[A-Za-z0-9.:_-]+")
_LOOPBACK: Final = ipaddress.ip_network("127.0.0.0/8")


def base_url(value: Any, *, simulator: bool | None) -> str:
    """The API's address without a slash at its end; {server} stays in it. `simulator` None: not known."""
    text = values.text(value)
    parts = _split(text.replace(SERVER, "0010"))
    if parts.username is not None or "?" in text or "#" in text:
        raise Refused("carries a user, a query or a fragment; only scheme, host, port and path are allowed")
    if simulator is True and not _is_loopback(parts):
        raise Refused(
            "is not a loopback address, which upstream.simulator: true asks for, as in http://127.0.0.1:10097"
        )
    if simulator is False and SERVER not in text:
        raise Refused(f"lacks {SERVER}, where the four digits go, as in https://wv{SERVER}.wolkvox.com")
    if simulator is False and parts.scheme != "https":
        raise Refused("is not https, and a token must not travel in the clear")
    return text.rstrip("/")


def proxy(value: Any, *, simulator: bool | None) -> str | None:
    """The proxy's address, a user and password in it included; None is no proxy."""
    if value is None:
        return None
    text = values.text(value)
    parts = _split(text)
    if parts.path not in ("", "/") or "?" in text or "#" in text:
        raise Refused("carries a path, a query or a fragment; only scheme, user, host and port are allowed")
    if simulator:
        raise Refused("is not allowed beside upstream.simulator: true, which is asked on this host alone")
    return text


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme in ("http", "https") and bool(_HOST.fullmatch(parts.hostname or ""))
        is_whole = is_whole and (parts.port is None or parts.port in _PORTS)
    except ValueError:
        is_whole = False
    if not is_whole or not all("!" <= char <= "~" and char not in "{}\\" for char in text):
        raise Refused("is not a URL; http:// or https:// with a host is allowed")
    return parts


def _is_loopback(parts: SplitResult) -> bool:
    try:
        address = ipaddress.ip_address(parts.hostname or "")
    except ValueError:
        return False
    return address in _LOOPBACK or address == ipaddress.IPv6Address("::1")
