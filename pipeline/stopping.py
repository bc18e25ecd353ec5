"""Stopping a run by a signal: at once, but never in the middle of a commit, and within ten seconds whatever happens."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)

_STDERR = 2

_WITHIN_SECONDS = 6.0
"""After so long the process ends as it is: a commit survives that, and schedulers kill after ten seconds or more.

On a machine with six times more to do than cores, 9 seconds here came to 11.5.
"""


class Stopped(BaseException):
    """The process was asked to stop; ``number`` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class _State:
    """Of this process: the signal that came first, and how many commits are under way in the main thread."""

    asked: int | None = None
    raised = False
    shields = 0


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM and SIGINT raise :class:`Stopped` in the main thread, until the block ends."""
    before = {number: signal.signal(number, _on_signal) for number in SIGNALS}
    # The handler runs when the main thread next executes Python; the byte in the pipe comes while it computes, too.
    heard, told = os.pipe()
    os.set_blocking(told, False)
    old = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(heard,), name="stopping", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(old)
        os.close(told)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def shielded() -> Iterator[None]:
    """Do what must not be left half done; a signal that comes meanwhile is heeded afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _State.shields += 1
    try:
        yield
    finally:
        _State.shields -= 1
        _heed()


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Keep this module's handlers through code that sets its own (Ray's start does)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: not set from Python, and cannot be
                signal.signal(number, handler)


def told(number: int) -> str:
    """What a person is told of a signal."""
    name = signal.Signals(number).name
    return f"stopped by {name}; what was committed stays and the next run goes on from there"


def asked() -> int | None:
    """The signal that this process was asked to stop by, if any."""
    return _State.asked


def _on_signal(number: int, _: FrameType | None) -> None:
    if _State.raised and number == signal.SIGINT:
        os._exit(128 + number)  # pressed again: do not even tidy up
    _State.asked = _State.asked or number
    _heed()


def _heed() -> None:
    if _State.asked is not None and not _State.raised and not _State.shields:
        _State.raised = True
        raise Stopped(_State.asked)


def _watch(heard: int) -> None:
    """A thread: end the process some time after the first signal, if it is still there."""
    with suppress(OSError):
        while number := os.read(heard, 1):
            if number[0] in SIGNALS:
                _State.asked = _State.asked or number[0]
                time.sleep(_WITHIN_SECONDS)
                os.write(_STDERR, f"\nimagetracks: {told(number[0])}\n".encode())  # unbuffered, and without locks
                os._exit(128 + number[0])
