"""Files that a user uploads: read in a process of their own that may not take much, and kept as plain data.

The name that a client gives a file is for people only; on the disk it is never used.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from crystalsmith.errors import DataError
from crystalsmith.runs.atomic import write_whole, writing
from crystalsmith.serving.errors import Busy, NotFound, TooLarge

KEPT = 200
"""Uploads that are kept; the oldest go."""

SECONDS = 60.0
"""For reading one."""

AT_A_TIME = 2

_ID = re.compile(r"upload-[0-9a-f]{24}")
_ENDING = re.compile(r"\.[A-Za-z0-9_]{1,12}(\.(gz|bz2|xz))?$")


class Uploads:
    """What was uploaded.

    Args:
        folder: where it is kept.
        most: bytes of one file.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most = folder, most
        self._places = threading.BoundedSemaphore(AT_A_TIME + 6)
        self._reading = threading.BoundedSemaphore(AT_A_TIME)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("reading-*"):
            shutil.rmtree(left, ignore_errors=True)

    def take(self, name: str, data: bytes, what: str) -> dict[str, Any]:
        """Read a file and keep what it holds.

        Args:
            name: as the client calls it; its ending may help to tell what it is.
            data: its content.
            what: ``pattern`` or ``structure``.

        Returns:
            Its ``id`` and what it holds: see ``get``.

        Raises:
            DataError: it holds nothing of the kind, in the words of the reader.
            TooLarge: more bytes than may be.
            Busy: too many are being read.
        """
        if len(data) > self._most:
            raise TooLarge(f"{len(data):,} bytes are more than the {self._most:,} of an upload")
        if not self._places.acquire(blocking=False):
            raise Busy("too many uploads at a time; try again in a moment")
        try:
            with self._reading:
                found = self._read(name, data, what)
        finally:
            self._places.release()
        upload_id = f"upload-{secrets.token_hex(12)}"
        kept = {"id": upload_id, "what": what, "name": shown_name(name), **found}
        with writing(self._folder):
            write_whole(self._folder / f"{upload_id}.json", json.dumps(kept))
        self._forget_oldest()
        return kept

    def get(self, upload_id: str) -> dict[str, Any]:
        """What an upload holds: ``id``, ``what``, ``name``, and ``pattern`` or ``crystals`` by name.

        Raises:
            NotFound: there is none of this id (any more).
        """
        try:
            if not _ID.fullmatch(upload_id):
                raise ValueError
            return dict(json.loads((self._folder / f"{upload_id}.json").read_text(encoding="utf-8")))
        except (OSError, ValueError):
            raise NotFound("there is no such upload; upload the file again") from None

    def _read(self, name: str, data: bytes, what: str) -> dict[str, Any]:
        place = self._folder / f"reading-{secrets.token_hex(8)}"
        ending = _ENDING.search(shown_name(name))
        with writing(place):
            place.mkdir()
        try:
            path = place / f"upload{ending[0] if ending else ''}"
            with writing(path):
                path.write_bytes(data)
            return _answer(place, json.dumps({"path": path.name, "what": what}))
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _forget_oldest(self) -> None:
        with suppress(OSError):
            files = sorted(self._folder.glob("upload-*.json"), key=lambda file: file.stat().st_mtime)
            for file in files[:-KEPT]:
                file.unlink(missing_ok=True)


def shown_name(name: str) -> str:
    """A client's name of a file, short and without a path or characters that do not print."""
    last = re.split(r"[/\\]", name)[-1]
    return "".join(c for c in last if c.isprintable())[:100] or "upload"


def safe_name(name: str) -> str:
    """A name for a file that goes out: letters, digits and the like."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name).lstrip("._")[:100] or "crystal"


def about_upload(kept: Mapping[str, Any]) -> dict[str, Any]:
    """What an upload holds, for the one who brought it."""
    about = {"id": kept["id"], "what": kept["what"], "name": kept["name"]}
    if "pattern" in kept:
        from crystalsmith.serving.plain_patterns import drawn

        shown = drawn(kept["pattern"])
        lines = shown["radiation"] or "X-rays not named"
        return {**about, **shown, "words": f"{shown['points']:,} points, {lines}"}
    from crystalsmith.crystal import Crystal

    crystals = {name: Crystal.from_dict(data) for name, data in kept["crystals"].items()}
    rows = [
        {
            "name": name,
            "formula": crystal.formula,
            "space_group": crystal.space_group,
            "symbol": crystal.group.symbol,
            "atoms": crystal.n_atoms,
        }
        for name, crystal in crystals.items()
    ]
    words = f"{len(rows):,} crystals"
    if len(rows) == 1:
        words = f"{rows[0]['formula']}, {rows[0]['symbol']}, {rows[0]['atoms']} atoms"
    return {**about, "crystals": rows, "failures": kept["failures"], "words": words}


def _answer(place: Path, words: str) -> dict[str, Any]:
    """What the process that reads says.

    Raises:
        DataError: the file's fault, or more time or memory than it may take.
    """
    command = [sys.executable, "-m", "crystalsmith.serving.reading", words]
    process = subprocess.Popen(
        command, cwd=place, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        text, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        text, _ = process.communicate()
    try:
        found = json.loads(text)
    except ValueError:
        found = {}
    if "error" in found:
        raise DataError(str(found["error"]))
    if process.returncode != 0 or not found:
        raise DataError("the file takes too much time or memory to read; upload a smaller one")
    return dict(found)
