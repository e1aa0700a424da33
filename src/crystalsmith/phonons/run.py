"""Runs of phonons: crystals of any source studied in processes, three files each in a folder.

``NAME.json`` is written last, so that it tells what is done; what failed is tried again by the same run.
Folders of earlier versions, which have these files and no manifest, are gone on with.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from crystalsmith.crystal import Crystal
from crystalsmith.crystal.io import named_crystals
from crystalsmith.errors import CrystalsmithError, OutputError
from crystalsmith.phonons.budget import check_installed
from crystalsmith.phonons.pictures import draw_phonons
from crystalsmith.phonons.settings import PhononSettings
from crystalsmith.phonons.study import Study, study_crystal
from crystalsmith.potentials.calculators import (
    check_potential,
    load_calculator,
    package_of,
    process_calculator,
)
from crystalsmith.potentials.many import each, never
from crystalsmith.potentials.run import same_crystal
from crystalsmith.potentials.settings import Resources
from crystalsmith.runs.atomic import replacing, write_whole, writing
from crystalsmith.runs.engines import Engine, check_engine, engine_of
from crystalsmith.runs.folder import RunFolder, RunKind, check_folder
from crystalsmith.runs.pool import Failed
from crystalsmith.runs.progress import Progress, silent

VERSION = 1
_ENDINGS = (".png", "_phonopy_params.yaml", ".json")
COLUMNS = (
    *("name", "formula", "space_group", "supercell", "cut", "lowest", "lowest_at", "imaginary"),
    *("verdict", "born", "bulk", "shear", "failure"),
)


def _own_files(path: Path, manifest: dict[str, Any] | None) -> Iterator[Path]:
    for file in path.glob("*.json"):
        if '"made_with"' in file.read_text(encoding="utf-8", errors="replace")[:1000]:
            yield from (file.with_name(file.stem + ending) for ending in _ENDINGS)


PHONONS = RunKind("phonons", "phonons", files=_own_files)


@dataclass(frozen=True)
class PhononRun:
    """What came of a run.

    Attributes:
        folder: with all files.
        studies: of the crystals that have one, by name.
        lost: why a crystal has none, or no elastic constants, by name.
    """

    folder: Path
    studies: Mapping[str, Study]
    lost: Mapping[str, str]

    def rows(self) -> list[dict[str, Any]]:
        """A row for each crystal: frequencies in THz, moduli in GPa."""
        names = [*self.studies, *(name for name in self.lost if name not in self.studies)]
        return [_row(name, self.studies.get(name), self.lost.get(name, "")) for name in names]

    def _repr_html_(self) -> str:
        """What a notebook shows: frequencies and moduli."""
        from crystalsmith.reports.notebook import frame_html

        return frame_html(f"{len(self.studies)} crystals", self.to_dataframe())

    def to_dataframe(self) -> Any:
        """``rows`` as a pandas DataFrame."""
        from pandas import DataFrame

        return DataFrame(self.rows(), columns=list(COLUMNS))

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types."""
        return {"folder": str(self.folder), "crystals": self.rows()}


