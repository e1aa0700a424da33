"""Questions to a process: it may answer, refuse, hang or die, and the next one is answered all the same."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crystalsmith.serving import desk as module
from crystalsmith.serving.desk import Desk
from crystalsmith.serving.errors import Busy, NoAnswer, Refused

FUNNY = """
import os, time
from crystalsmith.errors import OrderError
from crystalsmith.serving.desk import answer_all

def refuses(model):
    raise OrderError("no such\\n element")

def answer(model, value):
    print("chatter")
    return value

answers = {
    "echo": answer,
    "refuses": refuses,
    "fails": lambda model: 1 / 0,
    "hangs": lambda model: time.sleep(3600),
    "dies": lambda model: os.kill(os.getpid(), 9),
    "floods": lambda model: bytearray(1 << 60),
}
answer_all(answers, None)
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk whose process answers as the questions' names say."""
    script = tmp_path / "funny.py"
    script.write_text(FUNNY)

    def start(name: str, arguments: Any, log: Path) -> Any:
        return subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    monkeypatch.setattr(module, "start_process", start)
    desk = Desk(None, tmp_path / "log")
    yield desk
    desk.close()


def test_an_answer_is_plain_data_whatever_is_printed_beside_it(asked: Desk):
    assert asked.ask("echo", value={"a": [1, None, "é\n"]}) == {"a": [1, None, "é\n"]}


def test_a_refusal_is_one_line_and_the_process_stays(asked: Desk):
    for _ in range(2):
        with pytest.raises(Refused, match=r"^no such element$"):
            asked.ask("refuses")


@pytest.mark.parametrize("question", ["fails", "floods"])
def test_errors_that_should_not_be_cost_the_question_alone(asked: Desk, question: str):
    with pytest.raises(Refused):
        asked.ask(question)
    assert asked.ask("echo", value=1) == 1


def test_a_process_that_hangs_is_ended_and_started_anew(asked: Desk, monkeypatch: pytest.MonkeyPatch):
    assert asked.ask("echo", value=1) == 1  # it is up: no more patience than is asked for
    with pytest.raises(NoAnswer, match="within"):
        asked.ask("hangs", seconds=0.2)
    assert asked.ask("echo", value=2) == 2


def test_a_process_that_dies_is_started_anew(asked: Desk):
    with pytest.raises(NoAnswer, match="died"):
        asked.ask("dies")
    assert asked.ask("echo", value=3) == 3


def test_too_many_questions_are_turned_away(asked: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(asked, "_places", threading.BoundedSemaphore(1))
    asked._places.acquire()
    with pytest.raises(Busy):
        asked.ask("echo", value=1)


def test_a_desk_that_is_closed_starts_nothing(asked: Desk):
    asked.close()
    with pytest.raises(NoAnswer):
        asked.ask("echo", value=1)
