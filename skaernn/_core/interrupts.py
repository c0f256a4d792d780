"""Ctrl-C takes effect where nothing is half done.

Python runs the handler of a signal between any two instructions of the main thread: between the
two lines that change a setting and see to its restoration, say. While interrupts are deferred,
the first two only leave a note, which `check_interrupts` acts upon, or else the end.
"""

from __future__ import annotations

import threading
from types import FrameType
from typing import Any

try:  # those of `signal` turn every number into an enumeration, which takes longer than the rest
    from _signal import SIGINT, getsignal, signal
except ImportError:
    from signal import SIGINT, getsignal, signal

_PATIENCE = 2  # interrupts that wait; one more, and something hangs
_own = threading.local()  # what this thread stops with


class _Deferral:
    """What stands in for the handler of SIGINT, for as long as some context wants it."""

    def __init__(self) -> None:
        self.depth = 0  # of contexts; signals reach the main thread alone, and so do these numbers
        self.noted = 0
        self._before: Any = None

    def begin(self) -> None:
        before = getsignal(SIGINT)
        if callable(before):
            self._before, self.noted = before, 0
            signal(SIGINT, self.note)
            self.depth = 1

    def note(self, number: int, frame: FrameType | None) -> None:
        self.noted += 1
        if self.noted > _PATIENCE:
            self.act(frame)

    def act(self, frame: FrameType | None = None) -> None:
        """Do what the signal would have done, most often raise KeyboardInterrupt."""
        self.noted = 0
        self._before(SIGINT, frame)

    def end(self) -> None:
        self.depth = 0
        try:
            if getsignal(SIGINT) == self.note:  # nobody else has set one
                signal(SIGINT, self._before)  # which looks for signals first
            if self.noted:
                self.act()
        finally:  # one that comes here acts by itself
            self.noted = 0


_deferral = _Deferral()


class interrupts_deferred:
    """Context in which Ctrl-C waits for `check_interrupts`, or for the end of the outermost one.

    Of no effect outside the main thread, which signals do not reach.
    """

    def __enter__(self) -> None:
        self._counts = False
        if threading.current_thread() is not threading.main_thread():
            return
        if _deferral.depth:
            _deferral.depth += 1
        else:
            _deferral.begin()
        self._counts = _deferral.depth > 0

    def __exit__(self, *exc_info: object) -> None:
        if not self._counts:
            return
        if _deferral.depth > 1:
            _deferral.depth -= 1
        else:
            _deferral.end()


class interrupted_by:
    """Context in which this thread is interrupted once an event is set, as by Ctrl-C.

    Once: what ends in peace then is not interrupted again.

    Parameters
    ----------
    stop : threading.Event
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def __enter__(self) -> None:
        self._before = getattr(_own, "stop", None)
        _own.stop = self._stop

    def __exit__(self, *exc_info: object) -> None:
        _own.stop = self._before


def check_interrupts() -> None:
    """Act upon an interrupt that waits; call it where everything is as it should be."""
    if _deferral.noted and threading.current_thread() is threading.main_thread():
        _deferral.act()
    stop = getattr(_own, "stop", None)
    if stop is not None and stop.is_set():
        _own.stop = None
        raise KeyboardInterrupt
