"""The folder that a run writes: whose it is, what makes two runs the same, and how it stands.

``manifest.json`` makes a folder a run's. It names the kind of run, its identity (all that the results depend
on) and its state; beside it stand journals, results, and ``run.log``. A folder is taken up only by the same
run; another run's is refused, and cleared of that kind's own files where the user says so.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from crystalsmith.errors import OutputError
from crystalsmith.runs.addresses import all_shown
from crystalsmith.runs.atomic import TEMPORARY, write_whole, writing
from crystalsmith.runs.campaign import ASKED, Watch
from crystalsmith.runs.command import command_at_work
from crystalsmith.runs.journal import append_journal, read_journal, read_rows
from crystalsmith.runs.lock import LOCK, FolderLock
from crystalsmith.runs.log import LOG, log_to
from crystalsmith.runs.manifest import MANIFEST, find_manifest
from crystalsmith.runs.progress import log_rest
from crystalsmith.runs.versions import versions

Manifest = dict[str, Any]


@dataclass(frozen=True)
class RunKind:
    """A kind of run folder.

    Attributes:
        name: stands in the manifest.
        words: what such a folder holds, for messages, such as ``relaxations``.
        format: of its files; older ones are read, newer ones refused.
        owned: patterns of the files that such a run writes, relative to the folder; one that ends in ``/`` is
            of whole folders. The manifest and the log need no mention.
        files: further files of a run with this manifest, where patterns cannot tell them from the user's own.
        another: what differs where these parts of the identity do, such as ``{"orders": "other orders"}``;
            their values are not shown.
        absent: values of parts that an identity may lack.
        advice: what to do about a folder that is not this run's.
    """

    name: str
    words: str
    format: int = 1
    owned: tuple[str, ...] = ()
    files: Callable[[Path, Manifest | None], Iterable[Path]] = lambda path, manifest: ()
    another: Mapping[str, str] = field(default_factory=dict)
    absent: Mapping[str, Any] = field(default_factory=dict)
    advice: str = "choose another one with -o or add --overwrite"


def check_folder(
    path: Path, kind: RunKind, identity: Mapping[str, Any], *, overwrite: bool = False
) -> Manifest | None:
    """The manifest of the same run in a folder; None where the run can begin there. Nothing is written.

    Raises:
        OutputError: the folder holds other files, another run, or is none, or cannot be read.
    """
    with writing(path):
        if path.exists() and not path.is_dir():
            raise OutputError(f"{path} is a file; choose a folder with -o")
        file, old = find_manifest(path)
        if file is None:
            foreign = path.exists() and any(
                p.name not in (LOCK, ASKED) and not p.name.endswith(TEMPORARY) for p in path.iterdir()
            )
            if foreign and not overwrite:
                raise OutputError(f"folder {path} is not empty and holds no {kind.words}; {kind.advice}")
            return None
    if old and old["kind"] != kind.name:
        raise OutputError(
            f"{file} is not of {kind.words} but of a run of {old['kind']}; choose another folder with -o"
        )
    if overwrite:
        return old
    if not old or not _understood(old, kind):
        raise OutputError(
            f"{file} is not of {kind.words} of this version; {kind.advice.replace('one', 'folder')}"
        )
    _refuse_other_run(path, kind, old["run"], _plain(identity))
    return old


def _understood(manifest: Manifest, kind: RunKind) -> bool:
    try:
        return (
            1 <= manifest["format"] <= kind.format
            and manifest["status"] in ("running", "interrupted", "finished")
            and isinstance(manifest["run"], dict)
            and float(manifest["timings"]["seconds"]) >= 0
        )
    except (ValueError, KeyError, TypeError):
        return False


def _plain(identity: Mapping[str, Any]) -> dict[str, Any]:
    return dict(all_shown(json.loads(json.dumps(identity))))


def _refuse_other_run(path: Path, kind: RunKind, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Compare two identities; an old one without any parts is of a version that noted none."""
    another = {"version": "another version of crystalsmith", **kind.another}
    for key in {**new, **old} if old else ():
        before, now = (run.get(key, kind.absent.get(key)) for run in (old, new))
        if before != now:
            shown = not isinstance(before, list | dict) and not isinstance(now, list | dict)
            hidden = key in kind.another or not shown
            raise OutputError(
                f"folder {path} belongs to a run with {another.get(key, 'another ' + key.replace('_', ' '))}"
                + ("" if hidden else f": {before!s:.30} there, {now!s:.30} now")
                + f"; {kind.advice}"
            )


