"""The page in versions: what changed is rendered and compressed anew, the rest is taken over.

A page is made of pieces, one for each family and block of operations, in the order of the families: OpenMetrics
refuses families that interleave.
"""

from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Final

from exporter import exposition, pieces
from exporter.encoding import END, Format, Lines, header, rendered
from exporter.exposition import merged, of_exporter, of_operation
from exporter.model import Family
from exporter.pieces import Piece, Stream
from exporter.spec import UpstreamList
from exporter.state import OperationState, State
from exporter.vitals import Vitals

BLOCK: Final = 32  # operations whose lines of one family are compressed together
OWN: Final = ""  # stands for the exporter among the names; no operation has this one
NO_LINES: Final[Lines] = {}


class Page:
    """One version of everything that /metrics and /probe say; immutable but for its caches."""

    def __init__(
        self, lines: Mapping[str, Lines], sections: Mapping[Family, Piece], headers: "Headers", vitals: Vitals
    ) -> None:
        self._lines = lines
        self._sections = sections
        self._headers = headers
        self._vitals = vitals
        self._wholes: dict[tuple[Format, str | None], Piece] = {}
        self._lock = Lock()
        self.operations = tuple(lines)

    def stream(self, form: Format, *, compress: bool, operation: str | None = None) -> Stream:
        """The whole page, or one operation's own families; KeyError for an operation that is not there."""
        start = self._whole(form, operation)
        now = b"" if operation is not None else self._vitals.text(form)
        rest = now + (END if form is Format.OPENMETRICS else b"")
        return (pieces.gzipped if compress else pieces.plain)(start, rest)

    def body(self, form: Format, *, compress: bool, operation: str | None = None) -> bytes:
        """The bytes of `stream` in one."""
        stream = self.stream(form, compress=compress, operation=operation)
        return b"".join([part for batch in stream.batches for part in batch])

    def warm(self, page: "Page | None") -> None:
        """Puts together what was asked of the page before, so that the next scrape finds it ready."""
        for form, operation in list(page._wholes) if page else ():  # noqa: SLF001 - of its own kind
            if operation is None:
                self._whole(form, None)

    def _whole(self, form: Format, operation: str | None) -> Piece:
        key = (Format.TEXT if form is Format.TEXT_1 else form, operation)
        with self._lock:
            if key not in self._wholes:
                self._wholes[key] = pieces.whole(self._all(*key))
            return self._wholes[key]

    def _all(self, form: Format, operation: str | None) -> Iterable[Piece]:
        for family, section in self._sections.items():
            if operation is None:
                yield from (self._headers.piece(family, form), section)
            elif lines := self._lines[operation].get(family):
                yield from (self._headers.piece(family, form), pieces.piece((lines,)))


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


class Grid:
    """The pieces of all families, block by block of operations; the last block is the exporter's own."""

    def __init__(self, names: tuple[str, ...], families: Iterable[Family]) -> None:
        self.names = names
        self.lines: dict[str, Lines] = dict.fromkeys((*names, OWN), NO_LINES)
        self._blocks = [*(names[start : start + BLOCK] for start in range(0, len(names), BLOCK)), (OWN,)]
        self._places = {name: place for place, block in enumerate(self._blocks) for name in block}
        self._rows: dict[Family, dict[int, Piece]] = {family: {} for family in families}
        self._touched: dict[Family, set[int]] = {}
        self._sections: dict[Family, Piece] = {}

    def put(self, name: str, fresh: Lines) -> None:
        """Sets the lines of one operation, or of the exporter; what is equal to before stays, in one copy."""
        last = self.lines[name]
        for family in {**last, **fresh}:
            if last.get(family) != fresh.get(family):
                self._touched.setdefault(family, set()).add(self._places[name])
        self.lines[name] = {family: same(lines, last.get(family)) for family, lines in fresh.items()}

    def sections(self) -> Mapping[Family, Piece]:
        """Each family that has a sample, in the order of the page; only what was touched is put together anew."""
        for family, places in self._touched.items():
            row = self._rows[family]
            for place in places:
                self._press(row, place, family)
            self._sections[family] = pieces.whole(row[place] for place in sorted(row))
        self._touched = {}
        return {family: self._sections[family] for family, row in self._rows.items() if row}

    def _press(self, row: dict[int, Piece], place: int, family: Family) -> None:
        source = tuple([lines for name in self._blocks[place] if (lines := self.lines[name].get(family))])
        if source:
            row[place] = pieces.piece(source)
        else:
            row.pop(place, None)


class Renderer:
    """States into pages; what did not change since the last state is neither rendered nor compressed again."""

    def __init__(self, lists: Mapping[str, UpstreamList], vitals: Vitals) -> None:
        self._lists = lists
        self._families = exposition.families(lists)
        self._vitals = vitals
        self._headers = Headers()
        self._told: dict[str, OperationState] = {}
        self._grid = Grid((), self._families)
        self._page: Page | None = None

    def page(self, state: State) -> Page:
        """The page of this state."""
        names = tuple(each.operation.name for each in state.operations)
        if names != self._grid.names:
            self._grid, self._told = Grid(names, self._families), {}
        for each in state.operations:
            if self._told.get(each.operation.name) is not each:
                self._grid.put(each.operation.name, rendered(merged(of_operation(each, self._lists))))
        self._told = {each.operation.name: each for each in state.operations}
        self._grid.put(OWN, rendered(merged(of_exporter(state))))
        lines = {name: self._grid.lines[name] for name in names}
        page = Page(lines, self._grid.sections(), self._headers, self._vitals)
        page.warm(self._page)
        self._page = page
        return page


def same(fresh: bytes, last: bytes | None) -> bytes:
    """The last bytes where the fresh ones equal them, so that one copy stays in memory."""
    return last if last == fresh else fresh
