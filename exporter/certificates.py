"""Names in certificates. Pure: what ssl says of one goes in."""

from collections.abc import Mapping
from typing import Any


def names(certificate: Mapping[str, Any] | None) -> frozenset[str]:
    """Hosts, addresses, URIs and mailboxes in a certificate as ssl.SSLObject.getpeercert gives it; None has none."""
    return frozenset(name for _, name in (certificate or {}).get("subjectAltName", ()))
