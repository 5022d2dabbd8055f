"""What the locks must be: every package pinned with hashes, by version, final, of the index, and not withdrawn since.

Known weaknesses it does not know: that takes a service on the network, see docs/decisions.md.
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import Version

FOLDER: Final = Path("requirements")
# Its report has it as a field too, but only with newer versions of pip than the oldest Python brings.
YANKED: Final = re.compile(r"is a yanked version: '([^']+)' candidate \(version (\S+)")
HASH: Final = re.compile(r"--hash=sha256:[0-9a-f]{64}(?=\s|$)")


class Locked(NamedTuple):
    """One entry of a lock."""

    text: str
    hashes: int

    @property
    def fault(self) -> str:
        """What is wrong with it, "" for nothing."""
        try:
            requirement = Requirement(self.text)
        except InvalidRequirement:
            return "is no requirement but an option or a path"
        if requirement.url:
            return "does not come from the index"
        (operator, version), *more = [(each.operator, each.version) for each in requirement.specifier] or [("", "")]
        if operator != "==" or more or version.endswith("*"):
            return "is not pinned to one version"
        if Version(version).is_prerelease:
            return "is no final version"
        return "" if self.hashes else "has no hash"


def locked(text: str) -> Iterator[Locked]:
    """The entries of a lock; its comments and line ends within an entry do not count."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for entry in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        if entry.strip():
            yield Locked(HASH.sub("", entry).strip(), len(HASH.findall(entry)))


def faults(run: str, dev: str) -> Iterator[str]:
    """Everything that is wrong with the two locks, a line each."""
    for name, text in (("run.txt", run), ("dev.txt", dev)):
        yield from (f"{name}: {each.text} {each.fault}" for each in locked(text) if each.fault)
    tested = {each.text for each in locked(dev)}
    yield from (f"run.txt: {each.text} is not what dev.txt tests" for each in locked(run) if each.text not in tested)


def withdrawn(said: str) -> Iterator[str]:
    """The packages of which pip warns that their authors took them back."""
    yield from (f"run.txt: {name} {version} was withdrawn by its authors" for name, version in YANKED.findall(said))


def warnings(lock: Path) -> str:
    """What pip warns of before it would install the lock, from the index that it is told to use."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--dry-run"]
    how = ["--ignore-installed", "--no-deps", "--require-hashes", f"--requirement={lock}"]
    ended = subprocess.run([*pip, *how], check=False, capture_output=True, text=True, timeout=600)
    if ended.returncode:
        sys.exit(ended.stderr)
    return ended.stderr


def main() -> int:
    """Prints the faults; 1 if there are any."""
    run, dev = FOLDER / "run.txt", FOLDER / "dev.txt"
    return told([*faults(run.read_text(encoding="utf-8"), dev.read_text(encoding="utf-8")), *withdrawn(warnings(run))])


def told(found: Iterable[str]) -> int:
    """Prints each on standard error; 1 if there are any."""
    lines = list(found)
    sys.stderr.writelines(f"{line}\n" for line in lines)
    return min(1, len(lines))


if __name__ == "__main__":
    sys.exit(main())
