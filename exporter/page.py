"""The page in versions: what changed is rendered and compressed anew, the rest is taken over.

A page is made of pieces, one for each family and block of operations, in the order of the families: OpenMetrics
refuses families that interleave.
"""

from collections.abc import Iterable, Mapping
from operator import is_not
from threading import Lock
from typing import Final

import structlog

from exporter import exposition, pieces
from exporter.checksums import Sums
from exporter.encoding import Format, header, rendered
from exporter.exposition import merged, of_exporter, of_operation
from exporter.model import Family, Sample, Values
from exporter.pieces import NOTHING, Part, Piece, Stream, opened, packed
from exporter.spec import Derived, UpstreamList
from exporter.state import OperationState, State
from exporter.vitals import Vitals

log = structlog.get_logger()

BLOCK: Final = 32  # operations whose lines of one family are compressed together
OWN: Final = ""  # stands for the exporter among the names; no operation has this one
ROOMY: Final = 14 * 2**20  # bytes of lines that are kept as they are; more of them are packed
NO_VITALS: Final = Vitals()


Section = tuple[Piece, ...]  # one family: its piece of each block, of which some may be empty


class Page:
    """One version of everything that /metrics and /probe say; immutable but for its caches."""

    def __init__(
        self, grid: "Grid", sections: Mapping[Family, Section], binders: Mapping[Format, "Binder"], vitals: Vitals
    ) -> None:
        self._places = grid.places
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
        places = [self._places[name] for name in self.operations if name in names]
        for family, section in self._sections.items():
            lines = [section[block].rows[0][place] for block, place in places if section[block].rows]
            if any(lines):
                yield from (binder.header(family), pieces.piece(tuple(lines)))


class Binder:
    """Puts the sections of a page under their headers, in one piece; by what it bound last, the next one is cheap.

    `blocks` is how many pieces a section has.
    """

    def __init__(self, families: tuple[Family, ...], blocks: int, form: Format) -> None:
        self._headers = {family: pieces.piece((header(family, form),)) for family in families}
        self._last = dict.fromkeys(families, (NOTHING,) * (1 + blocks))
        self._sums = Sums(len(families) * (1 + blocks))
        self._lock = Lock()

    def header(self, family: Family) -> Piece:
        """HELP and TYPE of the family."""
        return self._headers[family]

    def bound(self, sections: Mapping[Family, Section]) -> Piece:
        """The whole page in the order of its families."""
        whole = {family: (self._headers[family], *section) for family, section in sections.items()}
        with self._lock:
            for place, (family, last) in enumerate(self._last.items()):
                fresh = whole.get(family, (NOTHING,) * len(last))
                self._last[family] = fresh
                for number, (each, former) in enumerate(zip(fresh, last, strict=True), place * len(last)):
                    if each is not former:
                        self._sums.put(number, each.crc, each.size)
            total = self._sums.total()
        return pieces.joined((each for parts in whole.values() for each in parts), total)


def told(samples: Iterable[Sample]) -> Iterable[Sample] | Values:
    """The samples all at once, where they can be had so."""
    return samples.values() if isinstance(samples, Derived) else samples


class Grid:
    """The lines of all families, block by block of operations, and their pieces; the last block is the exporter's own.

    What is beyond `ROOMY` bytes of lines is kept packed.
    """

    def __init__(self, names: tuple[str, ...], families: Iterable[Family]) -> None:
        self.names = names
        widths = [len(names[start : start + BLOCK]) for start in range(0, len(names), BLOCK)]
        self.blocks = 1 + len(widths)
        self.places = {name: divmod(number, BLOCK) for number, name in enumerate(names)} | {OWN: (len(widths), 0)}
        self._lines: dict[Family, list[list[Part]]] = {
            family: [[b""] * width for width in (*widths, 1)] for family in families
        }
        self._touched: dict[Family, set[int]] = {family: set() for family in self._lines}
        self._sections: dict[Family, Section] = dict.fromkeys(self._lines, (NOTHING,) * self.blocks)
        self._size = 0

    def part(self, name: str, family: Family) -> Part:
        """The lines of one operation in one family."""
        block, place = self.places[name]
        return self._lines[family][block][place]

    def put(self, name: str, fresh: Mapping[Family, Part]) -> None:
        """Sets the lines of one operation, or of the exporter; what is equal to before stays, in one copy."""
        block, place = self.places[name]
        for family, blocks in self._lines.items():
            last, part = blocks[block][place], fresh.get(family, b"")
            if part is not last and not (last and part == opened(last)):
                self._size += len(part) - len(last)
                blocks[block][place] = packed(part) if self._size > ROOMY else part
                self._touched[family].add(block)

    def sections(self) -> Mapping[Family, Section]:
        """Each family that has a sample, in the order of the page; only what was touched is put together anew."""
        for family, blocks in self._touched.items():
            if not blocks:
                continue
            row = list(self._sections[family])
            for block in blocks:
                parts = tuple(self._lines[family][block])
                row[block] = pieces.piece(parts) if any(parts) else NOTHING
            self._sections[family] = tuple(row)
            blocks.clear()
        return {family: section for family, section in self._sections.items() if any(each.size for each in section)}


class Renderer:
    """States into pages; what did not change since the last state is neither rendered nor compressed again."""

    def __init__(self, lists: Mapping[str, UpstreamList], vitals: Vitals) -> None:
        self._lists = lists
        self._families = exposition.families(lists)
        self._vitals = vitals
        self._told: tuple[OperationState, ...] = ()
        self._begin(())

    def page(self, state: State) -> Page:
        """The page of this state."""
        for each in self._changed(state.operations):
            try:
                self._put(each)
            except Exception:
                # The boundary between operations: a bug that one of them trips must not keep others from the page.
                log.exception("operation not rendered, its last lines stay", operation=each.operation.name)
        self._grid.put(OWN, rendered(merged(of_exporter(state))))
        return Page(self._grid, self._grid.sections(), self._binders, self._vitals)

    def _put(self, state: OperationState) -> None:
        """Renders one operation; lines that follow from the same values as before are taken over."""
        name, samples = state.operation.name, merged(of_operation(state, self._lists))
        last = self._derived.get(name, {})
        derived = {family: some for family, some in samples.items() if isinstance(some, Derived)}
        kept = {family: self._grid.part(name, family) for family, some in derived.items() if some == last.get(family)}
        fresh = rendered({family: told(some) for family, some in samples.items() if family not in kept})
        self._grid.put(name, {**fresh, **kept})
        self._derived[name] = derived

    def _changed(self, told: tuple[OperationState, ...]) -> list[OperationState]:
        """The operations that are not as they were; all of them where they are others."""
        before, self._told = self._told, told
        if len(told) == len(before):
            places = [place for place, is_new in enumerate(map(is_not, told, before)) if is_new]
            if all(told[place].operation.name == before[place].operation.name for place in places):
                return [told[place] for place in places]
        self._begin(tuple([each.operation.name for each in told]))
        return list(told)

    def _begin(self, names: tuple[str, ...]) -> None:
        """Forgets what was made for other operations than these."""
        self._grid = Grid(names, self._families)
        self._binders = {
            form: Binder(self._families, self._grid.blocks, form) for form in (Format.TEXT, Format.OPENMETRICS)
        }
        self._derived: dict[str, Mapping[Family, Derived]] = {}
