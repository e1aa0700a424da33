"""``crystalsmith solve``: from a powder pattern to a structure, or to a no."""

from __future__ import annotations

import argparse
from typing import Any

_EXAMPLES = """\
examples:
  crystalsmith solve sample.xy --formula CaCO3 --radiation CuKa -o out
  crystalsmith solve sample.xrdml --formula CaCO3 --space-group 167 -o out
  crystalsmith solve sample.xy --formula TiO2 --cell 4.594,4.594,2.959,90,90,90 --z 2 -o out
  crystalsmith solve sample.xy --formula KMgF3 --radiation 0.4991 --index -o out
  crystalsmith solve sample.xy --elements Ca=1,C=1,O=2-4 -o out

In the folder: cif/001_....cif and on, the likeliest first; results.json with every figure and the verdict
("one answer", "several fit equally", "none fits"); candidates.csv; report.html; pdcif/ with profiles; inputs/
for GSAS-II, TOPAS and FullProf. Exit status 1 where none fits.
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    commands.add_parser(
        "solve",
        help="a structure from a powder pattern",
        description="Find the structure behind a powder pattern from what is known of the sample: its"
        " formula, and a cell, a space group or formula units where they are known. Interrupted, the same"
        " command goes on where it stopped.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        fill=add_options,
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from crystalsmith.cli import options
    from crystalsmith.solving.settings import SolveSettings

    parser.add_argument(
        "pattern", metavar="PATTERN", help="a measured pattern or a list of peaks, any format"
    )
    known = parser.add_argument_group("what is known of the sample")
    sample = ["formula", "elements", "space_group", "cell", "z", "atoms", "max_atoms"]
    options.add_settings(known, SolveSettings, only=sample)
    measured = parser.add_argument_group("how it was measured")
    pattern = ["radiation", "axis", "two_theta"]
    options.add_settings(measured, SolveSettings, only=pattern)
    options.add_folder(parser)
    how = parser.add_argument_group("how to solve")
    options.add_settings(how, SolveSettings, skip=[*sample, *pattern])
    options.add_model_options(parser)
    parser.set_defaults(run=run, resumes=True)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status: 1 where none fits."""
    from crystalsmith.cli import options
    from crystalsmith.cli.output import emit
    from crystalsmith.solving.question import formulas
    from crystalsmith.solving.settings import SolveSettings

    settings = options.settings_from(args, SolveSettings)
    formulas(settings)  # refused before the model is loaded
    model = options.load(args)
    from crystalsmith.runs.progress import Display
    from crystalsmith.solving.outputs import answer_table, last_line, verdict_words
    from crystalsmith.solving.run import solve_into

    with Display(quiet=args.quiet) as progress:
        solution = solve_into(
            args.pattern,
            args.output,
            settings,
            model=model,
            arguments=options.arguments_of(args),
            overwrite=args.overwrite,
            progress=progress,
        )
    if args.quiet:
        emit(solution)
    else:
        from rich.console import Group
        from rich.text import Text

        words = [*(f"note: {note}" for note in solution.notes), verdict_words(solution)]
        parts = (answer_table(solution), Text("\n".join([*words, last_line(solution, solution.folder)])))
        emit(solution, Group(*parts))
    return 1 if solution.verdict.words == "none fits" else 0
