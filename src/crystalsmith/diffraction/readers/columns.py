"""Columns of text: .xy, .xye, .csv, .dat, .txt and whatever else holds two numbers in a row."""

from __future__ import annotations

import re
from collections import Counter
from typing import Literal, NamedTuple

import numpy as np

from crystalsmith.diffraction.radiation import TUBES, Radiation, radiation
from crystalsmith.diffraction.readers.raw import Axis, Raw
from crystalsmith.errors import PatternError

_COMMENT = "#!'/;%*\""
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?|nan|[-+]?inf", re.IGNORECASE)
_SPLIT = re.compile(r"[,;\s]+")
_SPLIT_DECIMAL = re.compile(r"[;\s]+")

Role = Literal["2theta", "q", "d", "intensity", "sigma", "other"]

# What columns are called; the first that fits holds.
_NAMES: tuple[tuple[Role, re.Pattern[str]], ...] = (
    ("sigma", re.compile(r"sig|esd|e\.s\.d|err|std|unc|\bsu\b|s\.u|^σ", re.IGNORECASE)),
    ("other", re.compile(r"calc|back|bkg|diff|weight|resid|fwhm|width|time|\btemp", re.IGNORECASE)),
    ("2theta", re.compile(r"(2|two)[\s_*-]*(theta|th|θ)|^tth|angle|2θ|^pos", re.IGNORECASE)),
    ("q", re.compile(r"^\W*q\b|^q[_\[(]|momentum|scattering[ _-]vector", re.IGNORECASE)),
    ("d", re.compile(r"^\W*d(\W|$)|^d[_-]?(spac|val|obs|hkl|ang)|spacing", re.IGNORECASE)),
    ("intensity", re.compile(r"^\W*(i|y)\b|^i[_(\[/]|inten|count|cps|yobs|rel|height|area", re.IGNORECASE)),
)
_AXIS_LINE = re.compile(r"(?:x[\s-]*axis|abscissa|unit)[^:=]*[:=]\s*(.+)", re.IGNORECASE)
_WAVELENGTH = re.compile(r"(?:wave\s*-?_?length|lambda|λ)[^\d\n]{0,40}?(\d+\.\d+)", re.IGNORECASE)
_TUBE = re.compile(
    rf"\b({'|'.join(t[:2] for t in TUBES)})[\s_-]*K[\s_-]*(?:\\?a|alpha|α)[\s_-]*(1\+2|1,2|12|1|2)?\b",
    re.IGNORECASE,
)
_NANOMETRE = re.compile(r"nm|nanomet", re.IGNORECASE)


class _Table(NamedTuple):
    """Rows of numbers, and the lines before and between them."""

    rows: np.ndarray
    comments: list[str]
    heading: list[str] | None


def read_columns(text: str, name: str) -> Raw:
    """Read columns of text.

    Comments and headings may name the columns, the tube or the wavelength. Also a first line of start, step
    and end before intensities alone, and a header of points before them (FullProf, FIT2D).

    Raises:
        PatternError: there are no two columns of numbers.
    """
    table = _table(text)
    if table is None:
        raise PatternError(
            f"{name} holds no two columns of numbers; it is no powder pattern that can be read"
        )
    remarks = "\n".join(table.comments)
    lines = radiation_in(remarks)
    counted = _counted(text)
    if counted is not None:
        return Raw(*counted, axis="2theta", radiation=lines, peaks=False)
    roles = _roles(table)
    rows = _without_count(table.rows)
    axis, x = _axis_of(rows, roles, remarks)
    x = rows[:, 0] if x is None else x
    if axis == "q" and _NANOMETRE.search(" ".join(table.heading or table.comments)):
        x = x / 10
    y = _column(rows, roles, "intensity")
    sigma = _column(rows, roles, "sigma")
    if y is None:
        y = rows[:, 2 if roles is None and _is_d_of(rows) else 1]
    if sigma is None and roles is None and rows.shape[1] == 3 and not _is_d_of(rows):
        sigma = rows[:, 2]
    return Raw(x, y, sigma, axis, lines)


def radiation_in(text: str) -> Radiation | None:
    """The tube or wavelength that remarks name; None if they name none that is possible."""
    if tube := _TUBE.search(text):
        return radiation(f"{tube[1]}Ka{tube[2] or ''}")
    if number := _WAVELENGTH.search(text):
        try:
            return radiation(number[1])
        except PatternError:
            return None
    return None


def _table(text: str) -> _Table | None:
    """The rows with the usual number of columns; None if no row holds two numbers."""
    lines = text.splitlines()
    comma = _decimal_comma(lines)
    rows: list[list[float]] = []
    comments: list[str] = []
    heading: list[str] | None = None
    for line in lines:
        line = line.strip()
        if not line:
            continue
        values = None if line[0] in _COMMENT else _numbers(line, comma)
        if values is not None:
            rows.append(values)
        elif len(comments) < 500:
            comments.append(line.lstrip(_COMMENT).strip())
            if not rows:
                heading = _names(line)
    counts = Counter(len(row) for row in rows)
    if not counts:
        return None
    width = max(counts, key=lambda k: (counts[k], k))
    if width < 2:
        return None
    usual = np.array([row for row in rows if len(row) == width])
    return _Table(usual, comments, heading if heading and len(heading) == width else None)


