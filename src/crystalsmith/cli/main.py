"""``crystalsmith``: where commands are dispatched and errors become one line and an exit status.

Nothing heavy is imported here or at the top of the commands' modules, so that ``--help`` answers at once.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Sequence

from crystalsmith import __version__
from crystalsmith.cli import (
    campaign,
    completion,
    data,
    demo,
    dft,
    discover,
    doctor,
    evaluate,
    export,
    film,
    generate,
    hull,
    info,
    phonons,
    rediscover,
    relax,
    serve,
    show,
    solve,
    train,
    train_prior,
    wyckoff,
    xrd,
)
from crystalsmith.cli.logs import logging_to_stderr
from crystalsmith.cli.output import document, machine_readable
from crystalsmith.cli.parser import Parser
from crystalsmith.errors import CrystalsmithError
from crystalsmith.runs.addresses import shown
from crystalsmith.runs.command import begun_by
from crystalsmith.runs.stop import stop_signals

FAILED, REFUSED, INTERRUPTED = 1, 2, 130
"""Exit statuses beside 0: some crystals could not be made; wrong input or surroundings; Ctrl-C."""

_ANYWHERE = ("--json", "-v", "-vv", "--verbose")
"""Options of all commands, which may stand before the command as well."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


def build_parser() -> Parser:
    """The parser of it all; a command leaves its function in ``run``, and ``resumes`` if it does."""
    parser = Parser(
        prog="crystalsmith",
        description="Make new crystals from a formula, or a space group and sites, with a diffusion model.",
    )
    parser.add_argument("--version", action="version", version=f"crystalsmith {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    commands_in_order = (
        generate,
        discover,
        rediscover,
        solve,
        relax,
        hull,
        phonons,
        dft,
        xrd,
        serve,
        show,
        export,
        film,
        wyckoff,
        demo,
        evaluate,
        campaign,
        data,
        train,
        train_prior,
        info,
        doctor,
        completion,
    )
    for module in commands_in_order:
        module.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: arguments without the program's name; those of the process if None.

    Returns:
        Exit status: 0 done; 1 done, but some crystals could not be made; 2 refused; 130 interrupted by
        Ctrl-C, 143 by SIGTERM.
    """
    _open_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    first = next((n for n, word in enumerate(words) if word not in _ANYWHERE), 0)
    words = words[first:] + words[:first]
    try:
        if "--json" not in words:
            return _answer(words)[0]
        with machine_readable() as out:
            status, command, error = _answer(words)
            if command is not None or error is not None:  # else it was --help
                print(document(command, status, error), file=out)
        return status
    except BrokenPipeError:
        # Whoever read our output has had enough; and Python must not try again at exit.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        return _complain(_disk_full(error))


def _answer(words: Sequence[str]) -> tuple[int, str | None, BaseException | None]:
    """Run a command; the exit status, the command if one was understood, and what stopped it."""
    args = None
    command: str | None = None
    try:
        args = build_parser().parse_args(words)
        command = " ".join(filter(None, [args.command, getattr(args, "action", None)]))
        with logging_to_stderr(args.verbose), begun_by(words), stop_signals():
            status = int(args.run(args))
        sys.stdout.flush()
        return status, command, None
    except SystemExit as end:  # --help
        return (end.code if isinstance(end.code, int) else REFUSED), command, None
    except CrystalsmithError as error:
        return _complain(str(error)), command, error
    except KeyboardInterrupt as error:
        mend = "; the same command goes on where it stopped" if getattr(args, "resumes", False) else ""
        print(f"crystalsmith: interrupted{mend}", file=sys.stderr)
        return getattr(error, "status", INTERRUPTED), command, error
    except MemoryError as error:
        return _complain("not enough memory; make batches smaller or close other programs"), command, error
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        return _complain(_disk_full(error)), command, error


def _open_streams() -> None:
    """Streams that were closed (``>&-``) go nowhere; text that a terminal cannot show is shown escaped."""
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes this lowest free number, before a file of ours does
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _disk_full(error: OSError) -> str:
    """The message about a full disk; any other error is raised again."""
    if error.errno not in _FULL:
        raise error
    name = f" ({error.filename})" if error.filename else ""
    return f"the disk is full{name}; free some space and run the same command again"


def _complain(message: str) -> int:
    print(f"crystalsmith: error: {shown(' '.join(message.split()))}", file=sys.stderr)
    return REFUSED


if __name__ == "__main__":
    sys.exit(main())
