"""The folder that a run writes.

``crystals.jsonl`` is the journal and the truth; ``cif/`` follows it crystal by crystal; ``crystals.extxyz``
and the last word of ``manifest.json`` come at the end, made from the journal. So a run that was interrupted
anywhere goes on where it stopped and ends with the files of an undisturbed one. Where drafts are judged, all
of them stand in the journal and their scores in ``scores.jsonl``; the other files hold each crystal's best.
"""

from __future__ import annotations

import io
import json
import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from crystalsmith.errors import OutputError
from crystalsmith.generation.choice import choose
from crystalsmith.generation.journal import Entry, Journal
from crystalsmith.generation.manifest import FORMAT, MANIFEST, read_manifest, refuse_other_run, versions
from crystalsmith.generation.scores import ScoreJournal, add_score, best_entries, figures_of
from crystalsmith.generation.tries import Generated, Key
from crystalsmith.orders.order import Order
from crystalsmith.runs.atomic import TEMPORARY, write_whole, writing
from crystalsmith.runs.lock import LOCK, FolderLock

if TYPE_CHECKING:
    from crystalsmith.ranking import Ladder

JOURNAL, CRYSTALS, PICTURE = "crystals.jsonl", "crystals.extxyz", "crystals.png"
SCORES = "scores.jsonl"
CIFS = "cif"

BLOCK = 16
"""Crystals of single drafts that are judged in one batch."""


