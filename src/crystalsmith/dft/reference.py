"""Energies of competing phases: from finished calculations, or from a file."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.dft.calculation import Calculation
from crystalsmith.dft.places import WAITING, crystal_folders, read_folder
from crystalsmith.errors import DataError

if TYPE_CHECKING:
    from pymatgen.core import Composition


@dataclass(frozen=True)
class Reference:
    """One competing phase.

    Attributes:
        name: in words.
        composition: pymatgen's.
        energy: eV per atom.
        calculation: where it comes from; None for one of a file, whose settings nobody knows.
    """

    name: str
    composition: Composition
    energy: float
    calculation: Calculation | None = None


def calculated_references(folders: Sequence[Path]) -> tuple[list[Reference], list[str]]:
    """References from all finished calculations in folders.

    Returns:
        The references, and in words why others are none.
    """
    found, notes = [], []
    for folder in folders:
        for place in crystal_folders(folder):
            calculation = read_folder(place)
            if calculation is None:
                notes.append(f"reference {place.name} is {WAITING}")
            elif not calculation.sound:
                notes.append(f"reference {place.name} is left out: {'; '.join(calculation.problems)}")
            else:
                assert calculation.structure is not None and calculation.energy is not None
                composition = calculation.structure.composition.reduced_composition
                found.append(Reference(place.name, composition, calculation.energy, calculation))
    return found, notes


def read_entries(path: Path) -> list[Reference]:
    """References from a file.

    Args:
        path: JSON, a list of pymatgen's ComputedEntry as dictionaries (their uncorrected energies are
            taken), or CSV with the columns ``formula`` and ``energy_per_atom`` (eV) and perhaps ``name``.

    Raises:
        DataError: missing, damaged or without energies.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'not text'}") from None
    references = _from_json(path, text) if text.lstrip()[:1] in ("[", "{") else _from_csv(path, text)
    if not references:
        raise DataError(f"{path} holds no energies; give formula,energy_per_atom rows or pymatgen entries")
    return references


def _from_json(path: Path, text: str) -> list[Reference]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}") from None
    rows = data.get("entries") if isinstance(data, Mapping) else data
    if not isinstance(rows, list):
        raise DataError(f"{path} is not a list of entries; write them with ComputedEntry.as_dict")
    references = []
    for number, row in enumerate(rows, start=1):
        try:
            # The uncorrected energy, whatever pymatgen's class: our own energies have no corrections either.
            composition = _composition(row["composition"])
            energy = float(row["energy"]) / composition.num_atoms
            references.append(_reference(row.get("entry_id"), composition, energy))
        except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
            raise DataError(f"{path}: entry {number} is none ({_reason(error)})") from None
    return references


def _from_csv(path: Path, text: str) -> list[Reference]:
    reader = csv.DictReader(io.StringIO(text))
    if not {"formula", "energy_per_atom"} <= set(reader.fieldnames or ()):
        raise DataError(f"{path} needs the columns formula and energy_per_atom")
    references = []
    for number, row in enumerate(reader, start=2):
        try:
            composition = _composition(row["formula"])
            references.append(_reference(row.get("name"), composition, float(row["energy_per_atom"])))
        except (TypeError, ValueError, ZeroDivisionError) as error:
            raise DataError(f"{path}: line {number} is no reference ({_reason(error)})") from None
    return references


def _composition(value: Any) -> Composition:
    from pymatgen.core import Composition

    composition = Composition(value)
    if composition.num_atoms <= 0:
        raise ValueError("no atoms")
    return composition


def _reference(name: Any, composition: Composition, energy: float) -> Reference:
    if not math.isfinite(energy):
        raise ValueError("the energy is not finite")
    formula = composition.reduced_formula
    return Reference(f"{formula} ({name})" if name else formula, composition.reduced_composition, energy)


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    return (" ".join(str(error).split()) or type(error).__name__)[:100]
