"""Crystals of a chemical system from the Materials Project, through its own client (mp-api)."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

from crystalsmith.crystal import Crystal
from crystalsmith.data import Dataset, pack
from crystalsmith.errors import CrystalsmithError, HullError
from crystalsmith.runs.extras import install_command

KEY = "MP_API_KEY"
"""Environment variable that holds the user's key."""

SYMPREC = 0.1
"""Tolerance (Angstrom) of the symmetry search, as the Materials Project has it."""


def fetch_system(elements: Sequence[str], max_above_hull: float) -> Dataset:
    """The crystals of a system and of all its subsystems near the Materials Project's hull.

    Args:
        elements: symbols.
        max_above_hull: eV per atom.

    Raises:
        HullError: no key, no client, no answer, or no crystals.
    """
    from itertools import combinations

    if not os.environ.get(KEY):
        raise HullError(f"the Materials Project wants a key; set {KEY} to yours")
    try:
        from mp_api.client import MPRester
    except ImportError:
        command = install_command(["mp_api"])
        raise HullError(f"the Materials Project's client is not installed: {command}") from None
    systems = ["-".join(c) for n in range(1, len(elements) + 1) for c in combinations(sorted(elements), n)]
    try:
        with MPRester(os.environ[KEY]) as client:
            documents = client.materials.summary.search(
                chemsys=systems,
                energy_above_hull=(0, max_above_hull),
                fields=["material_id", "structure", "energy_above_hull"],
            )
    except Exception as error:  # whatever the client and the network make of it
        said = f"{type(error).__name__}: {error}".replace(os.environ[KEY], "...")  # keys stay secret
        reason = " ".join(said.split())[:200]
        raise HullError(f"the Materials Project did not answer ({reason})") from None
    crystals: list[Crystal] = []
    ids: list[str] = []
    above: list[float] = []
    for document in documents:
        crystal = _crystal(document.structure)
        if crystal is not None:
            crystals.append(crystal)
            ids.append(str(document.material_id))
            height = document.energy_above_hull
            above.append(math.nan if height is None else float(height))
    if not crystals:
        raise HullError(f"the Materials Project has no ordered crystal of {'-'.join(elements)}")
    return pack(crystals, ids, e_above_hull=above)


def _crystal(structure: Any) -> Crystal | None:
    try:
        return Crystal.from_structure(structure, symprec=SYMPREC)
    except CrystalsmithError:  # disordered, or of a symmetry that cannot be made out
        return None
