"""``crystalsmith campaign``: how a run stands, stop it, go on with it, from any shell."""

from __future__ import annotations

import argparse
import os
from typing import Any

_EXAMPLES = """\
examples:
  crystalsmith campaign status run              # also while it runs, on another host
  crystalsmith campaign cancel run              # ends as by Ctrl-C: what is finished is kept
  crystalsmith campaign resume run              # the same command again, where it was given
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "campaign",
        help="how a run stands; stop it, go on with it",
        description="How the run in a folder stands, from any shell that sees the folder; stop it, go on.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = parser.add_subparsers(dest="part", metavar="PART", required=True, title="parts")
    for name, words, fill in (
        ("status", "stages, rate, time left, failures with their reasons", _add_status),
        ("cancel", "ask the process at work to stop, on whatever host it is", _add_cancel),
        ("resume", "go on with a run by the command that began it", _add_resume),
    ):
        sentence = words[0].upper() + words[1:] + "."
        parts.add_parser(name, help=words, description=sentence, fill=fill)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="RUN", help="folder of a run of any command")


def _add_status(parser: argparse.ArgumentParser) -> None:
    _add_run(parser)
    parser.set_defaults(run=run_status)


def _add_cancel(parser: argparse.ArgumentParser) -> None:
    from crystalsmith.cli.options import amount

    _add_run(parser)
    parser.add_argument(
        "--wait",
        type=amount,
        default=60.0,
        metavar="SECONDS",
        help="for its end; the request stays (default: 60)",
    )
    parser.set_defaults(run=run_cancel)


def _add_resume(parser: argparse.ArgumentParser) -> None:
    _add_run(parser)
    parser.set_defaults(run=run_resume)


def run_status(args: argparse.Namespace) -> int:
    """Carry out the command; exit status."""
    from crystalsmith.cli.output import emit
    from crystalsmith.runs.campaign import standing

    found = standing(args.folder)
    emit(found, str(found))
    return 0


def run_cancel(args: argparse.Namespace) -> int:
    """Carry out the command; exit status: 1 where the run has not ended yet."""
    from crystalsmith.cli.output import emit
    from crystalsmith.runs.campaign import ask_to_stop, standing

    ended = ask_to_stop(args.folder, args.wait)
    found = standing(args.folder)
    emit(found, f"{args.folder}: {found.status if ended else 'asked to stop, not ended yet'}")
    return 0 if ended else 1


def run_resume(args: argparse.Namespace) -> int:
    """Carry out the command; exit status of the one that goes on."""
    from crystalsmith.cli.main import main
    from crystalsmith.runs.campaign import command_again

    words, folder = command_again(args.folder)
    here = os.getcwd()
    os.chdir(folder)
    try:
        return main(words)
    finally:
        os.chdir(here)