class RunFolder:
    """An output folder, held by this process; use it as a context manager.

    Where the block ends and the last word of the manifest is ``running``, that becomes ``interrupted``.

    Attributes:
        path: the folder.
        kind: of the run.
        identity: all that its results depend on, in plain JSON types.
        arguments: how it was started, for the manifest only.
        earlier: the manifest of the same run as it was when the folder was opened.
        finished: that manifest, if it is of a complete run; set it to None to go on all the same.
        earlier_seconds: time that earlier processes spent on the run.
        log: goes to ``run.log``.
    """

    def __init__(
        self,
        path: Path,
        kind: RunKind,
        identity: Mapping[str, Any],
        arguments: Mapping[str, Any] | None,
        packages: Iterable[str],
        lock: FolderLock,
        earlier: Manifest | None,
    ) -> None:
        self.path, self.kind, self.identity = path, kind, _plain(identity)
        self.arguments = dict(all_shown(arguments or {}))
        self.earlier = earlier
        self.finished = earlier if earlier and earlier["status"] == "finished" else None
        self.earlier_seconds = float(earlier["timings"]["seconds"]) if earlier else 0.0
        self.log = logging.getLogger(f"crystalsmith.{kind.name}")
        self._lock, self._began, self._packages = lock, time.monotonic(), tuple(packages)
        self._written: Manifest | None = None
        if self.finished is None:
            self.write_manifest("running", **_facts(earlier or {}))
        self._log = log_to(path / LOG)
        self._watch = Watch(path)
        self.log.info("%s %s", "gone on with:" if earlier else "begun:", json.dumps(_shown(self.arguments)))

    @classmethod
    def open(
        cls,
        path: str | Path,
        kind: RunKind,
        identity: Mapping[str, Any],
        *,
        arguments: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        packages: Iterable[str] = (),
    ) -> RunFolder:
        """Make the folder, or take up the same run that it holds.

        Args:
            path: the folder.
            kind: of the run.
            identity: all that the run's results depend on.
            arguments: how it was started, for the manifest only.
            overwrite: remove the files of another run of this kind first; others stay.
            packages: whose versions stand in the manifest beside the usual ones.

        Raises:
            OutputError: the folder cannot be written, holds other files or another run, or another process is
                at work in it.
        """
        path = Path(path)
        check_folder(path, kind, identity, overwrite=overwrite)
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
        lock = FolderLock.take(path / LOCK)
        try:
            earlier = check_folder(path, kind, identity, overwrite=overwrite)
            with writing(path):
                if overwrite:
                    clear(path, kind, earlier)
                    earlier = None
                for stale in (*path.glob("*" + TEMPORARY), *path.glob("*/*" + TEMPORARY)):
                    stale.unlink(missing_ok=True)
                return cls(path, kind, identity, arguments, packages, lock, earlier)
        except BaseException:
            lock.release()
            raise

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(error)

    def close(self, error: BaseException | None = None) -> None:
        """Say how it ended and let go of the folder; a second call does nothing."""
        try:
            if self._written is not None and self._written["status"] == "running":
                self.write_manifest("interrupted", **_facts(self._written))
            if error is not None:
                log_rest()
                self.log.info("ended by %s: %s", type(error).__name__, error)
        except OutputError:
            if error is None:
                raise
        finally:
            self._written = None
            self._watch.close()
            self._log.close()
            self._lock.release()

    @property
    def seconds(self) -> float:
        """Time spent on the run by this process and earlier ones."""
        return self.earlier_seconds + time.monotonic() - self._began

    def journal(self, name: str) -> Journal:
        """A journal in the folder, not read yet."""
        return Journal(self.path / name)

    def write(self, name: str, text: str | Iterable[str], *, durable: bool = True) -> Path:
        """Write a text file whole; its folders are made.

        Args:
            name: relative to the folder.
            text: its content, whole or in pieces.
            durable: wait until it is on the disk; not needed for what a journal can give again.

        Raises:
            OutputError: it cannot be written.
        """
        path = self.path / name
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, text, durable=durable)
        return path

    def remove(self, name: str) -> None:
        """Remove a file of the run, or a whole folder of its where the name ends in ``/``; it need not exist.

        Raises:
            OutputError: it cannot be removed.
        """
        path = self.path / name.rstrip("/")
        with writing(path):
            if not name.endswith("/"):
                path.unlink(missing_ok=True)
            elif path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)

    def write_manifest(self, status: str, **facts: Any) -> Manifest:
        """Write how the run stands.

        Args:
            status: ``running``, ``interrupted`` or ``finished``.
            facts: what else there is to say; ``timings`` are added to those that always stand there.

        Raises:
            OutputError: it cannot be written.
        """
        timings = {
            "seconds": round(self.seconds, 3),
            "ended": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            **facts.pop("timings", {}),
        }
        manifest = {
            "kind": self.kind.name,
            "format": self.kind.format,
            "status": status,
            "run": self.identity,
            "versions": versions(*self._packages),
            "arguments": self.arguments,
            "command": command_at_work() or (self.earlier or {}).get("command"),
            **facts,
            "timings": timings,
        }
        self.write(MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False, default=str) + "\n")
        self._written = manifest
        return manifest


