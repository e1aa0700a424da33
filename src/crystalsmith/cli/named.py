"""Crystals of several sources by names that can be files' names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from crystalsmith.errors import DataError

if TYPE_CHECKING:
    from crystalsmith.crystal import Crystal

_LONGEST = 120


def read_named(sources: Sequence[str]) -> dict[str, Crystal | str]:
    """Crystals by name, in the order of their sources; in place of one that cannot be read stands why.

    Names are told apart by more than case, and hold letters, digits and ``_.+-`` only.

    Raises:
        DataError: a source is missing or of no known kind, or not one crystal can be read.
        OutputError: a source is a damaged output folder.
    """
    from crystalsmith.crystal import crystal_from_arrays
    from crystalsmith.errors import CrystalsmithError
    from crystalsmith.evaluation import read_samples

    found: dict[str, Crystal | str] = {}
    taken: set[str] = set()
    for source in sources:
        samples = list(read_samples(source))
        several = {s.id for s in samples if s.index > 0}
        for sample in samples:
            stem = sample.name if sample.id in several else sample.id
            stem = re.sub(r"[^\w.+-]+", "_", stem)[:_LONGEST].strip("._") or "crystal"
            name, k = stem, 1
            while name.casefold() in taken:
                k += 1
                name = f"{stem}-{k}"
            taken.add(name.casefold())
            if sample.arrays is None:
                found[name] = sample.failure
                continue
            a = sample.arrays
            try:
                found[name] = crystal_from_arrays(a.lattice, a.fractional, a.numbers)
            except CrystalsmithError as error:
                found[name] = " ".join(str(error).split())
    if all(isinstance(crystal, str) for crystal in found.values()):
        name, reason = next(iter(found.items()))
        raise DataError(f"no crystal could be read; {name}: {reason}")
    return found
