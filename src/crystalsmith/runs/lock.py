"""One process in a folder at a time."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from crystalsmith.errors import OutputError
from crystalsmith.runs.atomic import writing

LOCK = ".lock"
"""Name of the file that is locked."""


@dataclass
class FolderLock:
    """An exclusive lock on a file; the system lifts it when the process ends, however it does."""

    path: Path
    descriptor: int

    @classmethod
    def take(cls, path: Path) -> FolderLock:
        """Lock the file, which is made if missing.

        Raises:
            OutputError: another process holds it, or the file cannot be made.
        """
        with writing(path.parent):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(descriptor)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                raise OutputError(
                    f"another process is at work in folder {path.parent}; wait or choose another one"
                ) from None
            raise OutputError(
                f"cannot lock {path}: {error.strerror or error}; choose a folder on another disk"
            ) from None
        return cls(path, descriptor)

    def release(self) -> None:
        """Lift the lock; a second call does nothing."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def _lock(descriptor: int) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
