"""Inputs for VASP with the settings of the Materials Project."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from crystalsmith.crystal import Crystal
from crystalsmith.dft.jobs import (
    REFERENCES,
    Job,
    jobs_of,
    new_folder,
    reference_jobs,
    write_script,
)
from crystalsmith.discovery.candidate import Candidate
from crystalsmith.runs.atomic import write_whole, writing

VASP = "vasp"

_README = """\
VASP inputs with the settings of the Materials Project (PBE, PBE+U for oxides and fluorides of some
transition metals; pymatgen's MPRelaxSet and MPStaticSet). One folder for each crystal, named by its rank
and name; competing phases are in references/.

1. POTCAR. VASP's licence forbids shipping it. POTCAR.spec lists the potentials, one a line, in the order
   of the POSCAR. In each folder:  cat $POTENTIALS/$(line 1)/POTCAR $(line 2)/POTCAR ... > POTCAR
   (submit.sh does it when POTENTIALS is set; use one release, PBE or PBE_54, for all of them).
2. Run relax/ first. It starts from the crystal here and relaxes atoms and cell.
3. Copy relax/CONTCAR to static/POSCAR, then run static/: its energy is the one that counts.
   submit.sh does both, as a SLURM array over the lines of jobs.txt. Edit its head for your machine.
4. Read everything back, from the folder that holds dft/:  crystalsmith dft collect .

Without the references there is no hull: give their energies, computed with the same settings, with
--entries FILE. Spins start ferromagnetic and high, as the Materials Project does; antiferromagnets need
other MAGMOMs. ISMEAR = -5 suits energies; for the relaxation of a metal ISMEAR = 1, SIGMA = 0.2 is better.
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
    candidates: Sequence[Candidate],
    references: Sequence[tuple[str, Crystal]] = (),
    *,
    overwrite: bool = False,
) -> Path:
    """Write ``vasp/RANK-NAME/relax`` and ``static`` with INCAR, KPOINTS, POSCAR and POTCAR.spec.

    The settings are those of pymatgen's MPRelaxSet and MPStaticSet; cells are primitive. Beside the folders
    stand a README, a SLURM script to edit and the list of folders that it goes through.

    Args:
        folder: such as ``RUN/dft``; made if it does not exist.
        candidates: by rank.
        references: competing phases, name and crystal; they go into ``vasp/references``.
        overwrite: replace a folder ``vasp`` that holds inputs and nothing else.

    Returns:
        The folder ``vasp``.

    Raises:
        OutputError: the folder is there already, or a file cannot be written.
    """
    path = folder / VASP
    with writing(path), new_folder(path, overwrite=overwrite) as new:
        names = [_write_job(new, job) for job in jobs_of(candidates)]
        names += [f"{REFERENCES}/{_write_job(new / REFERENCES, job)}" for job in reference_jobs(references)]
        write_script(new, _SUBMIT, names)
        write_whole(new / "README.txt", _README)
    return path


def _write_job(path: Path, job: Job) -> str:
    from pymatgen.io.vasp.sets import MPRelaxSet, MPStaticSet

    structure = job.crystal.to_structure(primitive=True).get_sorted_structure()
    for step, settings in (("relax", MPRelaxSet), ("static", MPStaticSet)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            settings(structure).write_input(str(path / job.folder / step), potcar_spec=True)
    return job.folder
