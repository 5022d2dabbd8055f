"""The bell that the loop waits for."""

import signal
import threading

import pytest

from exporter.bell import Bell

LONG = 10.0


def returns(bell: Bell, seconds: float) -> bool:
    """True when a wait of so many seconds ends within them; it is made in another thread."""
    waiter = threading.Thread(target=bell.wait, args=(LONG,), daemon=True)
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


def test_nobody_rings_for_the_time_that_is_waited() -> None:
    Bell().wait(0.01)


@pytest.fixture
def alarm():
    """Rings a bell from a signal handler, again and again; the handler strikes wherever the thread happens to be."""
    before = signal.getsignal(signal.SIGALRM)

    def start(bell: Bell) -> None:
        signal.signal(signal.SIGALRM, lambda *_: bell.ring())
        signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)

    yield start
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_a_signal_handler_may_ring_it(alarm) -> None:
    bell = Bell()
    alarm(bell)
    for _ in range(20_000):
        bell.wait(0.00005)
        bell.ring()
        bell.hush()
