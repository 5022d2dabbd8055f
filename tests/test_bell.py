"""The bell that the loop waits for."""

import subprocess
import sys
import threading

from exporter.bell import Bell

LONG = 10.0


HANDLER = """
import signal
from exporter.bell import Bell

bell = Bell()
signal.signal(signal.SIGALRM, lambda *_: bell.ring())
signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
for _ in range(20_000):
    bell.wait(0.00005)
    bell.ring()
    bell.hush()
signal.setitimer(signal.ITIMER_REAL, 0)
print("rung")
"""


def returns(bell: Bell, seconds: float, patience: float = LONG) -> bool:
    """True when a wait of `patience` is over within so many seconds; it is made in another thread."""
    waiter = threading.Thread(target=bell.wait, args=(patience,), daemon=True)
    waiter.start()
    waiter.join(seconds)
    is_over = not waiter.is_alive()
    bell.ring()
    waiter.join()
    return is_over


def test_a_ring_before_the_wait_ends_it_at_once() -> None:
    bell = Bell()
    bell.ring()

    assert returns(bell, LONG / 2)


def test_a_ring_ends_the_wait_that_is_under_way() -> None:
    bell = Bell()
    threading.Timer(0.05, bell.ring).start()

    assert returns(bell, LONG / 2)


def test_what_was_rung_before_a_hush_is_forgotten() -> None:
    bell = Bell()
    for _ in range(3):
        bell.ring()
    bell.hush()

    assert not returns(bell, 0.1)


def test_where_nobody_rings_the_wait_is_as_long_as_it_was_to_be() -> None:
    assert returns(Bell(), LONG / 2, patience=0.01)


def test_a_signal_handler_may_ring_it() -> None:
    """The handler strikes wherever the thread happens to be; an event of `threading` hangs within a second."""
    done = subprocess.run([sys.executable, "-c", HANDLER], capture_output=True, text=True, timeout=60, check=False)

    assert (done.stdout, done.stderr) == ("rung\n", "")