def _numbers(line: str, comma: bool) -> list[float] | None:
    """The numbers of a line; None if it holds anything else."""
    if comma:
        words = [word.replace(",", ".") for word in _SPLIT_DECIMAL.split(line)]
    else:
        words = _SPLIT.split(line)
    words = [word for word in words if word]
    if not words or not all(_NUMBER.fullmatch(word) for word in words):
        return None
    return [float(word.lower().replace("d", "e")) for word in words]


def _decimal_comma(lines: list[str]) -> bool:
    """Whether numbers are written as 12,34: commas, no full stops, and another sign between columns."""
    looked = [line.strip() for line in lines if line.strip() and line.strip()[0].isdigit()][:50]
    if not looked or any("." in line for line in looked):
        return False
    return all(
        re.fullmatch(r"\s*[-+\deE]+(,\d+)?([;\s]+[-+\deE]+(,\d+)?)+\s*;?", line) for line in looked
    ) and any("," in line for line in looked)


def _names(line: str) -> list[str] | None:
    """The names in a heading, separated as columns are."""
    line = line.lstrip(_COMMENT).strip()
    for separator in (r"\s*;\s*", r"\s*\t\s*", r"\s*,\s*", r"\s{2,}", r"\s+"):
        words = [word.strip("\"' ") for word in re.split(separator, line) if word.strip("\"' ")]
        if len(words) >= 2:
            return words
    return None


def _roles(table: _Table) -> list[Role] | None:
    """What each column is by its name; None if the heading names no axis and no intensity."""
    if table.heading is None:
        return None
    roles: list[Role] = []
    for word in table.heading:
        found: Role = next((role for role, pattern in _NAMES if pattern.search(word)), "other")
        roles.append(found if found == "other" or found not in roles else "other")
    known = {"2theta", "q", "d", "intensity"} & set(roles)
    return roles if known else None


def _axis_of(
    rows: np.ndarray, roles: list[Role] | None, remarks: str
) -> tuple[Axis | None, np.ndarray | None]:
    """What the abscissa is, and the column; None where it is not said."""
    axes: tuple[Axis, ...] = ("2theta", "q", "d")
    for axis in axes:
        if roles is not None and axis in roles:
            return axis, rows[:, roles.index(axis)]
    if roles is None and _is_d_of(rows):
        return "2theta", rows[:, 0]
    for line in remarks.splitlines():
        said = _AXIS_LINE.search(line)
        words = said[1] if said else line if len(line) < 40 else ""
        for axis in axes:
            if words and dict(_NAMES)[axis].search(words):
                return axis, None
    return None, None


def _column(rows: np.ndarray, roles: list[Role] | None, role: Role) -> np.ndarray | None:
    return rows[:, roles.index(role)] if roles is not None and role in roles else None


def _is_d_of(rows: np.ndarray) -> bool:
    """Whether the second of three columns is the d of the first, as angles, for one wavelength."""
    if rows.shape[1] < 3 or len(rows) < 3:
        return False
    first, second = rows[:, 0], rows[:, 1]
    if not (
        np.isfinite(rows[:, :2]).all() and (first > 0).all() and (first < 180).all() and (second > 0).all()
    ):
        return False
    wavelengths = 2 * second * np.sin(np.radians(first) / 2)
    return bool(np.ptp(wavelengths) < 0.02 * np.median(wavelengths))


def _without_count(rows: np.ndarray) -> np.ndarray:
    """Without a first row that gives the number of rows."""
    if len(rows) > 10 and rows[0, 0] in (len(rows) - 1, len(rows)) and not 0 < rows[1, 0] - rows[0, 0] < 1:
        return rows[1:]
    return rows


def _counted(text: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Intensities after a line of start, step and end (FullProf, DBWS); None if it is not that."""
    lines = [line for line in text.splitlines() if line.strip() and line.strip()[0] not in _COMMENT]
    for k, line in enumerate(lines[:4]):
        words = line.split()[:3]
        if len(words) < 3 or not all(_NUMBER.fullmatch(word) for word in words):
            continue
        start, step, end = map(float, words)
        if not 0 < step < 1 or not start < end <= 180:
            return None
        count = round((end - start) / step) + 1
        values = [_numbers(other, False) for other in lines[k + 1 :]]
        if any(row is None for row in values):
            return None
        y = np.array([value for row in values if row for value in row])
        if not 0 <= len(y) - count < 12 and not 0 < count - len(y) < 3:
            return None
        count = min(count, len(y))
        return start + step * np.arange(count), y[:count]
    return None
