"""``crystalsmith serve``: the page, and the API behind it."""

from __future__ import annotations

import argparse
from typing import Any

_EXAMPLES = """\
examples:
  crystalsmith serve
  crystalsmith serve --runs results --port 9000
  crystalsmith serve --host 0.0.0.0 --token a-long-secret

Open the address that is printed. Jobs are ordinary run folders in --runs; those that other commands
wrote there are shown too. Ctrl-C ends the server; jobs that run go on when it is started again.
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    commands.add_parser(
        "serve",
        help="a page to make and look at crystals",
        description="Serve a page to make and look at crystals, and a JSON API, on this machine. Nothing is"
        " loaded from elsewhere.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        fill=add_options,
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from crystalsmith.cli import options
    from crystalsmith.serving.settings import ServeSettings

    options.add_settings(parser, ServeSettings)
    options.add_model_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes; exit status."""
    from crystalsmith.cli import options
    from crystalsmith.cli.output import emit
    from crystalsmith.runs.extras import EXTRAS, need
    from crystalsmith.serving.settings import ModelChoice, ServeSettings

    settings = options.settings_from(args, ServeSettings)
    need("serve", *EXTRAS["web"])
    from crystalsmith.serving.app import serve

    where = serve(settings, ModelChoice(args.method, args.checkpoint, args.device, args.threads))
    emit({"address": where, "runs": settings.runs})
    return 0
