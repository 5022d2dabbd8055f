"""The Spanish pages have the form of the English ones, and every link and metric of every document is there."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
EVERYTHING = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
LAST = "How the budget is kept"  # the last section of the README that is translated

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"\s+#\s.*$", re.MULTILINE)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^()\s]+)\)")
OUTSIDE = re.compile(r"[a-z]+:")
METRIC = re.compile(r"(?<![:\w])wolkvox_[a-z_]+[a-z](?![:\w])")  # a colon beside it makes it a recording rule
SERIES = re.compile("_(bucket|count|sum)$")
MARKERS = {"What it means": "Qué significa", "Look at": "Qué mirar", "Do": "Qué hacer"}


class Heading(NamedTuple):
    level: int
    text: str


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def prose(text: str) -> str:
    """The text without its fenced blocks: a `#` in there is no heading, a bracket no link."""
    return FENCE.sub("", text)


def headings(text: str) -> list[Heading]:
    return [Heading(len(signs), title.strip()) for signs, title in HEADING.findall(prose(text))]


def alerts(text: str) -> list[str]:
    return [title for _, title in headings(text) if re.fullmatch(r"Wolkvox[A-Z]\w+", title)]


def sections(text: str) -> list[str]:
    """What stands before the first heading and under each."""
    return HEADING.sub("\0", prose(text)).split("\0")


def blocks(text: str) -> list[tuple[str, str]]:
    """The fenced blocks: language and code; comments may be translated."""
    return [(language, COMMENT.sub("", code)) for _, language, code in FENCE.findall(text)]


def code(text: str) -> list[str]:
    """What stands in backticks, in the order of the alphabet; a line may end within."""
    return sorted(" ".join(span.split()) for span in CODE.findall(text))


def first_half(text: str) -> str:
    """The README up to the end of its section on the budget."""
    before, found, after = text.partition(f"## {LAST}\n")
    assert found, f"README.md has no section {LAST!r}"
    return before + found + after.partition("\n## ")[0]


def anchor(title: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def anchors(text: str) -> set[str]:
    """Every anchor of a document; a title that comes again has a number behind it."""
    given = [anchor(title) for _, title in headings(text)]
    return {name if n == 0 else f"{name}-{n}" for name in set(given) for n in range(given.count(name))}


def dead(path: Path, root: Path = ROOT) -> Iterable[str]:
    """The relative links of a document that lead nowhere."""
    for link in LINK.findall(CODE.sub("", prose(read(path)))):
        place, _, name = unquote(link).partition("#")
        target = (path.parent / place).resolve() if place else path
        if OUTSIDE.match(link):
            continue
        if not target.exists() or not target.is_relative_to(root) or (name and name not in anchors(read(target))):
            yield link


README = (first_half(read(ROOT / "README.md")), read(DOCS / "es" / "README.md"))
RUNBOOK = (read(DOCS / "runbook.md"), read(DOCS / "es" / "runbook.md"))
PAIRS = pytest.mark.parametrize(("english", "spanish"), [README, RUNBOOK], ids=["README", "runbook"])


@PAIRS
def test_the_headings_are_as_many_and_on_the_same_levels(english, spanish) -> None:
    assert [heading.level for heading in headings(spanish)] == [heading.level for heading in headings(english)]


def test_the_alerts_have_the_same_headings_in_the_same_order() -> None:
    english, spanish = map(alerts, RUNBOOK)

    assert english
    assert spanish == english


def test_each_alert_is_told_in_the_same_parts() -> None:
    english, spanish = (
        [re.findall(r"^\*\*([^*]+)\.\*\*", section, re.MULTILINE) for section in sections(text)] for text in RUNBOOK
    )

    told = [[MARKERS.get(part, "") for part in parts] for parts in english]
    assert told[:-1] == spanish[:-1]
    assert len(english[-1]) == len(spanish[-1])


@PAIRS
def test_code_is_the_same_but_for_its_comments(english, spanish) -> None:
    assert blocks(spanish) == blocks(english)


@PAIRS
def test_each_section_names_the_same_things_in_code(english, spanish) -> None:
    """A metric, flag, key or command that one of the two does not name is a translation that was forgotten."""
    for ours, theirs in zip(sections(spanish), sections(english), strict=True):
        assert code(ours) == code(theirs)


@PAIRS
def test_each_table_has_as_many_rows(english, spanish) -> None:
    rows = [[section.count("\n|") for section in sections(text)] for text in (english, spanish)]

    assert rows[0] == rows[1]


@pytest.mark.parametrize("path", EVERYTHING, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(path) -> None:
    assert list(dead(path)) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_document_names_a_metric_that_is_not_documented(path) -> None:
    """The changelog may name a former one, CONTRIBUTING one that somebody is to write."""
    documented = set(re.findall(r"^\| `(\w+)` \|", read(DOCS / "metrics.md"), re.MULTILINE))

    named = set(METRIC.findall(read(path)))

    assert {name for name in named if name not in documented and SERIES.sub("", name) not in documented} == set()


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("WolkvoxTokenBusy", "wolkvoxtokenbusy"),
        ("Cómo están hechas las alertas", "cómo-están-hechas-las-alertas"),
        ("With Prometheus, Alertmanager and Grafana", "with-prometheus-alertmanager-and-grafana"),
        ("A `key` and poll.token_info", "a-key-and-polltoken_info"),
    ],
)
def test_an_anchor_is_the_one_that_github_makes(title, name) -> None:
    assert anchor(title) == name


def test_a_dead_link_is_found(tmp_path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One\n[a](#one) [b](#two) [c](page.md) [d](gone.md) [e](https://example.com/#x) [f](page.md#one)\n"
    )

    assert list(dead(page, tmp_path)) == ["#two", "gone.md"]
