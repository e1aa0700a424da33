"""Values as a reader wants them: in HTML, escaped, with units."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from html import escape
from typing import Any

from crystalsmith.crystal import NUMBERS, Crystal
from crystalsmith.discovery.candidate import Candidate
from crystalsmith.hull import KJ_PER_MOL
from crystalsmith.symmetry import space_group

NOTHING = "–"


def formula_html(text: str) -> str:
    """A formula, or words with formulas among them, with the numbers of the formulas lowered."""
    return " ".join(_lowered(word) for word in text.split(" "))


def _lowered(word: str) -> str:
    # In brackets stand space groups and ids: P6 is no phosphorus there.
    symbols = re.findall(r"[A-Z][a-z]?", word)
    is_formula = re.fullmatch(r"(?:[A-Z][a-z]?|[()\[\].\d])+[,;]?", word) and not word.startswith("(")
    if not is_formula or not set(symbols) <= NUMBERS.keys():
        return escape(word)
    return re.sub(r"(?<=[A-Za-z)\]])(\d+(?:\.\d+)?)", r"<sub>\1</sub>", word)


def group_html(number: int) -> str:
    """A space group's symbol in italics with bars and lowered screws, and its number."""
    text = escape(space_group(number).symbol)
    text = re.sub(r"_(\d)", r"<sub>\1</sub>", text)
    text = re.sub(r"-(\d)", r'<span class="over">\1</span>', text)
    return f"<i>{text}</i> ({number})"


def number(value: float | None, decimals: int, *, sign: bool = False) -> str:
    """A number with a true minus; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{value:+.{decimals}f}" if sign else f"{value:.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "−")


def both_units(value: float | None) -> str:
    """eV per atom, and kJ per mole of atoms below it."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{number(value, 3)}<small>{number(value * KJ_PER_MOL, 2)}&nbsp;kJ/mol</small>"


def one_line(value: float | None) -> str:
    """Both units on one line."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{number(value, 4)} eV/atom = {number(value * KJ_PER_MOL, 2)} kJ/mol of atoms"


def lattice_html(crystal: Crystal) -> str:
    """The parameters of the conventional cell that its system leaves free."""
    a, b, c, alpha, beta, gamma = crystal.cell
    parts = [f"<i>a</i>&nbsp;{a:.3f}"]
    if abs(b - a) > 1e-9:
        parts.append(f"<i>b</i>&nbsp;{b:.3f}")
    if abs(c - a) > 1e-9:
        parts.append(f"<i>c</i>&nbsp;{c:.3f}")
    angles = zip("αβγ", (alpha, beta, gamma), strict=True)
    shown = [f"{name}&nbsp;{value:.2f}°" for name, value in angles if abs(value - 90) > 1e-9]
    hexagonal = abs(gamma - 120) < 1e-9 and abs(alpha - 90) < 1e-9 and abs(beta - 90) < 1e-9
    return " ".join(parts + ([] if hexagonal else shown))


def stability_html(found: Mapping[str, Any] | None, *, phonons: bool) -> str:
    """Whether it is stable, in a word, and the lowest frequency of phonons."""
    if found is None:
        return NOTHING
    stable = found.get("stable")
    word = "undecided"
    if isinstance(stable, bool):
        word = '<span class="good">stable</span>' if stable else '<span class="bad">unstable</span>'
    lowest = found.get("min_frequency")
    if phonons and isinstance(lowest, int | float) and math.isfinite(lowest):
        # An imaginary frequency is given as a negative one.
        word += f" <small>lowest {number(float(lowest), 2)}&nbsp;THz</small>"
    return word


def novelty_html(candidate: Candidate) -> str:
    """Verdict, nearest known phase and prototype."""
    found = candidate.novelty
    if found is None:
        return NOTHING
    text = f"<b>{escape(found.verdict)}</b>" if found.is_new else escape(found.verdict)
    if found.nearest:
        text += f'<small class="wrap">nearest: {formula_html(found.nearest)}</small>'
    if found.prototype:
        text += f'<small class="wrap">type: {formula_html(found.prototype)}</small>'
    return text


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def command_line(arguments: Mapping[str, Any]) -> str:
    """The command that made the run, where its arguments hold it under ``command``."""
    command = arguments.get("command")
    if isinstance(command, str):
        return command
    if isinstance(command, list | tuple):
        return shlex.join(str(word) for word in command)
    return ""
