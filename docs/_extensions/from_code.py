"""Parts of pages that are made from the code, so that they cannot disagree with it.

A line ``<!-- from the code: NAME -->`` of a page is replaced by Markdown: the commands and their options
(argparse), the settings of functions and of training (dataclasses), the keys of orders, errors, layers.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

SHARED = {"what is shown": "options of all commands", "model": "options of commands that run the network"}
"""Groups of options that stand once, and under which title."""

MARK = re.compile(r"^<!-- from the code: ([a-z ]+) -->$", flags=re.MULTILINE)


def commands() -> str:
    """All commands, a section each, their options in tables."""
    from crystalsmith.cli.main import build_parser

    lines = [line for parser in subparsers(build_parser()) for line in _command(parser, 2)]
    return "\n".join([*_common(build_parser()), *lines])


def _common(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The groups that many commands share, once."""
    parsers = {one.prog.split()[-1]: one for one in subparsers(parser)}
    for title, head in SHARED.items():
        rows = next(rows for one in parsers.values() for name, rows in _groups(one) if name == title)
        yield f"| {head} | |\n|---|---|\n" + "\n".join(rows) + "\n"


def subparsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """The parsers of a parser's commands, in their order, made ready for use."""
    parser.format_help()  # options are added when they are needed
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return list(dict.fromkeys(action.choices.values()))
    return []


def _command(parser: argparse.ArgumentParser, level: int) -> Iterator[str]:
    parser.format_help()
    yield f"{'#' * level} {parser.prog.removeprefix('crystalsmith ')}\n"
    yield f"{parser.description}\n"
    inner = subparsers(parser)
    if inner:
        for one in inner:
            yield from _command(one, level + 1)
        return
    yield f"```text\n{_usage(parser)}\n```\n"
    for title, rows in _groups(parser):
        if title not in SHARED:
            yield f"| {title} | |\n|---|---|\n" + "\n".join(rows) + "\n"
    if any(title == "model" for title, _ in _groups(parser)):
        yield "And the options of commands that run the network, above.\n"


def _groups(parser: argparse.ArgumentParser) -> Iterator[tuple[str, list[str]]]:
    """Titles of the groups of options that are not empty, and a row for each option."""
    parser.format_help()
    for group in parser._action_groups:
        rows = [row for action in group._group_actions for row in _option(action)]
        if rows:
            yield {"positional arguments": "arguments"}.get(group.title or "", group.title or ""), rows


def _usage(parser: argparse.ArgumentParser) -> str:
    """The command with what it must have."""
    words = [parser.prog]
    for action in parser._actions:
        if action.option_strings:
            if action.required:
                words.append(f"{action.option_strings[0]} {_metavar(action)}")
        else:
            words.append(f"[{_metavar(action)}]" if action.nargs in ("?", "*") else _metavar(action))
    return " ".join([*words, "[options]"])


def _metavar(action: argparse.Action) -> str:
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    word = action.metavar or (
        "|".join(map(str, action.choices)) if action.choices else (action.dest or "").upper()
    )
    return f"{word} ..." if action.nargs in ("+", "*") else word


def _option(action: argparse.Action) -> Iterator[str]:
    if action.help == argparse.SUPPRESS or isinstance(action, argparse._HelpAction):
        return
    if action.option_strings:
        name = ", ".join(f"`{option}`" for option in action.option_strings)
        name += f" *{_cell(_metavar(action))}*" if action.nargs != 0 else ""
    else:
        name = f"*{_cell(_metavar(action))}*"
    text = (action.help or "") % {**vars(action), "prog": ""} if action.help else ""
    yield f"| {name} | {_cell(text)} |"


def _cell(text: str) -> str:
    """Text as a cell of a table holds it."""
    for sign in "\\|*_<>[]`$":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def settings() -> str:
    """The fields of the settings of each command and function."""
    from crystalsmith.discovery.settings import DiscoverySettings
    from crystalsmith.evaluation.settings import Settings
    from crystalsmith.generation.settings import GenerateSettings
    from crystalsmith.hull.settings import BuildSettings, HullSettings
    from crystalsmith.phonons.settings import PhononSettings
    from crystalsmith.potentials.settings import RelaxSettings, Resources
    from crystalsmith.rediscovery.settings import RediscoverySettings
    from crystalsmith.solving.settings import SolveSettings

    table = {
        GenerateSettings: "generate",
        SolveSettings: "solve",
        DiscoverySettings: "discover",
        RelaxSettings: "relax",
        Resources: "of all that relax: the potential, and how many processes",
        HullSettings: "hull show",
        BuildSettings: "hull build",
        PhononSettings: "phonons",
        Settings: "evaluate",
        RediscoverySettings: "rediscover",
    }
    return "\n".join(_settings(kind, use) for kind, use in table.items())


