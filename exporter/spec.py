"""What an upstream list is: how to ask, read, compare and show it. Knows no list by name."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from exporter.model import ChangeKind, Family, Key, Row, Sample, Values
from exporter.state import OperationState


class Watch(NamedTuple):
    """A field whose changes are told: which kind a change is, and which list the field refers to, if any."""

    field: str
    kind: ChangeKind
    refers_to: str = ""


Samples = Iterable[tuple[Family, Iterable[Sample]]]


@dataclass(frozen=True, slots=True)
class Derived:
    """Samples that follow from a source alone: who has those of an equal source need not make them again."""

    make: Callable[..., Values]
    source: tuple[object, ...]

    def values(self) -> Values:
        """The samples, all at once."""
        return self.make(*self.source)

    def __iter__(self) -> Iterator[Sample]:
        """The samples one by one."""
        return iter([Sample(labels, value) for labels, value in self.values().items()])


@dataclass(frozen=True, slots=True)
class UpstreamList:
    """One upstream API that is polled: how to ask, read, compare and show it.

    `key` names the fields of a row's key, `private` those that may hold personal data. `interval` is the default in
    seconds. `parse` gives a row, or None for a record without its key; `restore` gives rows from the columns of their
    texts. `watches` are compared by the diff and written to the journal; `group` names what is counted together. An
    `essential` list is the one that tells whether the operation is up; a `meter` tells the token's own budget: the
    field `falls` of its row is a counter of the vendor's, `left` reads what it leaves.
    """

    name: str
    interval: float
    parse: Callable[[Mapping[object, object]], Row | None]
    restore: Callable[[Sequence[Sequence[str]]], Iterable[Row]]
    families: tuple[Family, ...]
    samples: Callable[[OperationState], Samples]
    key: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    watches: tuple[Watch, ...] = ()
    group: Callable[[Row], Key] | None = None
    essential: bool = False
    falls: str = ""
    left: Callable[[Row], float | None] | None = None


def restorer(row: type[Any]) -> Callable[[Sequence[Sequence[str]]], Iterable[Row]]:
    """Makes rows of this NamedTuple from the columns of their texts, without a look at each as its `_make` has it.

    ValueError where they are neither none nor as many as its fields, and, while rows are made, where one is shorter.
    """
    width, make = len(row._fields), partial(tuple.__new__, row)

    def restore(columns: Sequence[Sequence[str]]) -> Iterable[Row]:
        if columns and len(columns) != width:
            raise ValueError(f"{len(columns)} columns instead of {width}")
        return map(make, zip(*columns, strict=True))

    return restore