_ALWAYS = ("kind", "format", "status", "run", "versions", "arguments", "command")


def _facts(manifest: Manifest) -> Manifest:
    facts = {key: value for key, value in manifest.items() if key not in _ALWAYS}
    facts["timings"] = {k: v for k, v in facts.get("timings", {}).items() if k not in ("seconds", "ended")}
    return facts


def _shown(arguments: Mapping[str, Any]) -> dict[str, str]:
    return {key: f"{value!s:.200}" for key, value in arguments.items()}


def clear(path: Path, kind: RunKind, manifest: Manifest | None) -> None:
    """Remove the files of a run, the manifest last so that a removal that is cut off can be repeated.

    Raises:
        OSError: a file cannot be removed.
    """
    found = [p for pattern in kind.owned for p in path.glob(pattern.rstrip("/"))]
    for file in (*kind.files(path, manifest), *found, path / LOG, path / MANIFEST):
        if file.is_dir() and not file.is_symlink():
            shutil.rmtree(file)
        else:
            file.unlink(missing_ok=True)


@dataclass(frozen=True)
class Journal:
    """Rows on disk, one line of JSON each, with checksums; what stands there outlives a kill.

    Attributes:
        path: the file.
        advice: what to do about a damaged line.
    """

    path: Path
    advice: str = "begin anew with --overwrite"

    def read(self, take: Callable[[Any, int], None], *, mend: bool = True) -> Journal:
        """Give every row and its place to a function; a last line that was cut off is removed.

        Args:
            take: what it raises means that the line is damaged.
            mend: remove that line from the file too; else it is only ignored.

        Raises:
            OutputError: a damaged line, or a file that cannot be read or shortened.
        """
        with writing(self.path):
            read_journal(self.path, take, mend=mend, advice=self.advice)
        return self

    def at(self, places: Iterable[int]) -> Iterator[Any]:
        """The rows at these places.

        Raises:
            OutputError: a damaged line, or a file that cannot be read.
        """
        with writing(self.path):
            yield from read_rows(self.path, places, self.advice)

    def append(self, rows: Iterable[Mapping[str, Any]]) -> list[int]:
        """Add rows, which are on the disk when this returns, and give their places.

        Raises:
            OutputError: they could not be written.
        """
        with writing(self.path):
            return append_journal(self.path, rows)
