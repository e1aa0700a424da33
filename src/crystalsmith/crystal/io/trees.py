"""Folders, zips and tars alike: names of members, and their bytes within bounds."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import IO, Any, cast

from crystalsmith.crystal.io.limits import Limits, size
from crystalsmith.errors import DataError

# What unpacking raises; RuntimeError for an encrypted member of a zip.
DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError, RuntimeError)

_PACKERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_HEAD = 512


class _Joined(io.RawIOBase):
    """Bytes that were read from a stream, and the rest of it."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head[: len(buffer)] or self._rest.read(len(buffer))
        self._head = self._head[len(data) :]
        buffer[: len(data)] = data
        return len(data)


def rejoined(head: bytes, rest: IO[bytes]) -> IO[bytes]:
    """A stream from its beginning, after ``head`` was read from it."""
    return io.BufferedReader(_Joined(head, rest), 1 << 16)


def unpacked(stream: IO[bytes], depth: int = 3) -> IO[bytes]:
    """A stream without its gzip, bzip2 or xz, told by its first bytes and not by its name."""
    for _ in range(depth):
        head = stream.read(_HEAD)
        stream = rejoined(head, stream)
        packer = next((p for magic, p in _PACKERS.items() if head.startswith(magic)), None)
        if packer is None:
            return stream
        stream = packer(stream, "rb")
    return stream


class Tree(ABC):
    """A folder or an archive.

    Attributes:
        label: its path, for messages.
        limits: of what is read from it.
    """

    def __init__(self, label: str, limits: Limits) -> None:
        self.label, self.limits = label, limits

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """Members, sorted, with ``/`` between folders.

        Raises:
            DataError: too many of them.
        """

    @abstractmethod
    def open(self, name: str) -> IO[bytes]:
        """A member's bytes, as they are."""

    def _checked(self, names: Iterator[str]) -> list[str]:
        found: list[str] = []
        for name in names:
            if len(found) == self.limits.members:
                raise DataError(f"{self.label} holds more than {self.limits.members} files; give parts of it")
            if not any(part.startswith(".") or part == "__MACOSX" for part in name.split("/")):
                found.append(name)
        return sorted(found)

    def extract(self, names: list[str], folder: Path, prefix: str = "") -> None:
        """Copy members into a folder by their names without a prefix, which the caller has looked at.

        Raises:
            DataError: they are larger than the limit of a document.
        """
        for name in names:
            copy = folder / name.removeprefix(prefix)
            copy.parent.mkdir(parents=True, exist_ok=True)
            with self.open(name) as f, copy.open("wb") as out:
                left = self.limits.document
                while block := f.read(1 << 20):
                    out.write(block)
                    left -= len(block)
                    if left < 0:
                        raise DataError(f"too large: {name} has more than {size(self.limits.document)}")


class FolderTree(Tree):
    """A folder on disk, with all that lies in it; links to folders are not followed."""

    def __init__(self, path: Path, limits: Limits) -> None:
        super().__init__(str(path), limits)
        self.path = path

    @cached_property
    def names(self) -> list[str]:
        files = (p for p in self.path.rglob("*") if p.is_file())
        return self._checked(p.relative_to(self.path).as_posix() for p in files)

    def open(self, name: str) -> IO[bytes]:
        return (self.path / name).open("rb")


class ZipTree(Tree):
    """A zip."""

    def __init__(self, stream: IO[bytes], label: str, limits: Limits) -> None:
        super().__init__(label, limits)
        self._zip = zipfile.ZipFile(stream)

    @cached_property
    def names(self) -> list[str]:
        infos = [info for info in self._zip.infolist() if not info.is_dir()]
        if sum(info.file_size for info in infos) > self.limits.total:
            raise DataError(f"{self.label} is too large: it unpacks to more than {size(self.limits.total)}")
        return self._checked(info.filename for info in infos)

    def open(self, name: str) -> IO[bytes]:
        return self._zip.open(name)


class TarTree(Tree):
    """A tar, unpacked already."""

    def __init__(self, stream: IO[bytes], label: str, limits: Limits) -> None:
        super().__init__(label, limits)
        self._tar = tarfile.open(fileobj=stream, mode="r:")

    @cached_property
    def _members(self) -> dict[str, tarfile.TarInfo]:
        found: dict[str, tarfile.TarInfo] = {}
        total = 0
        for member in self._tar:
            total += member.size
            if total > self.limits.total or len(found) > self.limits.members:
                raise DataError(
                    f"{self.label} is too large: it unpacks to more than {size(self.limits.total)}"
                )
            if member.isfile():
                found[member.name.removeprefix("./")] = member
        return found

    @cached_property
    def names(self) -> list[str]:
        return self._checked(iter(self._members))

    def open(self, name: str) -> IO[bytes]:
        return cast("IO[bytes]", self._tar.extractfile(self._members[name]))
