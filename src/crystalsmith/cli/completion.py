"""``crystalsmith completion``: what a shell offers when the tabulator is pressed, made from the parsers."""

from __future__ import annotations

import argparse
import os
import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crystalsmith.cli.output import emit
from crystalsmith.cli.parser import Parser
from crystalsmith.errors import OutputError
from crystalsmith.runs.atomic import write_whole

NAME = "crystalsmith"
_WIDEST = 72  # characters of a help beside an option
_PLACES = r"\b(FILES?|FOLDER|OUT|IN|REF|TRAIN|PATTERN|TARGETS|ORDERS|SOURCE|CRYSTALS|RUN|GENERATED)\b"
"""Words in the place of a value that is the name of a file or folder."""


@dataclass(frozen=True)
class Argument:
    """An option, or what stands for itself.

    Attributes:
        names: ``-o``, ``--output``; none where it stands for itself.
        help: in one short line.
        value: what follows: ``none``, ``file`` or ``other``.
        choices: the values that there are; empty where there are many.
        many: whether several values may follow.
    """

    names: tuple[str, ...]
    help: str
    value: str
    choices: tuple[str, ...] = ()
    many: bool = False


@dataclass(frozen=True)
class Command:
    """A command, or an action of one.

    Attributes:
        path: ``("data", "build")``; empty for the program itself.
        arguments: all of them.
        inner: its commands, with a line about each.
    """

    path: tuple[str, ...]
    arguments: tuple[Argument, ...]
    inner: tuple[tuple[str, str], ...]

    @property
    def options(self) -> tuple[Argument, ...]:
        """Arguments that have a name."""
        return tuple(a for a in self.arguments if a.names)

    @property
    def key(self) -> str:
        """The path as the scripts put it together: a space before each word."""
        return "".join(f" {word}" for word in self.path)


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "completion",
        help="complete commands and options in bash, zsh or fish",
        description="Print a script by which a shell completes commands, options and their values, or put it"
        " where the shell looks for such.",
    )
    parser.add_argument("shell", choices=tuple(SHELLS), help="of which shell")
    parser.add_argument(
        "--install", action="store_true", help="write it to the place where the shell looks for it"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status."""
    script = completion(args.shell)
    if not args.install:
        emit({"shell": args.shell, "script": script}, script.rstrip("\n"))
        return 0
    path, note = place(args.shell)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, script)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}; print the script instead") from None
    emit({"shell": args.shell, "path": path, "note": note}, f"written to {path}; {note}")
    return 0


def completion(shell: str) -> str:
    """The script of a shell: ``bash``, ``zsh`` or ``fish``."""
    from crystalsmith.cli.main import build_parser

    return SHELLS[shell](list(tree(build_parser())))


def place(shell: str) -> tuple[Path, str]:
    """Where a shell of this user looks for completions, and what is left to do."""
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    new = "open a new shell"
    return {
        "bash": (data / "bash-completion" / "completions" / NAME, f"{new} (bash-completion must be there)"),
        "zsh": (
            home / ".zfunc" / f"_{NAME}",
            f"put fpath=(~/.zfunc $fpath) before compinit in ~/.zshrc and {new}",
        ),
        "fish": (config / "fish" / "completions" / f"{NAME}.fish", new),
    }[shell]


def tree(parser: Parser, path: tuple[str, ...] = ()) -> Iterator[Command]:
    """A parser and all within it, outermost first."""
    parser.format_help()  # adds the options of parsers that wait until they are chosen
    arguments, inner, parsers = [], [], {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            inner = [(a.dest, _short(a.help or "")) for a in action._choices_actions]
            parsers = action.choices
        elif action.help != argparse.SUPPRESS:
            arguments.append(_argument(parser, action))
    yield Command(path, tuple(arguments), tuple(inner))
    for name in parsers:
        yield from tree(parsers[name], (*path, name))


def _argument(parser: Parser, action: argparse.Action) -> Argument:
    value = "none"
    if action.nargs != 0:
        value = "file" if re.search(_PLACES, str(action.metavar)) and not action.choices else "other"
    return Argument(
        names=tuple(action.option_strings),
        help=_short(parser._get_formatter()._expand_help(action) if action.help else ""),
        value=value,
        choices=tuple(map(str, action.choices or ())),
        many=action.nargs in ("+", "*") or (isinstance(action.nargs, int) and action.nargs > 1),
    )


def _short(text: str) -> str:
    return textwrap.shorten(text, _WIDEST, placeholder=" ...")


def bash(commands: list[Command]) -> str:
    """For bash 3.2 and newer: where nothing of ours fits, bash offers names of files."""
    keys = " | ".join(f'"{c.key}"' for c in commands if c.path)
    lines = [
        f"# {NAME} completion bash",
        f"_{NAME}() {{",
        '    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD - 1]}"',
        '    local at="" options="" words="" n',
        "    # An equals sign is a word of its own.",
        '    if [[ "$current" == "=" ]]; then',
        '        current=""',
        '    elif [[ "$previous" == "=" ]]; then',
        '        previous="${COMP_WORDS[COMP_CWORD - 2]}"',
        "    fi",
        "    for ((n = 1; n < COMP_CWORD; n++)); do",
        '        case "$at ${COMP_WORDS[n]}" in',
        f'        {keys}) at="$at ${{COMP_WORDS[n]}}" ;;',
        "        esac",
        "    done",
        "    COMPREPLY=()",
        '    case "$at $previous" in',
    ]
    for command in commands:
        free = [f'"{command.key} {n}"' for a in command.options if a.value != "none" for n in a.names]
        for option in command.options:
            if option.choices:
                own = [f'"{command.key} {name}"' for name in option.names]
                free = [key for key in free if key not in own]
                offer = f'COMPREPLY=($(compgen -W "{" ".join(option.choices)}" -- "$current")); return'
                lines.append(f"    {' | '.join(own)}) {offer} ;;")
        if free:
            lines.append(f"    {' | '.join(free)}) return ;;")
    lines += ["    esac", '    case "$at" in']
    for command in commands:
        options = " ".join(name for option in command.options for name in option.names)
        words = " ".join([name for name, _ in command.inner] + _own_choices(command))
        lines.append(f'    "{command.key}") options="{options}" words="{words}" ;;')
    lines += [
        "    esac",
        '    if [[ "$current" == -* ]]; then words="$options"; fi',
        '    COMPREPLY=($(compgen -W "$words" -- "$current"))',
        "}",
        f"complete -o bashdefault -o default -F _{NAME} {NAME}",
    ]
    return "\n".join(lines) + "\n"


def _own_choices(command: Command) -> list[str]:
    return [word for a in command.arguments if not a.names for word in a.choices]


def zsh(commands: list[Command]) -> str:
    """For zsh's completion system, sourced or in a folder of ``fpath``."""
    lines = [f"#compdef {NAME}"]
    for command in commands:
        lines += [f"{_zsh_function(command.path)}() {{"]
        specs = [_zsh_spec(argument) for argument in command.arguments]
        if command.inner:
            lines += [
                "    local context state state_descr line",
                "    typeset -A opt_args",
                "    local -a words_of",
            ]
            lines += ["    words_of=("]
            lines += [f"        '{_zsh_text(name)}:{_zsh_text(text)}'" for name, text in command.inner]
            lines += ["    )"]
            lines += [_zsh_call("_arguments -C", [*specs, "'1: :->command'", "'*:: :->rest'"])]
            lines += ["    case $state in", "    command) _describe command words_of ;;", "    rest)"]
            lines += ["        case $line[1] in"]
            lines += [
                f"        {name}) {_zsh_function((*command.path, name))} ;;" for name, _ in command.inner
            ]
            lines += ["        esac", "        ;;", "    esac"]
        else:
            lines += [_zsh_call("_arguments -s", specs)]
        lines += ["}"]
    lines += [
        f'if [ "$funcstack[1]" = "_{NAME}" ]; then',
        f'    _{NAME} "$@"',
        "else",
        f"    compdef _{NAME} {NAME}",
        "fi",
    ]
    return "\n".join(lines) + "\n"


def _zsh_function(path: Iterable[str]) -> str:
    return "_".join(["", NAME, *(re.sub(r"\W", "_", word) for word in path)])


def _zsh_call(start: str, specs: list[str]) -> str:
    return " \\\n        ".join([f"    {start}", *specs])


def _zsh_spec(argument: Argument) -> str:
    action = {"none": "", "file": ":_files", "other": ": "}[argument.value]
    if argument.choices:
        action = f":({' '.join(argument.choices)})"
    text = _zsh_text(argument.help)
    if not argument.names:
        return f"'{'*' if argument.many else ''}:{text or 'argument'}{action or ': '}'"
    value = f":value{action}" if argument.value != "none" else ""
    excluded = f"({' '.join(argument.names)})" if len(argument.names) > 1 else ""
    return " ".join(f"'{excluded}{name}[{text}]{value}'" for name in argument.names)


def _zsh_text(text: str) -> str:
    """As it may stand in a specification, between single quotes."""
    return re.sub(r"([\\\[\]:])", r"\\\1", text).replace("'", "'\\''")


def fish(commands: list[Command]) -> str:
    """For fish 3."""
    keys = " ".join(f"'{c.key}'" for c in commands if c.path)
    lines = [
        f"# {NAME} completion fish",
        f"function __{NAME}_at",
        "    set -l at ''",
        "    for word in (commandline -opc)[2..-1]",
        f'        if contains -- "$at $word" {keys}',
        '            set at "$at $word"',
        "        end",
        "    end",
        '    test "$at" = "$argv[1]"',
        "end",
        f"complete -c {NAME} -f",
    ]
    for command in commands:
        start = f"complete -c {NAME} -n \"__{NAME}_at '{command.key}'\""
        lines += [f"{start} -a {name} -d {_fish_text(text)}" for name, text in command.inner]
        lines += [f"{start} -a {word}" for word in _own_choices(command)]
        if any(a.value == "file" and not a.names for a in command.arguments):
            lines.append(f"{start} -F")
        for option in command.options:
            names = [f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names]
            value = {"none": "", "file": " -r -F", "other": " -x"}[option.value]
            offer = f" -a '{' '.join(option.choices)}'" if option.choices else ""
            lines.append(f"{start} {' '.join(names)}{value}{offer} -d {_fish_text(option.help)}")
    return "\n".join(lines) + "\n"


def _fish_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SHELLS = {"bash": bash, "zsh": zsh, "fish": fish}
