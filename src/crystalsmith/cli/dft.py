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
    parser = commands.add_parser(
        "dft",
        help="write inputs for VASP and Quantum ESPRESSO; read finished calculations back",
        description="Inputs for density-functional theory, and finished calculations read back.",
    )
    parts = parser.add_subparsers(dest="part", metavar="PART", required=True, title="parts")
    parts.add_parser(
        "inputs",
        help="write inputs",
        description="Write inputs for crystals: those of a run's short list, or of any source. What a hull of"
        " DFT lacks is said at the end and in FOLDER/dft/README.txt.",
        epilog=_INPUTS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        fill=_add_inputs,
    )
    parts.add_parser(
        "collect",
        help="read finished calculations and rank by them",
        description="Read vasprun.xml files and outputs of pw.x back, check them, and rank by DFT: within"
        " each composition, and against a hull where DFT energies of the competing phases are known."
        " Writes dft.csv and dft/cif, and brings report.html, candidates.csv and shortlist.json up to date.",
        epilog=_COLLECT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        fill=_add_collect,
    )


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    from crystalsmith.dft.settings import DftSettings

    parser.add_argument(
        "crystals", nargs="+", metavar="CRYSTALS", help="folder of any run, or structures in any form"
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="FOLDER", help="inputs go into FOLDER/dft/CODE"
    )
    add_settings(parser, DftSettings)
    parser.add_argument(
        "--references",
        action="append",
        default=[],
        metavar="CRYSTALS",
        help="competing phases to calculate too, in any form; may be repeated",
    )
    parser.add_argument(
        "--materials-project",
        action="store_true",
        help="fetch structures of competing phases that are missing (key in MP_API_KEY)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace inputs, but never calculations")
    parser.set_defaults(run=run_inputs)


def _add_collect(parser: argparse.ArgumentParser) -> None:
    from crystalsmith.dft.settings import DftSettings

    parser.add_argument("folder", metavar="RUN", help="folder of discover or of dft inputs")
    parser.add_argument(
        "--entries",
        metavar="FILE",
        help="energies of competing phases by the same settings: CSV with formula,energy_per_atom, or JSON"
        " of pymatgen's ComputedEntry (uncorrected energies are taken)",
    )
    parser.add_argument(
        "--references",
        action="append",
        default=[],
        metavar="FOLDER",
        help="finished calculations of competing phases; may be repeated",
    )
    add_settings(parser, DftSettings, only=["code"])
    parser.set_defaults(run=run_collect)


def run_inputs(args: argparse.Namespace) -> int:
    """Carry out ``dft inputs``; exit status: 1 where a crystal was left out."""
    from crystalsmith.cli.output import emit
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
    lines = [
        f"{own_jobs(w)} crystals and {len(w.jobs) - own_jobs(w)} competing phases in {w.folder}"
        for w in inputs.codes.values()
    ]
    lines += inputs.lines()
    lines.append(
        f"what to add and how to run them: README.txt there; then: crystalsmith dft collect {args.output}"
    )
    emit({**inputs.to_dict(), "unreadable": failed}, "\n".join(lines))
    return 1 if failed or any(w.left_out for w in inputs.codes.values()) else 0


def run_collect(args: argparse.Namespace) -> int:
    """Carry out ``dft collect``; exit status: 1 where no calculation gave an energy."""
    from crystalsmith.cli.output import emit
    from crystalsmith.discovery.calculations import collect_run

    done = collect_run(Path(args.folder), entries=args.entries, references=args.references, codes=args.code)
    emit(done, _table(done))
    return 0 if any(r.energy is not None for r in done.found.results) else 1


def _table(done: CollectedRun) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from crystalsmith.dft.places import WAITING

    found = done.found
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("rank", "name", "code", "eV/atom", "above hull", "formation", "above best", "same"):
        table.add_column(name, justify="left" if name in ("name", "code", "same") else "right")
    for rank, candidate in enumerate(done.candidates, start=1):
        for r in found.results:
            if r.name == candidate.name and r.problems != (WAITING,):
                same = "" if r.same is None else "yes" if r.same else "no"
                figures = [_figure(x) for x in (r.energy, r.above_hull, r.formation, r.relative)]
                table.add_row(str(rank), r.name, r.code, *figures, same)
    lines = [
        f"{r.name}, {r.code}: {words}"
        for r in found.results
        for words in (*r.problems, *r.missing)
        if words != WAITING
    ]
    lines += [note for note in found.notes if not note.endswith(WAITING)]
    waiting = sum(r.problems == (WAITING,) for r in found.results)
    references = len({note for note in found.notes if note.endswith(WAITING)})
    if waiting or references:
        lines.append(f"{waiting} calculations of crystals and {references} of references: {WAITING}")
    lines.append("written: dft.csv, dft/cif, report.html, candidates.csv, shortlist.json")
    return Group(*([table] if table.rows else []), *map(Text, lines))


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
