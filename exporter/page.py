"""The page in versions: what changed is rendered and compressed anew, the rest is taken over.

A page is made of pieces, one for each family and block of operations, in the order of the families: OpenMetrics
refuses families that interleave.
"""

from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Final, NamedTuple

from exporter import exposition, pieces
from exporter.checksums import Sums
from exporter.encoding import Format, Lines, header, rendered
from exporter.exposition import merged, of_exporter, of_operation
from exporter.model import Family
from exporter.pieces import Piece, Stream
from exporter.spec import UpstreamList
from exporter.state import OperationState, State
from exporter.vitals import Vitals

BLOCK: Final = 32  # operations whose lines of one family are compressed together
OWN: Final = ""  # stands for the exporter among the names; no operation has this one
NO_LINES: Final[Lines] = {}
NO_VITALS: Final = Vitals()


class Section(NamedTuple):
    """One family: the pieces of its blocks, and the checksum and the size of all of them."""

    pieces: tuple[Piece, ...] = ()
    crc: int = 0
    size: int = 0


NOTHING: Final = Section()


class Page:
    """One version of everything that /metrics and /probe say; immutable but for its caches."""

    def __init__(
        self, grid: "Grid", sections: Mapping[Family, Section], binders: Mapping[Format, "Binder"], vitals: Vitals
    ) -> None:
        self._lines = dict(grid.lines)
        self._sections = sections
        self._binders = binders
        self._vitals = vitals
        self._wholes: dict[tuple[Format, frozenset[str] | None], Piece] = {}
        self._lock = Lock()
        self.operations = grid.names

    def stream(self, form: Format, *, compress: bool, names: frozenset[str] | None = None) -> Stream:
        """The whole page, or the own families of some operations; those that are not there say nothing."""
        start = self._whole(form, names)
        rest = (self._vitals if names is None else NO_VITALS).filled(form)
        return (pieces.gzipped if compress else pieces.plain)(start, rest)

    def body(self, form: Format, *, compress: bool, names: frozenset[str] | None = None) -> bytes:
        """The bytes of `stream` in one."""
        stream = self.stream(form, compress=compress, names=names)
        return b"".join([part for batch in stream.batches for part in batch])

    def _whole(self, form: Format, names: frozenset[str] | None) -> Piece:
        key = (Format.TEXT if form is Format.TEXT_1 else form, names)
        with self._lock:
            made = self._wholes.get(key)
            if made is None:
                binder = self._binders[key[0]]
                made = binder.bound(self._sections) if names is None else pieces.whole(self._part(binder, names))
                self._wholes[key] = made
            return made

    def _part(self, binder: "Binder", names: frozenset[str]) -> Iterable[Piece]:
        """The families of these operations, each with its header."""
        some = [self._lines[name] for name in self.operations if name in names]
        for family in self._sections:
            if lines := tuple([each[family] for each in some if family in each]):
                yield from (binder.header(family), pieces.piece(lines))


class Binder:
    """Puts the sections of a page under their headers, in one piece; by what it bound last, the next one is cheap."""

    def __init__(self, families: tuple[Family, ...], form: Format) -> None:
        self._headers = {family: pieces.piece((header(family, form),)) for family in families}
        self._last: dict[Family, Section] = dict.fromkeys(families, NOTHING)
        self._sums = Sums(2 * len(families))
        self._lock = Lock()

    def header(self, family: Family) -> Piece:
        """HELP and TYPE of the family."""
        return self._headers[family]

    def bound(self, sections: Mapping[Family, Section]) -> Piece:
        """The whole page in the order of its families."""
        with self._lock:
            for place, (family, last) in enumerate(self._last.items()):
                section = sections.get(family, NOTHING)
                if section is not last:
                    self._set(place, family, section)
            total = self._sums.total()
        parts = (each for family, section in sections.items() for each in (self._headers[family], *section.pieces))
        return pieces.joined(parts, total)

    def _set(self, place: int, family: Family, section: Section) -> None:
        self._last[family] = section
        for side, each in enumerate((self._headers[family] if section.size else NOTHING, section)):
            self._sums.put(2 * place + side, each.crc, each.size)


class Grid:
    """The pieces of all families, block by block of operations; the last block is the exporter's own."""

    def __init__(self, names: tuple[str, ...], families: Iterable[Family]) -> None:
        self.names = names
        self.lines: dict[str, Lines] = dict.fromkeys((*names, OWN), NO_LINES)
        self._blocks = [*(names[start : start + BLOCK] for start in range(0, len(names), BLOCK)), (OWN,)]
        self._places = {name: place for place, block in enumerate(self._blocks) for name in block}
        self._rows: dict[Family, dict[int, Piece]] = {family: {} for family in families}
        self._sums = {family: Sums(len(self._blocks)) for family in self._rows}
        self._touched: dict[Family, set[int]] = {}
        self._sections: dict[Family, Section] = {}

    def put(self, name: str, fresh: Lines) -> None:
        """Sets the lines of one operation, or of the exporter; what is equal to before stays, in one copy."""
        last = self.lines[name]
        for family in {**last, **fresh}:
            if last.get(family) != fresh.get(family):
                self._touched.setdefault(family, set()).add(self._places[name])
        self.lines[name] = {family: same(lines, last.get(family)) for family, lines in fresh.items()}

    def sections(self) -> Mapping[Family, Section]:
        """Each family that has a sample, in the order of the page; only what was touched is put together anew."""
        for family, places in self._touched.items():
            row = self._rows[family]
            for place in places:
                self._press(row, place, family)
            self._sections[family] = Section(tuple([row[place] for place in sorted(row)]), *self._sums[family].total())
        self._touched = {}
        return {family: self._sections[family] for family, row in self._rows.items() if row}

    def _press(self, row: dict[int, Piece], place: int, family: Family) -> None:
        source = tuple([lines for name in self._blocks[place] if (lines := self.lines[name].get(family))])
        row.pop(place, None)
        if source:
            row[place] = pieces.piece(source)
        made = row.get(place, NOTHING)
        self._sums[family].put(place, made.crc, made.size)


class Renderer:
    """States into pages; what did not change since the last state is neither rendered nor compressed again."""

    def __init__(self, lists: Mapping[str, UpstreamList], vitals: Vitals) -> None:
        self._lists = lists
        self._families = exposition.families(lists)
        self._vitals = vitals
        self._binders = {form: Binder(self._families, form) for form in (Format.TEXT, Format.OPENMETRICS)}
        self._told: tuple[OperationState, ...] = ()
        self._grid = Grid((), self._families)

    def page(self, state: State) -> Page:
        """The page of this state."""
        for each in self._changed(state.operations):
            self._grid.put(each.operation.name, rendered(merged(of_operation(each, self._lists))))
        self._grid.put(OWN, rendered(merged(of_exporter(state))))
        return Page(self._grid, self._grid.sections(), self._binders, self._vitals)

    def _changed(self, told: tuple[OperationState, ...]) -> list[OperationState]:
        """The operations that are not as they were; all of them where they are others."""
        before, self._told = self._told, told
        names = tuple([each.operation.name for each in told])
        if names == self._grid.names:
            return [each for each, last in zip(told, before, strict=True) if each is not last]
        self._grid = Grid(names, self._families)
        return list(told)


def same(fresh: bytes, last: bytes | None) -> bytes:
    """The last bytes where the fresh ones equal them, so that one copy stays in memory."""
    return last if last == fresh else fresh
