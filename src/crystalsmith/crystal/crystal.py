"""The record of one crystal: space group, conventional cell and one site per orbit."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from crystalsmith.crystal.elements import NUMBERS, atomic_number, reduced_formula
from crystalsmith.errors import StructureError, SymmetryError
from crystalsmith.symmetry import SpaceGroup, WyckoffPosition, cell_to_lattice, lattice_family, space_group

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure
    from pymatgen.core import Structure

    from crystalsmith.reports.notebook import View

# How far a cell may be from what its family demands before it is refused; within it the cell is made exact.
LENGTH_TOLERANCE = 1e-3
ANGLE_TOLERANCE = 0.1


@dataclass(frozen=True)
class Site:
    """One orbit of atoms.

    Attributes:
        element: symbol.
        letter: Wyckoff letter in the standard setting.
        free: free parameters u (ITA's x, y, z) of the position's representative, as many as the letter has.
    """

    element: str
    letter: str
    free: tuple[float, ...] = ()


def fit_cell(number: int, cell: Sequence[float]) -> tuple[float, ...]:
    """A cell that obeys its family exactly.

    Args:
        number: space group.
        cell: a, b, c (Angstrom), alpha, beta, gamma (degrees) of the conventional cell.

    Raises:
        SymmetryError: if the cell is further from the family than 0.1 % of a length or 0.1 degree.
        StructureError: if a value is not finite or the volume is not positive.
    """
    try:
        a, b, c, alpha, beta, gamma = (float(x) for x in cell)
    except (TypeError, ValueError):
        raise StructureError(f"a cell is six numbers a, b, c, alpha, beta, gamma; got {cell!r}") from None
    values = (a, b, c, alpha, beta, gamma)
    if not all(math.isfinite(x) for x in values) or min(values) <= 0 or max(alpha, beta, gamma) >= 180:
        raise StructureError(f"cell {_short(values)} has a length or angle that no crystal can have")
    family = lattice_family(number)
    if family == "cubic" and not a == b == c:  # a mean of equal numbers may differ in its last bit
        a = b = c = (a + b + c) / 3
    elif family in ("tetragonal", "hexagonal"):
        a = b = (a + b) / 2
    if family != "triclinic":
        alpha = gamma = 90.0
        if family != "monoclinic":
            beta = 90.0
        if family == "hexagonal":
            gamma = 120.0
    fitted = (a, b, c, alpha, beta, gamma)
    for i, (was, now) in enumerate(zip(values, fitted, strict=True)):
        if abs(was - now) > (LENGTH_TOLERANCE * now if i < 3 else ANGLE_TOLERANCE):
            raise SymmetryError(
                f"cell {_short(values)} does not fit space group {number}: that needs a {family} cell"
                + (" in hexagonal axes" if family == "hexagonal" else "")
            )
    cos = [math.cos(math.radians(x)) for x in fitted[3:]]
    if 1 - sum(x * x for x in cos) + 2 * cos[0] * cos[1] * cos[2] <= 1e-6:
        raise StructureError(f"cell {_short(values)} has no volume")
    return fitted


def _short(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{x:.5g}" for x in values) + ")"


@dataclass(frozen=True)
class Crystal:
    """A crystal in the standard setting of its space group; immutable and hashable.

    Attributes:
        space_group: number.
        cell: a, b, c (Angstrom), alpha, beta, gamma (degrees) of the conventional cell, made exact for the
            lattice family.
        sites: one for each orbit.

    Raises:
        SymmetryError: unknown group or letter, wrong number of free parameters, a letter without freedom
            that is used twice, or a cell of another family.
        StructureError: unknown element, no sites, a value that is not finite, or a cell without volume.
    """

    space_group: int
    cell: tuple[float, ...]
    sites: tuple[Site, ...]

    def __post_init__(self) -> None:
        group = space_group(self.space_group, letters=True)
        object.__setattr__(self, "space_group", group.number)
        object.__setattr__(self, "cell", fit_cell(group.number, self.cell))
        object.__setattr__(self, "sites", tuple(self.sites))
        if not self.sites:
            raise StructureError("a crystal needs at least one site")
        fixed: dict[str, str] = {}
        for site in self.sites:
            if site.element not in NUMBERS:
                atomic_number(site.element)
            position = group.position(site.letter)
            if len(site.free) != position.dof:
                raise SymmetryError(
                    f"Wyckoff letter {site.letter} of space group {group.number} has {position.dof} "
                    f"free parameters; site {site.element} gives {len(site.free)}"
                )
            if not all(math.isfinite(x) for x in site.free):
                raise StructureError(f"site {site.element}:{site.letter} has a coordinate that is not finite")
            if not position.dof:
                if site.letter in fixed:
                    raise SymmetryError(
                        f"Wyckoff letter {site.letter} of space group {group.number} has no freedom and "
                        f"holds one site; both {fixed[site.letter]} and {site.element} are on it"
                    )
                fixed[site.letter] = site.element

    @property
    def group(self) -> SpaceGroup:
        """The space group's operations and Wyckoff positions."""
        return space_group(self.space_group)

    @cached_property
    def positions_of_sites(self) -> tuple[WyckoffPosition, ...]:
        """The Wyckoff position of each site."""
        group = self.group
        return tuple(group.wyckoff[site.letter] for site in self.sites)

    @cached_property
    def lattice(self) -> np.ndarray:
        """(3, 3) conventional lattice, rows a, b, c in Angstrom, in the project's orientation."""
        lattice = cell_to_lattice(self.space_group, np.array(self.cell))
        lattice.setflags(write=False)
        return lattice

    @property
    def primitive_lattice(self) -> np.ndarray:
        """(3, 3) primitive lattice, rows in Angstrom, in the same orientation."""
        return self.group.primitive @ self.lattice

    @property
    def volume(self) -> float:
        """Volume of the conventional cell in Angstrom^3."""
        return float(abs(np.linalg.det(self.lattice)))

    @property
    def n_atoms(self) -> int:
        """Atoms in the primitive cell."""
        return sum(p.multiplicity_primitive for p in self.positions_of_sites)

    @property
    def n_atoms_conventional(self) -> int:
        """Atoms in the conventional cell."""
        return sum(p.multiplicity for p in self.positions_of_sites)

    @property
    def counts(self) -> dict[str, int]:
        """Atoms of each element in the primitive cell."""
        counts: Counter[str] = Counter()
        for site, position in zip(self.sites, self.positions_of_sites, strict=True):
            counts[site.element] += position.multiplicity_primitive
        return dict(counts)

    @property
    def formula(self) -> str:
        """Reduced formula, elements by electronegativity, such as ``SrTiO3``."""
        return reduced_formula(self.counts)

    @property
    def wyckoff(self) -> str:
        """Element and letter of each site, such as ``"Na:a Cl:b"``."""
        return " ".join(f"{site.element}:{site.letter}" for site in self.sites)

    @property
    def anonymous_counts(self) -> tuple[int, ...]:
        """Atoms per element in the reduced formula, ascending: (1, 1, 3) for a perovskite."""
        counts = self.counts.values()
        divisor = math.gcd(*counts)
        return tuple(sorted(count // divisor for count in counts))

    def positions(self, primitive: bool = True) -> tuple[list[str], np.ndarray]:
        """All atoms of a cell, orbit by orbit.

        Args:
            primitive: the primitive cell instead of the conventional one.

        Returns:
            Symbols (n), and coordinates (n, 3) in fractions of that cell, in [0, 1).
        """
        group = self.group
        symbols: list[str] = []
        blocks: list[np.ndarray] = []
        to_primitive = np.linalg.inv(group.primitive)
        for site, position in zip(self.sites, self.positions_of_sites, strict=True):
            points = position.images(np.array(site.free))
            if primitive:
                points = points @ to_primitive
            else:
                points = (points[:, None] + group.centring).reshape(-1, 3)
            blocks.append(points)
            symbols += [site.element] * len(points)
        return symbols, wrap(np.concatenate(blocks))

    def orbit_of_atom(self, primitive: bool = True) -> np.ndarray:
        """(n,) row in ``sites`` of each atom that ``positions`` returns."""
        sizes = [p.multiplicity_primitive if primitive else p.multiplicity for p in self.positions_of_sites]
        return np.repeat(np.arange(len(sizes)), sizes)

    def shortest_distance(self) -> float:
        """Smallest distance between two atoms, or an atom and its own lattice image, in Angstrom."""
        from crystalsmith.crystal.distance import shortest_distance

        return shortest_distance(self.primitive_lattice, self.positions()[1])

    def to_structure(self, primitive: bool = False) -> Structure:
        """The crystal as a pymatgen Structure, conventional cell unless asked for the primitive one."""
        from crystalsmith.crystal.convert import crystal_to_structure

        return crystal_to_structure(self, primitive)

    def to_atoms(self, primitive: bool = True) -> Atoms:
        """The crystal as ASE Atoms, primitive cell unless asked for the conventional one."""
        from crystalsmith.crystal.convert import crystal_to_atoms

        return crystal_to_atoms(self, primitive)

    def view(self, **options: Any) -> View:
        """The crystal as a drawing that can be turned, in a notebook or, by its ``save``, as a page; offline.

        Args:
            options: ``supercell=(2, 2, 1)``, ``polyhedra=True``, ``labels=True`` (names of the sites),
                ``height=420`` (pixels).

        Raises:
            ConfigError: without the extra ``web``, when it is shown.
        """
        from crystalsmith.reports.notebook import view

        return view(self, **options)

    def plot(self) -> Figure:
        """A picture of the conventional cell as a matplotlib Figure; its ``savefig`` writes it."""
        from crystalsmith.reports.notebook import plot

        return plot(self)

    def _repr_html_(self) -> str:
        """What a notebook shows: picture, space group, lattice, sites."""
        from crystalsmith.reports.notebook import crystal_html

        return crystal_html(self)

    def to_cif(self) -> str:
        """CIF text with the symmetry operators of the standard setting and one atom per orbit."""
        from crystalsmith.crystal.io.cif import crystal_to_cif

        return crystal_to_cif(self)

    @staticmethod
    def from_cif(text: str | bytes, symprec: float = 0.01) -> Crystal:
        """Read a CIF.

        A file with the operators of the standard setting and Wyckoff letters keeps its space group and
        sites; the symmetry of any other is determined anew.

        Args:
            text: content of the file; its first crystal is read.
            symprec: tolerance in Angstrom of a symmetry search.

        Raises:
            StructureError: unreadable, contradictory, disordered, or its symmetry cannot be verified.
        """
        from crystalsmith.crystal.io.cif import read_cif

        return read_cif(text)[0].symmetrized(symprec)

    @staticmethod
    def from_structure(structure: Structure | Atoms, symprec: float = 0.01) -> Crystal:
        """Determine the symmetry of a pymatgen Structure or ASE Atoms, in the standard setting.

        Args:
            structure: any cell of the crystal, all atoms given.
            symprec: tolerance in Angstrom; smaller ones are tried when the result cannot be verified.

        Raises:
            StructureError: disordered, empty, overlapping atoms, or its symmetry cannot be verified.
        """
        from crystalsmith.crystal.convert import structure_to_arrays
        from crystalsmith.crystal.standardize import crystal_from_arrays

        return crystal_from_arrays(*structure_to_arrays(structure), symprec)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; ``from_dict`` reads it back exactly."""
        sites = [{"element": s.element, "letter": s.letter, "free": list(s.free)} for s in self.sites]
        return {"space_group": self.space_group, "cell": list(self.cell), "sites": sites}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Crystal:
        """Inverse of ``to_dict``.

        Raises:
            StructureError: a key is missing or of another type.
            SymmetryError: as the constructor.
        """
        try:
            rows, number, cell = data["sites"], data["space_group"], data["cell"]
            sites = tuple(Site(row["element"], row["letter"], tuple(row["free"])) for row in rows)
        except (KeyError, TypeError):
            raise StructureError("not the data of a crystal: it needs space_group, cell and sites") from None
        return Crystal(number, cell, sites)


def wrap(fractional: np.ndarray) -> np.ndarray:
    """Fractional coordinates in [0, 1), rounding noise just below 1 counted as 0."""
    wrapped = fractional - np.floor(fractional)
    return np.where(wrapped > 1 - 1e-10, 0.0, wrapped)
