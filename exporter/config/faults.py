"""How a fault of the configuration is said: one line with file, line, key, what was found and what is allowed.

Knows no key and no rule.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 60


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong; `line` is None where a whole file is meant, `key` is "" where the text names it."""

    file: str
    line: int | None
    key: str
    text: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.key, self.text) if part)


class ConfigError(Exception):
    """Every fault that was found, in the order of the files; its text is one line a fault."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


def shown(text: str) -> str:
    """The text as a message may carry it: on one line, cut at 60 characters, quoted where its ends are not clear."""
    return quoted(text) if not text or " " in text else _line(text)


def quoted(text: str) -> str:
    """The same, in quotes always."""
    return f'"{_line(text)}"'


def _line(text: str) -> str:
    line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[: LONGEST + 1])
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
