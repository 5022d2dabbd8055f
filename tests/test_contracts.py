"""The fences between the floors: each falls when somebody climbs over it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BREAKS = {
    "Imports only go down, and every module has its floor": ("model.py", "import exporter.poller"),
    "The pure floors touch no clock, no I/O, no log and no third party": ("diff.py", "import os"),
    "Only the clock and the host read time": ("page.py", "import time"),
    "Only the client speaks HTTP": ("board.py", "import requests"),
    "Only the store speaks SQL": ("look.py", "import sqlite3"),
    "Only the wiring reads the configuration": ("page.py", "import exporter.config"),
    "Lists do not know each other": ("lists/connectors.py", "import exporter.lists.token_info"),
    "The simulator knows nothing of what it is to judge": ("simulator/judge.py", "import exporter.budget"),
}


def broken(tree: Path) -> list[str]:
    """The contracts that do not hold in a copy of the package."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=tree, env={"PYTHONPATH": str(tree)}, capture_output=True, text=True, check=False)
    return [line.partition(" BROKEN")[0] for line in done.stdout.splitlines() if " BROKEN" in line]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "exporter", tmp_path / "exporter", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize("contract", BREAKS)
def test_a_contract_that_is_broken_on_purpose_is_named(tree, contract) -> None:
    place, line = BREAKS[contract]
    file = tree / "exporter" / place
    file.write_text(file.read_text() + f"\n{line}\n")

    assert contract in broken(tree)


def test_a_module_without_a_floor_is_noticed(tree) -> None:
    (tree / "exporter" / "attic.py").write_text('"""Things."""\n')
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]

    done = subprocess.run(command, cwd=tree, env={"PYTHONPATH": str(tree)}, capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert "attic" in done.stdout + done.stderr


def test_every_contract_is_broken_here_once() -> None:
    names = [line for line in (ROOT / "pyproject.toml").read_text().splitlines() if line.startswith("name = ")]

    assert [name.removeprefix('name = "').removesuffix('"') for name in names if " " in name.split('"')[1]] == list(
        BREAKS
    )


def test_a_start_imports_nothing_that_its_first_page_can_do_without() -> None:
    code = "import sys, exporter.commands; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert not {"requests", "urllib3", "jinja2", "exporter.simulator", "exporter.errands"} & {*done.stdout.split()}
