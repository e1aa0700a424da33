"""``crystalsmith dft``: inputs for density-functional theory, and finished calculations read back."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.errors import ConfigError, DataError, OutputError

if TYPE_CHECKING:
    from crystalsmith.dft import Collected
    from crystalsmith.discovery.candidate import Candidate
    from crystalsmith.discovery.summary import RunSummary

CODES = ("vasp", "qe")

_INPUTS = """\
examples:
  crystalsmith dft inputs run -o run --code vasp,qe            # of a run with a short list
  crystalsmith dft inputs a.cif b.cif -o calc --code qe --references phases
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
    inputs = parts.add_parser(
        "inputs",
        help="write inputs",
        description="Write inputs for crystals: those of a run's short list, or of any files.",
        epilog=_INPUTS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    inputs.add_argument("crystals", nargs="+", metavar="CRYSTALS", help="run folder, CIF, POSCAR, or folder")
    inputs.add_argument(
        "-o", "--output", required=True, metavar="FOLDER", help="inputs go into FOLDER/dft/CODE"
    )
    inputs.add_argument("--code", type=_codes, default=CODES, metavar="A,B", help="vasp, qe (default: both)")
    inputs.add_argument(
        "--references", metavar="CRYSTALS", help="competing phases to calculate too: a CIF or folder"
    )
    inputs.add_argument(
        "--ecutwfc", type=_cutoff, default=90.0, metavar="RY", help="cutoff of qe (default: 90)"
    )
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
    collect.add_argument(
        "--code", type=_codes, default=CODES, metavar="A,B", help="only these (default: both)"
    )
    collect.set_defaults(run=run_collect)


def _codes(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names or not set(names) <= set(CODES):
        raise argparse.ArgumentTypeError(f"{text!r} is not vasp, qe or both with a comma")
    return names


def _cutoff(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1e4:
        raise argparse.ArgumentTypeError(f"{text!r} is not a cutoff in Ry")
    return value


def run_inputs(args: argparse.Namespace) -> int:
    """Carry out ``dft inputs``; exit status."""
    from crystalsmith.dft import write_qe, write_vasp
    from crystalsmith.dft.jobs import check_free
    from crystalsmith.dft.sources import given_summary, read_crystals
    from crystalsmith.discovery.shortlist import SHORTLIST, write_shortlist

    paths = [Path(name) for name in args.crystals]
    output = Path(args.output)
    summary = given_summary(paths)
    if not summary.shortlist:
        raise DataError(f"{paths[0]}: its short list is empty, so there is nothing to calculate")
    references = [] if args.references is None else read_crystals(Path(args.references))
    own = any(p.resolve() == output.resolve() for p in paths)
    if not own and (output / SHORTLIST).exists():
        raise OutputError(f"{output} holds another short list; choose another folder")
    for code in args.code:
        check_free(output / "dft" / code)
    for code in args.code:
        if code == "vasp":
            path = write_vasp(output / "dft", summary.shortlist, references)
        else:
            path = write_qe(output / "dft", summary.shortlist, references, ecutwfc=args.ecutwfc)
        print(f"{len(summary.shortlist)} crystals and {len(references)} competing phases in {path}")
    if not own:
        write_shortlist(output / SHORTLIST, summary)
    print(f"what to add and how to run them: README.txt there; then: crystalsmith dft collect {output}")
    return 0


def run_collect(args: argparse.Namespace) -> int:
    """Carry out ``dft collect``; exit status: 1 where no calculation gave an energy."""
    from crystalsmith.dft import collect, read_entries, with_dft
    from crystalsmith.dft.places import WAITING
    from crystalsmith.discovery.shortlist import read_shortlist

    folder = Path(args.folder)
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}; give that of crystalsmith discover or dft inputs")
    summary = read_shortlist(folder)
    references = [Path(name) for name in args.references]
    if absent := next((p for p in references if not p.is_dir()), None):
        raise ConfigError(f"--references {absent}: there is no such folder")
    entries = [] if args.entries is None else read_entries(Path(args.entries))
    try:
        found = collect(
            folder / "dft", summary.shortlist, entries=entries, references=references, codes=args.code
        )
    except PermissionError as error:
        raise DataError(f"{error.filename} may not be read; mend its permissions") from None
    calculated = [r for r in found.results if r.problems != (WAITING,)]
    candidates = with_dft(summary.shortlist, calculated)
    _write(folder, summary, candidates, found)
    _print(candidates, found)
    return 0 if any(r.energy is not None for r in found.results) else 1


def _write(folder: Path, summary: RunSummary, candidates: tuple[Candidate, ...], found: Collected) -> None:
    from dataclasses import replace

    from crystalsmith.dft.results import to_csv
    from crystalsmith.discovery.report import write_report
    from crystalsmith.discovery.shortlist import SHORTLIST, write_shortlist
    from crystalsmith.runs.atomic import write_whole, writing

    updated = replace(summary, shortlist=candidates)
    with writing(folder):
        cifs = folder / "dft" / "cif"
        cifs.mkdir(exist_ok=True)
        for result in found.results:
            if result.crystal is not None and result.energy is not None:
                write_whole(cifs / f"{result.name}-{result.code}.cif", result.crystal.to_cif(), durable=False)
        write_whole(folder / "dft.csv", to_csv(candidates, found.results))
    write_report(folder, updated)
    write_shortlist(folder / SHORTLIST, updated)


def _print(candidates: tuple[Candidate, ...], found: Collected) -> None:
    from rich.console import Console
    from rich.table import Table

    from crystalsmith.dft.places import WAITING

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("rank", "name", "code", "eV/atom", "above hull", "formation", "above best", "same"):
        table.add_column(name, justify="left" if name in ("name", "code", "same") else "right")
    for rank, candidate in enumerate(candidates, start=1):
        for r in found.results:
            if r.name == candidate.name and r.problems != (WAITING,):
                same = "" if r.same is None else "yes" if r.same else "no"
                figures = [_figure(x) for x in (r.energy, r.above_hull, r.formation, r.relative)]
                table.add_row(str(rank), r.name, r.code, *figures, same)
    # A table that is piped into a file should not be folded at 80 characters.
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 160)
    if table.rows:
        console.print(table)
    for r in found.results:
        for words in (*r.problems, *r.missing):
            if words != WAITING:
                console.print(f"{r.name}, {r.code}: {words}")
    for note in found.notes:
        if not note.endswith(WAITING):
            console.print(note)
    waiting = sum(r.problems == (WAITING,) for r in found.results)
    references = len({note for note in found.notes if note.endswith(WAITING)})
    if waiting or references:
        console.print(f"{waiting} calculations of crystals and {references} of references: {WAITING}")
    console.print("written: dft.csv, dft/cif, report.html, candidates.csv, shortlist.json")


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
