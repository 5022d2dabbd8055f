"""The machine of `law.py` for a long time: `python tests/soak.py [STEPS]`, 100,000 unless it is said otherwise."""

import sys
import time

import structlog
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from law import Law, settings_for

PORTION = 2500


def drop(_logger, _name, _event):
    raise structlog.DropEvent


class Soak(Law):
    """The same machine; says now and then how far it is."""

    def teardown(self) -> None:
        before = Law.walks
        super().teardown()
        if before % 200 == 0:
            print(f"{Law.steps} steps, {Law.calls} calls", flush=True)  # noqa: T201 - whoever waits wants to see that it lives


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    structlog.configure(processors=[drop])
    began = time.monotonic()
    while Law.steps < steps:  # in portions: hypothesis remembers every walk of a run, and grows slow with them
        run_state_machine_as_test(Soak, settings=settings(settings_for(PORTION), database=None))
    seconds = time.monotonic() - began
    print(f"the law was kept: {Law.steps} steps, {Law.calls} calls, {seconds:.0f} s")  # noqa: T201 - the figure is the point


if __name__ == "__main__":
    main()
