"""CIF: written with the operators of the standard setting and one atom for each orbit; read back exactly."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from crystalsmith.crystal.convert import structure_to_arrays
from crystalsmith.crystal.crystal import Crystal, Site, wrap
from crystalsmith.crystal.elements import NUMBERS, formula_order
from crystalsmith.crystal.hall import group_keys, hall_symbol, hermann_mauguin, operation_keys
from crystalsmith.crystal.io.records import Record
from crystalsmith.crystal.orbits import locate, orbit_sizes
from crystalsmith.crystal.standardize import check_distances
from crystalsmith.errors import StructureError, SymmetryError
from crystalsmith.symmetry import SpaceGroup, cell_to_lattice, space_group

if TYPE_CHECKING:
    from pymatgen.core import Structure

# A point this near (Angstrom) to the position that a file names is on it: three decimals are enough.
_ON_POSITION = 0.02


def crystal_to_cif(crystal: Crystal) -> str:
    """See ``Crystal.to_cif``."""
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
    return "\n".join(lines) + "\n"


@lru_cache(maxsize=230)
def operators(number: int) -> tuple[str, ...]:
    """All operations of the conventional cell as ``x, y, z`` strings, the identity first."""
    group = space_group(number)
    return tuple(
        ", ".join(_row(row, shift) for row, shift in zip(rotation, translation + centring, strict=True))
        for centring in group.centring
        for rotation, translation in zip(group.rotations, group.translations, strict=True)
    )


def _row(row: np.ndarray, shift: float) -> str:
    signs = zip(row, "xyz", strict=True)
    text = "".join(("+" if value > 0 else "-") + axis for value, axis in signs if value)
    fraction = Fraction(round(24 * float(shift)), 24) % 1
    return text.removeprefix("+") + (f"+{fraction}" if fraction else "")


def read_cif(text: str | bytes) -> list[Record]:
    """One record for each block with atoms; those that cannot be understood hold their reason.

    Raises:
        StructureError: not a CIF, or one without atoms.
    """
    from crystalsmith.crystal.io.sources import _cif_text, split_cif

    if isinstance(text, bytes):
        text = _cif_text(text)
    records = []
    for name, block in split_cif(text):
        try:
            structure = structure_from_cif(block)
            crystal = _read_standard(_first_block(block))
            records.append(Record(name, *structure_to_arrays(structure), crystal=crystal))
        except StructureError as error:
            records.append(Record.failed(name, str(error)))
    return records


def crystal_from_cif(text: str, symprec: float) -> Crystal:
    """See ``Crystal.from_cif``."""
    block = _first_block(text)
    crystal = _read_standard(block)
    return crystal if crystal is not None else Crystal.from_structure(structure_from_cif(text), symprec)


def structure_from_cif(text: str) -> Structure:
    """The first crystal of a CIF as a pymatgen Structure, all atoms of the cell.

    Raises:
        StructureError: unreadable.
    """
    from pymatgen.io.cif import CifParser

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            structures = CifParser.from_str(text).parse_structures(primitive=False, on_error="raise")
        except Exception as error:  # the parser lets errors of every kind through
            raise StructureError(f"unreadable: the CIF cannot be parsed ({_one_line(error)})") from None
    if not structures:
        raise StructureError("unreadable: the CIF holds no crystal")
    return structures[0]


def _one_line(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:120]


def _first_block(text: str) -> dict[str, Any]:
    """Tags, in lower case, of the first data block that has atoms."""
    from pymatgen.io.cif import CifFile

    try:
        blocks = CifFile.from_str(text).data.values()
    except Exception as error:  # as above
        raise StructureError(f"unreadable: not a CIF ({_one_line(error)})") from None
    for block in blocks:
        tags = {key.lower(): value for key, value in block.data.items()}
        if "_atom_site_fract_x" in tags:
            return tags
    raise StructureError("unreadable: the CIF has no atoms with fractional coordinates")


def _read_standard(tags: dict[str, Any]) -> Crystal | None:
    """The crystal of a block in the standard setting with a Wyckoff letter for each site, else None."""
    operations = tags.get("_space_group_symop_operation_xyz", tags.get("_symmetry_equiv_pos_as_xyz"))
    number = tags.get("_space_group_it_number", tags.get("_symmetry_int_tables_number"))
    letters = tags.get("_atom_site_wyckoff_symbol", tags.get("_atom_site_wyckoff_label"))
    if not (operations and number and letters):
        return None
    try:
        group = space_group(str(number))
        if not _is_standard(group, operations):
            return None
        cell = [_number(tags[f"_cell_length_{x}"]) for x in "abc"]
        cell += [_number(tags[f"_cell_angle_{x}"]) for x in ("alpha", "beta", "gamma")]
        points = np.array([[_number(value) for value in tags[f"_atom_site_fract_{x}"]] for x in "xyz"]).T
        elements = [_element(x) for x in tags.get("_atom_site_type_symbol") or tags["_atom_site_label"]]
        occupancy = [_number(x) for x in tags.get("_atom_site_occupancy", ["1"] * len(points))]
        if any(abs(x - 1) > 1e-6 for x in occupancy) or not len(points) == len(elements) == len(letters):
            return None
        lattice = cell_to_lattice(group.number, np.array(cell))
        sizes = orbit_sizes(group, points, lattice, _ON_POSITION)
        sites = []
        for point, element, letter, size in zip(points, elements, letters, sizes, strict=True):
            position = group.position(str(letter)[-1])
            free, distance = locate(position, point, lattice)
            if distance > _ON_POSITION or size != position.multiplicity_primitive:
                return None
            sites.append(Site(element, position.letter, tuple(free.tolist())))
        crystal = Crystal(group.number, tuple(cell), tuple(sites))
    except (KeyError, TypeError, ValueError, np.linalg.LinAlgError, StructureError, SymmetryError):
        return None
    symbols, fractional = crystal.positions()
    check_distances(crystal.primitive_lattice, fractional, np.array([NUMBERS[s] for s in symbols]))
    return crystal


def _is_standard(group: SpaceGroup, operations: list[str] | str) -> bool:
    from pymatgen.core.operations import SymmOp

    if isinstance(operations, str):
        operations = [operations]
    if len(operations) != len(group.rotations) * len(group.centring):
        return False
    matrices = [SymmOp.from_xyz_str(text).affine_matrix for text in operations]
    given = operation_keys([m[:3, :3] for m in matrices], [m[:3, 3] for m in matrices])
    return given == group_keys(group)


def _number(text: str) -> float:
    return float(str(text).split("(")[0])


def _element(text: str) -> str:
    """Symbol of a type such as ``Fe3+`` or a label such as ``O12``."""
    return str(text)[:2] if str(text)[:2] in NUMBERS else str(text)[:1]
