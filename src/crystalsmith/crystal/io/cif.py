"""CIF: read block by block, understood or left out with its reason; written so that it is read back exactly.

Of our own CIFs, and of others in the standard setting that state Wyckoff letters, group, letters and numbers
are kept. Of all others every atom of the cell is given, and the symmetry search has the rest.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import lru_cache
from typing import Any

import numpy as np

from crystalsmith.crystal.crystal import Crystal, Site, wrap
from crystalsmith.crystal.elements import SYMBOLS, formula_order
from crystalsmith.crystal.hall import group_keys, hall_symbol, hermann_mauguin
from crystalsmith.crystal.io.cif_atoms import (
    Cell,
    Sites,
    fill_cell,
    has_atoms,
    number,
    read_formula,
    read_sites,
)
from crystalsmith.crystal.io.cif_symmetry import Operations, possible_operations, triplet
from crystalsmith.crystal.io.cif_text import Block, read_blocks
from crystalsmith.crystal.io.records import Record
from crystalsmith.crystal.orbits import locate
from crystalsmith.errors import StructureError, SymmetryError
from crystalsmith.symmetry import cell_to_lattice, space_group

# A point this near (Angstrom) to the position that a letter names is on it: three decimals are enough.
_ON_POSITION = 0.02
# How far lengths (relative) and cosines may be from what the operations demand.
_METRIC = 4e-3
# Cells with more atoms are not compared pair by pair.
_MOST_COMPARED = 3000


def read_cif(text: str | bytes) -> list[Record]:
    """One record for each block with atoms; those that cannot be understood hold their reason.

    Args:
        text: content of the file; bytes may be of any encoding in use.

    Returns:
        At least one record: where no block has atoms, one that says so.
    """
    blocks = read_blocks(text)
    found = [block for block in blocks if has_atoms(block)]
    if not found:
        return [Record.failed("", "unreadable: the CIF has no atoms with coordinates")]
    return [_record(block) for block in found]


def _record(block: Block) -> Record:
    try:
        if block.fault:
            raise StructureError(block.fault)
        return _understand(block)
    except StructureError as error:
        return Record.failed(block.name, str(error), warnings=block.warnings)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:  # a block costs no other block
        reason = " ".join(f"{type(error).__name__} {error}".split())[:120]
        return Record.failed(block.name, f"unreadable: {reason}", warnings=block.warnings)


def _understand(block: Block) -> Record:
    formula = read_formula(block.one("_chemical_formula_sum"))
    metric = _metric(block)
    possible = possible_operations(block)
    sites = read_sites(block, formula)
    fitting = [o for o in possible.operations if o.fits(metric, _METRIC)]
    if not fitting:
        raise StructureError(f"contradiction: the cell does not fit {possible.operations[0].where}")
    readings, reason = [], ""
    for operations in fitting:
        try:
            readings.append(_Reading(operations, sites, metric, formula, block))
        except StructureError as error:
            reason = reason or str(error)
    if not readings:
        raise StructureError(reason)
    chosen = _choose(readings, possible.proof or sites.proof)
    odd = (
        ("the multiplicities that it states are not those that were read",)
        if chosen.as_stated is False
        else ()
    )
    number_of = chosen.operations.number
    named = number_of if number_of > 1 else possible.number
    return Record(
        block.name,
        chosen.lattice,
        chosen.cell.fractional,
        chosen.cell.numbers,
        # P 1 is what programs write that know no symmetry.
        space_group=named if named > 1 else 0,
        crystal=_stated(block, sites, chosen, named),
        warnings=(*block.warnings, *possible.warnings, *sites.warnings, *chosen.cell.warnings, *odd),
    )


class _Reading:
    """The atoms that a block means if its symmetry is of certain operations, and what speaks for it."""

    def __init__(
        self,
        operations: Operations,
        sites: Sites,
        metric: np.ndarray,
        formula: dict[str, float],
        block: Block,
    ) -> None:
        self.operations = operations
        turned = np.einsum("nki,kl,nlj->nij", operations.rotations, metric, operations.rotations)
        self.lattice = np.linalg.cholesky(turned.mean(axis=0))
        self.cell: Cell = fill_cell(sites, operations, self.lattice)
        self.fault, self.proven = _against_formula(self.cell, formula, block.one("_cell_formula_units_z"))
        stated = sites.multiplicities
        self.as_stated = None if stated is None else bool((stated == self.cell.sizes).all())

    def has_atoms_of(self, other: _Reading) -> bool:
        """Whether two readings are the same atoms in the same places."""
        mine, theirs = self.cell.numbers, other.cell.numbers
        if len(mine) > _MOST_COMPARED or not np.array_equal(np.sort(mine), np.sort(theirs)):
            return False
        difference = self.cell.fractional[:, None] - other.cell.fractional
        difference -= np.rint(difference)
        distance = np.linalg.norm(difference @ self.lattice, axis=-1)
        distance[mine[:, None] != theirs] = np.inf
        return bool(distance.min(axis=0).max() < _ON_POSITION and distance.min(axis=1).max() < _ON_POSITION)


def _choose(readings: list[_Reading], proof: str) -> _Reading:
    """The reading that is certain.

    Raises:
        StructureError: none or several are, and why.
    """
    sound = [r for r in readings if not r.fault]
    if not sound:
        raise StructureError(readings[0].fault)
    if len(sound) == 1 and not proof:
        return sound[0]
    proven = [r for r in sound if r.proven] or [
        r for r in sound if r.as_stated and len(r.operations.rotations) > 1
    ]
    if len(proven) > 1 and any(r.as_stated for r in proven):
        proven = [r for r in proven if r.as_stated]
    if proven and all(r.has_atoms_of(proven[0]) for r in proven[1:]):
        return proven[0]
    if proof:
        raise StructureError(
            f"contradiction: {proof}, and sum formula and Z do not {'decide' if proven else 'bear one out'}"
        )
    left = proven or sound
    if 3 <= left[0].operations.number <= 15:  # a short symbol means the unique axis b
        return left[0]
    meant = " or ".join(r.operations.where for r in left)
    raise StructureError(f"ambiguous: the CIF can mean {meant}; state the operators or the choice")


def _against_formula(cell: Cell, formula: dict[str, float], units: str) -> tuple[str, bool]:
    """What of the sum formula and Z contradicts the atoms, else empty, and whether both bear them out."""
    if not formula:
        return "", False
    counts = Counter(SYMBOLS[z] for z in cell.numbers.tolist())
    missing, more = formula.keys() - counts.keys(), counts.keys() - formula.keys()
    if missing:
        return f"incomplete: no site holds the {', '.join(sorted(missing))} of the sum formula", False
    if more:
        return f"contradiction: the sum formula has no {', '.join(sorted(more))}", False
    per_unit = {s: counts[s] / formula[s] for s in counts}
    least, most = min(per_unit.values()), max(per_unit.values())
    shown = " ".join(f"{s}{counts[s]}" for s in sorted(counts))
    if most > least * 1.01:
        return f"contradiction: the sites make {shown}, which is not the sum formula", False
    z = number(units)[0] if units else 0.0
    whole = all(f == round(f) for f in formula.values())
    divisor = math.gcd(*(round(f) for f in formula.values())) if whole else 1
    if not z:
        return "", abs(least - 1) < 0.01 and divisor > 1
    # Some programs write the whole cell as the sum formula, and its greatest divisor as Z.
    if abs(least - z) > 0.01 * z and not (abs(least - 1) < 0.01 and z >= 1 and divisor % round(z) == 0):
        return f"contradiction: the sites make {shown}, which is not {z:g} times the sum formula", False
    return "", True


def _metric(block: Block) -> np.ndarray:
    """(3, 3) scalar products of the axes; angles that are not stated are right, as the dictionary has it."""
    lengths = [number(block.one(f"_cell_length_{x}") or "none")[0] for x in "abc"]
    angles = [number(block.one(f"_cell_angle_{x}") or "90")[0] for x in ("alpha", "beta", "gamma")]
    if min(lengths) <= 0 or not 0 < min(angles) <= max(angles) < 180:
        raise StructureError("unreadable: the cell has a length or angle that no crystal can have")
    cos = [math.cos(math.radians(x)) if x != 90 else 0.0 for x in angles]
    cosines = np.array([[1, cos[2], cos[1]], [cos[2], 1, cos[0]], [cos[1], cos[0], 1]])
    if np.linalg.det(cosines) < 1e-6:
        raise StructureError("flat cell: the cell's angles leave no volume")
    volume = math.prod(lengths) * math.sqrt(np.linalg.det(cosines))
    stated = block.one("_cell_volume")
    if stated and abs(number(stated)[0] - volume) > 0.02 * volume:
        raise StructureError(
            f"contradiction: the cell has {volume:.1f} A^3 and is said to have {stated[:20]}"
        )
    return np.outer(lengths, lengths) * cosines


def _stated(block: Block, sites: Sites, reading: _Reading, named: int) -> Crystal | None:
    """The crystal of a block in the standard setting with a Wyckoff letter for each site, else None."""
    operations = reading.operations
    if not (named and sites.letters and reading.cell.sizes.all()):
        return None
    try:
        group = space_group(named)
        if operations.keys != group_keys(group):
            return None
        cell = [number(block.one(f"_cell_length_{x}"))[0] for x in "abc"]
        cell += [number(block.one(f"_cell_angle_{x}") or "90")[0] for x in ("alpha", "beta", "gamma")]
        lattice = cell_to_lattice(group.number, np.array(cell))
        found = []
        for z, point, letter, size in zip(
            sites.numbers, sites.points, sites.letters, reading.cell.sizes, strict=True
        ):
            position = group.position(letter[-1])
            free, distance = locate(position, point, lattice)
            if distance > _ON_POSITION or size != position.multiplicity:
                return None
            found.append(Site(SYMBOLS[z], position.letter, tuple(free.tolist())))
        return Crystal(group.number, tuple(cell), tuple(found))
    except (StructureError, SymmetryError):
        return None


def crystal_to_cif(crystal: Crystal, **extra: Any) -> str:
    """See ``Crystal.to_cif``; ``extra`` becomes tags of our own, such as ``_crystalsmith_energy``."""
    group = crystal.group
    counts: Counter[str] = Counter()
    for site, position in zip(crystal.sites, crystal.positions_of_sites, strict=True):
        counts[site.element] += position.multiplicity
    units = math.gcd(*counts.values())
    total = " ".join(f"{s}{n}" for s, n in sorted(counts.items(), key=lambda item: formula_order(item[0])))
    a, b, c, alpha, beta, gamma = crystal.cell
    lines = [
        f"data_{crystal.formula}",
        f"_chemical_formula_structural   {crystal.formula}",
        f"_chemical_formula_sum          '{total}'",
        f"_cell_length_a                 {a:.8f}",
        f"_cell_length_b                 {b:.8f}",
        f"_cell_length_c                 {c:.8f}",
        f"_cell_angle_alpha              {alpha:.8f}",
        f"_cell_angle_beta               {beta:.8f}",
        f"_cell_angle_gamma              {gamma:.8f}",
        f"_cell_volume                   {crystal.volume:.8f}",
        f"_cell_formula_units_Z          {units}",
        f"_space_group_IT_number         {group.number}",
        f"_space_group_name_H-M_alt      '{hermann_mauguin(group.number)}'",
        f"_space_group_name_Hall         '{hall_symbol(group.number)}'",
        "",
        "loop_",
        "_space_group_symop_id",
        "_space_group_symop_operation_xyz",
    ]
    lines += [f"{i} '{xyz}'" for i, xyz in enumerate(operators(group.number), start=1)]
    lines += ["", "loop_"]
    lines += [f"_atom_site_{x}" for x in ("label", "type_symbol", "symmetry_multiplicity", "Wyckoff_symbol")]
    lines += [f"_atom_site_{x}" for x in ("fract_x", "fract_y", "fract_z", "occupancy")]
    label: Counter[str] = Counter()
    for site, position in zip(crystal.sites, crystal.positions_of_sites, strict=True):
        label[site.element] += 1
        # Twelve decimals: 1/3 and the free parameters are read back as good as exact.
        x, y, z = (f"{value:.12f}" for value in wrap(position.position(np.array(site.free))))
        name = f"{site.element}{label[site.element]}"
        lines.append(f"{name} {site.element} {position.multiplicity} {site.letter} {x} {y} {z} 1.0")
    lines += [f"_crystalsmith_{key} {_quoted(value)}" for key, value in extra.items()]
    return "\n".join(lines) + "\n"


def _quoted(value: Any) -> str:
    text = " ".join(str(value).split()).encode("ascii", errors="replace").decode()
    return f"'{text}'" if "'" not in text else f"\n;{text}\n;"


@lru_cache(maxsize=230)
def operators(number: int) -> tuple[str, ...]:
    """All operations of the conventional cell as ``x, y, z`` strings, the identity first."""
    group = space_group(number)
    return tuple(
        triplet(rotation, translation + centring)
        for centring in group.centring
        for rotation, translation in zip(group.rotations, group.translations, strict=True)
    )
