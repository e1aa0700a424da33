"""All inputs of one crystal for the programs that refine."""

from __future__ import annotations

from pathlib import Path

from crystalsmith.crystal.io.cif import crystal_to_cif
from crystalsmith.diffraction.writers.fullprof import fullprof_data, fullprof_input
from crystalsmith.diffraction.writers.gsas2 import gsas2_script, instrument_parameters
from crystalsmith.diffraction.writers.start import Start, plain_name
from crystalsmith.diffraction.writers.text import xye_text
from crystalsmith.diffraction.writers.topas import topas_input
from crystalsmith.runs.atomic import write_whole, writing


def refinement_inputs(start: Start, name: str) -> dict[str, str]:
    """Texts by the names of their files.

    ``NAME.xye`` and ``NAME.cif`` (pattern and structure), ``NAME.instprm`` and ``NAME_gsas2.py`` (GSAS-II),
    ``NAME.inp`` (TOPAS), ``NAME.pcr`` and ``NAME.dat`` (FullProf).

    Args:
        start: where the refinement begins.
        name: of the files; letters and digits of it are kept.
    """
    name = plain_name(name)
    data, instrument, cif = f"{name}.xye", f"{name}.instprm", f"{name}.cif"
    return {
        data: xye_text(start.pattern, comments=False),
        cif: crystal_to_cif(start.crystal),
        instrument: instrument_parameters(start),
        f"{name}_gsas2.py": gsas2_script(start, name, data, instrument, cif),
        f"{name}.inp": topas_input(start, name, data),
        f"{name}.pcr": fullprof_input(start, name),
        f"{name}.dat": fullprof_data(start),
    }


def write_inputs(folder: Path, start: Start, name: str) -> list[Path]:
    """Write the files of ``refinement_inputs`` into a folder, which is made.

    Raises:
        OutputError: they cannot be written.
    """
    paths = []
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in refinement_inputs(start, name).items():
            write_whole(folder / file, text, durable=False)
            paths.append(folder / file)
    return paths
