"""A run of relaxations: crystals of any source relaxed into a folder.

``journal.jsonl`` is the truth; ``cif/`` follows it crystal by crystal; ``relaxed.extxyz``, ``relaxed.csv``
and the last word of ``manifest.json`` come at the end, made from the journal in the order of the crystals. So
a run that was interrupted anywhere goes on where it stopped, and ends with the files of an undisturbed one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from crystalsmith import __version__
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.crystals import Crystals
from crystalsmith.crystal.io import spooled_crystals
from crystalsmith.crystal.io.parquet import FOLDER, need_parquet, write_shards
from crystalsmith.potentials.calculators import check_potential, load_calculator, package_of
from crystalsmith.potentials.many import relax_many
from crystalsmith.potentials.outcome import Outcome
from crystalsmith.potentials.settings import STAGES, RelaxSettings, Resources
from crystalsmith.potentials.table import COLUMNS, SHARD_COLUMNS, extxyz_frames, shard_rows, table_row
from crystalsmith.runs.csv_text import csv_lines
from crystalsmith.runs.engines import check_engine, engine_of
from crystalsmith.runs.folder import Journal, RunFolder, RunKind, check_folder
from crystalsmith.runs.manifest import read_manifest
from crystalsmith.runs.pool import Failed
from crystalsmith.runs.progress import Progress, silent
from crystalsmith.runs.spool import InOrder, Part, Spool

JOURNAL, TABLE, FRAMES, CIFS = "journal.jsonl", "relaxed.csv", "relaxed.extxyz", "cif"


def _own_cifs(path: Path, manifest: dict[str, Any] | None) -> Iterator[Path]:
    """CIFs of the crystals in the journal; others in their folder are the user's."""
    if (journal := path / JOURNAL).exists():
        for line in journal.read_bytes().splitlines():
            try:
                yield path / CIFS / f"{json.loads(line)['name']}.cif"
            except (ValueError, KeyError, TypeError):
                continue


RELAXATION = RunKind(
    "relaxation",
    "relaxations",
    owned=(JOURNAL, TABLE, FRAMES, f"{FOLDER}/"),
    files=_own_cifs,
    another={"crystals": "other crystals"},
)


