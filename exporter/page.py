"""The page in versions: what changed is rendered and compressed anew, the rest is taken over.

A page is made of pieces, one for each family and block of operations, in the order of the families: OpenMetrics
refuses families that interleave.
"""

from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Final

from prometheus_client.registry import Collector

from exporter import exposition, pieces
from exporter.encoding import END, Format, Lines, encoded, header, rendered
from exporter.model import Family
from exporter.pieces import Parts, Piece, Whole
from exporter.spec import UpstreamList
from exporter.state import OperationState, State

BLOCK: Final = 32  # operations whose lines of one family are compressed together


class Page:
    """One version of everything that /metrics and /probe say; immutable but for its caches."""

    def __init__(
        self,
        lines: Mapping[str, Lines],
        sections: Mapping[Family, tuple[Piece, ...]],
        headers: "Headers",
        live: Collector,
    ) -> None:
        self._lines = lines
        self._sections = sections
        self._headers = headers
        self._live = live
        self._wholes: dict[tuple[Format, str | None], Whole] = {}
        self._lock = Lock()
        self.operations = tuple(lines)

    def body(self, form: Format, *, compress: bool, operation: str | None = None) -> bytes:
        """The whole page, or one operation's own families; KeyError for an operation that is not there."""
        start = self._whole(form, operation)
        live = b"" if operation is not None else encoded(self._live, form)
        rest = live + (END if form is Format.OPENMETRICS else b"")
        return (pieces.gzipped if compress else pieces.plain)(start, rest)

    def warm(self, page: "Page | None") -> None:
        """Puts together what was asked of the page before, so that the next scrape finds it ready."""
        for form, operation in list(page._wholes) if page else ():  # noqa: SLF001 - of its own kind
            if operation is None:
                self._whole(form, None)

    def _whole(self, form: Format, operation: str | None) -> Whole:
        key = (Format.TEXT if form is Format.TEXT_1 else form, operation)
        with self._lock:
            if key not in self._wholes:
                self._wholes[key] = pieces.whole(self._all(*key))
            return self._wholes[key]

    def _all(self, form: Format, operation: str | None) -> Iterable[Piece]:
        for family, section in self._sections.items():
            told = section if operation is None else self._own(family, operation)
            if told:
                yield self._headers.piece(family, form)
                yield from told

    def _own(self, family: Family, operation: str) -> tuple[Piece, ...]:
        lines = self._lines[operation].get(family)
        return (pieces.piece((lines,)),) if lines else ()


class Headers:
    """The headers of families, compressed once for each format."""

    def __init__(self) -> None:
        self._pieces: dict[tuple[Family, Format], Piece] = {}

    def piece(self, family: Family, form: Format) -> Piece:
        """HELP and TYPE of the family."""
        key = (family, form)
        if key not in self._pieces:
            self._pieces[key] = pieces.piece((header(family, form),))
        return self._pieces[key]


class Renderer:
    """States into pages; what did not change since the last state is neither rendered nor compressed again."""

    def __init__(self, lists: Mapping[str, UpstreamList], live: Collector) -> None:
        self._lists = lists
        self._families = exposition.families(lists)
        self._live = live
        self._headers = Headers()
        self._told: dict[str, tuple[OperationState, Lines]] = {}
        self._blocks: dict[tuple[Family, int], tuple[Parts, Piece]] = {}
        self._page: Page | None = None

    def page(self, state: State) -> Page:
        """The page of this state."""
        self._told = {each.operation.name: (each, self._lines(each)) for each in state.operations}
        lines = {name: told for name, (_, told) in self._told.items()}
        own = rendered(exposition.merged(exposition.of_exporter(state)))
        everybody = list(lines.values())
        blocks = [everybody[start : start + BLOCK] for start in range(0, len(everybody), BLOCK)]
        sections = {family: self._section(family, [*blocks, [own]]) for family in self._families}
        self._blocks = {key: made for key, made in self._blocks.items() if key[1] <= len(blocks)}
        page = Page(lines, sections, self._headers, self._live)
        page.warm(self._page)
        self._page = page
        return page

    def _section(self, family: Family, blocks: list[list[Lines]]) -> tuple[Piece, ...]:
        """The pieces of one family, block by block; a block without a sample has none."""
        made = []
        for place, block in enumerate(blocks):
            source = tuple([lines[family] for lines in block if lines.get(family)])
            if source:
                made.append(self._piece(family, place, source))
        return tuple(made)

    def _piece(self, family: Family, place: int, source: Parts) -> Piece:
        last = self._blocks.get((family, place))
        if last is None or last[0] != source:
            last = self._blocks[family, place] = (source, pieces.piece(source))
        return last[1]

    def _lines(self, state: OperationState) -> Lines:
        last = self._told.get(state.operation.name)
        if last is not None and last[0] is state:
            return last[1]
        fresh = rendered(exposition.merged(exposition.of_operation(state, self._lists)))
        return {family: same(lines, last[1].get(family) if last else None) for family, lines in fresh.items()}


def same(fresh: bytes, last: bytes | None) -> bytes:
    """The last bytes where the fresh ones equal them, so that one copy stays in memory."""
    return last if last == fresh else fresh
