"""``crystalsmith dft``: inputs for density-functional theory, and finished calculations read back."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.cli.options import add_settings, settings_from

if TYPE_CHECKING:
    from crystalsmith.discovery.calculations import CollectedRun

_INPUTS = """\
examples:
  crystalsmith dft inputs run -o run --overwrite --materials-project   # of a run with a short list
  crystalsmith dft inputs a.cif b.cif -o calc --code qe --references phases
  crystalsmith dft inputs relaxed -o calc                      # of relax, generate, and all that relax reads
"""

_COLLECT = """\
examples:
  crystalsmith dft collect run                                 # references in run/dft/CODE/references
  crystalsmith dft collect run --entries phases.csv            # formula,energy_per_atom by the same settings
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    from crystalsmith.dft.settings import DftSettings

    parser = commands.add_parser(
        "dft",
        help="write inputs for VASP and Quantum ESPRESSO; read finished calculations back",
        description="Inputs for density-functional theory, and finished calculations read back.",
    )
    parts = parser.add_subparsers(dest="part", metavar="PART", required=True, title="parts")
    inputs = parts.add_parser(
        "inputs",
        help="write inputs",
        description="Write inputs for crystals: those of a run's short list, or of any files.",
        epilog=_INPUTS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    inputs.add_argument(
        "crystals", nargs="+", metavar="CRYSTALS", help="folder of any run, or structures in any form"
    )
    inputs.add_argument(
        "-o", "--output", required=True, metavar="FOLDER", help="inputs go into FOLDER/dft/CODE"
    )
    add_settings(inputs, DftSettings)
    inputs.add_argument(
        "--references",
        action="append",
        default=[],
        metavar="CRYSTALS",
        help="competing phases to calculate too, in any form; may be repeated",
    )
    inputs.add_argument(
        "--materials-project",
        action="store_true",
        help="fetch structures of competing phases that are missing (key in MP_API_KEY)",
    )
    inputs.add_argument("--overwrite", action="store_true", help="replace inputs, but never calculations")
    inputs.set_defaults(run=run_inputs)
    collect = parts.add_parser(
        "collect",
        help="read finished calculations and rank by them",
        description="Read vasprun.xml files and outputs of pw.x back, check them, and rank by DFT: within"
        " each composition, and against a hull where DFT energies of the competing phases are known."
        " Writes dft.csv and dft/cif, and brings report.html, candidates.csv and shortlist.json up to date.",
        epilog=_COLLECT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    collect.add_argument("folder", metavar="RUN", help="folder of discover or of dft inputs")
    collect.add_argument(
        "--entries",
        metavar="FILE",
        help="energies of competing phases by the same settings: CSV with formula,energy_per_atom, or JSON"
        " of pymatgen's ComputedEntry (uncorrected energies are taken)",
    )
    collect.add_argument(
        "--references",
        action="append",
        default=[],
        metavar="FOLDER",
        help="finished calculations of competing phases; may be repeated",
    )
    add_settings(collect, DftSettings, only=["code"])
    collect.set_defaults(run=run_collect)


def run_inputs(args: argparse.Namespace) -> int:
    """Carry out ``dft inputs``; exit status: 1 where a crystal was left out."""
    from crystalsmith.dft.inputs import own_jobs
    from crystalsmith.dft.settings import DftSettings
    from crystalsmith.discovery.calculations import write_run_inputs

    inputs, failed = write_run_inputs(
        args.crystals,
        args.output,
        settings_from(args, DftSettings),
        references=args.references,
        materials_project=args.materials_project,
        overwrite=args.overwrite,
    )
    for name, why in failed.items():
        print(f"crystalsmith: left out: {name}: {why}", file=sys.stderr)
    for written in inputs.codes.values():
        own = own_jobs(written)
        print(f"{own} crystals and {len(written.jobs) - own} competing phases in {written.folder}")
    for line in inputs.lines():
        print(line)
    print(f"what to add and how to run them: README.txt there; then: crystalsmith dft collect {args.output}")
    return 1 if failed or any(written.left_out for written in inputs.codes.values()) else 0


def run_collect(args: argparse.Namespace) -> int:
    """Carry out ``dft collect``; exit status: 1 where no calculation gave an energy."""
    from crystalsmith.discovery.calculations import collect_run

    done = collect_run(Path(args.folder), entries=args.entries, references=args.references, codes=args.code)
    _print(done)
    return 0 if any(r.energy is not None for r in done.found.results) else 1


def _print(done: CollectedRun) -> None:
    from rich.console import Console
    from rich.table import Table

    from crystalsmith.dft.places import WAITING

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("rank", "name", "code", "eV/atom", "above hull", "formation", "above best", "same"):
        table.add_column(name, justify="left" if name in ("name", "code", "same") else "right")
    for rank, candidate in enumerate(done.candidates, start=1):
        for r in done.found.results:
            if r.name == candidate.name and r.problems != (WAITING,):
                same = "" if r.same is None else "yes" if r.same else "no"
                figures = [_figure(x) for x in (r.energy, r.above_hull, r.formation, r.relative)]
                table.add_row(str(rank), r.name, r.code, *figures, same)
    # A table that is piped into a file should not be folded at 80 characters.
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 160)
    if table.rows:
        console.print(table)
    for r in done.found.results:
        for words in (*r.problems, *r.missing):
            if words != WAITING:
                console.print(f"{r.name}, {r.code}: {words}")
    for note in done.found.notes:
        if not note.endswith(WAITING):
            console.print(note)
    waiting = sum(r.problems == (WAITING,) for r in done.found.results)
    references = len({note for note in done.found.notes if note.endswith(WAITING)})
    if waiting or references:
        console.print(f"{waiting} calculations of crystals and {references} of references: {WAITING}")
    console.print("written: dft.csv, dft/cif, report.html, candidates.csv, shortlist.json")


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
