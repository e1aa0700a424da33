"""The processes that answer what takes a while: one with the model for orders, one for crystals.

Each answers one question at a time; a question that takes too long, or kills the process, costs only itself.
The server itself stays small and quick, and nobody waits for the model to look at a crystal.
"""

from __future__ import annotations

import json
import logging
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from crystalsmith.errors import CrystalsmithError
from crystalsmith.serving.errors import Busy, NoAnswer, Refused
from crystalsmith.serving.process import lines_of_parent, start_process
from crystalsmith.serving.settings import ModelChoice

WAITING = 16
"""Questions that may wait."""


OF_MODEL = ("check", "about_order", "arrangements", "film")
"""Questions that need the model."""


class Desks:
    """Both processes.

    Args:
        model: which model answers questions about orders.
        log: where they complain.
    """

    def __init__(self, model: ModelChoice, log: Path) -> None:
        self._orders, self._crystals = Desk(model, log), Desk(None, log)

    def warm(self) -> None:
        """Start both, so that the first question need not wait for the model."""
        self._orders.warm()
        self._crystals.warm()

    def ask(self, question: str, *, seconds: float = 20.0, **words: Any) -> Any:
        """As ``Desk.ask``, of the one that can answer it."""
        desk = self._orders if question in OF_MODEL else self._crystals
        return desk.ask(question, seconds=seconds, **words)

    def close(self) -> None:
        """End both."""
        self._orders.close()
        self._crystals.close()


class Desk:
    """Asks a process of its own, which is started when first needed and anew when it dies.

    Args:
        model: which model it loads; None for none.
        log: where it complains.
    """

    def __init__(self, model: ModelChoice | None, log: Path) -> None:
        self._model, self._log = model, log
        self._process: subprocess.Popen[str] | None = None
        self._turn, self._places = threading.Lock(), threading.BoundedSemaphore(WAITING)
        self._closed = self._has_answered = False

    def warm(self) -> None:
        """Start the process, so that the first question need not wait for the model."""
        with self._turn:
            self._ready()

    def ask(self, question: str, *, seconds: float = 20.0, **words: Any) -> Any:
        """The answer of a function of ``answers``; call it in a thread.

        Args:
            question: its name.
            seconds: after which the process is ended.
            words: its arguments, in plain JSON types.

        Raises:
            Refused: in the words of the error that it raised.
            Busy: too many questions wait.
            NoAnswer: it took too long, or died.
        """
        if not self._places.acquire(blocking=False):
            raise Busy("too many questions at a time; ask again in a moment")
        try:
            with self._turn:
                return self._ask(json.dumps({"question": question, **words}), seconds)
        finally:
            self._places.release()

    def close(self) -> None:
        """End the process."""
        self._closed = True
        if self._process is not None:
            self._end(self._process)

    def _ask(self, line: str, seconds: float) -> Any:
        process = self._ready()
        assert process.stdin is not None and process.stdout is not None
        answer, ended = "", True
        with suppress(OSError, ValueError):
            process.stdin.write(line + "\n")
            process.stdin.flush()
            # A process that may be loading the model yet gets the time for that.
            patience = seconds + (0.0 if self._has_answered else 120.0)
            if ended := bool(select.select([process.stdout], [], [], patience)[0]):
                answer = process.stdout.readline()
        if not answer:
            self._end(process)
            self._process = None
            if not ended:
                raise NoAnswer(f"no answer within {seconds:g} s; ask for something smaller")
            raise NoAnswer("the process that was asked died, perhaps of lack of memory; ask again")
        self._has_answered = True
        found = json.loads(answer)
        if "error" in found:
            raise Refused(found["error"])
        return found["answer"]

    def _ready(self) -> subprocess.Popen[str]:
        if self._closed:
            raise NoAnswer("the server is being closed")
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._has_answered = False
        arguments = [json.dumps(None if self._model is None else vars(self._model))]
        try:
            self._process = start_process("crystalsmith.serving.desk", arguments, self._log)
        except OSError as error:
            raise NoAnswer(f"no process could be started: {error.strerror}") from None
        return self._process

    @staticmethod
    def _end(process: subprocess.Popen[str]) -> None:
        with suppress(OSError):
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):
                if stream is not None:
                    stream.close()


def answer_all(answers: dict[str, Callable[..., Any]], model: Any) -> None:
    """Answer questions, a line each, until there are no more."""
    out, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no answer
    for line in lines_of_parent(sys.stdin):
        words = json.loads(line)
        try:
            found: dict[str, Any] = {"answer": answers[words.pop("question")](model, **words)}
        except CrystalsmithError as error:
            found = {"error": " ".join(str(error).split())}
        except MemoryError:
            found = {"error": "not enough memory for this; ask for something smaller"}
        except Exception:
            logging.getLogger(__name__).exception("a question failed")
            found = {"error": "an error that should not be; the log of the server tells more"}
        out.write(json.dumps(found, allow_nan=False) + "\n")
        out.flush()


def main() -> int:
    """Load the model, if one is named, and answer; exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.WARNING)
    from crystalsmith.serving.answers import ANSWERS
    from crystalsmith.serving.worker import load

    choice = json.loads(sys.argv[1])
    answer_all(dict(ANSWERS), None if choice is None else load(ModelChoice(**choice)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
