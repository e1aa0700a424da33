"""POSCAR and CONTCAR of VASP 4 and 5."""

from __future__ import annotations

import math
import re
from itertools import takewhile

import numpy as np

from crystalsmith.crystal.elements import NUMBERS
from crystalsmith.errors import StructureError

_SYMBOL = re.compile(r"([A-Z][a-z]?)([_/].*)?")  # Fe, Fe_pv, Fe/0a1b2c


def looks_like_poscar(text: str) -> bool:
    """Whether a text has a scale and a cell where a POSCAR has them."""
    lines = text.splitlines()[1:5]
    return len(lines) == 4 and bool(_floats(lines[0])) and all(len(_floats(line)) >= 3 for line in lines[1:])


def read_poscar(text: str, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lattice (3, 3), fractional coordinates (n, 3) and atomic numbers (n,).

    A file of VASP 4, without a line of elements, has them in its first line or behind each atom's
    coordinates, as VASP's tools write them; where neither fits the numbers of atoms, it is refused.

    Args:
        text: of the file.
        most: atoms.

    Raises:
        StructureError: no POSCAR, or its elements are not told.
    """
    if not looks_like_poscar(text):
        raise StructureError("unreadable: no POSCAR: its lines 2 to 5 are not a scale and a cell")
    comment, *lines = text.splitlines()
    lattice = np.array([_floats(line)[:3] for line in lines[1:4]])
    scale = _scale(lines[0], lattice)
    del lines[:4]
    named = (
        None if not lines or _counts(lines[0]) else [_element(t) for t in lines.pop(0).split("!")[0].split()]
    )
    counts = _counts(lines[0]) if lines else []
    total = sum(counts)
    if not total:
        raise StructureError("unreadable: the POSCAR has no line with the numbers of atoms")
    if total > most:
        raise StructureError(f"too large: the POSCAR says that it has {total} atoms; at most {most} are read")
    del lines[0]
    selective = lines[:1] and lines[0].strip()[:1].lower() == "s"
    del lines[: bool(selective)]
    cartesian = lines[:1] and lines[0].strip()[:1].lower() in ("c", "k")
    atoms = lines[1 : 1 + total]
    points = [_floats(line)[:3] for line in atoms]
    if len(points) < total or any(len(point) < 3 for point in points):
        raise StructureError(f"unreadable: the POSCAR lacks the position of one of its {total} atoms")
    fractional = np.array(points)
    if cartesian:
        fractional = fractional @ np.linalg.inv(lattice)
    if named is None:
        behind = [line.split()[6 if selective else 3 :][:1] for line in atoms]
        symbols = _of_vasp_4(comment.split(), counts, [token for tokens in behind for token in tokens])
    elif len(named) == len(counts):
        symbols = _spread(named, counts)
    else:
        raise StructureError(f"unreadable: the POSCAR names {len(named)} elements and counts {len(counts)}")
    return lattice * scale, fractional, np.array([NUMBERS[symbol] for symbol in symbols], dtype=np.int64)


def _of_vasp_4(comment: list[str], counts: list[int], behind: list[str]) -> list[str]:
    """The element of every atom, where the first line or what stands behind the positions tells it."""
    found = []
    if len(comment) == len(counts) and all(token in NUMBERS for token in comment):
        found.append(_spread(comment, counts))
    if len(behind) == sum(counts) and all(token in NUMBERS for token in behind):
        found.append(behind)
    if not found or found[0] != found[-1]:
        raise StructureError(
            "unreadable: the POSCAR does not say which elements it holds; put their symbols in a line"
            " above the numbers of atoms, as VASP 5 does"
        )
    return found[0]


def _spread(names: list[str], counts: list[int]) -> list[str]:
    return [name for name, count in zip(names, counts, strict=True) for _ in range(count)]


def _scale(line: str, lattice: np.ndarray) -> np.ndarray | float:
    """One factor, three of them, or a negative volume in place of it."""
    factors = _floats(line)
    if len(factors) == 3 and min(factors) > 0:
        return np.array(factors)
    if factors[0] < 0:
        return float((-factors[0] / max(abs(np.linalg.det(lattice)), 1e-300)) ** (1 / 3))
    return factors[0]


def _element(token: str) -> str:
    match = _SYMBOL.fullmatch(token)
    symbol = {"D": "H", "T": "H"}.get(match[1], match[1]) if match else ""
    if symbol not in NUMBERS:
        raise StructureError(f"unreadable: {token[:20]!r} in the POSCAR is no element")
    return symbol


def _counts(line: str) -> list[int]:
    """Numbers of atoms; empty where a line does not begin with them."""
    tokens = takewhile(lambda t: t.isascii() and t.isdigit() and len(t) < 10, line.split())
    return [int(token) for token in tokens]


def _floats(line: str) -> list[float]:
    """The numbers that a line begins with."""
    values: list[float] = []
    for token in line.split():
        try:
            value = float(re.sub("[dD]", "e", token))
        except ValueError:
            break
        if not math.isfinite(value):
            break
        values.append(value)
    return values
