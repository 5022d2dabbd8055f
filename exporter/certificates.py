"""Names in certificates. Pure: what ssl says of one goes in."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any


def names(certificate: Mapping[str, Any] | None) -> frozenset[str]:
    """Hosts, addresses, URIs and mailboxes in a certificate as ssl.SSLObject.getpeercert gives it; None has none."""
    return frozenset(normal(name) for _, name in (certificate or {}).get("subjectAltName", ()))


def normal(name: str) -> str:
    """The name as it is compared: an address in its shortest form, which OpenSSL does not write, all else as it is."""
    try:
        return str(ip_address(name.strip()))
    except ValueError:
        return name
