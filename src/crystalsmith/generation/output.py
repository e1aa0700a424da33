"""The folder that a run writes.

``crystals.jsonl`` is the journal and the truth; ``cif/`` follows it crystal by crystal; ``crystals.extxyz``
and the last word of ``manifest.json`` come at the end, made from the journal. So a run that was interrupted
anywhere goes on where it stopped and ends with the files of an undisturbed one.
"""

from __future__ import annotations

import io
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from crystalsmith.errors import OutputError
from crystalsmith.generation.atomic import TEMPORARY, write_whole, writing
from crystalsmith.generation.journal import Entry, Journal
from crystalsmith.generation.lock import FolderLock
from crystalsmith.generation.manifest import FORMAT, MANIFEST, read_manifest, refuse_other_run, versions
from crystalsmith.generation.orders import Order
from crystalsmith.generation.tries import Generated, Key

JOURNAL, CRYSTALS, PICTURE = "crystals.jsonl", "crystals.extxyz", "crystals.png"
CIFS, LOCK = "cif", ".lock"


@dataclass
class RunFolder:
    """An output folder, held by this process; use it as a context manager.

    Attributes:
        path: the folder.
        orders: what the run is asked for.
        identity: from ``run_identity``.
        arguments: how the run was started, for the manifest only.
        journal: what is done.
        lock: on the folder.
        finished: the manifest of a run that was complete when the folder was opened.
        earlier_seconds: time that earlier processes spent on the run.
        began: when this one began.
    """

    path: Path
    orders: Sequence[Order]
    identity: dict[str, Any]
    arguments: dict[str, Any]
    journal: Journal
    lock: FolderLock
    finished: dict[str, Any] | None = None
    earlier_seconds: float = 0.0
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def open(
        cls,
        path: str | Path,
        orders: Sequence[Order],
        identity: dict[str, Any],
        *,
        arguments: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> RunFolder:
        """Make the folder, or take up the run that it holds.

        Args:
            path: the folder.
            orders: what the run is asked for.
            identity: from ``run_identity``.
            arguments: how the run was started, for the manifest only.
            overwrite: remove another run's files first; files that no run wrote stay.

        Raises:
            OutputError: the folder cannot be written, holds other files or another run, or another process is
                at work in it.
        """
        path = Path(path)
        with writing(path):
            if path.exists() and not path.is_dir():
                raise OutputError(f"{path} is a file; choose a folder with -o")
            path.mkdir(parents=True, exist_ok=True)
        lock = FolderLock.take(path / LOCK)
        try:
            with writing(path):
                old = read_manifest(path, overwrite=overwrite)
                if overwrite:
                    _clear(path, old)
                    old = None
                elif old is None:
                    _refuse_foreign(path)
                else:
                    refuse_other_run(path, old["run"], identity)
                for stale in [*path.glob("*" + TEMPORARY), *(path / CIFS).glob("*" + TEMPORARY)]:
                    stale.unlink()
                journal = Journal.open(path / JOURNAL)
                folder = cls(path, orders, identity, dict(arguments or {}), journal, lock)
                if old is not None:
                    folder.earlier_seconds = float(old["timings"]["seconds"])
                if old is not None and old["status"] == "finished" and folder.settled == folder.asked:
                    folder.finished = old
                else:
                    folder._write_manifest("running")
                # After the manifest, which makes the folder a run's.
                (path / CIFS).mkdir(exist_ok=True)
                return folder
        except BaseException:
            lock.release()
            raise

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lock.release()

    @property
    def done(self) -> Mapping[Key, str | None]:
        """Tries that are on disk and why they failed, as ``generate_batches`` takes them."""
        return self.journal.failures

    @property
    def asked(self) -> int:
        """Crystals asked for."""
        return sum(order.count for order in self.orders)

    @property
    def settled(self) -> int:
        """Crystals that are finished or given up."""
        return len(self.journal.last)

    def record(self, records: Sequence[Generated]) -> None:
        """Keep the tries of a batch: journal first, then the CIFs of its sound crystals.

        Raises:
            OutputError: they could not be written.
        """
        with writing(self.path):
            self.journal.append(records)
            # Read back, so that they are made of what a resumed run would make them of, to the last digit.
            for entry in self.journal.read([(r.order_id, r.index) for r in records if r.crystal is not None]):
                self._write_cif(entry)

    def close(self) -> dict[str, Any]:
        """Write ``crystals.extxyz``, missing CIFs and the manifest, from what the journal holds.

        Returns:
            The manifest.

        Raises:
            OutputError: they could not be written.
        """
        with writing(self.path):
            write_whole(self.path / CRYSTALS, self._crystals())
            if self.finished is not None:
                return self.finished
            return self._write_manifest("finished" if self.settled == self.asked else "interrupted")

    def entries(self) -> Iterator[Entry]:
        """Crystals of the journal, failures included, by order and index."""
        keys = [(o.id, i) for o in self.orders for i in range(o.count) if (o.id, i) in self.journal.last]
        return self.journal.read(keys)

    def cif_path(self, entry: Entry) -> Path:
        """Where the crystal's CIF is."""
        return self.path / CIFS / f"{entry.name}.cif"

    def _write_cif(self, entry: Entry) -> None:
        assert entry.crystal is not None
        # Not durable: the journal is, and a CIF that a power cut left empty is written anew.
        write_whole(self.cif_path(entry), entry.crystal.to_cif(), durable=False)

    def _crystals(self) -> Iterator[str]:
        """The extxyz file crystal by crystal; CIFs that are missing are written beside."""
        from ase.io import write

        for entry in self.entries():
            if entry.crystal is None:
                continue
            cif = self.cif_path(entry)
            if not cif.exists() or not cif.stat().st_size:
                self._write_cif(entry)
            atoms = entry.crystal.to_atoms(primitive=True)
            atoms.info = {
                "order": entry.order_id,
                "index": entry.index,
                "seed": entry.seed,
                "space_group": entry.crystal.space_group,
                "formula": entry.crystal.formula,
                "wyckoff": entry.crystal.wyckoff,
            }
            text = io.StringIO()
            write(text, atoms, format="extxyz")
            yield text.getvalue()

    def _write_manifest(self, status: str) -> dict[str, Any]:
        failed = Counter(failure for failure in self.journal.failures.values() if failure is not None)
        given_up = [
            {"order": order_id, "index": index, "tries": tries, "reason": reason}
            for (order_id, index), (tries, reason) in sorted(self.journal.given_up.items())
        ]
        seconds = self.earlier_seconds + time.monotonic() - self.began
        manifest = {
            "format": FORMAT,
            "status": status,
            "run": self.identity,
            "versions": versions(),
            "arguments": self.arguments,
            "crystals": self.settled - len(given_up),
            "asked": self.asked,
            "resampled": sum(failed.values()) - len(given_up),
            "failed_tries": dict(sorted(failed.items())),
            "failures": given_up,
            "timings": {"seconds": round(seconds, 3), "ended": time.strftime("%Y-%m-%dT%H:%M:%S%z")},
        }
        write_whole(self.path / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
        return manifest


def read_entries(path: Path) -> list[Entry]:
    """Crystals of a finished or interrupted run's folder, by order and index.

    Raises:
        OutputError: the folder holds no run, or a damaged one.
    """
    try:
        manifest = read_manifest(path)
        if manifest is None:
            raise OutputError(f"{path} holds no run; give the folder that crystalsmith generate wrote")
        journal = Journal.open(path / JOURNAL, mend=False)
        keys = [
            (o["id"], i)
            for o in manifest["run"]["orders"]
            for i in range(o["count"])
            if (o["id"], i) in journal.last
        ]
        return list(journal.read(keys))
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror or error}") from None


def is_run(path: Path) -> bool:
    """Whether a folder holds a run."""
    return (path / MANIFEST).is_file() and (path / JOURNAL).is_file()


def _refuse_foreign(path: Path) -> None:
    if any(p.name != LOCK and not p.name.endswith(TEMPORARY) for p in path.iterdir()):
        raise OutputError(
            f"folder {path} is not empty and holds no run; choose another one with -o or add --overwrite"
        )


def _clear(path: Path, old: dict[str, Any] | None) -> None:
    """Remove the files of a run, the manifest last so that a removal that is cut off can be repeated."""
    ids = {order["id"] for order in old["run"]["orders"]} if old is not None else set()
    cifs = [file for file in (path / CIFS).glob("*_*.cif") if file.stem.rpartition("_")[0] in ids]
    for file in [*cifs, path / CRYSTALS, path / PICTURE, path / JOURNAL, path / MANIFEST]:
        file.unlink(missing_ok=True)