@dataclass
class RunFolder:
    """An output folder, held by this process; use it as a context manager.

    Attributes:
        path: the folder.
        orders: what the run is asked for.
        identity: from ``run_identity``.
        arguments: how the run was started, for the manifest only.
        journal: what is done.
        scores: what judges have decided; None for a run without judges.
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
    scores: ScoreJournal | None = None
    earlier_judges: dict[str, dict[str, float]] = field(default_factory=dict)
    ladder: Ladder | None = None
    _judged: set[tuple[str, int]] = field(default_factory=set)
    _unjudged: set[tuple[str, int]] = field(default_factory=set)  # all of whose drafts are there

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
                if identity.get("judges"):
                    folder.scores = ScoreJournal.open(path / SCORES)
                    folder._sort_out(journal.last)
                if old is not None:
                    folder.earlier_seconds = float(old["timings"]["seconds"])
                    folder.earlier_judges = dict(old["timings"].get("judges", {}))
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
        if self.scores is None:
            return len(self.journal.last)
        return len(self._judged)

    @property
    def best_of(self) -> int:
        """Drafts of each crystal."""
        return int(self.identity.get("best_of", 1))

    @property
    def parts_done(self) -> float:
        """Crystals that are finished or given up, and parts of those that have some of their drafts."""
        if self.scores is None:
            return float(self.settled)
        # A draft that waits for its judges is not yet done.
        return max(float(self.settled), 0.9 * len(self.journal.last) / self.best_of)

    def record(self, records: Sequence[Generated]) -> None:
        """Keep the tries of a batch: journal first, then the CIFs of its sound crystals.

        Raises:
            OutputError: they could not be written.
        """
        with writing(self.path):
            self.journal.append(records)
            if self.scores is not None:
                self._sort_out([record.key[:2] for record in records if record.final])
                return
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

    def judge(self, ladder: Ladder) -> Iterator[int]:
        """Judge the crystals whose drafts are all there, in the order in which they were completed.

        Single drafts are denoised ``BLOCK`` crystals at a time, always the same ones together.

        Args:
            ladder: the judges.

        Yields:
            Crystals that are settled, after each one.

        Raises:
            OutputError: what was decided could not be written.
            RelaxationError: the potential cannot be loaded.
        """
        assert self.scores is not None
        self.ladder = ladder
        waiting = sorted(self._unjudged, key=lambda k: max(self.journal.last[p][1] for p in self._places(k)))
        errors: dict[tuple[str, int], float] = {}
        for key in waiting:
            if self.best_of == 1 and "denoising" in ladder.judges and key not in errors:
                block = self._block(key)
                if not all(k in self.journal.last for k in block):
                    continue
                errors |= self._denoise(block, ladder)
            drafts = list(self.journal.read(self._places(key)))
            known = [errors[key]] if key in errors and drafts[0].crystal is not None else None
            choice = choose(*key, [d.crystal for d in drafts], [d.log_prior for d in drafts], ladder, known)
            with writing(self.path):
                self.scores.append(choice)
                for entry in best_entries(self.journal, self.scores, [key], self.best_of):
                    if entry.crystal is not None:
                        self._write_cif(entry)
            self._unjudged.discard(key)
            self._judged.add(key)
            yield self.settled

    def _block(self, key: tuple[str, int]) -> list[tuple[str, int]]:
        """The crystals that this one is denoised together with: neighbours in its order."""
        count = next(order.count for order in self.orders if order.id == key[0])
        first = key[1] - key[1] % BLOCK
        return [(key[0], i) for i in range(first, min(first + BLOCK, count))]

    def _denoise(self, block: list[tuple[str, int]], ladder: Ladder) -> dict[tuple[str, int], float]:
        entries = list(self.journal.read(block))
        sound = [(k, e.crystal) for k, e in zip(block, entries, strict=True) if e.crystal is not None]
        found = ladder.denoise([crystal for _, crystal in sound])
        errors = dict.fromkeys(block, math.nan)  # of those that were given up
        if found is not None:
            errors |= {k: float(e) for (k, _), e in zip(sound, found, strict=True)}
        return errors

    def _places(self, key: tuple[str, int]) -> list[tuple[str, int]]:
        return [(key[0], key[1] * self.best_of + j) for j in range(self.best_of)]

    def _sort_out(self, places: Iterable[tuple[str, int]]) -> None:
        """Take note of the crystals of these drafts that have all their drafts now."""
        assert self.scores is not None
        for key in {(order_id, place // self.best_of) for order_id, place in places}:
            if all(place in self.journal.last for place in self._places(key)):
                (self._judged if key in self.scores.best else self._unjudged).add(key)

    def entries(self) -> Iterator[Entry]:
        """Crystals of the journal, failures included, by order and index."""
        keys = ((o.id, i) for o in self.orders for i in range(o.count))
        if self.scores is None:
            return self.journal.read([key for key in keys if key in self.journal.last])
        scored = [key for key in keys if key in self._judged]
        return best_entries(self.journal, self.scores, scored, self.best_of)

    def ranked_entries(self) -> Iterator[tuple[Entry, float | None]]:
        """Crystals by order, within it by their figures, best first, with these; given-up ones last.

        Without judges they come by index, without figures.
        """
        if self.scores is None:
            yield from ((entry, None) for entry in self.entries())
            return
        for order in self.orders:
            keys = [(order.id, i) for i in range(order.count) if (order.id, i) in self._judged]
            figures = figures_of([self.scores.best[key][1] for key in keys])
            best = sorted(range(len(keys)), key=lambda k: (-figures[k], k))
            entries = best_entries(self.journal, self.scores, [keys[k] for k in best], self.best_of)
            yield from zip(entries, (figures[k] for k in best), strict=True)

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

        for entry, figure in self.ranked_entries():
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
            if entry.score is not None and figure is not None:
                add_score(atoms, entry.score, figure)
            text = io.StringIO()
            write(text, atoms, format="extxyz")
            yield text.getvalue()

    def judge_timings(self) -> dict[str, dict[str, float]]:
        """Seconds and crystals of each judge, earlier processes included as far as they could tell."""
        result = {name: dict(values) for name, values in self.earlier_judges.items()}
        for name, seconds in (self.ladder.seconds if self.ladder else {}).items():
            assert self.ladder is not None
            known = result.setdefault(name, {"seconds": 0.0, "crystals": 0})
            known["seconds"] = round(known["seconds"] + seconds, 3)
            known["crystals"] += self.ladder.judged[name]
        return result

    def _given_up(self) -> dict[tuple[str, int], tuple[int, str]]:
        """Tries of crystals that came to nothing and the last failure, by (order id, index)."""
        drafts = self.journal.given_up
        if self.scores is None:
            return drafts
        result = {}
        for key in self._judged:
            if self.scores.best[key][1] is None:
                found = [drafts[place] for place in self._places(key)]
                result[key] = sum(tries for tries, _ in found), found[-1][1]
        return result

    def _write_manifest(self, status: str) -> dict[str, Any]:
        failed = Counter(failure for failure in self.journal.failures.values() if failure is not None)
        drafts_given_up = self.journal.given_up
        given_up = [
            {"order": order_id, "index": index, "tries": tries, "reason": reason}
            for (order_id, index), (tries, reason) in sorted(self._given_up().items())
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
            "resampled": sum(failed.values()) - len(drafts_given_up),
            "failed_tries": dict(sorted(failed.items())),
            "failures": given_up,
            "timings": {"seconds": round(seconds, 3), "ended": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
            | ({} if self.scores is None else {"judges": self.judge_timings()}),
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
        keys = [(o["id"], i) for o in manifest["run"]["orders"] for i in range(o["count"])]
        if manifest["run"].get("judges"):
            scores, best_of = ScoreJournal.open(path / SCORES, mend=False), int(manifest["run"]["best_of"])
            scored = [
                key
                for key in keys
                if key in scores.best and (key[0], key[1] * best_of + scores.best[key][0]) in journal.last
            ]
            return list(best_entries(journal, scores, scored, best_of))
        return list(journal.read([key for key in keys if key in journal.last]))
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
    for file in [*cifs, path / CRYSTALS, path / PICTURE, path / SCORES, path / JOURNAL, path / MANIFEST]:
        file.unlink(missing_ok=True)
