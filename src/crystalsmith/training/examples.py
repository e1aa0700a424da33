"""Training examples: a data set as tensors, cut into batches, seen in random equivalent descriptions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from crystalsmith.data import Dataset
from crystalsmith.data.volumes import compositions, strains
from crystalsmith.errors import DataError
from crystalsmith.graph import CrystalBatch, Guide, make_layout, torch_tables
from crystalsmith.symmetry import tables
from crystalsmith.training.guides import GuideExamples, Guides

PAIRS = 100
"""Pairs of an orbit and an atom that cost as much as an orbit by itself."""


def torus_coordinates(dataset: Dataset) -> np.ndarray:
    """(s, 3) torus coordinates of all sites, zero beyond their degrees of freedom."""
    a, t = dataset.arrays, tables()
    y = a["wyckoff"].astype(int)
    padded = t.period[y] + np.eye(3) * (np.arange(3) >= t.dof[y][:, None])[:, None, :]
    return np.asarray(np.linalg.solve(padded, a["free"].astype(float)[:, :, None])[:, :, 0] % 1.0)


class Examples:
    """A data set held as tensors of its clean states, on one device.

    Args:
        dataset: the crystals.
        atomic_volume: (119,) Angstrom^3 by atomic number.
        device: where the tensors go.
        guides: known crystals to go by, if there are any.

    Raises:
        DataError: if the data set is empty, or the guides are of other crystals.

    Attributes:
        orbits: (n,) number of orbits of each crystal.
        strain: (n, 6) around the reference cells of ``atomic_volume``.
        guides: of the crystals; None for none.
    """

    def __init__(
        self,
        dataset: Dataset,
        atomic_volume: np.ndarray,
        device: str | torch.device = "cpu",
        guides: Guides | None = None,
    ) -> None:
        if len(dataset) == 0:
            raise DataError(
                "the data set holds no crystal that may be used; raise max_atoms or build it anew"
            )
        a = dataset.arrays
        y = a["wyckoff"].astype(int)
        w = torus_coordinates(dataset)
        reference = compositions(dataset) @ atomic_volume
        self.device = torch.device(device)

        def put(x: np.ndarray, dtype: torch.dtype) -> Tensor:
            return torch.tensor(x, dtype=dtype, device=self.device)

        self.space_group = put(a["space_group"].astype(np.int64), torch.long)
        self.start = put(np.asarray(a["start"]), torch.long)
        self.orbits = put(np.diff(a["start"]), torch.long)
        self.cost = np.diff(a["start"]) * (1 + a["atoms"] / PAIRS)
        self.wyckoff = put(y, torch.long)
        self.element = put(a["element"].astype(np.int64), torch.long)
        self.w = put(w, torch.float32)
        self.volume = put(reference, torch.float32)
        self.strain = put(strains(dataset, reference), torch.float32)
        self.guides = None if guides is None else GuideExamples(guides, dataset, atomic_volume, device)

    def __len__(self) -> int:
        return len(self.space_group)

    def batch(self, index: Tensor) -> CrystalBatch:
        """The crystals of these rows (B,) as one batch."""
        counts = self.orbits[index]
        owner = torch.repeat_interleave(torch.arange(len(index), device=self.device), counts)
        first = torch.cumsum(counts, 0) - counts
        rows = self.start[index][owner] + torch.arange(len(owner), device=self.device) - first[owner]
        layout = make_layout(
            self.space_group[index], owner, self.wyckoff[rows], self.element[rows], self.volume[index]
        )
        return CrystalBatch(layout, self.w[rows], self.strain[index])

    def share(self, index: Tensor, part: int, parts: int) -> Tensor:
        """The rows of a batch that fall to one of several processes: some of every size for each of them."""
        if parts == 1:
            return index
        order = np.argsort(-self.cost[index.cpu().numpy()], kind="stable")
        return index[torch.as_tensor(order, device=index.device)][part::parts]

    def epochs(self, orbits: int, seed: int, crystals: int = 0, even: int = 0) -> Iterator[Tensor]:
        """Rows of one batch after another, for ever; epochs are shuffled.

        Batches are filled up to ``orbits``, or hold ``crystals`` where that is not 0. A crystal of n sites is
        in an epoch with the chance ``even`` / n where that is less than 1, and always if ``even`` is 0.
        """
        counts = self.orbits.cpu().numpy()
        epoch = 0
        while True:
            rng = np.random.default_rng([seed, epoch])
            order = rng.permutation(len(counts))
            if even:
                order = order[rng.random(len(order)) * counts[order] < even]
            owner = np.arange(len(order)) // crystals if crystals else np.cumsum(self.cost[order]) // orbits
            for part in np.split(order, np.flatnonzero(np.diff(owner)) + 1):
                yield torch.tensor(part, device=self.device)
            epoch += 1


def equivalent(batch: CrystalBatch, generator: torch.Generator) -> CrystalBatch:
    """The same crystals in a random equivalent description: an element of the Euclidean normaliser, and a
    shift along polar axes.

    The lattice does not change, Wyckoff letters may.
    """
    return equivalent_with(batch, None, generator)[0]


def equivalent_with(
    batch: CrystalBatch, guide: Guide | None, generator: torch.Generator
) -> tuple[CrystalBatch, Guide | None]:
    """``equivalent`` of a batch together with its guide, which turns and shifts along."""
    lay, t = batch.layout, batch.layout.tables
    device = batch.w.device
    uniform = torch.rand(lay.size, 4, generator=generator).to(device)
    element = (uniform[:, 0] * t.normalizer_count[lay.space_group]).long()
    row = t.map_start[lay.wyckoff] + element[lay.crystal]
    wyckoff = t.map_to[row]
    shift = (uniform[:, 1:] * t.polar[lay.space_group])[lay.crystal]
    shift = torch.einsum("sij,sj->si", pseudo_inverse(device, batch.w.dtype)[wyckoff], shift)

    def moved(w: Tensor) -> Tensor:
        w = torch.einsum("sij,sj->si", t.map_linear[row], w) + t.map_offset[row] + shift
        return torch.remainder(w, 1.0) * t.free_mask[wyckoff]

    layout = make_layout(lay.space_group, lay.crystal, wyckoff, lay.element, lay.volume)
    turned = None if guide is None else replace(guide, w=moved(guide.w))
    return CrystalBatch(layout, moved(batch.w), batch.strain), turned


@lru_cache(maxsize=8)
def pseudo_inverse(device: torch.device, dtype: torch.dtype) -> Tensor:
    """(1731, 3, 3) w from a displacement that lies in the free space."""
    return torch.linalg.pinv(torch_tables(device, dtype).free_basis)
