"""What is common to all commands: hints, JSON, messages and streams."""

from __future__ import annotations

import argparse
import inspect
import json
import logging
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crystalsmith.cli import info
from crystalsmith.cli.main import build_parser, main
from crystalsmith.cli.output import emit, plain
from crystalsmith.cli.parser import Parser
from crystalsmith.errors import DataError


def leaves(parser: Parser) -> list[Parser]:
    """The parsers of all commands and actions."""
    parser.format_help()
    inner = [a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return [leaf for choices in inner for p in choices.values() for leaf in leaves(p)] if inner else [parser]


COMMANDS = [leaf.prog.split()[1:] for leaf in leaves(build_parser())]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Any], int]], None]:
    """Puts a function in the place of ``info``."""

    def put(run: Callable[[Any], int]) -> None:
        def add_parser(commands: Any) -> None:
            commands.add_parser("info").set_defaults(run=run)

        monkeypatch.setattr(info, "add_parser", add_parser)

    return put


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_the_common_options(words, capsys):
    assert main([*words, "--help"]) == 0
    text = capsys.readouterr().out
    assert "--json" in text and "-v, --verbose" in text


@pytest.mark.parametrize("leaf", leaves(build_parser()), ids=lambda leaf: leaf.prog)
def test_every_command_has_a_result_for_json(leaf):
    """It goes through the one function that knows of ``--json``, its own or that of ``generate``."""
    source = inspect.getsource(inspect.getmodule(leaf.get_default("run")))
    assert "emit(" in source or "import make" in source


@pytest.mark.parametrize("words", [["generate"], ["relax"], ["data", "build"]], ids=" ".join)
def test_help_of_no_command_loads_what_is_heavy(words):
    code = "import sys; from crystalsmith.cli.main import main; main(sys.argv[1:]); "
    code += "print([m for m in ('torch', 'pymatgen.core', 'ase.io', 'scipy.linalg') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code, *words, "--help"], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("generate --spacegroup 225 -o x", "--spacegroup: did you mean --space-group?"),
        ("generate --spacegroup 225", "--spacegroup: did you mean --space-group?"),  # -o lacks as well
        ("generate --space_group=225", "--space_group: did you mean --space-group?"),
        ("generate --Seed 1", "--Seed: did you mean --seed?"),
        ("info --chekpoint x", "--chekpoint: did you mean --checkpoint?"),
        ("relax a.cif -o x --worker 1 --fmaxx 2", "--fmaxx: did you mean --fmax?"),
        ("data build x -o y --symprek 0.1", "--symprek: did you mean --symprec?"),
        ("genrate", "there is no 'genrate'; did you mean generate?"),
        ("gen", "did you mean generate?"),
        ("data biuld", "there is no 'biuld'; did you mean build?"),
        ("cook", "there is no 'cook'; there are generate, discover"),
        ("relax a.cif –o x", "begins with a long dash"),
        ("info —json", "begins with a long dash"),
        ("info left over", "unrecognized arguments: left over; see crystalsmith info --help"),
        ("info --xyzzy", "unrecognized arguments: --xyzzy; see"),
    ],
)
def test_hints(words, message, capsys):
    assert main(words.split()) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1 and captured.out == ""


@pytest.mark.parametrize("words", [["info", "--json"], ["--json", "info"], ["--json", "-v", "info"]])
def test_json_is_one_document_and_the_rest_goes_to_standard_error(words, command, capsys):
    @dataclass
    class Result:
        path: Path
        energies: Any
        missing: float = float("nan")

    def run(args: argparse.Namespace) -> int:
        print("progress")
        emit(Result(Path("a"), np.array([1.5, np.inf])), "a table")
        return 1

    command(run)
    assert main(words) == 1
    captured = capsys.readouterr()
    result = {"path": "a", "energies": [1.5, None], "missing": None}
    assert json.loads(captured.out) == {"command": "info", "status": 1, "result": result, "error": None}
    assert captured.err == "progress\n"


def test_without_json_the_text_alone_is_printed(command, capsys):
    command(lambda args: emit({"a": 1}, "a table") or 0)
    assert main(["info"]) == 0
    assert capsys.readouterr().out == "a table\n"


def test_errors_are_in_the_document(command, capsys):
    def run(args: argparse.Namespace) -> int:
        raise DataError("no such\nfile")

    command(run)
    assert main(["info", "--json"]) == 2
    error = {"kind": "DataError", "message": "no such file"}
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"command": "info", "status": 2, "result": None, "error": error}
    assert captured.err == "crystalsmith: error: no such file\n"
    assert main(["--json", "nothing"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "UsageError"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("resumes", [True, False])
def test_signals_alike(number, status, resumes, command, capsys):
    def run(args: argparse.Namespace) -> int:
        args.resumes = resumes
        signal.raise_signal(number)
        return 0

    command(run)
    assert main(["info", "--json"]) == status
    captured = capsys.readouterr()
    mend = "; the same command goes on where it stopped" if resumes else ""
    assert captured.err == f"crystalsmith: interrupted{mend}\n"
    assert json.loads(captured.out)["status"] == status


class Colour(Enum):
    """Of an enumeration."""

    RED = "red"


class Dictionary:
    """As pymatgen's classes."""

    def as_dict(self) -> dict[str, Any]:
        return {"x": {2, 1}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({Path("a"): (1, None, True)}, {"a": [1, None, True]}),
        (np.float32(0.5), 0.5),
        (np.array([[1, 2]]), [[1, 2]]),
        ([float("-inf"), 1e308], [None, 1e308]),
        (Colour.RED, "red"),
        (Dictionary(), {"x": [1, 2]}),
        (frozenset("ba"), ["a", "b"]),
        (iter([1]), [1]),
        (ValueError("x"), "x"),
    ],
)
def test_values_of_json(value, expected):
    assert plain(value) == expected


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ([], ["warning: ours"]),
        (["-v"], ["our message", "warning: ours", "theirs", "py.warnings"]),
        (["-vv"], ["our detail", "our message", "warning: ours", "theirs", "their message", "py.warnings"]),
    ],
)
def test_what_is_logged(words, shown, command, capsys):
    def run(args: argparse.Namespace) -> int:
        ours, theirs = logging.getLogger("crystalsmith.x"), logging.getLogger("library")
        ours.debug("our detail")
        ours.info("our message")
        ours.warning("ours\nsecond line")
        theirs.warning("theirs")
        theirs.info("their message")
        warnings.warn("from a library", stacklevel=1)
        return 0

    command(run)
    assert main(["info", *words]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(shown)
    for word in shown:
        assert any(word in line for line in lines), (word, lines)
    with pytest.warns(UserWarning, match="afterwards"):  # all is as it was
        warnings.warn("afterwards", stacklevel=1)


CLOSED = """
import sys
from crystalsmith.cli.main import main
sys.exit(main(["wyckoff", "--space-group", "225", "--formula", "NaCl", "--count", *sys.argv[1:]]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a shell's redirections")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-", "--json >&-"])
def test_closed_streams_are_no_error(closed):
    done = subprocess.run(["sh", "-c", f'"$0" -c "$1" {closed}', sys.executable, CLOSED])
    assert done.returncode == 0


def test_text_that_the_terminal_cannot_show_is_escaped(tmp_path):
    code = "import sys; from crystalsmith.cli.main import main; sys.exit(main(['show', sys.argv[1]]))"
    environment = {"PYTHONIOENCODING": "ascii", "PATH": "", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code, "Ångström.cif"], capture_output=True, env=environment)
    assert done.returncode == 2 and rb"\xc5ngstr\xf6m.cif" in done.stderr
