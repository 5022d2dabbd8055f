"""`make fuzz`: each target of `targets.py` for minutes, guided by coverage where atheris is there, else by hypothesis.

An input that breaks a promise is kept in tests/corpus/TARGET/ and replayed by every run of the tests from then on.
"""

import argparse
import hashlib
import importlib.util
import subprocess
import sys
import time
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from targets import CORPUS, TARGETS, Target

LONGEST = 4096  # bytes of an input that libFuzzer makes


def hunt(target: Target, folder: Path, examples: int, *, derandomize: bool = False) -> None:
    """Tries so many inputs; the smallest one that breaks a promise is kept in the folder, and its failure raised."""
    failing = b""

    @settings(
        max_examples=examples,
        derandomize=derandomize,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(target.inputs())
    def search(data: bytes) -> None:
        nonlocal failing
        try:
            target.check(data)
        except Exception:
            failing = data
            raise

    try:
        search()
    except BaseException:
        (folder / f"found-{hashlib.sha256(failing).hexdigest()[:12]}").write_bytes(failing)
        raise


def guided(name: str, seconds: int) -> None:
    """Lets libFuzzer hunt in this process, with the exporter's own bytecode instrumented; it ends the process."""
    import atheris  # type: ignore[import-untyped]  # noqa: PLC0415 - in the virtual environment of `make fuzz` alone

    with atheris.instrument_imports(include=["exporter"]):
        for module in [each for each in sys.modules if each.split(".")[0] in {"exporter", "targets", "still"}]:
            del sys.modules[module]
        check = importlib.import_module("targets").TARGETS[name].check
    found = Path(".fuzz", name)
    found.mkdir(parents=True, exist_ok=True)
    limits = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    ]
    prefix = f"-artifact_prefix={CORPUS / name}/found-"
    words = f"-dict={CORPUS / name}.dict"
    atheris.Setup([sys.argv[0], *limits, words, prefix, str(found), str(CORPUS / name)], check)
    atheris.Fuzz()


def main() -> int:
    """The command; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="all of them without any")
    parser.add_argument("--seconds", type=int, default=300, help="for each target (default 300)")
    parser.add_argument("--guided", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    names = asked.targets or list(TARGETS)
    if asked.guided:
        guided(names[0], asked.seconds)
    failed = [name for name in names if not is_sound(name, asked.seconds)]
    print(f"broken: {', '.join(failed)}; see tests/corpus" if failed else "no promise was broken")  # noqa: T201 - a command
    return bool(failed)


def is_sound(name: str, seconds: int) -> bool:
    """Hunts for so long; True when nothing was found."""
    if importlib.util.find_spec("atheris"):
        command = [sys.executable, __file__, name, f"--seconds={seconds}", "--guided"]
        return subprocess.run(command, check=False).returncode == 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        hunt(TARGETS[name], CORPUS / name, 2000)
    return True


if __name__ == "__main__":
    sys.exit(main())
