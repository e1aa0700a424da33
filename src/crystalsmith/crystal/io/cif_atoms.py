"""From the rows of atoms in a CIF to all atoms of its cell."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from crystalsmith.crystal.crystal import wrap
from crystalsmith.crystal.elements import NUMBERS, SYMBOLS
from crystalsmith.crystal.io.cif_symmetry import Operations
from crystalsmith.crystal.io.cif_text import Block
from crystalsmith.crystal.standardize import MINIMUM_DISTANCE
from crystalsmith.errors import StructureError

XYZ = tuple(f"_atom_site_fract_{x}" for x in "xyz")
MOST_ATOMS = 20_000

# How near (Angstrom) two images of a site are one: at least, and at most where coordinates are coarse. No two
# atoms are nearer than the latter.
_NEAR, _NEAREST = 0.01, 0.3
# Half a unit of the last decimal of a coordinate is no more than this.
_COARSEST = 0.005

_DECIMAL = re.compile(r"([-+]?)(\d*)(?:\.(\d*))?(?:[eEdD]([-+]?\d+))?(?:\(\d*\))?")
_TYPE = re.compile(r"([A-Za-z]{1,2})(?:\d*[-+]|[-+]\d*|\d+)?(?:val|iso|\.)?")
_FORMULA = re.compile(r"\s*([A-Z][a-z]?)\s*(\d*\.?\d*)(?:\(\d+\))?\s*")


@dataclass(frozen=True, eq=False)
class Sites:
    """The rows of a block that hold an atom.

    Attributes:
        labels: names, unique or not.
        numbers: (r,) atomic numbers.
        points: (r, 3) fractional coordinates as they are written.
        fuzz: (r, 3) half a unit of their last decimals, 0 for simple fractions.
        letters: Wyckoff letters, empty if not given for each.
        multiplicities: (r,) as stated, None if not given for each.
        proof: why they count only if sum formula and Z bear them out; empty if they are certain.
        warnings: what was odd but could be settled.
    """

    labels: list[str]
    numbers: np.ndarray
    points: np.ndarray
    fuzz: np.ndarray
    letters: list[str]
    multiplicities: np.ndarray | None
    proof: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Cell:
    """All atoms of a cell.

    Attributes:
        fractional: (n, 3) in [0, 1).
        numbers: (n,).
        sizes: (r,) atoms of each site; 0 where it repeats another one.
        warnings: what was odd but could be settled.
    """

    fractional: np.ndarray
    numbers: np.ndarray
    sizes: np.ndarray
    warnings: tuple[str, ...]


def has_atoms(block: Block) -> bool:
    """Whether a block has rows of atoms: coordinates of any kind, or a fault where they could be."""
    rows = (value for tag in (*XYZ, "_atom_site_cartn_x") for value in block.tags.get(tag, ()))
    return bool(block.fault) or any(value not in ("", ".") for value in rows)


def number(text: str) -> tuple[float, float]:
    """Value and half a unit of its last decimal: ``0.3333(2)``, ``.5``, ``1/3``, ``-2.5E-1``.

    Raises:
        StructureError: no number.
    """
    if match := re.fullmatch(r"([-+]?\d+)/(\d+)", text):
        if int(match[2]):
            return int(match[1]) / int(match[2]), 0.0
    match = _DECIMAL.fullmatch(text)
    if not match or not (match[2] or match[3]):
        raise StructureError(f"unreadable: {text[:30]!r} is no number")
    value = float(f"{match[1]}{match[2] or 0}.{match[3] or 0}e{match[4] or 0}")
    if abs(value) > 1e6:
        raise StructureError(f"unreadable: {text[:30]!r} is no coordinate or length")
    if 8 * value == round(8 * value):
        return value, 0.0
    return value, min(0.5 * 10.0 ** (int(match[4] or 0) - len(match[3] or "")), _COARSEST)


def read_sites(block: Block, formula: dict[str, float]) -> Sites:
    """The atoms that a block lists.

    Args:
        block: with coordinates.
        formula: its sum formula, empty if it has none.

    Raises:
        StructureError: disordered, of no element, without coordinates, or with rows of different length.
    """
    if not block.all(*XYZ):
        raise StructureError(
            "unreadable: the CIF has Cartesian coordinates alone, whose axes it does not tell"
        )
    columns = [block.first(tag) for tag in XYZ]
    size = max(len(c) for c in columns)
    types, labels = (
        block.first("_atom_site_type_symbol"),
        block.first("_atom_site_label", "_atom_site_label_atom_id"),
    )
    occupancy = block.first("_atom_site_occupancy")
    groups = block.first("_atom_site_disorder_group")
    for column in (*columns, types, labels, occupancy, groups):
        if len(column) not in ((size,) if column in columns else (0, size)):
            raise StructureError("unreadable: the CIF's columns of atoms have different lengths")
    if any(x not in ("", "0") for x in block.first("_atom_site_attached_hydrogens")):
        raise StructureError("incomplete: hydrogen atoms are attached to sites and have no coordinates")
    labels = labels or [""] * size
    numbers, shares, rows, warnings = [], [], [], []
    upper = all(t == t.upper() for t in types)
    for row in range(size):
        share = number(occupancy[row])[0] if occupancy and occupancy[row] else 1.0
        if share == 0:
            warnings.append(f"{labels[row] or f'atom {row + 1}'} has occupancy 0 and was left out")
            continue
        text = types[row] if types and types[row] else ""
        # Some programs write the label as the type; "O2" that is no label may be a molecule.
        named = not text or (text == labels[row] and text.rstrip("0123456789") in NUMBERS)
        numbers.append(_of_label(labels[row], formula) if named else _of_type(text, upper, formula))
        shares.append(share)
        rows.append(row)
    if not rows:
        raise StructureError("empty: the CIF lists no atoms")
    if len({g for row in rows if groups and (g := groups[row]) not in ("", "0")} | {"1"}) > 1:
        raise StructureError("disordered: the CIF has atoms of alternative groups")
    read = [[_coordinate(c[row], labels[row]) for c in columns] for row in rows]
    # Old files of one database have "." for "0.", to the standard something unknown.
    dots = any(c[row] == "." for c in columns for row in rows)
    points, fuzz = np.array(read).transpose(2, 0, 1)
    keep = _whole(np.array(numbers), np.array(shares), points, warnings)
    letters = block.first(
        "_atom_site_wyckoff_symbol", "_atom_site_wyckoff_label", "_atom_site_wyckoff_letter"
    )
    stated = block.first("_atom_site_symmetry_multiplicity", "_atom_site_site_symmetry_multiplicity")
    kept = [rows[k] for k in keep]
    return Sites(
        labels=[labels[r] for r in kept],
        numbers=np.array(numbers)[keep],
        points=points[keep],
        fuzz=fuzz[keep],
        letters=[letters[r] for r in kept] if len(letters) == size and all(letters) else [],
        multiplicities=np.array([int(stated[r]) for r in kept])
        if len(stated) == size and all(x.isdecimal() and len(x) < 6 for x in stated)
        else None,
        proof="some of its coordinates are dots" if dots else "",
        warnings=tuple(warnings),
    )


def _coordinate(text: str, label: str) -> tuple[float, float]:
    if not text:
        raise StructureError(f"incomplete: {label or 'an atom'} has no coordinates")
    return (0.0, 0.0) if text == "." else number(text)


def _whole(numbers: np.ndarray, shares: np.ndarray, points: np.ndarray, warnings: list[str]) -> list[int]:
    """Rows of fully occupied sites; shares of one element at one place (Fe2+ and Fe3+) are added up."""
    if (abs(shares - 1) < 1e-3).all():
        return list(range(len(shares)))
    total: dict[tuple[float, ...], float] = {}
    first: dict[tuple[float, ...], int] = {}
    for row, (z, share, point) in enumerate(zip(numbers, shares, points, strict=True)):
        key = (z, *np.round(point % 1.0, 6).tolist())
        total[key] = total.get(key, 0.0) + share
        first.setdefault(key, row)
    if any(abs(x - 1) > 1e-3 for x in total.values()):
        raise StructureError("disordered: the CIF has sites that are not wholly occupied by one element")
    warnings.append("shares of one element at one place were added up")
    return list(first.values())


def _of_type(text: str, upper: bool, formula: dict[str, float]) -> int:
    """Atomic number of a type symbol such as ``Fe3+``, ``O-2``, ``D`` or ``Cval``."""
    if re.search(r"\d.*[A-Z].*\+.*[A-Z]", text):
        raise StructureError(f"disordered: the type {text[:40]!r} is a mixture")
    match = _TYPE.fullmatch(text)
    symbol = match[1] if match else ""
    if text[-1].isdigit() and not {"+", "-"}.intersection(text) and symbol.capitalize() not in formula:
        symbol = ""
    if symbol not in NUMBERS and symbol not in ("D", "T"):
        # FE for Fe, where all types are in capitals; CO may be two atoms unless the formula says otherwise.
        capital = symbol.capitalize()
        if (
            not upper
            or capital not in NUMBERS
            or capital not in (formula or {capital: 1})
            or _is_pair(capital, formula)
        ):
            raise StructureError(f"unknown element: the type {text[:20]!r} is no chemical element")
        symbol = capital
    return NUMBERS.get(symbol, 1)


def _is_pair(symbol: str, formula: dict[str, float]) -> bool:
    """Whether capitals of an element can as well be two atoms, such as CO or NH."""
    return not formula and all(x.upper() in NUMBERS for x in symbol)


def _of_label(label: str, formula: dict[str, float]) -> int:
    """Atomic number of a label such as ``Fe12`` or ``Cl(2)``; what can be two elements is refused."""
    letters = re.match("[A-Za-z]*", label)[0]  # type: ignore[index]
    if letters in NUMBERS or letters in ("D", "T"):
        return NUMBERS.get(letters, 1)
    possible = {letters[:2].capitalize(), letters[:1].upper()}
    possible = {x for x in possible if x in NUMBERS and x in formula}
    if len(possible) != 1:
        raise StructureError(f"unknown element: the label {label[:20]!r} tells no chemical element")
    return NUMBERS[possible.pop()]


def read_formula(text: str) -> dict[str, float]:
    """Atoms of each element of a sum formula, deuterium as H; empty if it is none."""
    counts: Counter[str] = Counter()
    place = 0
    while match := _FORMULA.match(text, place):
        symbol = "H" if match[1] in ("D", "T") else match[1]
        if symbol not in NUMBERS:
            return {}
        counts[symbol] += float(match[2] or 1) if match[2] != "." else 1  # type: ignore[assignment]
        place = match.end()
    return {symbol: count for symbol, count in counts.items() if count} if place == len(text) else {}


def fill_cell(sites: Sites, operations: Operations, lattice: np.ndarray) -> Cell:
    """All atoms of the cell.

    Images of one site that are closer than its coordinates are rounded are one atom, in their middle.

    Args:
        sites: the rows of atoms.
        operations: of the whole cell.
        lattice: (3, 3) rows in Angstrom.

    Raises:
        StructureError: atoms that overlap, or too many.
    """
    n = len(operations.rotations)
    if len(sites.points) * n > 10 * MOST_ATOMS:
        raise StructureError(
            f"too large: {len(sites.points)} sites under {n} operators are more than can be read"
        )
    blocks: list[np.ndarray] = []
    numbers: list[int] = []
    sizes, warnings = [], []
    lengths = np.linalg.norm(lattice, axis=1)
    near = np.clip(4 * sites.fuzz @ lengths, _NEAR, _NEAREST)
    for row, (point, tolerance) in enumerate(zip(sites.points, near, strict=True)):
        orbit = _orbit(point, operations, lattice, float(tolerance))
        other, distance = _nearest(orbit[0], blocks, lattice)
        if distance < max(MINIMUM_DISTANCE, tolerance):
            if numbers[other] != sites.numbers[row] or distance > tolerance:
                pair = f"{SYMBOLS[numbers[other]]} and {SYMBOLS[sites.numbers[row]]}"
                raise StructureError(f"overlapping atoms: {pair} are {distance:.3f} A apart")
            warnings.append(f"{sites.labels[row] or f'atom {row + 1}'} repeats an atom and was left out")
            sizes.append(0)
            continue
        blocks.append(orbit)
        numbers += [int(sites.numbers[row])] * len(orbit)
        sizes.append(len(orbit))
        if len(numbers) > MOST_ATOMS:
            raise StructureError(f"too large: the cell has more than {MOST_ATOMS} atoms")
    if len(warnings) > 3:
        warnings = [f"{len(warnings)} rows repeat atoms and were left out"]
    return Cell(np.concatenate(blocks), np.array(numbers), np.array(sizes), tuple(warnings))


def _orbit(point: np.ndarray, o: Operations, lattice: np.ndarray, tolerance: float) -> np.ndarray:
    n = len(o.rotations)
    for _ in range(3):
        images = o.rotations @ point + o.translations
        shift = images - point
        shift -= np.rint(shift)
        distance = np.linalg.norm(shift @ lattice, axis=1)
        stays = distance < tolerance
        if (close := distance[~stays & (distance < MINIMUM_DISTANCE)]).size:
            raise StructureError(f"overlapping atoms: images of one site are {close.min():.3f} A apart")
        if stays.sum() == 1:
            return wrap(images)
        point = point + shift[stays].mean(axis=0)
    images = o.rotations @ point + o.translations
    between = images[:, None] - images
    between -= np.rint(between)
    one = np.linalg.norm(between @ lattice, axis=-1) < 1e-3
    first = one.argmax(axis=1) == np.arange(n)
    if first.sum() * stays.sum() != n:
        raise StructureError(
            "overlapping atoms: a site is too close to a symmetry element to say whether it is on it"
        )
    return wrap(images[first])


def _nearest(point: np.ndarray, blocks: list[np.ndarray], lattice: np.ndarray) -> tuple[int, float]:
    if not blocks:
        return -1, np.inf
    shift = np.concatenate(blocks) - point
    shift -= np.rint(shift)
    square = ((shift @ lattice) ** 2).sum(axis=1)
    nearest = int(square.argmin())
    return nearest, float(np.sqrt(square[nearest]))
