"""A command in a process of its own that halts at a chosen moment, however fast or busy the machine is."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_HALT = """
import os, sys, time
from pathlib import Path

def halt():
    sign = Path(sys.argv[1])
    if sign.exists() or sign.with_suffix(".gone").exists():
        return
    sign.write_text("")
    while sign.exists():  # a signal ends this, or is noted, and the test removes the sign
        time.sleep(0.01)

"""

AT_LINES = """
journal, lines = Path({journal!r}), {lines}
fsync = os.fsync

def halting(descriptor):
    fsync(descriptor)
    if journal.exists() and journal.read_bytes().count(b"\\n") >= lines:
        halt()

os.fsync = halting
"""
"""Code that halts once a journal has so many lines."""

_RUN = """
if __name__ == "__main__":
    from crystalsmith.cli.main import main
    sys.exit(main(sys.argv[2:]))
"""


class Held:
    """The command, which has come to the moment.

    Args:
        folder: for its script and its sign.
        code: calls ``halt()`` at the moment, such as ``AT_LINES``.
        arguments: of ``crystalsmith``.
    """

    def __init__(self, folder: Path, code: str, arguments: Sequence[str]) -> None:
        self.sign = folder / "halted"
        script = folder / "halting.py"
        script.write_text(_HALT + code + _RUN)
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(self.sign), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        while not self.sign.exists() and self.process.poll() is None:
            time.sleep(0.01)
        assert self.process.poll() is None, self.process.communicate()

    def end(self) -> tuple[int, str, str]:
        """Let it go on; its exit status, what it printed, and its errors."""
        self.sign.with_suffix(".gone").write_text("")
        self.sign.unlink()
        out, err = self.process.communicate()
        return self.process.returncode, out, err
