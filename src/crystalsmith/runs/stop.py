"""Ctrl-C and the SIGTERM of batch systems, handled alike."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """The user or the system asks to end.

    Attributes:
        status: exit status that says so: 130 after Ctrl-C, 143 after SIGTERM.
    """

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


class Stop:
    """Whether a signal came; a second one ends the program at once, with ``Stopped``, unless patient."""

    def __init__(self, patient: bool) -> None:
        self._number: int | None = None
        self._patient = patient

    def __bool__(self) -> bool:
        return self._number is not None

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self._number is not None and not self._patient:
            raise Stopped(number)
        self._number = number

    def check(self) -> None:
        """Raise ``Stopped`` if a signal came."""
        if self._number is not None:
            raise Stopped(self._number)


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _raise(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)


@contextmanager
def stop_signals() -> Iterator[None]:
    """Within, either signal raises ``Stopped`` in the main thread, wherever that is."""
    with _handled(_raise):
        yield


@contextmanager
def deferred_stop(patient: bool = False) -> Iterator[Stop]:
    """Within, a signal is only noted, so that a loop can finish the piece in hand: ask ``bool(stop)``.

    It is raised at the end of the block at the latest, or where a second signal comes, unless ``patient``.
    """
    stop = Stop(patient)
    with _handled(stop._take):
        yield stop
    stop.check()


@contextmanager
def masked(how: str) -> Iterator[None]:
    """Within, signals wait (``SIG_BLOCK``) or come (``SIG_UNBLOCK``); a process started within begins so."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    if how == "SIG_BLOCK":
        resource_tracker.ensure_running()  # would unmask them, if the first process were to start it
    before = signal.pthread_sigmask(getattr(signal, how), SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
