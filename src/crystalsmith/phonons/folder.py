"""Studies of crystals in an output folder: three files each, the JSON last, so that it tells what is done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from crystalsmith.crystal import Crystal
from crystalsmith.errors import CrystalsmithError, OutputError
from crystalsmith.phonons.pictures import draw_phonons
from crystalsmith.phonons.study import Settings, Study
from crystalsmith.runs.atomic import TEMPORARY, write_whole, writing

VERSION = 1


def write_study(
    folder: Path, name: str, given: Crystal, study: Study, settings: Settings, potential: str
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
        picture = folder / f"{name}.png"
        partial = picture.with_name(picture.name + TEMPORARY)
        partial.write_bytes(draw_phonons(study.phonons, potential))
        partial.replace(picture)
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
    folder: Path, name: str, given: Crystal, settings: Settings, potential: str
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
        made_with, before = data["made_with"], data["given"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, CrystalsmithError) as error:
        raise OutputError(
            f"{path} is no file of phonons ({type(error).__name__}); move it away or choose another folder"
        ) from None
    if not same or made_with != _made_with(settings, potential):
        raise OutputError(f"{path} was made with other settings; give the same or choose another folder")
    if before != given.to_dict():
        raise OutputError(f"{path} is of another crystal of that name; choose another folder")
    return None if study.elastic_failure else study


def _made_with(settings: Settings, potential: str) -> dict[str, Any]:
    return {**settings.to_json(), "potential": potential}
