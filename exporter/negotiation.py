"""Which of several offers a request's Accept headers want. Pure: header texts in, an offer out."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple
from urllib.request import parse_http_list

ANY: Final = "*"
LONGEST: Final = 1000  # characters that are read of a header; Prometheus and browsers send a quarter of it


class Range(NamedTuple):
    """One element of an Accept header: what it names, its parameters but q, and its q from 0 to 1."""

    value: str
    parameters: Mapping[str, str]
    quality: float


class Offer(NamedTuple):
    """What the server can give: a media type and its version."""

    value: str
    version: str


def ranges(header: str) -> tuple[Range, ...]:
    """The elements of an Accept or Accept-Encoding header in their order; what has no sense has quality 0."""
    return tuple(element(item) for item in parse_http_list(header[:LONGEST]) if item.strip())


def element(item: str) -> Range:
    """One element; a quality that is no number from 0 to 1 is 0."""
    value, *rest = (part.strip().lower() for part in item.split(";"))
    pairs = (part.partition("=") for part in rest)
    parameters = {name.strip(): text.strip().strip('"') for name, _, text in pairs}
    return Range(value, parameters, quality(parameters.pop("q", "1")))


def quality(text: str) -> float:
    """A q-value; 0 where it is none."""
    digits = text.replace(".", "", 1)
    return float(text) if digits.isascii() and digits.isdigit() and float(text) <= 1 else 0.0


def fit(wanted: Range, offer: Offer) -> int:
    """How exactly the range names the offer: 0 not at all, 1 and 2 by wildcards, 3 by type, 4 by version too."""
    if "version" in wanted.parameters:
        return 4 if (wanted.value, wanted.parameters["version"]) == offer else 0
    kind = offer.value.partition("/")[0]
    return {offer.value: 3, f"{kind}/*": 2, "*/*": 1, ANY: 1}.get(wanted.value, 0)


def preferred(header: str, offers: Iterable[Offer]) -> Offer | None:
    """The offer that the header wants most; None when it wants none of them.

    For each offer the range that names it most exactly tells its quality. Among equals the more exactly named one
    wins, then the one that is named first, then the first offer.
    """
    wanted = ranges(header)
    best: tuple[float, int, int] = (0.0, 0, 0)
    choice = None
    for offer in offers:
        fitting = [(fit(each, offer), -place, each.quality) for place, each in enumerate(wanted)]
        exactness, place, its_quality = max(fitting, default=(0, 0, 0.0))
        if exactness and its_quality > 0 and (its_quality, exactness, place) > best:
            best, choice = (its_quality, exactness, place), offer
    return choice


def accepts_gzip(header: str) -> bool:
    """True when gzip is allowed, and not less wanted than the plain bytes."""
    qualities = {each.value: each.quality for each in ranges(header)}
    gzip = qualities.get("gzip", qualities.get("x-gzip", qualities.get(ANY, 0.0)))
    return gzip > 0 and gzip >= qualities.get("identity", 0.0)
