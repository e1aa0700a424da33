"""Downloads of public data sets: resumed after an interruption, and checked."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from crystalsmith.errors import FetchError
from crystalsmith.runs.progress import Progress, silent

_TIMEOUT = 30.0
_ATTEMPTS = 3
_BLOCK = 1 << 18


@dataclass(frozen=True)
class RemoteFile:
    """One file of a data set.

    Attributes:
        name: its name in the folder.
        checksum: ``sha256:<hex>``, or ``git:<hex>`` for the blob id that git gives the file's content.
    """

    name: str
    checksum: str


@dataclass(frozen=True)
class RemoteData:
    """A public data set.

    Attributes:
        title: what it is.
        url: address of the folder that holds the files, ending in a slash.
        files: its files.
        reference: whom to cite.
    """

    title: str
    url: str
    files: tuple[RemoteFile, ...]
    reference: str


DATA_SETS: dict[str, RemoteData] = {
    "mp20": RemoteData(
        title="MP-20: 45,231 stable crystals of the Materials Project with at most 20 atoms",
        url="https://raw.githubusercontent.com/txie-93/cdvae/f857f598d6f6cca5dc1ea0582d228f12dcc2c2ea/data/mp_20/",
        files=(
            RemoteFile("train.csv", "git:b1c9d498565ac2fd8d075a51ff2ef5e51ba6c21f"),
            RemoteFile("val.csv", "git:7efe4d7ebeb4f460ceaad35e5326c42111d9c9a1"),
            RemoteFile("test.csv", "git:5dc643041df53f5ce4970a79930ad262b4f07acd"),
        ),
        reference="Xie et al., ICLR 2022, arXiv:2110.06197; Jain et al., APL Materials 1, 011002 (2013)",
    ),
}
"""All data sets that ``fetch`` knows, by name."""


def fetch(
    name: str, folder: str | os.PathLike[str], base_url: str | None = None, progress: Progress = silent
) -> list[Path]:
    """Download a public data set.

    A file that is there and right is left alone. An interrupted download is kept beside its place as
    ``<file>.part``, and the next call goes on with it.

    Args:
        name: a key of ``DATA_SETS``.
        folder: where to put the files; made if missing.
        base_url: a mirror's folder (http or https) in place of the original address.
        progress: told of the bytes of each file.

    Returns:
        The files' paths.

    Raises:
        FetchError: unknown name, no connection, no such file, wrong checksum, or the folder cannot be
            written.
    """
    if name not in DATA_SETS:
        raise FetchError(f"unknown data set {name!r}; known: {', '.join(DATA_SETS)}")
    data = DATA_SETS[name]
    base = (base_url or data.url).rstrip("/") + "/"
    if urllib.parse.urlsplit(base).scheme not in ("http", "https"):
        raise FetchError(f"{base_url!r} is not an http or https address")
    folder = Path(folder)
    paths = []
    for file in data.files:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            paths.append(_fetch_file(file, base, folder / file.name, partial(_tell, progress, file.name)))
        except OSError as error:
            if isinstance(error, FetchError):
                raise
            raise FetchError(f"cannot write to {folder}: {error.strerror or error}") from None
    return paths


def _tell(progress: Progress, name: str, done: int, total: int | None) -> None:
    progress(f"{name}, bytes", done, total or done)


def matches(path: Path, checksum: str) -> bool:
    """Whether a file's content has a checksum of the form that ``RemoteFile`` describes."""
    kind, _, wanted = checksum.partition(":")
    if kind == "git":
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    else:
        digest = hashlib.sha256()
    with path.open("rb") as f:
        while block := f.read(1 << 20):
            digest.update(block)
    return digest.hexdigest() == wanted


def _fetch_file(file: RemoteFile, base: str, path: Path, show: Callable[[int, int | None], None]) -> Path:
    if path.is_file() and matches(path, file.checksum):
        show(path.stat().st_size, path.stat().st_size)
        return path
    url = urllib.parse.urljoin(base, file.name)
    part = path.with_name(path.name + ".part")
    resumed = part.exists() and part.stat().st_size > 0
    _download(url, part, path, show)
    if resumed and not matches(part, file.checksum):
        # The part may have come from another version of the file: once more from its beginning.
        part.unlink()
        _download(url, part, path, show)
    if not matches(part, file.checksum):
        part.unlink()
        raise FetchError(
            f"{url} has another checksum than expected ({file.checksum}); the download was discarded"
        )
    os.replace(part, path)
    return path


class _Broken(Exception):
    """The connection ended before the file did; the part can be gone on with."""


def _download(url: str, part: Path, path: Path, show: Callable[[int, int | None], None]) -> None:
    """Bring ``part`` to the file's full length.

    Raises:
        FetchError: after several attempts, or at once when the server says no.
    """
    by_hand = f"download it by hand to {path}, or run the same command again"
    reason = ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(0.5 * attempt)
        try:
            _continue(url, part, show)
            return
        except urllib.error.HTTPError as error:
            if error.code == 416 and part.exists():
                # Nothing is left to send: the part is complete, which the checksum tells, or from another
                # file.
                return
            reason = f"the server answers {error.code} {error.reason}"
            if error.code < 500 and error.code != 429:
                break
        except urllib.error.URLError as error:
            reason = str(getattr(error.reason, "strerror", None) or error.reason)
        except (_Broken, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            reason = str(error) or type(error).__name__
    raise FetchError(f"cannot fetch {url}: {reason}; {by_hand}")


def _continue(url: str, part: Path, show: Callable[[int, int | None], None]) -> None:
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "crystalsmith", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT) as response:
        begins = response.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0]
        if response.status != 206 or begins != str(have):
            have = 0  # the server sends the whole file
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with part.open("ab" if have else "wb") as out:
            show(have, total)
            while block := response.read(_BLOCK):
                out.write(block)
                have += len(block)
                show(have, total)
    if total is not None and have < total:
        raise _Broken(f"the connection ended after {have:,} of {total:,} bytes")
