"""One process at a time in a folder or at a file."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from crystalsmith.errors import OutputError
from crystalsmith.runs.atomic import writing

LOCK = ".lock"
"""Name of the file that is locked."""


class FolderLock:
    """An exclusive lock on a file; the system lifts it when the process ends, however it does."""

    def __init__(self, lock: FileLock) -> None:
        self._lock, self.path = lock, Path(lock.lock_file)

    @classmethod
    def take(cls, path: Path, what: str = "") -> FolderLock:
        """Lock the file, which is made if missing.

        Args:
            path: the file.
            what: is locked, for the message; the folder of the file if not given.

        Raises:
            OutputError: another process holds it, or the file cannot be made.
        """
        lock = FileLock(path, timeout=0, mode=0o644, thread_local=False)
        with writing(path.parent):
            try:
                lock.acquire()
            except (Timeout, RuntimeError):
                what = what or f"in folder {path.parent}"
                raise OutputError(f"another process is at work {what}; wait or choose another one") from None
        return cls(lock)

    def release(self) -> None:
        """Lift the lock; a second call does nothing."""
        self._lock.release()
