"""``crystalsmith rediscover``: known crystals found again from a part of what is known of them."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from crystalsmith.cli import options
from crystalsmith.errors import ConfigError

_EXAMPLES = """\
settings:
  sites          space group and number of inequivalent sites of each element (default, with formula)
  formula        formula alone
  formula+group  formula and space group
  wyckoff        space group and Wyckoff letters

examples:
  crystalsmith rediscover known.jsonl.gz -n 50
  crystalsmith rediscover cifs/ --settings formula --relax 10 -o found
  crystalsmith rediscover known.jsonl.gz --potential none --quiet

Crystals of the target's composition are matched with it, relaxed under their symmetry, and matched again, at
the tolerances of published match rates and at stricter ones (pymatgen's defaults).
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    commands.add_parser(
        "rediscover",
        help="find known crystals again from their sites or formulas",
        description="Generate crystals for known ones, from their space group and sites, and from their"
        " formula; relax; match; and print lattices and counts. Interrupted, the same command goes on where"
        " it stopped.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        fill=add_options,
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from crystalsmith.rediscovery.settings import RediscoverySettings

    relaxation = ("potential", "relax", "calls", "workers", "engine")
    parser.add_argument("targets", metavar="TARGETS", help="known crystals, in any form")
    options.add_folder(parser, default="rediscovered")
    options.add_settings(parser, RediscoverySettings, skip=relaxation)
    options.add_settings(parser.add_argument_group("relaxation"), RediscoverySettings, only=relaxation)
    options.add_model_options(parser)
    parser.set_defaults(run=run, resumes=True)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status: 1 where an order for a target was impossible."""
    from crystalsmith.cli.output import emit
    from crystalsmith.cli.rediscover_table import findings_text
    from crystalsmith.potentials import check_potential
    from crystalsmith.rediscovery.run import rediscover_into
    from crystalsmith.rediscovery.settings import RediscoverySettings
    from crystalsmith.rediscovery.targets import read_targets
    from crystalsmith.runs.progress import Display

    settings = options.settings_from(args, RediscoverySettings)
    if args.method == "paper" and settings.settings != ("sites",):
        raise ConfigError("the paper's method knows the setting sites only; add --settings sites")
    if settings.potential is not None:
        check_potential(settings.potential)  # before the model is loaded
    targets = read_targets(args.targets)
    model = options.load(args)
    os.environ["OMP_NUM_THREADS"] = "1"  # of the workers, one process a core
    with Display(quiet=args.quiet) as progress:
        done = rediscover_into(
            targets,
            args.output,
            settings,
            model=model,
            arguments=options.arguments_of(args),
            overwrite=args.overwrite,
            progress=progress,
        )
    refused = [f for f in done.findings if f.refused]
    for finding in refused:
        print(
            f"crystalsmith: left out: {finding.target.id}, {finding.setting}: {finding.refused}",
            file=sys.stderr,
        )
    emit(done, None if args.quiet else findings_text(done.findings, done.folder, model.elements))
    return 1 if refused else 0