def phonons_into(
    sources: Any,
    output: str | os.PathLike[str],
    settings: PhononSettings | None = None,
    resources: Resources | None = None,
    *,
    arguments: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> PhononRun:
    """Study crystals and write a folder; the same run goes on where it stopped.

    Args:
        sources: one source or several, as ``crystal.io.named_crystals`` takes them, or crystals by name.
        output: the folder; crystals may be added to it by further runs of the same settings.
        settings: how; the usual ones if not given.
        resources: potential, and where the work is done.
        arguments: how the run was started, for the manifest only.
        overwrite: replace other phonons in the folder.
        progress: told how far it is.

    Raises:
        PhononError: a library is not installed.
        DataError: a source that cannot be read, or none of its crystals can.
        RelaxationError: the potential is unknown, not installed, or cannot be loaded.
        ConfigError: an engine that there is not.
        EngineError: its workers give no results.
        OutputError: the folder cannot be used.
    """
    settings, resources, output = settings or PhononSettings(), resources or Resources(), Path(output)
    check_installed()
    check_potential(resources.potential)
    check_engine(resources.engine)
    found = dict(sources) if isinstance(sources, Mapping) else named_crystals(sources)
    crystals = {name: c for name, c in found.items() if not isinstance(c, Failed)}
    lost = {name: c.reason for name, c in found.items() if isinstance(c, Failed)}
    identity = _made_with(settings, resources.potential)

    def read(name: str) -> Study | None:
        return read_finished(output, name, crystals[name], settings, resources.potential)

    old = check_folder(output, PHONONS, identity, overwrite=overwrite)
    # All are looked at before one is computed, so that a folder of another run is refused at once.
    studies = {n: s for n in crystals if old is not None and not overwrite and (s := read(n)) is not None}
    todo = {name: crystal for name, crystal in crystals.items() if name not in studies}
    if todo:
        load_calculator(resources.potential)  # what is wrong with it shows here, before anything is written
    packages = ("phonopy", "seekpath", package_of(resources.potential))
    with RunFolder.open(
        output, PHONONS, identity, arguments=arguments, overwrite=overwrite, packages=packages
    ) as run:
        with engine_of(resources.engine, resources.workers, output) as engine:
            new = study_many(
                todo,
                resources.potential,
                settings,
                folder=output.resolve(),
                engine=engine,
                progress=lambda stage, n, _: progress(stage, len(studies) + n, len(crystals)),
                apart=True,
            )
        lost |= {name: study.reason for name, study in new.items() if isinstance(study, Failed)}
        all_ = studies | {n: s for n, s in new.items() if isinstance(s, Study)}
        ordered = {name: all_[name] for name in crystals if name in all_}
        lost |= {
            name: f"no elastic constants: {study.elastic_failure}"
            for name, study in ordered.items()
            if study.elastic_failure
        }
        if new or run.finished is None or run.finished.get("failures") != lost:
            run.write_manifest("finished", asked=len(found), done=len(ordered), failures=lost)
    return PhononRun(output, ordered, lost)


def study_many(
    crystals: Mapping[str, Crystal],
    potential: str,
    settings: PhononSettings | None = None,
    *,
    folder: Path | None = None,
    places: Mapping[str, Path] | None = None,
    stage: str = "phonons",
    engine: Engine | None = None,
    on_done: Callable[[str, Study | Failed, float], None] | None = None,
    progress: Progress = silent,
    over: Callable[[], bool] = never,
    apart: bool = False,
) -> dict[str, Study | Failed]:
    """Study crystals in processes; what cannot be computed of one never costs another.

    Args:
        crystals: by name.
        potential: as for ``load_calculator``.
        settings: the usual ones if not given.
        folder: exists; where the files of each are written. None for none.
        places: a folder that exists and a name in it for the files of each, in place of ``folder``.
        stage, engine, on_done, progress, over, apart: as for ``potentials.many.each``.

    Raises:
        PhononError: a library is not installed.
        RelaxationError: the potential is unknown or not installed.
    """
    check_installed()
    check_potential(potential)
    settings = settings or PhononSettings()
    if places is None:
        places = {} if folder is None else {name: folder / name for name in crystals}
    return each(
        partial(_study, potential, settings),
        {name: (places.get(name), crystal) for name, crystal in crystals.items()},
        stage=stage,
        engine=engine,
        # The limit proper is looked at between calls; this one is for a call that never ends.
        seconds=None if settings.seconds is None else 2 * settings.seconds + 60,
        on_done=on_done,
        progress=progress,
        over=over,
        apart=apart,
    )


def _study(potential: str, settings: PhononSettings, work: tuple[Path | None, Crystal]) -> Study:
    place, crystal = work
    study = study_crystal(crystal, process_calculator(potential), settings)
    if place is not None:
        write_study(place.parent, place.name, crystal, study, settings, potential)
    return replace(study, phonons=replace(study.phonons, phonopy=None))  # too large to send


def write_study(
    folder: Path, name: str, given: Crystal, study: Study, settings: PhononSettings, potential: str
) -> None:
    """Write ``NAME.png``, ``NAME_phonopy_params.yaml`` and ``NAME.json``.

    Args:
        folder: exists.
        name: of the files.
        given: the crystal before it was relaxed.
        study: as computed, with phonopy's object.
        settings: it was computed with.
        potential: its name.

    Raises:
        OutputError: a file cannot be written.
    """
    with writing(folder):
        with replacing(folder / f"{name}.png") as partial_file:
            partial_file.write_bytes(draw_phonons(study.phonons, potential))
        study.phonons.write_phonopy(folder / f"{name}_phonopy_params.yaml")
        crystal = study.phonons.crystal
        data = {
            "version": VERSION,
            "name": name,
            "formula": crystal.formula,
            "space_group": crystal.space_group,
            "made_with": _made_with(settings, potential),
            "given": given.to_dict(),
            **study.to_json(),
        }
        write_whole(folder / f"{name}.json", json.dumps(data, allow_nan=False) + "\n")


def read_finished(
    folder: Path, name: str, given: Crystal, settings: PhononSettings, potential: str
) -> Study | None:
    """The study of a crystal that was finished before; None if there is none, or its elasticity failed.

    Raises:
        OutputError: the file is of another crystal, potential or settings.
    """
    path = folder / f"{name}.json"
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        study = Study.from_json(data)
        same = data["version"] == VERSION
        made_with, before = data["made_with"], Crystal.from_dict(data["given"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, CrystalsmithError) as error:
        raise OutputError(
            f"{path} is no file of phonons ({type(error).__name__}); move it away or choose another folder"
        ) from None
    if not same or made_with != _made_with(settings, potential):
        raise OutputError(f"{path} was made with other settings; give the same or choose another folder")
    if not same_crystal(before, given):
        raise OutputError(f"{path} is of another crystal of that name; choose another folder")
    return None if study.elastic_failure else study


def _made_with(settings: PhononSettings, potential: str) -> dict[str, Any]:
    return {**settings.to_json(), "potential": potential}


def _row(name: str, study: Study | None, failure: str) -> dict[str, Any]:
    if study is None:
        return {"name": name, "failure": failure}
    found, elastic = study.phonons, study.elasticity
    crystal, s = found.crystal, found.stability
    row: dict[str, Any] = {
        "name": name,
        "formula": crystal.formula,
        "space_group": crystal.space_group,
        "supercell": found.supercell.n_atoms,
        "cut": found.supercell.cut,
        "lowest": min(s.lowest, s.interpolated) if s.verdict == "open" else s.lowest,
        "lowest_at": s.lowest_name if s.imaginary else "",
        "imaginary": s.imaginary,
        "verdict": s.verdict,
    }
    if elastic is not None:
        row["born"] = "stable" if elastic.stable else "unstable"
        if elastic.stable:
            row |= {"bulk": elastic.bulk, "shear": elastic.shear}
    return row | ({"failure": failure} if failure else {})
