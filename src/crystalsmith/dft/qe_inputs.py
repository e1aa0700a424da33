"""Inputs for Quantum ESPRESSO: a relaxation of atoms and cell for pw.x."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crystalsmith.crystal import Crystal
from crystalsmith.dft.jobs import Job, Subject, Written, make_jobs, new_folder, write_jobs, write_script
from crystalsmith.runs.atomic import write_whole, writing

QE = "qe"
INPUT, OUTPUT = "vc-relax.in", "vc-relax.out"
PSEUDO = "pseudo"

ECUTWFC, RATIO = 90.0, 8.0
"""Cutoff of the wave functions (Ry), and how much higher that of the density is."""

SPACING = 0.03
"""Largest distance of k-points, 1/Angstrom, without the factor 2 pi."""

MAGNETIC = frozenset(
    "V Cr Mn Fe Co Ni Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb".split()  # open d and f shells
    + "U Np Pu Am Cm Bk Cf Es Fm Md".split()
)
"""Elements whose atoms start with a moment."""

START_MOMENT = 0.5
"""Starting magnetization of those, as pw.x takes it."""

_README = """\
Quantum ESPRESSO inputs (pw.x, calculation = 'vc-relax'). One folder for each crystal, named by its rank
and name; competing phases are in references/. Which of them are missing stands in ../README.txt.

1. Pseudopotentials. Put them into pseudo/ here, named by the element: Na.upf, Cl.upf ... (rename or link the
   files of your library; PBE, such as SSSP or PseudoDojo). One library for all calculations.
   SSSP (from 1.3 on) reaches from H to Lr; PseudoDojo has nothing behind Rn and few lanthanides.
2. Cutoffs: ecutwfc = @ECUT@ Ry, ecutrho = @RHO@ Ry. They suit ultrasoft and PAW potentials of nearly all
   elements; compare with what your library recommends, and keep one value in all inputs, or energies
   cannot be compared. Norm-conserving potentials do with ecutrho = 4 ecutwfc.
3. k-points at most @SPACING@ 1/Angstrom apart (no 2 pi in it); smearing: cold, 0.01 Ry.
   Spin: crystals with open d or f shells start ferromagnetic (nspin = 2); there is no Hubbard U.
4. Run, from this folder:  cd FOLDER && pw.x -in vc-relax.in > vc-relax.out
   submit.sh does it as a SLURM array over the lines of jobs.txt. Edit its head for your machine.
   The last step of vc-relax is a calculation at the relaxed cell; its energy is the one that counts.
5. Read everything back, from the folder that holds dft/:  crystalsmith dft collect .

Without the references there is no hull: give their energies, computed with the same settings, with
--entries FILE.
"""

_SUBMIT = """\
#!/bin/bash
#SBATCH --job-name=qe
#SBATCH --array=1-@COUNT@
#SBATCH --nodes=1
#SBATCH --ntasks=32
#SBATCH --time=24:00:00
# Edit: the lines above, and the command that runs pw.x. Start from this folder: sbatch submit.sh
set -euo pipefail
PW=${PW:-srun pw.x}

job=$(sed -n "${SLURM_ARRAY_TASK_ID:-1}p" jobs.txt)
cd "$job"
$PW -in vc-relax.in > vc-relax.out
"""


def write_qe(
    folder: Path,
    subjects: Sequence[Subject],
    references: Sequence[tuple[str, Crystal]] = (),
    *,
    ecutwfc: float = ECUTWFC,
    overwrite: bool = False,
) -> Written:
    """Write ``qe/RANK-NAME/vc-relax.in`` for pw.x.

    Pseudopotentials are named ``ELEMENT.upf`` and looked for in ``qe/pseudo``; cells are primitive. Beside
    the folders stand a README, a SLURM script to edit and the list of folders that it goes through.

    Args:
        folder: such as ``RUN/dft``; made if it does not exist.
        subjects: by rank.
        references: competing phases, name and crystal; they go into ``qe/references``.
        ecutwfc: cutoff of the wave functions, Ry; that of the density is eight times as high.
        overwrite: replace a folder ``qe`` that holds inputs and nothing else.

    Raises:
        OutputError: the folder is there already, or a file cannot be written.
    """
    path = folder / QE

    def write(place: Path, job: Job) -> None:
        write_whole(place / INPUT, qe_input(job.crystal, f"{job.up}/{PSEUDO}", ecutwfc), durable=False)

    with writing(path), new_folder(path, overwrite=overwrite) as new:
        (new / PSEUDO).mkdir()
        done, left_out = write_jobs(new, make_jobs(subjects, references), write)
        write_script(new, _SUBMIT, done)
        readme = _README.replace("@ECUT@", f"{ecutwfc:g}").replace("@RHO@", f"{RATIO * ecutwfc:g}")
        write_whole(new / "README.txt", readme.replace("@SPACING@", f"{SPACING:g}"))
    return Written(path, tuple(done), left_out)


def qe_input(crystal: Crystal, pseudo: str, ecutwfc: float) -> str:
    """The text of an input; ``pseudo`` is the folder of the pseudopotentials."""
    from ase.io.espresso import write_espresso_in

    atoms = crystal.to_atoms(primitive=True)
    atoms.set_initial_magnetic_moments([START_MOMENT * (s in MAGNETIC) for s in atoms.get_chemical_symbols()])
    settings: dict[str, dict[str, Any]] = {
        "control": {
            "calculation": "vc-relax",
            "prefix": "pwscf",
            "outdir": "./out",
            "pseudo_dir": pseudo,
            "tprnfor": True,
            "tstress": True,
            "nstep": 100,
            "etot_conv_thr": _digits(1e-5 * len(atoms)),
            "forc_conv_thr": 5e-4,
        },
        "system": {
            "ecutwfc": float(ecutwfc),
            "ecutrho": RATIO * ecutwfc,
            "occupations": "smearing",
            "smearing": "cold",
            "degauss": 0.01,
        },
        "electrons": {"conv_thr": _digits(1e-9 * len(atoms)), "mixing_beta": 0.4, "electron_maxstep": 200},
        "ions": {"ion_dynamics": "bfgs"},
        "cell": {"cell_dynamics": "bfgs", "press_conv_thr": 0.5},
    }
    text = io.StringIO()
    write_espresso_in(
        text,
        atoms,
        input_data=settings,
        pseudopotentials={s: f"{s}.upf" for s in set(atoms.get_chemical_symbols())},
        kspacing=SPACING,
        crystal_coordinates=True,
    )
    # ASE writes sections that pw.x does not read here and would warn of.
    return re.sub(r"&(FCP|RISM)\n/\n", "", text.getvalue())


def _digits(value: float) -> float:
    return float(f"{value:.3g}")