@dataclass(frozen=True)
class Entry:
    """One crystal that was dealt with.

    Attributes:
        name: its name.
        outcome: what came of it, or why nothing did.
        seconds: that it took.
    """

    name: str
    outcome: Outcome | Failed
    seconds: float

    @property
    def crystal(self) -> Crystal | None:
        """As relaxed; None if the relaxation does not count."""
        result = None if isinstance(self.outcome, Failed) else self.outcome.result
        return None if result is None else result.crystal

    @property
    def converged(self) -> bool:
        """All stages asked for were done, and the last one met its criteria."""
        return not isinstance(self.outcome, Failed) and self.outcome.converged

    def to_json(self) -> dict[str, Any]:
        """A line of the journal."""
        start = {"name": self.name, "seconds": self.seconds}
        if isinstance(self.outcome, Failed):
            return {**start, "failure": self.outcome.reason}
        return {**start, "outcome": self.outcome.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Entry:
        """The inverse of ``to_json``.

        Raises:
            KeyError, TypeError, ValueError: it is not of an entry.
        """
        failed = "failure" in data
        outcome = Failed(str(data["failure"])) if failed else Outcome.from_json(data["outcome"])
        return cls(str(data["name"]), outcome, float(data["seconds"]))


@dataclass(frozen=True)
class Relaxed:
    """What came of a run.

    Attributes:
        folder: with all files.
        entries: of all crystals, in their order; they are read when they are asked for.
        new: how many of them this process relaxed, ...
        seconds: ... in this time.
    """

    folder: Path
    entries: Sequence[Entry]
    new: int
    seconds: float

    @property
    def crystals(self) -> Crystals:
        """As relaxed, those that count."""
        return Crystals({e.name: e.crystal or Failed(e.outcome.reason) for e in self.entries})

    @cached_property
    def lost(self) -> dict[str, str]:
        """Why a crystal has no relaxed result that counts, by name."""
        return {e.name: e.outcome.reason for e in self.entries if e.crystal is None}

    @property
    def reasons(self) -> dict[str, int]:
        """Why relaxations ended, and how many."""
        return dict(sorted(Counter(e.outcome.reason for e in self.entries).items()))

    def _repr_html_(self) -> str:
        """What a notebook shows: the relaxed crystals with pictures."""
        return self.crystals._repr_html_()

    def rows(self) -> list[dict[str, Any]]:
        """The lines of ``relaxed.csv``; numbers that are not there are left out."""
        return list(self.each_row())

    def each_row(self) -> Iterator[dict[str, Any]]:
        """``rows``, one after the other."""
        return (table_row(e.name, e.outcome) for e in self.entries)

    def to_dataframe(self) -> Any:
        """``rows`` as a pandas DataFrame."""
        from pandas import DataFrame

        return DataFrame(self.rows(), columns=list(COLUMNS))

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types."""
        return {"folder": str(self.folder), "reasons": self.reasons, "crystals": self.rows()}

    def __str__(self) -> str:
        converged = changed = 0
        calls: dict[str, list[int]] = {}
        for entry in self.entries:
            converged += entry.converged
            if isinstance(outcome := entry.outcome, Failed):
                continue
            for name, stage in outcome.stages.items():
                calls.setdefault(name, []).append(stage.calls)
            if (result := outcome.result) is not None:
                changed += result.crystal.space_group != outcome.start.space_group
        relaxed = len(self.entries) - len(self.lost)
        lines = [f"{relaxed} of {len(self.entries)} crystals relaxed, {converged} converged"]
        by_number = sorted(self.reasons.items(), key=lambda item: -item[1])
        lines += [f"  {count} {reason}" for reason, count in by_number if reason != "converged"]
        for name in STAGES:
            if own := calls.get(name):
                lines.append(f"{name}: {sum(own) / len(own):.1f} calls on average")
        if changed:
            lines.append(f"{changed} in another space group than at the start")
        if self.new:
            lines.append(f"{60 * self.new / self.seconds:.1f} crystals a minute")
        return "\n".join([*lines, f"results in {self.folder}"])


def relax_into(
    sources: Any,
    output: str | os.PathLike[str],
    settings: RelaxSettings | None = None,
    resources: Resources | None = None,
    *,
    arguments: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Relaxed:
    """Relax crystals in processes of their own and write a folder; the same run goes on where it stopped.

    Args:
        sources: one source or several, as ``crystal.io.named_crystals`` takes them, or crystals by name;
            neither they nor what comes of them is held in memory.
        output: the folder.
        settings: how; the usual ones if not given.
        resources: potential, and where the work is done.
        arguments: how the run was started, for the manifest only.
        overwrite: replace other relaxations in the folder.
        progress: told how far it is.

    Raises:
        DataError: a source that cannot be read, or none of its crystals can.
        RelaxationError: the potential is unknown, not installed, or cannot be loaded.
        ConfigError: the engine is unknown or not installed.
        EngineError: its workers give no results.
        OutputError: the folder cannot be used.
    """
    settings, resources, output = settings or RelaxSettings(), resources or Resources(), Path(output)
    as_cifs = settings.format == "cif"
    if not as_cifs:
        need_parquet()
    check_potential(resources.potential)
    check_engine(resources.engine)
    found = sources if isinstance(sources, Mapping) else spooled_crystals(sources)
    identity = relax_identity(found, resources.potential, settings)
    if not overwrite:
        _take_up_earlier(output, identity, found)
    old = check_folder(output, RELAXATION, identity, overwrite=overwrite)
    if old is None or old["status"] != "finished" or overwrite:
        load_calculator(resources.potential)  # what is wrong with it shows here, before anything is written
    packages = (package_of(resources.potential),)
    with RunFolder.open(
        output, RELAXATION, identity, arguments=arguments, overwrite=overwrite, packages=packages
    ) as run:
        entries = Spool(Entry.to_json, Entry.from_json)
        journal = run.journal(JOURNAL).read(lambda row, _: _put(entries, Entry.from_json(row)))

        def done(name: str, outcome: Outcome | Failed, seconds: float) -> None:
            entry = Entry(name, outcome, round(seconds, 3))
            journal.append([entry.to_json()])
            _put(entries, entry)
            if as_cifs:
                _write_cif(run, entry)

        todo, names = [name for name in found if name not in entries], []
        for name in todo:
            if isinstance(crystal := found[name], Failed):
                done(name, crystal, 0.0)
            else:
                names.append(name)
        began, before = run.seconds, len(entries)
        with engine_of(resources.engine, resources.workers, output) as engine:
            relax_many(
                Part(found, names),  # type: ignore[arg-type]  # those that are crystals
                resources.potential,
                settings,
                engine=engine,
                on_done=done,
                progress=lambda stage, n, _: progress(stage, before + n, len(found)),
                apart=True,
                keep=False,
            )
        result = Relaxed(output, InOrder(entries, found), len(names), run.seconds - began)
        if as_cifs:
            for entry in result.entries:
                _write_cif(run, entry, again=False)
            run.write(FRAMES, extxyz_frames((e.name, e.outcome) for e in result.entries))
        else:
            write_shards(run.path, shard_rows((e.name, e.outcome) for e in result.entries), SHARD_COLUMNS)
        run.write(TABLE, csv_lines(result.each_row(), COLUMNS))
        if todo or run.finished is None:
            run.write_manifest(
                "finished",
                asked=len(found),
                relaxed=len(found) - len(result.lost),
                converged=sum(e.converged for e in result.entries),
                reasons=result.reasons,
            )
    return result


def relax_identity(
    crystals: Mapping[str, Crystal | Failed], potential: str, settings: RelaxSettings
) -> dict[str, Any]:
    """What makes two runs the same: crystals by name (or why there is none), potential and settings."""
    digest = hashlib.sha256()
    for name, crystal in crystals.items():
        content = crystal.reason if isinstance(crystal, Failed) else crystal.to_dict()
        digest.update(json.dumps([name, content], sort_keys=True).encode())
    return {
        "version": __version__,
        "potential": potential,
        **settings.to_json(),
        "crystals": digest.hexdigest(),
    }


def same_crystal(one: Crystal, other: Crystal) -> bool:
    """Whether two readings of one file differ in nothing but the last digits."""
    if (one.space_group, one.wyckoff) != (other.space_group, other.wyckoff):
        return False
    first, second = ([*c.cell, *(x for site in c.sites for x in site.free)] for c in (one, other))
    return bool(np.allclose(first, second, atol=1e-5))


def _take_up_earlier(path: Path, identity: dict[str, Any], found: Mapping[str, Crystal | Failed]) -> None:
    """Let the identity be that of the run in a folder, if an earlier version read the same crystals there.

    It searched the symmetry of every file anew, which left its mark on the last digits.
    """
    old = read_manifest(path)
    if not old or old["kind"] != RELAXATION.name or old["run"].get("crystals") == identity["crystals"]:
        return
    entries = Spool(Entry.to_json, Entry.from_json)
    Journal(path / JOURNAL).read(lambda row, _: _put(entries, Entry.from_json(row)), mend=False)

    def same(entry: Entry) -> bool:
        crystal, outcome = found.get(entry.name), entry.outcome
        if isinstance(outcome, Failed):  # in reading, or at work
            return crystal is not None
        return isinstance(crystal, Crystal) and same_crystal(outcome.start, crystal)

    if entries and len(found) == old.get("asked") and all(map(same, entries.values())):
        identity["crystals"] = old["run"]["crystals"]


def _put(entries: Spool[Entry], entry: Entry) -> None:
    entries.put(entry.name, entry)


def _write_cif(run: RunFolder, entry: Entry, *, again: bool = True) -> None:
    name = f"{CIFS}/{entry.name}.cif"
    path = run.path / name
    # A CIF that a power cut left empty is written anew.
    if entry.crystal is not None and (again or not path.exists() or not path.stat().st_size):
        run.write(name, entry.crystal.to_cif(), durable=False)
