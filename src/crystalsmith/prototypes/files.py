"""Single crystals as sources of templates: files with their exact coordinates, and AFLOW's prototypes."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.crystal.elements import SYMBOLS
from crystalsmith.crystal.io.read import named_crystals
from crystalsmith.crystal.io.sources import open_source
from crystalsmith.data import Dataset, pack
from crystalsmith.data.wyckoff import Occupations
from crystalsmith.errors import CrystalsmithError, DataError
from crystalsmith.prior import KnownCrystals, Prototypes
from crystalsmith.prototypes.records import Record, record_of
from crystalsmith.runs.extras import need
from crystalsmith.runs.pool import Failed


class KnownFile:
    """The crystals of one file, with their exact coordinates.

    Args:
        dataset: the crystals.
        atomic_volume: (119,) Angstrom^3.
        name: of the file.
        hash: of its content.
    """

    kind = "file"

    def __init__(self, dataset: Dataset, atomic_volume: np.ndarray, name: str = "", hash: str = "") -> None:
        self.dataset, self.atomic_volume, self.name, self.hash = dataset, atomic_volume, name, hash
        self._record = lru_cache(maxsize=4096)(self._make)

    @staticmethod
    def open(path: str | os.PathLike[str], atomic_volume: np.ndarray) -> KnownFile:
        """Open a training file of ``data build``, which is quick, or read crystals in any other form.

        Raises:
            DataError: missing, damaged, or without one crystal that can be read.
        """
        source = open_source(path)
        if source.kind == "dataset":
            dataset = Dataset.open(path)
        else:
            found = {n: c for n, c in named_crystals(path).items() if not isinstance(c, Failed)}
            dataset = pack(list(found.values()), list(found))
        if not len(dataset):
            raise DataError(f"{source.label} holds no crystal; give a file with known crystals")
        return KnownFile(dataset, atomic_volume, source.label, source.sha256())

    @cached_property
    def prototypes(self) -> Prototypes:
        """The crystals, row by row."""
        a = self.dataset.arrays
        return Prototypes(
            KnownCrystals.read(Occupations(a["space_group"], a["start"], a["element"], a["wyckoff"]))
        )

    @cached_property
    def systems(self) -> set[frozenset[str]]:
        """Chemical systems of the crystals."""
        known = self.prototypes.known
        found: set[frozenset[str]] = set()
        for _, _, rows in known.by_number_of_elements():
            kinds = np.unique(np.sort(known.element[rows], axis=1), axis=0)
            found |= {frozenset(SYMBOLS[z] for z in own) for own in kinds.tolist()}
        return found

    def of_ratio(self, ratio: tuple[int, ...]) -> Prototypes:
        """All of them."""
        return self.prototypes

    def record(self, prototypes: Prototypes, row: int) -> Record:
        """One crystal, named by its id."""
        return self._record(row)

    def _make(self, row: int) -> Record:
        record = record_of(self.dataset[row], self.atomic_volume, self._ids[row])
        return replace(record, e_above_hull=float(self.dataset.arrays["e_above_hull"][row]))

    @cached_property
    def _ids(self) -> list[str]:
        return self.dataset.ids


class Aflow:
    """The prototypes of the AFLOW library that pymatgen has: Mehl et al., Comput. Mater. Sci. 136, S1 (2017).

    Their symmetry is found when their formula type is asked for.

    Args:
        atomic_volume: (119,) Angstrom^3.

    Raises:
        DataError: pymatgen is not installed.
    """

    kind = "aflow"

    def __init__(self, atomic_volume: np.ndarray) -> None:
        need("AFLOW's prototypes", "pymatgen", error=DataError)
        self.atomic_volume = atomic_volume
        self.of_ratio = lru_cache(maxsize=64)(self._of_ratio)
        self._known: dict[int, tuple[Prototypes, list[Crystal], list[str]]] = {}

    @cached_property
    def hash(self) -> str:
        """Of the names in it."""
        names = sorted(name for own in _aflow().values() for name, _ in own)
        return hashlib.sha256("\n".join(names).encode()).hexdigest()

    def _of_ratio(self, ratio: tuple[int, ...]) -> Prototypes:
        crystals, names = [], []
        for name, structure in _aflow().get(ratio, []):
            try:
                crystals.append(Crystal.from_structure(structure, symprec=0.01))
            except CrystalsmithError:
                continue  # a few are disordered, or written with too few decimals
            names.append(name)
        data = pack(crystals).arrays
        occupied = Occupations(data["space_group"], data["start"], data["element"], data["wyckoff"])
        result = Prototypes(KnownCrystals.read(occupied))
        self._known[id(result)] = result, crystals, names
        return result

    def record(self, prototypes: Prototypes, row: int) -> Record:
        """One of AFLOW's, named as there."""
        _, crystals, names = self._known[id(prototypes)]
        return record_of(crystals[row], self.atomic_volume, names[row])


@lru_cache(maxsize=1)
def _aflow() -> dict[tuple[int, ...], list[tuple[str, Any]]]:
    """Names and structures by the ascending numbers of the reduced formula."""
    try:
        from pymatgen.analysis.prototypes._data import AFLOW_PROTOTYPE_LIBRARY as library
    except ImportError:  # releases before 2025.5
        from pymatgen.analysis.aflow_prototypes import (  # type: ignore[no-redef]
            AFLOW_PROTOTYPE_LIBRARY as library,
        )
    found: dict[tuple[int, ...], list[tuple[str, Any]]] = defaultdict(list)
    for entry in library:
        structure, tags = entry["snl"].structure, entry["tags"]
        numbers = [int(n) for n in structure.composition.element_composition.as_dict().values()]
        divisor = int(np.gcd.reduce(numbers))
        mineral = tags.get("mineral")
        name = f"AFLOW {tags['aflow']}" + (f" ({mineral})" if mineral else "")
        found[tuple(sorted(n // divisor for n in numbers))].append((name, structure))
    return dict(found)
