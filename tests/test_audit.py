"""The audit of the locks: what it finds in wrong ones, and that ours are right."""

from pathlib import Path

import pytest
from audit import FOLDER, faults, told, withdrawn

ROOT = Path(__file__).parent.parent
HASH = f"--hash=sha256:{'0' * 64}"
GOOD = f"""one==1.0 \\
    {HASH} \\
    {HASH}
    # via two
two==1!2.0.post1 ; python_full_version < '3.12' \\
    {HASH}
"""


def test_our_locks_are_without_fault() -> None:
    run, dev = ((ROOT / FOLDER / name).read_text() for name in ("run.txt", "dev.txt"))

    assert list(faults(run, dev)) == []


def test_a_right_lock_has_no_fault() -> None:
    assert list(faults(GOOD, GOOD)) == []


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        (f"three>=1.0 {HASH}", "three>=1.0 is not pinned to one version"),
        (f"three==1.* {HASH}", "three==1.* is not pinned to one version"),
        (f"three==1.0,!=1.1 {HASH}", "three==1.0,!=1.1 is not pinned to one version"),
        (f"three {HASH}", "three is not pinned to one version"),
        (f"three==1.0rc1 {HASH}", "three==1.0rc1 is no final version"),
        ("three==1.0", "three==1.0 has no hash"),
        ("three==1.0 --hash=md5:0", "three==1.0 --hash=md5:0 is no requirement but an option or a path"),
        (f"three @ https://example.com/three.whl {HASH}", "does not come from the index"),
        ("--extra-index-url https://example.com", "is no requirement but an option or a path"),
        ("-e ./three", "is no requirement but an option or a path"),
    ],
)
def test_a_wrong_entry_is_named_with_its_lock(entry, fault) -> None:
    (found,) = faults(GOOD, GOOD + entry + "\n")

    assert found.startswith("dev.txt: ")
    assert found.endswith(fault)


def test_what_runs_is_what_is_tested() -> None:
    other = GOOD.replace("one==1.0", "one==1.1")

    assert list(faults(GOOD, other)) == ["run.txt: one==1.0 is not what dev.txt tests"]


def test_a_package_that_was_withdrawn_is_named() -> None:
    said = (
        "WARNING: the cache is off\n"
        "WARNING: The candidate selected for download is a yanked version: 'two' candidate (version 1.0 at x)\n"
        "Reason for being yanked: a bug\n"
    )

    assert list(withdrawn(said)) == ["run.txt: two 1.0 was withdrawn by its authors"]


def test_faults_are_told_and_fail(capsys) -> None:
    assert (told([]), told(["one", "two"])) == (0, 1)
    assert capsys.readouterr().err == "one\ntwo\n"
