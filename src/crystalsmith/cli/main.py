"""``crystalsmith``: where commands are dispatched and errors become one line and an exit status.

Nothing heavy is imported here or at the top of the commands' modules, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from crystalsmith import __version__
from crystalsmith.cli import (
    data,
    demo,
    dft,
    discover,
    evaluate,
    generate,
    hull,
    info,
    phonons,
    rediscover,
    relax,
    show,
    train,
    train_prior,
    wyckoff,
)
from crystalsmith.errors import CrystalsmithError

FAILED, REFUSED, INTERRUPTED = 1, 2, 130
"""Exit statuses beside 0: some crystals could not be made; wrong input or surroundings; Ctrl-C."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


class _Parser(argparse.ArgumentParser):
    """Complains in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(REFUSED, f"crystalsmith: error: {message}; see {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of it all; a command leaves its function in ``run``, and ``resumes`` if it does."""
    parser = _Parser(
        prog="crystalsmith",
        description="Make new crystals from a formula, or a space group and sites, with a diffusion model.",
    )
    parser.add_argument("--version", action="version", version=f"crystalsmith {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    commands_in_order = (
        generate,
        discover,
        rediscover,
        relax,
        hull,
        phonons,
        dft,
        show,
        wyckoff,
        demo,
        evaluate,
        data,
        train,
        train_prior,
        info,
    )
    for module in commands_in_order:
        module.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: arguments without the program's name; those of the process if None.

    Returns:
        Exit status: 0 done; 1 done, but some crystals could not be made; 2 refused; 130 interrupted.
    """
    args = None
    try:
        args = build_parser().parse_args(argv)
        status = int(args.run(args))
        sys.stdout.flush()
        return status
    except SystemExit as end:  # argparse: --help, or a complaint that it printed
        return end.code if isinstance(end.code, int) else REFUSED
    except CrystalsmithError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        mend = "; the same command goes on where it stopped" if getattr(args, "resumes", False) else ""
        print(f"crystalsmith: interrupted{mend}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough; and Python must not try again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except MemoryError:
        return _complain("not enough memory; make batches smaller or close other programs")
    except OSError as error:
        if error.errno not in _FULL:
            raise
        name = f" ({error.filename})" if error.filename else ""
        return _complain(f"the disk is full{name}; free some space and run the same command again")


def _complain(message: str) -> int:
    print(f"crystalsmith: error: {' '.join(message.split())}", file=sys.stderr)
    return REFUSED


if __name__ == "__main__":
    sys.exit(main())
