"""Completion: the shells themselves are asked what they would offer."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from crystalsmith.cli.completion import SHELLS, completion, place, tree
from crystalsmith.cli.main import build_parser, main

COMMANDS = list(tree(build_parser()))
SHELL = {name: shutil.which(name) for name in SHELLS}


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(SHELL[shell] is None, reason=f"{shell} is not installed here")


def questions() -> dict[str, set[str]]:
    """What is typed, and what must be offered for it."""
    asked: dict[str, set[str]] = {}
    for command in COMMANDS:
        start = "crystalsmith" + command.key
        if command.inner:
            asked[f"{start} "] = {name for name, _ in command.inner}
        asked[f"{start} --"] = {n for a in command.options for n in a.names if n.startswith("--")}
        for option in command.options:
            if option.choices:
                asked[f"{start} {option.names[-1]} "] = set(option.choices)
                first = option.choices[0]
                asked[f"{start} {option.names[-1]} {first[:2]}"] = {
                    choice for choice in option.choices if choice.startswith(first[:2])
                }
    return asked


def ask(shell: str, script: str, folder: Path) -> str:
    """Standard output of a shell that has read our script."""
    (folder / "script").write_text(completion(shell), encoding="utf-8")
    bare = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    start = "compdef() { :; }\n" if shell == "zsh" else ""
    done = subprocess.run(
        [str(SHELL[shell]), *bare, "-c", f"{start}source ./script\n{script}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


BASH = """
words=({words})
COMP_WORDS=("${{words[@]}}") COMP_CWORD=$(( ${{#words[@]}} - 1 ))
_crystalsmith
echo "${{COMPREPLY[@]}}"
"""


def bash_words(line: str) -> str:
    """A line as bash cuts it into words; the last one is empty behind a space."""
    words = shlex.split(line.replace("=", " = ")) + ([""] if line.endswith((" ", "=")) else [])
    return " ".join(shlex.quote(word) for word in words if word or word is words[-1])


@needs("bash")
def test_bash_offers_every_command_option_and_choice(tmp_path: Path) -> None:
    asked = questions()
    text = ask("bash", "".join(BASH.format(words=bash_words(line)) for line in asked), tmp_path)
    for (line, wanted), answer in zip(asked.items(), text.splitlines(), strict=True):
        assert {*answer.split()} == wanted, line


@needs("bash")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("crystalsmith gen", "generate"),
        ("crystalsmith train", "train train-prior"),
        ("crystalsmith generate --method=p", "paper"),
        ("crystalsmith generate --method=", "default paper"),
        ("crystalsmith generate orders.yaml --seed 3 --prot", "--prototypes"),
        ("crystalsmith generate -o ", ""),  # names of files, by bash
        ("crystalsmith generate --seed ", ""),
        ("crystalsmith data build --symp", "--symprec"),
        ("crystalsmith data nothing --symp", ""),
        ("crystalsmith completion ", "bash zsh fish"),
        ("crystalsmith relax a.cif ", ""),
    ],
)
def test_bash_between_words(line: str, offered: str, tmp_path: Path) -> None:
    answer = ask("bash", BASH.format(words=bash_words(line)), tmp_path).strip()
    assert answer == offered


@needs("fish")
def test_fish_offers_every_command_option_and_choice(tmp_path: Path) -> None:
    asked = questions()
    script = "".join(f"echo '== {n}'; complete -C '{line}'\n" for n, line in enumerate(asked))
    answers = ask("fish", script, tmp_path).split("== ")[1:]
    for (line, wanted), answer in zip(asked.items(), answers, strict=True):
        offered = {entry.split("\t")[0] for entry in answer.splitlines()[1:]} - {"script"}
        assert offered == wanted, line


@needs("fish")
def test_fish_offers_files_only_where_files_go(tmp_path: Path) -> None:
    (tmp_path / "a.cif").write_text("", encoding="utf-8")
    lines = {"relax ": True, "generate -o ": True, "generate --seed ": False, "": False, "info ": False}
    for line, files in lines.items():
        offered = ask("fish", f"complete -C 'crystalsmith {line}'", tmp_path).splitlines()
        assert ("a.cif" in offered) == files, line


@needs("zsh")
def test_zsh_gets_every_option_with_its_help_and_choices(tmp_path: Path) -> None:
    """``_arguments`` itself needs a terminal; what it is told is seen by one of ours in its place."""
    script = [
        "_arguments() { print -rl -- '==' \"$@\" }",
        "_describe() { print -rl -- ${(P)2} }",
        "state=command",
    ]
    script += ["_crystalsmith" + command.key.replace(" ", "_").replace("-", "_") for command in COMMANDS]
    answers = ask("zsh", "\n".join(script), tmp_path).split("==\n")[1:]
    for command, answer in zip(COMMANDS, answers, strict=True):
        specs = answer.splitlines()
        for option in command.options:
            for name in option.names:
                (spec,) = [s for s in specs if s.partition("[")[0].rpartition(")")[2] == name]
                assert spec.endswith(f":value:({' '.join(option.choices)})") or not option.choices
                assert (":value:" in spec) == (option.value != "none")
                assert spec.endswith(":_files") == (option.value == "file")


@needs("zsh")
def test_zsh_takes_commands_with_what_they_are(tmp_path: Path) -> None:
    script = "_arguments() { state=command }\n_describe() { print -rl -- ${(P)2} }\n_crystalsmith_data"
    lines = ask("zsh", script, tmp_path).splitlines()
    inner = next(c.inner for c in COMMANDS if c.path == ("data",))
    assert [line.partition(":")[0] for line in lines] == [name for name, _ in inner]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_printed_or_put_where_the_shell_looks(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "folder of its own"))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert main(["completion", shell]) == 0
    assert capsys.readouterr().out == completion(shell)
    assert main(["completion", shell, "--install", "--json"]) == 0
    path = Path(json.loads(capsys.readouterr().out)["result"]["path"])
    assert path == place(shell)[0] and path.is_relative_to(tmp_path)
    assert path.read_text(encoding="utf-8") == completion(shell)


def test_a_place_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    assert main(["completion", "fish", "--install"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_helps_with_every_sign_of_the_shells_go_through(tmp_path: Path) -> None:
    from crystalsmith.cli.parser import Parser

    parser = Parser(prog="crystalsmith")
    parser.add_argument("--odd", choices=("a", "b"), help='it\'s a [list]: \\ $x `y` "z" 50 %%')
    parser.add_subparsers(title="commands").add_parser("only", help="it's `one`: [$x] \\")
    commands = list(tree(parser))
    assert "50 %" in commands[0].options[1].help
    for shell, make in SHELLS.items():
        if SHELL[shell] is not None:
            (tmp_path / "script").write_text(make(commands), encoding="utf-8")
            done = subprocess.run([str(SHELL[shell]), "-n", "script"], cwd=tmp_path, capture_output=True)
            assert done.returncode == 0, done.stderr
