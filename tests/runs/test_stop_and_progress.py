"""Signals that end a run, and what is shown on the way."""

from __future__ import annotations

import io
import os
import signal
import threading

import pytest

from crystalsmith.runs.progress import Display
from crystalsmith.runs.stop import Stopped, deferred_stop, stop_signals

NUMBERS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


def come(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "status"), NUMBERS)
def test_both_signals_stop_alike_and_the_old_handlers_come_back(number: int, status: int):
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as stopped, stop_signals():
        come(number)
    assert stopped.value.status == status and isinstance(stopped.value, KeyboardInterrupt)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(("number", "status"), NUMBERS)
def test_a_loop_finishes_its_piece_and_a_second_signal_ends_at_once(number: int, status: int):
    done = []
    with pytest.raises(Stopped) as stopped, deferred_stop() as stop:
        for k in range(5):
            if k == 2:
                come(number)
            done.append(k)
            if stop:
                break
        done.append("saved")
    assert done == [0, 1, 2, "saved"] and stopped.value.status == status
    with pytest.raises(Stopped), deferred_stop():
        come(number)
        come(number)
        pytest.fail("went on")
    with deferred_stop() as stop:
        assert not stop
    with pytest.raises(Stopped), deferred_stop(patient=True) as stop:
        come(number)
        come(number)
        done.append("went on")
    assert stop and done[-1] == "went on"


def test_other_threads_leave_signals_alone():
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with stop_signals(), deferred_stop():
                pass
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert errors == []


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_without_a_terminal_lines_come_now_and_then():
    file, clock = io.StringIO(), Clock()
    with Display(file=file, clock=clock) as progress:
        for k in range(1001):
            clock.now = 0.05 * k
            progress.note(f"loss {k}")
            progress("relaxing", k, 1000)
        progress("relaxing", 1000, 1000)
        progress("phonons", 0.5, 3)
        clock.now += 9.9
        progress("phonons", 2, 3)
        progress("phonons", 3, 3)
    assert file.getvalue().splitlines() == [
        "relaxing: 0 of 1,000 loss 0",
        *(f"relaxing: {200 * k} of 1,000 loss {200 * k}" for k in range(1, 5)),
        "relaxing: 1,000 of 1,000 loss 1000",
        "phonons: 0 of 3 loss 1000",
        "phonons: 3 of 3 loss 1000",
    ]


def test_stages_that_take_turns_do_not_begin_anew():
    """As generate tells it: made, judged, made again; and tries that came to nothing."""
    file, clock = io.StringIO(), Clock()
    with Display(file=file, clock=clock) as progress:
        for k in range(50):
            progress("crystals", k % 3 / 4, 40)  # goes back where a try failed
            progress("crystals", k // 5, 40)
            progress("judging", k // 5, 40)
        clock.now = 11.0
        progress("crystals", 10.2, 40)
        clock.now = 30.0
        progress("crystals", 10.9, 40)  # the same line, were it shown
        progress("crystals", 40, 40)
        progress("judging", 40, 40)
        progress("crystals", 40, 40)
    assert file.getvalue().splitlines() == [
        "crystals: 0 of 40",
        "judging: 0 of 40",
        "crystals: 10 of 40",
        "crystals: 40 of 40",
        "judging: 40 of 40",
    ]


def test_a_stage_that_was_complete_or_grew_begins_anew():
    file = io.StringIO()
    with Display(file=file, clock=Clock()) as progress:
        for stage, done, total in (
            ("a", 0, 2),
            ("a", 2, 2),
            ("a", 1, 2),
            ("a", 2, 2),
            ("a", 2, 5),
            ("a", 5, 5),
        ):
            progress(stage, done, total)
    assert file.getvalue().splitlines() == [
        "a: 0 of 2",
        "a: 2 of 2",
        "a: 1 of 2",
        "a: 2 of 2",
        "a: 2 of 5",
        "a: 5 of 5",
    ]


def test_quiet_shows_nothing_and_a_terminal_gets_a_bar():
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for quiet in (True, False):
        file = Terminal()
        with Display(file=file, quiet=quiet) as progress:
            progress("relaxing", 1, 3)
            progress("phonons", 2, 4)
            progress("relaxing", 3, 3)
            progress("phonons", 2, 4)
        assert bool(file.getvalue()) is not quiet
    assert "phonons" in file.getvalue() and "2/4" in file.getvalue()


def test_progress_outlives_a_closed_standard_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stderr", None)
    with Display() as progress:
        progress("relaxing", 1, 3)
