"""``crystalsmith phonons``: vibrations and elastic constants of a few crystals."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.cli import options

if TYPE_CHECKING:
    from crystalsmith.crystal import Crystal
    from crystalsmith.phonons import Study

_EXAMPLES = """\
examples:
  crystalsmith phonons quartz.cif -o phonons
  crystalsmith phonons crystals --potential chgnet --length 12 --max-atoms 300 --seconds 600 -o phonons

For each crystal: NAME.png (bands and density of states), NAME.json (all figures), and
NAME_phonopy_params.yaml, with which phonopy goes on: phonopy-load NAME_phonopy_params.yaml
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "phonons",
        help="phonons and elastic constants of a short list",
        description="Relax crystals with a potential, compute their phonons in a supercell and their elastic"
        " constants, and tell whether they are minima. Interrupted, the same command goes on where it"
        " stopped.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILES",
        help="CIFs or folders of them, output folder of generate, extxyz, JSON lines, CSV with a cif column,"
        " pymatgen JSON, zip of CIFs",
    )
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="folder for the results")
    parser.add_argument("--quiet", action="store_true", help="no table")
    how = parser.add_argument_group("how to compute")
    how.add_argument(
        "--potential",
        default="chgnet",
        metavar="NAME",
        help="chgnet (default), 7net-0, 7net-l3i5, mace:FILE, or module:factory",
    )
    how.add_argument(
        "--length",
        type=options.positive_number,
        default=10.0,
        metavar="A",
        help="Angstrom between an atom and its image in the supercell at least (default: 10)",
    )
    how.add_argument(
        "--max-atoms",
        type=options.positive,
        default=200,
        metavar="N",
        help="of the supercell (default: 200)",
    )
    how.add_argument(
        "--displacement",
        type=options.positive_number,
        default=0.03,
        metavar="A",
        help="of an atom, Angstrom (default: 0.03)",
    )
    how.add_argument(
        "--tolerance",
        type=options.positive_number,
        default=0.1,
        metavar="THZ",
        help="a mode counts as imaginary this far below zero (default: 0.1)",
    )
    how.add_argument(
        "--relax",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="relax first, space group kept (default)",
    )
    how.add_argument(
        "--elastic",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="elastic constants and Born criteria too (default)",
    )
    how.add_argument("--seconds", type=options.positive_number, metavar="S", help="time limit of one crystal")
    parser.set_defaults(run=run, resumes=True)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status: 1 where a crystal could not be computed."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    from crystalsmith.phonons import check_installed
    from crystalsmith.phonons.study import Settings
    from crystalsmith.potentials import check_potential

    check_installed()
    check_potential(args.potential)
    settings = Settings(
        length=args.length,
        max_atoms=args.max_atoms,
        displacement=args.displacement,
        tolerance=args.tolerance,
        relax=args.relax,
        elastic=args.elastic,
    )
    from crystalsmith.cli.named import read_named

    found = read_named(args.files)
    crystals = {name: c for name, c in found.items() if not isinstance(c, str)}
    failures = {name: c for name, c in found.items() if isinstance(c, str)}
    out = Path(args.output)
    from crystalsmith.runs.atomic import writing
    from crystalsmith.runs.lock import LOCK, FolderLock

    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    lock = FolderLock.take(out / LOCK)
    try:
        studies = _compute(args, crystals, settings, out, failures)
    finally:
        lock.release()
    if studies and not args.quiet:
        _print(studies)
    for name, reason in failures.items():
        print(f"crystalsmith: {name}: {reason}", file=sys.stderr)
    return 1 if failures else 0


def _compute(
    args: argparse.Namespace, crystals: dict[str, Crystal], settings: Any, out: Path, failures: dict[str, str]
) -> dict[str, Study]:
    """Studies of all crystals that have one, old or new; the reasons of others go to ``failures``."""
    from crystalsmith.errors import PhononError
    from crystalsmith.phonons.folder import read_finished, write_study
    from crystalsmith.phonons.study import study_crystal
    from crystalsmith.potentials import load_calculator

    # All are looked at before one is computed, so that a folder of another run is refused at once.
    finished = {name: read_finished(out, name, c, settings, args.potential) for name, c in crystals.items()}
    studies: dict[str, Study] = {}
    calculator = None if all(finished.values()) else load_calculator(args.potential)
    for name, crystal in crystals.items():
        study = finished[name]
        if study is None:
            assert calculator is not None
            try:
                study = study_crystal(crystal, calculator, settings, seconds=args.seconds)
            except PhononError as error:
                failures[name] = str(error)
                continue
            write_study(out, name, crystal, study, settings, args.potential)
        if study.elastic_failure:
            failures[name] = f"no elastic constants: {study.elastic_failure}"
        studies[name] = study
    return studies


def _print(studies: dict[str, Study]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("crystal", "formula", "space group"):
        table.add_column(heading)
    for heading in ("supercell", "lowest THz", "imaginary", "verdict", "Born", "K GPa", "G GPa"):
        table.add_column(heading, justify="right")
    for name, study in studies.items():
        phonons, elastic = study.phonons, study.elasticity
        crystal, stability = phonons.crystal, phonons.stability
        low = (
            min(stability.lowest, stability.interpolated) if stability.verdict == "open" else stability.lowest
        )
        where = f" at {stability.lowest_name}" if stability.imaginary and stability.lowest_name else ""
        born = ("-", "-", "-")
        if elastic is not None:
            moduli = (f"{elastic.bulk:.0f}", f"{elastic.shear:.0f}") if elastic.stable else ("-", "-")
            born = ("stable" if elastic.stable else "unstable", *moduli)
        table.add_row(
            name,
            crystal.formula,
            f"{crystal.group.symbol} ({crystal.space_group})",
            f"{phonons.supercell.n_atoms} atoms" + (", cut" if phonons.supercell.cut else ""),
            f"{low + 0.0:.2f}{where}".replace("-0.00", "0.00"),
            str(stability.imaginary),
            stability.verdict,
            *born,
        )
    # A table that is piped into a file should not be folded at 80 characters.
    Console(highlight=False, width=None if sys.stdout.isatty() else 160).print(table)