def _settings(kind: type, use: str) -> str:
    from crystalsmith.runs.settings import options_of

    known = options_of(kind)
    described = attributes(inspect.getdoc(kind) or "")
    head = f"## {kind.__name__}\n\n`{kind.__module__}.{kind.__name__}`: {use}.\n\n"
    head += "| field | default | |\n|---|---|---|\n"
    rows = []
    for field in dataclasses.fields(kind):
        text = known[field.name][1].help if field.name in known else described.get(field.name, "")
        rows.append(f"| `{field.name}` | {_default(field)} | {_cell(text)} |")
    return head + "\n".join(rows) + "\n"


def attributes(doc: str) -> dict[str, str]:
    """What the section "Attributes" of a docstring says of each name."""
    section = re.search(r"^Attributes:\n(.*?)(?=^\S|\Z)", doc, flags=re.MULTILINE | re.DOTALL)
    if section is None:
        return {}
    found = {}
    for entry in re.findall(r"^ {4}(\S.*?)(?=^ {4}\S|\Z)", section[1], flags=re.MULTILINE | re.DOTALL):
        # An entry may speak of several: "network: of one; dimenet: of the other."
        for part in re.split(r"; (?=[a-z_0-9]+: )", " ".join(entry.split())):
            names, _, text = part.partition(": ")
            for name in names.split(", "):
                found[name] = text.replace("``", "").rstrip(".")
    return found


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is dataclasses.MISSING:
        return "" if field.default_factory is dataclasses.MISSING else "see below"
    return "" if field.default in (None, ()) else f"`{field.default!r}`"


def training() -> str:
    """The settings of a training run and of its networks."""
    from crystalsmith.networks import DenoiserConfig, DimeNetConfig
    from crystalsmith.networks.assignment_network import AssignmentNetworkConfig
    from crystalsmith.training import TrainConfig

    heads = {
        TrainConfig: "of a run",
        DenoiserConfig: "under `network`: the default method",
        DimeNetConfig: "under `dimenet`: the paper's method",
        AssignmentNetworkConfig: "the prior",
    }
    return "\n".join(_training(kind, use) for kind, use in heads.items())


def _training(kind: type, use: str) -> str:
    described = attributes(inspect.getdoc(kind) or "")
    rows = [
        f"| `{f.name}` | {_default(f)} | {_cell(described.get(f.name, ''))} |"
        for f in dataclasses.fields(kind)
    ]
    return (
        f"### {kind.__name__}\n\n{use.capitalize()}.\n\n| | default | |\n|---|---|---|\n"
        + "\n".join(rows)
        + "\n"
    )


def orders() -> str:
    """The keys of an order, what they mean and with which kind of order they go."""
    from crystalsmith.orders.kinds import KINDS
    from crystalsmith.orders.order import Order

    described = attributes(inspect.getdoc(Order) or "")
    rows = []
    for field in dataclasses.fields(Order):
        name = field.name
        if name not in described or name == "place":
            continue
        kinds = [key for key, kind in KINDS.items() if name in kind.takes]
        goes = "one of these" if name in KINDS else ", ".join(f"`{key}`" for key in kinds)
        rows.append(f"| `{name}` | {_cell(described[name].removeprefix('or '))} | {goes} |")
    return "| key | | goes with |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def errors() -> str:
    """Every error, with the first sentence of what it says of itself."""
    from crystalsmith import errors

    rows = []
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.CrystalsmithError):
            rows.append(f"| `{name}` | {_cell((inspect.getdoc(kind) or '').splitlines()[0])} |")
    return "| of `crystalsmith.errors` | |\n|---|---|\n" + "\n".join(rows) + "\n"


PARTS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "settings": settings,
    "training": training,
    "orders": orders,
    "errors": errors,
}


def fill_in(app: Sphinx, page: str, source: list[str]) -> None:
    """Replace the marks of a page."""
    source[0] = MARK.sub(lambda mark: PARTS[mark[1]](), source[0])


def make_anew(app: Sphinx, env: Any, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """Pages with marks: the code may have changed where they have not."""
    paths = {page: Path(env.doc2path(page)) for page in env.all_docs}
    return [page for page, path in paths.items() if path.exists() and MARK.search(path.read_text("utf-8"))]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", fill_in)
    app.connect("env-get-outdated", make_anew)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
