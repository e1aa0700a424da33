"""Writing files whole or not at all, and turning the system's complaints into one line."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from crystalsmith.errors import OutputError

TEMPORARY = ".partial"
"""Suffix of files that are being written."""

_MENDS = {
    errno.ENOSPC: "free some space and run the same command again",
    errno.EDQUOT: "free some of your quota and run the same command again",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "choose a folder that you may write to",
    errno.ENOTDIR: "a part of the path is a file; choose another folder",
    errno.EEXIST: "a file of that name is in the way; choose another folder",
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError inside into an OutputError that names the path and the mend."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        mend = _MENDS.get(error.errno or 0, "mend that and run the same command again")
        raise OutputError(f"cannot write {path}: {error.strerror or error}; {mend}") from error


@contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Where to write a file that takes the place of another one, whole or not at all.

    Args:
        path: the file.
        durable: wait until it is on the disk, so that it outlives a power cut too.

    Yields:
        A path beside it; what stands there at the end of the block is moved to ``path``.
    """
    partial = path.with_name(path.name + TEMPORARY)
    try:
        yield partial
        if durable:
            with partial.open("r+b") as f:
                os.fsync(f.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path, text: str | Iterable[str], *, durable: bool = True) -> None:
    """Write a text file, given whole or in pieces, through ``replacing``.

    Raises:
        OSError: it could not be written; the old file, if any, is untouched.
    """
    with replacing(path, durable=durable) as partial, partial.open("w", encoding="utf-8", newline="\n") as f:
        f.writelines([text] if isinstance(text, str) else text)
