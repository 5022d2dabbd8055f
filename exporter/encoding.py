"""Families and samples as the lines of the text formats. Knows bytes and labels, no state and no page.

Headers, and everything that is not ours, come from prometheus_client's encoders. Our own samples are written here: the
library takes twenty times as long for them, which is the difference between a poll that nobody notices and one that
holds up a scrape. A property test holds both byte-identical.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from itertools import islice
from typing import Final, TypeVar

from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from exporter.model import Family, Sample, Values

LONGEST: Final = 200  # characters of a label's value
SLICE: Final = 1000  # samples that are written in one go: nothing else can run in this process meanwhile
END: Final = b"# EOF\n"
Lines = Mapping[Family, bytes]
Cell = TypeVar("Cell", str, float)

# The library gives its encoders no types.
_text: Callable[[Collector], bytes] = generate_latest
_openmetrics: Callable[..., bytes] = openmetrics.generate_latest
_number: Callable[[float], str] = floatToGoString


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


@lru_cache(maxsize=1024)
def head(name: str, kind: str, text: str, form: Format) -> str:
    """The HELP and TYPE lines of a metric of the library's."""
    return encoded(Once([Metric(name, text, kind)]), form).decode()


def series(name: str, labels: Mapping[str, str]) -> str:
    """Name and labels of a sample of the library's."""
    pairs = ",".join(f'{label}="{escaped(text)}"' for label, text in sorted(labels.items()))
    return f"{name}{{{pairs}}}" if pairs else name


def header(family: Family, form: Format) -> bytes:
    """The HELP and TYPE lines of a family of ours."""
    name = family.name.removesuffix("_total") if family.kind == "counter" else family.name
    return head(name, family.kind, family.help, form).encode()


def lines(family: Family, samples: Iterable[Sample] | Values) -> bytes:
    """The sample lines, which are the same in all formats; of those with the same labels the last one stays."""
    if isinstance(samples, Mapping):
        return table(family, samples)
    distinct = {named(family, sample): sample.value for sample in samples}
    text = "".join([f"{series} {number(value)}\n" for series, value in distinct.items()])
    return text.encode("utf-8", "replace")


def table(family: Family, values: Values) -> bytes:
    """The lines of many samples: woven column by column, in a third of the time that line by line takes."""
    words, order = frame(family)
    keys, figures, texts = iter(values), iter(values.values()), list[str]()
    while some := [*islice(keys, SLICE)]:
        columns = [*map(folded, zip(*some, strict=True))]
        if not columns or len(columns) != len(order) or not all(map(are_plain, columns)):
            return lines(family, [Sample(labels, value) for labels, value in values.items()])
        numbers = [*map(number, folded([*islice(figures, SLICE)]))]
        texts.append("".join(woven(words, [*[columns[place] for place in order], numbers], len(some))))
    return "".join(texts).encode("utf-8", "replace")


@lru_cache(maxsize=256)
def frame(family: Family) -> tuple[Sequence[str], Sequence[int]]:
    """What stands before each label, before the value and behind it; and which of the labels these are."""
    order = sorted(range(len(family.labels)), key=family.labels.__getitem__)
    first, *others = [f'{family.labels[place]}="' for place in order] or [""]
    return [f"{family.name}{{{first}", *[f'",{name}' for name in others], '"} ', "\n"], order


def folded(column: Sequence[Cell]) -> Sequence[Cell]:
    """The column; of one that has the same everywhere, that alone."""
    return column[:1] if column.count(column[0]) == len(column) else column


def woven(words: Sequence[str], columns: Sequence[Sequence[str]], length: int) -> list[str]:
    """The parts of so many lines: word, cell, word, cell, word; what is the same in all of them is one part."""
    fixed, cells = words[0], list[Sequence[str]]()
    for word, column in zip(words[1:], columns, strict=True):
        if len(column) == 1:
            fixed += column[0] + word
        else:
            cells += ((fixed,) * length, column)
            fixed = word
    width = len(cells) + 1
    parts = [fixed] * (length * width)
    for place, cell in enumerate(cells):
        parts[place::width] = cell
    return parts


def are_plain(texts: Sequence[str]) -> bool:
    """True when all can be written as they are, as nearly all can."""
    together = "".join(texts)
    is_special = "\\" in together or '"' in together or "\n" in together
    return not is_special and (len(together) <= LONGEST or max(map(len, texts)) <= LONGEST)


def named(family: Family, sample: Sample) -> str:
    """Name and labels of any sample."""
    return f"{family.name}{sample.suffix}{braced(family.labels, sample.labels, sample.extra)}"


@lru_cache(maxsize=64)
def braced(names: tuple[str, ...], texts: tuple[str, ...], extra: tuple[tuple[str, str], ...]) -> str:
    """The labels of a sample in braces, "" for none; a list has the same ones in one family after the other."""
    pairs = sorted((*zip(names, texts, strict=True), *extra))
    labels = ",".join(f'{name}="{escaped(text)}"' for name, text in pairs)
    return f"{{{labels}}}" if labels else ""


def escaped(text: str) -> str:
    """A label's value between its quotes."""
    return text[:LONGEST].replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


@lru_cache(maxsize=4096)
def number(value: float) -> str:
    """A value as Prometheus writes it; few values fill most of a page."""
    return _number(float(value))


def rendered(samples: Mapping[Family, Iterable[Sample] | Values]) -> Lines:
    """The sample lines of each family."""
    return {family: lines(family, some) for family, some in samples.items()}
