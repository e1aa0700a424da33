"""The batched crystal state that flows through networks and samplers, and what of it never changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from crystalsmith.crystal import Crystal, Site
from crystalsmith.crystal.elements import SYMBOLS, atomic_number
from crystalsmith.errors import StructureError
from crystalsmith.graph.ragged import expand, segment_sum
from crystalsmith.graph.tables import TorchTables, torch_tables
from crystalsmith.symmetry import cell_to_lattice, lattice_to_cell, lattice_to_strain, space_group, tables


@dataclass(frozen=True)
class Layout:
    """What sits where: the part of a batch that noise does not touch.

    B crystals with S orbits and A atoms (in their primitive cells).

    Attributes:
        space_group: (B,) numbers.
        crystal: (S,) crystal of each orbit, ascending.
        wyckoff: (S,) table row of each orbit.
        element: (S,) atomic number.
        volume: (B,) reference volume of the PRIMITIVE cell, Angstrom^3.
        atom_orbit: (A,) orbit of each atom, ascending; atom_op: (A,) the operation that makes it from the
            representative.
        first_atom: (S,) the atom that is the representative itself.
        atoms: (B,) atoms in the primitive cell.
        pair_orbit, pair_atom: (P,) every orbit with every atom of its crystal.
        tables: the symmetry tables on the batch's device and in its dtype.
    """

    space_group: Tensor
    crystal: Tensor
    wyckoff: Tensor
    element: Tensor
    volume: Tensor
    atom_orbit: Tensor
    atom_op: Tensor
    first_atom: Tensor
    atoms: Tensor
    pair_orbit: Tensor
    pair_atom: Tensor
    tables: TorchTables

    @property
    def size(self) -> int:
        """Number of crystals."""
        return len(self.space_group)

    @property
    def free_mask(self) -> Tensor:
        """(S, 3) True where a coordinate of the orbit is free."""
        return self.tables.free_mask[self.wyckoff]

    @property
    def strain_mask(self) -> Tensor:
        """(B, 6) True where the family allows the strain."""
        return self.tables.strain_mask[self.space_group]


def make_layout(
    space_group: Tensor, crystal: Tensor, wyckoff: Tensor, element: Tensor, volume: Tensor
) -> Layout:
    """Work out atoms and pairs; the tensors may lie on any device, the dtype is that of ``volume``."""
    t = torch_tables(volume.device, volume.dtype)
    multiplicity = t.multiplicity[wyckoff]
    atom_orbit, rank = expand(multiplicity)
    atoms = segment_sum(multiplicity, crystal, len(space_group))
    first_of_crystal = torch.cumsum(atoms, 0) - atoms
    pair_orbit, pair_rank = expand(atoms[crystal])
    return Layout(
        space_group=space_group,
        crystal=crystal,
        wyckoff=wyckoff,
        element=element,
        volume=volume,
        atom_orbit=atom_orbit,
        atom_op=t.image_op[t.image_start[wyckoff[atom_orbit]] + rank],
        first_atom=torch.cumsum(multiplicity, 0) - multiplicity,
        atoms=atoms,
        pair_orbit=pair_orbit,
        pair_atom=first_of_crystal[crystal[pair_orbit]] + pair_rank,
        tables=t,
    )


def _matrix_exp(x: Tensor) -> Tensor:
    # torch has a path of its own for a single matrix, 40 times less accurate in single precision.
    return torch.linalg.matrix_exp(torch.cat([x, x]))[:1] if len(x) == 1 else torch.linalg.matrix_exp(x)


@dataclass(frozen=True)
class CrystalBatch:
    """A layout with positions and lattices.

    Attributes:
        layout: what sits where.
        w: (S, 3) torus coordinates of the representatives, zero beyond the orbit's degrees of freedom.
        strain: (B, 6) log-strain around the reference cell.
    """

    layout: Layout
    w: Tensor
    strain: Tensor

    def with_state(self, w: Tensor, strain: Tensor) -> CrystalBatch:
        """The same layout with other positions and lattices."""
        return replace(self, w=w, strain=strain)

    def lattice(self) -> Tensor:
        """(B, 3, 3) conventional lattices, rows, Angstrom."""
        lay, t = self.layout, self.layout.tables
        scale = (lay.volume * t.cells[lay.space_group] / t.reference_volume[lay.space_group]) ** (1 / 3)
        strain = torch.einsum("bk,kij->bij", self.strain, t.strain_basis)
        return scale[:, None, None] * t.reference[lay.space_group] @ _matrix_exp(strain)

    def representative(self) -> Tensor:
        """(S, 3) conventional fractional coordinates of the representatives."""
        lay, t = self.layout, self.layout.tables
        return torch.einsum("sij,sj->si", t.free_basis[lay.wyckoff], self.w) + t.origin[lay.wyckoff]

    def atom_positions(self) -> Tensor:
        """(A, 3) conventional fractional coordinates of the atoms of the primitive cells, not wrapped."""
        lay, t = self.layout, self.layout.tables
        moved = torch.einsum("aij,aj->ai", t.rotations[lay.atom_op], self.representative()[lay.atom_orbit])
        return moved + t.translations[lay.atom_op]


def to_batch(
    crystals: Sequence[Crystal],
    atomic_volume: np.ndarray,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> CrystalBatch:
    """Batch crystals.

    Args:
        crystals: what to batch.
        atomic_volume: (119,) Angstrom^3 by atomic number; sums to the reference volumes of the cells.
        device: where the tensors go.
        dtype: of all that is not an index.

    Raises:
        StructureError: no crystals.
    """
    if not crystals:
        raise StructureError("there is no crystal to batch; give at least one")
    rows, owner, numbers, w, volume, strain = [], [], [], [], [], []
    t = tables()
    for b, c in enumerate(crystals):
        group = space_group(c.space_group)
        v = 0.0
        for site in c.sites:
            position = group.position(site.letter)
            rows.append(position.index)
            owner.append(b)
            numbers.append(atomic_number(site.element))
            padded = np.zeros(3)
            if position.dof:
                padded[: position.dof] = np.linalg.solve(position.period, np.asarray(site.free))
            w.append(padded % 1.0)
            v += atomic_volume[numbers[-1]] * t.multiplicity_primitive[position.index]
        volume.append(v)
        lattice = cell_to_lattice(c.space_group, np.asarray(c.cell))
        strain.append(lattice_to_strain(c.space_group, lattice, v * len(group.centring)))

    def whole(a: list[int]) -> Tensor:
        return torch.tensor(a, dtype=torch.long, device=device)

    def real(a: Sequence[float | np.ndarray]) -> Tensor:
        return torch.tensor(np.asarray(a), dtype=dtype, device=device)

    groups = whole([c.space_group for c in crystals])
    layout = make_layout(groups, whole(owner), whole(rows), whole(numbers), real(volume))
    return CrystalBatch(layout, real(w).reshape(-1, 3), real(strain))


def to_crystals(batch: CrystalBatch) -> list[Crystal]:
    """The batch as Crystal records; free parameters wrapped, cells made to fit their family exactly."""
    lay = batch.layout
    lattice = batch.lattice().double().cpu().numpy()
    w = batch.w.double().cpu().numpy() % 1.0
    rows, owner, numbers = (x.cpu().numpy() for x in (lay.wyckoff, lay.crystal, lay.element))
    t = tables()
    sites: list[list[Site]] = [[] for _ in range(lay.size)]
    for y, b, z, params in zip(rows, owner, numbers, w, strict=True):
        d = t.dof[y]
        free = tuple(float(v) for v in (t.period[y][:d, :d] @ params[:d]) % 1.0)
        letter = "A" if t.letter[y] == 26 else chr(97 + t.letter[y])
        sites[b].append(Site(SYMBOLS[z], letter, free))
    result = []
    for b, number in enumerate(lay.space_group.cpu().numpy()):
        a, b_, c, alpha, beta, gamma = lattice_to_cell(lattice[b]).tolist()
        result.append(Crystal(int(number), (a, b_, c, alpha, beta, gamma), tuple(sites[b])))
    return result
