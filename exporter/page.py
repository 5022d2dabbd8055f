"""The bytes of /metrics: pieces rendered once per change, joined family by family, cached, compressed.

Knows formats and bytes; what a piece says comes from the exposition.
"""

import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from threading import Lock
from typing import Final, NamedTuple

from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from exporter import exposition
from exporter.model import Family, Sample
from exporter.spec import UpstreamList
from exporter.state import OperationState, State

LONGEST: Final = 200  # characters of a label's value
END: Final = b"# EOF\n"
GZIP_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
LEVEL: Final = 1  # a page is compressed as often as it changes; higher levels take several times as long
Pieces = Mapping[Family, bytes]

# The library gives its encoders no types.
_text: Callable[[Collector], bytes] = generate_latest
_openmetrics: Callable[..., bytes] = openmetrics.generate_latest


class Format(Enum):
    """A text format of the page, by its content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    TEXT_1 = "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"


class Once(Collector):
    """A collector of given metrics, for the library's encoders."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """The metrics."""
        return self._metrics


def encoded(collector: Collector, form: Format) -> bytes:
    """The collector's families as text of the format, without its end mark."""
    if form is Format.OPENMETRICS:
        return _openmetrics(collector, version="1.0.0").removesuffix(END)
    return _text(collector)


def metric(family: Family, samples: Iterable[Sample] = ()) -> Metric:
    """The family as the library knows it; of samples with the same labels, once these are cut, the last one stays."""
    name = family.name.removesuffix("_total") if family.kind == "counter" else family.name
    made = Metric(name, family.help, family.kind)
    distinct = {(sample.suffix, labelled(family, sample)): sample.value for sample in samples}
    for (suffix, labels), value in distinct.items():
        made.add_sample(family.name + suffix, dict(labels), float(value))
    return made


def labelled(family: Family, sample: Sample) -> tuple[tuple[str, str], ...]:
    """The sample's labels by name, each cut, and free of what UTF-8 cannot carry."""
    pairs = (*zip(family.labels, sample.labels, strict=True), *sample.extra)
    return tuple((name, text[:LONGEST].encode("utf-8", "replace").decode()) for name, text in pairs)


def header(family: Family, form: Format) -> bytes:
    """The HELP and TYPE lines."""
    return encoded(Once([metric(family)]), form)


def rendered(samples: Mapping[Family, Iterable[Sample]]) -> Pieces:
    """The sample lines of each family; they are the same in all formats."""
    return {
        family: encoded(Once([metric(family, some)]), Format.TEXT).removeprefix(header(family, Format.TEXT))
        for family, some in samples.items()
    }


class Stable(NamedTuple):
    """A page without what changes on every scrape: plain, and as the deflated start of a gzip member."""

    plain: bytes
    deflated: bytes
    crc: int


def stable(plain: bytes) -> Stable:
    """The plain bytes with their compressed form."""
    squeeze = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    # A full flush ends on a byte and forgets what came before: other deflated bytes may follow in the same member.
    return Stable(plain, squeeze.compress(plain) + squeeze.flush(zlib.Z_FULL_FLUSH), zlib.crc32(plain))


def gzipped(start: Stable, rest: bytes) -> bytes:
    """One gzip member of the stable page and the rest; several members are more than some clients read."""
    squeeze = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    end = squeeze.compress(rest) + squeeze.flush()
    size = (len(start.plain) + len(rest)) & 0xFFFFFFFF
    return GZIP_HEADER + start.deflated + end + struct.pack("<II", zlib.crc32(rest, start.crc), size)


class Page:
    """One version of everything that /metrics and /probe say; immutable but for its caches."""

    def __init__(
        self,
        names: Iterable[str],
        families: Iterable[Family],
        pieces: Mapping[str, Pieces],
        own: Pieces,
        live: Collector,
    ) -> None:
        self._families = tuple(families)
        self._pieces = pieces
        self._own = own
        self._live = live
        self._stable: dict[tuple[Format, str | None], Stable] = {}
        self._lock = Lock()
        self.operations = tuple(names)

    def body(self, form: Format, *, compress: bool, operation: str | None = None) -> bytes:
        """The whole page, or one operation's own families; KeyError for an operation that is not there."""
        start = self._cached(form, operation)
        live = b"" if operation is not None else encoded(self._live, form)
        rest = live + (END if form is Format.OPENMETRICS else b"")
        return gzipped(start, rest) if compress else start.plain + rest

    def _cached(self, form: Format, operation: str | None) -> Stable:
        with self._lock:
            key = (Format.TEXT if form is Format.TEXT_1 else form, operation)
            if key not in self._stable:
                self._stable[key] = stable(self._joined(*key))
            return self._stable[key]

    def _joined(self, form: Format, operation: str | None) -> bytes:
        told = [*self._pieces.values(), self._own] if operation is None else [self._pieces[operation]]
        parts: list[bytes] = []
        for family in self._families:
            some = [pieces[family] for pieces in told if pieces.get(family)]
            parts += [header(family, form), *some] if some else []
        return b"".join(parts)


class Renderer:
    """States into pages; what did not change since the last state is not rendered again."""

    def __init__(self, lists: Mapping[str, UpstreamList], live: Collector) -> None:
        self._lists = lists
        self._families = exposition.families(lists)
        self._live = live
        self._last: dict[str, tuple[OperationState, Pieces]] = {}

    def page(self, state: State) -> Page:
        """The page of this state."""
        fresh = {each.operation.name: (each, self._pieces(each)) for each in state.operations}
        self._last = fresh
        own = rendered(exposition.merged(exposition.of_exporter(state)))
        return Page(fresh, self._families, {name: pieces for name, (_, pieces) in fresh.items()}, own, self._live)

    def _pieces(self, state: OperationState) -> Pieces:
        last = self._last.get(state.operation.name)
        if last is not None and last[0] is state:
            return last[1]
        return rendered(exposition.merged(exposition.of_operation(state, self._lists)))
