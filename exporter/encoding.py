"""Families and samples as the lines of the text formats. Knows bytes and labels, no state and no page.

Headers, and everything that is not ours, come from prometheus_client's encoders. Our own samples are written here: the
library takes twenty times as long for them, which is the difference between a poll that nobody notices and one that
holds up a scrape. A property test holds both byte-identical.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from exporter.model import Family, Sample

LONGEST: Final = 200  # characters of a label's value
END: Final = b"# EOF\n"
Lines = Mapping[Family, bytes]

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


def lines(family: Family, samples: Iterable[Sample]) -> bytes:
    """The sample lines, which are the same in all formats; of those with the same labels the last one stays."""
    some = tuple(samples)
    if family.labels and are_plain(family, some):
        template, pick = plain_form(family)
        names = [template % pick(sample.labels) for sample in some]
    else:
        names = [named(family, sample) for sample in some]
    distinct = dict(zip(names, [sample.value for sample in some], strict=True))
    text = "".join([f"{series} {number(value)}\n" for series, value in distinct.items()])
    return text.encode("utf-8", "replace")


@lru_cache(maxsize=256)
def plain_form(family: Family) -> tuple[str, Callable[[tuple[str, ...]], Any]]:
    """A series of the family with places for its labels, and what puts them into the order of these places."""
    order = sorted(range(len(family.labels)), key=family.labels.__getitem__)
    pairs = ",".join(f'{family.labels[place]}="%s"' for place in order)
    return f"{family.name}{{{pairs}}}", itemgetter(*order)


def are_plain(family: Family, samples: Sequence[Sample]) -> bool:
    """True when all labels can be written as they are, in the family's order: as nearly all can."""
    width = len(family.labels)
    if not all(len(each.labels) == width and not (each.extra or each.suffix) for each in samples):
        return False
    texts = [text for each in samples for text in each.labels]
    together = "".join(texts)
    is_special = "\\" in together or '"' in together or "\n" in together
    return not is_special and (len(together) <= LONGEST or max(map(len, texts)) <= LONGEST)


def named(family: Family, sample: Sample) -> str:
    """Name and labels of any sample."""
    pairs = sorted((*zip(family.labels, sample.labels, strict=True), *sample.extra))
    labels = ",".join(f'{name}="{escaped(text)}"' for name, text in pairs)
    name = family.name + sample.suffix
    return f"{name}{{{labels}}}" if labels else name


def escaped(text: str) -> str:
    """A label's value between its quotes."""
    return text[:LONGEST].replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


@lru_cache(maxsize=4096)
def number(value: float) -> str:
    """A value as Prometheus writes it; few values fill most of a page."""
    return _number(float(value))


def rendered(samples: Mapping[Family, Iterable[Sample]]) -> Lines:
    """The sample lines of each family."""
    return {family: lines(family, some) for family, some in samples.items()}
