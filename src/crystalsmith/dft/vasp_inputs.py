"""Inputs for VASP with the settings of the Materials Project."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from crystalsmith.crystal import Crystal
from crystalsmith.dft.jobs import Job, Subject, Written, make_jobs, new_folder, write_jobs, write_script
from crystalsmith.dft.potcars import RELEASES, lacking, potcars
from crystalsmith.runs.atomic import write_whole, writing

VASP = "vasp"

_README = """\
VASP inputs with the settings of the Materials Project (PBE, PBE+U for oxides and fluorides of some
transition metals; pymatgen's MPRelaxSet and MPStaticSet), except ISMEAR of the relaxations and the
potentials named below. One folder for each crystal, named by its rank and name; competing phases are in
references/. Which of them are missing stands in ../README.txt.

1. POTCAR. VASP's licence forbids shipping it. POTCAR.spec lists the potentials, one a line, in the order
   of the POSCAR. In each folder:  cat $POTENTIALS/$(line 1)/POTCAR $(line 2)/POTCAR ... > POTCAR
   (submit.sh does it when POTENTIALS is set). The names are those of release @RELEASE@; use no other one,
   and mix none. dft inputs --potcars writes names of another release.
2. Run relax/ first. It starts from the crystal here and relaxes atoms and cell.
3. Copy relax/CONTCAR to static/POSCAR, then run static/: its energy is the one that counts.
   submit.sh does both, as a SLURM array over the lines of jobs.txt. Edit its head for your machine.
4. Read everything back, from the folder that holds dft/:  crystalsmith dft collect .

Without the references there is no hull: give their energies, computed with the same settings, with
--entries FILE. Spins start ferromagnetic and high, as the Materials Project does; antiferromagnets need
other MAGMOMs. Smearing: relaxations have ISMEAR = 1, SIGMA = 0.2 where all elements are metals and
ISMEAR = 0, SIGMA = 0.05 elsewhere, for the forces of ISMEAR = -5 are wrong in a metal; energies have -5.
"""

_SUBMIT = """\
#!/bin/bash
#SBATCH --job-name=vasp
#SBATCH --array=1-@COUNT@
#SBATCH --nodes=1
#SBATCH --ntasks=32
#SBATCH --time=24:00:00
# Edit: the lines above, where the potentials are (folders such as Na_pv with a POTCAR in each), and the
# command that runs VASP. Start from this folder: sbatch submit.sh
set -euo pipefail
POTENTIALS=${POTENTIALS:?set POTENTIALS to the folder of the PBE potentials}
VASP=${VASP:-srun vasp_std}

job=$(sed -n "${SLURM_ARRAY_TASK_ID:-1}p" jobs.txt)
for step in relax static; do
  pushd "$job/$step" > /dev/null
  if [ "$step" = static ]; then cp ../relax/CONTCAR POSCAR; fi
  while read -r potential; do cat "$POTENTIALS/$potential/POTCAR"; done < POTCAR.spec > POTCAR
  $VASP > vasp.out
  popd > /dev/null
done
"""


def write_vasp(
    folder: Path,
    subjects: Sequence[Subject],
    references: Sequence[tuple[str, Crystal]] = (),
    *,
    release: str = RELEASES[0],
    overwrite: bool = False,
) -> Written:
    """Write ``vasp/RANK-NAME/relax`` and ``static`` with INCAR, KPOINTS, POSCAR and POTCAR.spec.

    The settings are those of pymatgen's MPRelaxSet and MPStaticSet; cells are primitive. Beside the folders
    stand a README, a SLURM script to edit and the list of folders that it goes through. A crystal with an
    element that has no potential is left out.

    Args:
        folder: such as ``RUN/dft``; made if it does not exist.
        subjects: by rank.
        references: competing phases, name and crystal; they go into ``vasp/references``.
        release: of the potentials, one of ``RELEASES``.
        overwrite: replace a folder ``vasp`` that holds inputs and nothing else.

    Raises:
        OutputError: the folder is there already, or a file cannot be written.
    """
    path = folder / VASP
    jobs = make_jobs(subjects, references)
    names, notes = potcars(release, (job.crystal for job in jobs))
    heard: dict[str, list[str]] = defaultdict(list)

    def write(place: Path, job: Job) -> None:
        if absent := lacking(job.crystal, names):
            raise LookupError(f"VASP has no potential of {', '.join(absent)} (release {release})")
        for text in _write_job(place, job.crystal, release, names):
            heard[text].append(job.folder)

    with writing(path), new_folder(path, overwrite=overwrite) as new:
        done, left_out = write_jobs(new, jobs, write)
        notes += [f"{text} ({_few(folders)})" for text, folders in heard.items()]
        write_script(new, _SUBMIT, done)
        write_whole(new / "README.txt", _README.replace("@RELEASE@", release))
    return Written(path, tuple(done), left_out, tuple(notes))


def _few(folders: Sequence[str]) -> str:
    return ", ".join(folders[:3]) + (f" and {len(folders) - 3} more" if len(folders) > 3 else "")


def _write_job(path: Path, crystal: Crystal, release: str, names: Mapping[str, str]) -> list[str]:
    """Write both steps; what pymatgen warns of."""
    from pymatgen.io.vasp.sets import MPRelaxSet, MPStaticSet

    structure = crystal.to_structure(primitive=True).get_sorted_structure()
    own = {element: names[element] for element in crystal.counts}
    # The forces of the tetrahedron method (-5) are wrong by some percent where a band crosses the Fermi
    # level; first-order Methfessel-Paxton is right there and only there. Whether anything else has a gap is
    # not known beforehand, and a narrow Gaussian does no harm with one and little without. Energies at the
    # relaxed cell want -5, whatever the bands: no forces are taken from them.
    metal = all(element.is_metal for element in structure.composition.elements)
    smearing = {"ISMEAR": 1, "SIGMA": 0.2} if metal else {"ISMEAR": 0, "SIGMA": 0.05}
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        for step, settings, incar in (("relax", MPRelaxSet, smearing), ("static", MPStaticSet, {})):
            made = settings(
                structure,
                user_potcar_functional=cast(Any, release),  # pymatgen's Literal of all releases
                user_potcar_settings=own,
                user_incar_settings=incar,
            )
            made.write_input(str(path / step), potcar_spec=True)
    texts = [" ".join(str(w.message).split()) for w in heard if issubclass(w.category, UserWarning)]
    # Of "overriding" it warns whenever a release or a potential is named; the README says which and why.
    return [text for text in dict.fromkeys(texts) if not text.startswith("Overriding")]
