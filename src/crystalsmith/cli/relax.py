"""``crystalsmith relax``: crystals relaxed with a potential, under their symmetry and then without it."""

from __future__ import annotations

import argparse
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.cli import options

if TYPE_CHECKING:
    from crystalsmith.crystal import Crystal
    from crystalsmith.potentials import Settings
    from crystalsmith.potentials.folder import RelaxFolder

_EXAMPLES = """\
examples:
  crystalsmith relax crystals -o relaxed
  crystalsmith relax quartz.cif more.extxyz --only symmetric --fmax 0.01 -o relaxed
  crystalsmith relax cifs/ --potential mymodule:calculator --workers 4 -o relaxed

In the folder: cif/NAME.cif with symmetry, relaxed.extxyz with energies, relaxed.csv with a line for every
crystal and why it ended. Exit status 1 where a crystal has no relaxed result.
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "relax",
        help="relax crystals with a potential",
        description="Relax crystals with a potential: under their space group first, then free of it."
        " Interrupted, the same command goes on where it stopped.",
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
    parser.add_argument("--overwrite", action="store_true", help="replace other relaxations in the folder")
    parser.add_argument("--quiet", action="store_true", help="no progress, no summary")
    parser.add_argument(
        "--workers", type=options.positive, metavar="N", help="processes (default: one for each core)"
    )
    how = parser.add_argument_group("how to relax")
    how.add_argument(
        "--potential",
        default="chgnet",
        metavar="NAME",
        help="chgnet (default), 7net-0, 7net-l3i5, mace:PATH, or module:factory",
    )
    how.add_argument("--only", choices=("symmetric", "free"), help="one stage instead of both")
    how.add_argument(
        "--fmax",
        type=options.positive_number,
        default=0.05,
        metavar="F",
        help="largest force on an atom, eV/Angstrom (default: 0.05)",
    )
    how.add_argument(
        "--smax",
        type=options.positive_number,
        default=0.005,
        metavar="S",
        help="largest component of the stress, eV/Angstrom^3 (default: 0.005, that is 0.8 GPa)",
    )
    how.add_argument(
        "--max-calls",
        type=options.positive,
        default=120,
        metavar="N",
        help="calls of the potential in each stage at most (default: 120)",
    )
    how.add_argument(
        "--max-volume-change",
        type=options.positive_number,
        default=1.5,
        metavar="X",
        help="a stage ends where the volume changes by more than this part of it (default: 1.5)",
    )
    how.add_argument(
        "--seconds",
        type=options.positive_number,
        default=600.0,
        metavar="S",
        help="time limit of one crystal (default: 600)",
    )
    parser.set_defaults(run=run, resumes=True)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status: 1 where a crystal has no relaxed result."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"  # one process a core
    from crystalsmith.cli.named import read_named
    from crystalsmith.potentials import Settings, check_potential, load_calculator
    from crystalsmith.potentials.folder import RelaxFolder
    from crystalsmith.potentials.journal import Entry
    from crystalsmith.potentials.manifest import check_folder, relax_identity
    from crystalsmith.runs.pool import Failed

    check_potential(args.potential)
    settings = Settings(
        only=args.only,
        fmax=args.fmax,
        smax=args.smax,
        max_calls=args.max_calls,
        max_volume_change=args.max_volume_change,
        seconds=args.seconds,
    )
    found = {name: Failed(c) if isinstance(c, str) else c for name, c in read_named(args.files).items()}
    identity = relax_identity(found, args.potential, settings)
    out = Path(args.output)
    old = check_folder(out, identity, overwrite=args.overwrite)
    if old is None or old["status"] != "finished" or args.overwrite:
        load_calculator(args.potential)  # what is wrong with it shows here, before anything is written
    arguments = {k: v for k, v in vars(args).items() if k not in ("run", "resumes", "command")}
    began = time.monotonic()
    with RelaxFolder.open(out, found, identity, arguments=arguments, overwrite=args.overwrite) as folder:
        todo = folder.todo
        folder.record(Entry(name, c, 0.0) for name in todo if isinstance(c := found[name], Failed))
        crystals = {name: c for name in folder.todo if not isinstance(c := found[name], Failed)}
        _relax(args, settings, crystals, folder)
        folder.close()
        seconds = time.monotonic() - began
        if not args.quiet:
            from crystalsmith.cli.relax_summary import print_summary

            print_summary(folder, len(crystals), seconds)
        entries = folder.entries
    lost = [e for e in entries if isinstance(e.outcome, Failed) or e.outcome.result is None]
    for entry in lost[:_SHOWN]:
        print(f"crystalsmith: {entry.name}: {entry.reason}", file=sys.stderr)
    if len(lost) > _SHOWN:
        print(
            f"crystalsmith: {len(lost) - _SHOWN} more without a result, see {out / 'relaxed.csv'}",
            file=sys.stderr,
        )
    return 1 if lost else 0


_SHOWN = 10


def _relax(
    args: argparse.Namespace, settings: Settings, crystals: dict[str, Crystal], folder: RelaxFolder
) -> None:
    """Relax crystals in processes of their own; each is on the disk before the next is waited for."""
    if not crystals:
        return
    from crystalsmith.cli.relax_summary import LiveLine
    from crystalsmith.potentials.journal import Entry
    from crystalsmith.potentials.calculators import relax_with
    from crystalsmith.runs.pool import parallel_map

    names = list(crystals)
    with LiveLine(len(folder.names), len(folder.entries), quiet=args.quiet) as line:

        def take(done: list[tuple[int, Any, float]]) -> None:
            folder.record(Entry(names[place], result, round(t, 3)) for place, result, t in done)
            line.advance(len(done))

        parallel_map(
            partial(relax_with, args.potential, settings),
            list(crystals.values()),
            workers=args.workers,
            # The limit proper is looked at between calls; this one is for a call that never ends.
            seconds=2 * args.seconds + 60,
            chunk=1,
            on_done=take,
            apart=True,
        )
