"""Reference phases of the user's: files of ``hull build``, pymatgen's entries as JSON, or a table as CSV."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crystalsmith.crystal import NUMBERS
from crystalsmith.crystal.io.facts import ID_KEYS, first_of
from crystalsmith.crystal.io.json_kinds import WRAPPED, load
from crystalsmith.crystal.io.limits import Limits, read_bounded
from crystalsmith.crystal.io.trees import DAMAGED, unpacked
from crystalsmith.errors import DataError, HullError
from crystalsmith.hull.phases import Phase, References

# What pymatgen and plain Python raise for values that make no sense.
_UNREADABLE = (
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    LookupError,
    ArithmeticError,
    csv.Error,
)
_FORMS = (
    "a file of `crystalsmith hull build`, JSON of pymatgen's entries or of the Materials Project, or a CSV"
    " with the columns formula and energy_per_atom (eV)"
)


def read_entries(path: str | os.PathLike[str], potential: str) -> list[Phase]:
    """Read phases that extend a hull.

    Args:
        path: a file of ``hull build``; JSON, a list of pymatgen's ComputedEntry or PDEntry as dictionaries
            (composition, and energy in eV of that composition) or of an API's answers (``energy_per_atom``);
            or a table with ``formula``, ``energy_per_atom`` and optionally ``id`` and ``potential``, parted
            by ``,``, ``;`` or tabs. Text may be packed.
        potential: whose energies they must be; files that do not say (``potential``, or pymatgen's
            ``run_type``, which names a density functional) are believed.

    Returns:
        The phases, energies in eV per atom.

    Raises:
        HullError: missing, of another form, of another potential, or empty.
    """
    path = Path(path)
    try:
        with path.open("rb") as f:
            head = f.read(4)
        if head == b"PK\x03\x04":
            references = References.open(path)
            _same(path, references.potential, potential)
            return list(references)
        with path.open("rb") as f:
            text = read_bounded(unpacked(f), Limits().document).decode("utf-8-sig")
    except FileNotFoundError:
        raise HullError(f"there is no file of entries {path}") from None
    except (*DAMAGED, UnicodeDecodeError, DataError) as error:
        raise HullError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    if not text.strip():
        found = []
    elif text.lstrip()[0] in "[{":
        found = _from_json(path, text, potential)
    else:
        found = _from_csv(path, text, potential)
    if not found:
        raise HullError(f"{path} holds no entries; give {_FORMS}")
    return found


def _from_json(path: Path, text: str, potential: str) -> list[Phase]:
    try:
        rows = load(text, Limits().nesting)
    except DataError:
        raise HullError(f"{path} is no JSON of entries: it is nested too deeply; give {_FORMS}") from None
    except ValueError as error:
        raise HullError(f"{path} is no JSON ({error}); give {_FORMS}") from None
    if isinstance(rows, Mapping):
        wrapped = [key for key in WRAPPED if key in rows and "composition" not in rows]
        rows = rows[wrapped[0]] if wrapped else [rows]
    if not isinstance(rows, list):
        raise HullError(f"{path} holds no list of entries; give {_FORMS}")
    phases = []
    for n, row in enumerate(rows, 1):
        try:
            composition = row["composition"]
            if isinstance(composition, str):
                counts = _counts(composition)
                atoms = float(_atoms(composition))
            else:
                amounts = {str(e): float(x) for e, x in composition.items() if not e.startswith("@")}
                counts, atoms = _whole(amounts), sum(amounts.values())
            if "energy" not in row and "energy_per_atom" in row:
                energy = float(row["energy_per_atom"])
            else:
                energy = (float(row["energy"]) + float(row.get("correction") or 0)) / atoms
            name = row.get("entry_id") or first_of(row, ID_KEYS) or f"{path.stem}-{n}"
            _same(path, _source(row) or potential, potential)
            phases.append(_phase(str(name), counts, energy))
        except HullError:
            raise
        except _UNREADABLE as error:
            raise HullError(f"{path}, entry {n} cannot be read ({_why(error)}); give {_FORMS}") from None
    return phases


def _from_csv(path: Path, text: str, potential: str) -> list[Phase]:
    first = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=lambda d: len({"formula", "energy_per_atom"} & set(_names(first.split(d)))))
    lines = csv.reader(text.splitlines(), delimiter=delimiter, skipinitialspace=True)
    phases = []
    columns: list[str] = []
    try:
        for line in lines:
            if not columns:
                columns = _names(line)
                if not {"formula", "energy_per_atom"} <= set(columns):
                    raise HullError(f"{path} lacks the columns formula and energy_per_atom; give {_FORMS}")
                continue
            if not any(cell.strip() for cell in line):
                continue
            if len(line) != len(columns):
                raise ValueError(f"{len(line)} columns in place of {len(columns)}")
            row = {name: cell.strip() for name, cell in zip(columns, line, strict=True)}
            _same(path, row.get("potential") or potential, potential)
            name = row.get("id") or f"{path.stem}-{lines.line_num}"
            phases.append(_phase(name, _counts(row["formula"]), float(row["energy_per_atom"])))
    except HullError:
        raise
    except _UNREADABLE as error:
        raise HullError(
            f"{path}, line {lines.line_num} cannot be read ({_why(error)}); mend or remove it"
        ) from None
    return phases


def _names(line: list[str]) -> list[str]:
    return [name.strip().strip('"') for name in line]


def _source(row: Mapping[str, Any]) -> str | None:
    """Whose energy an entry is, where it says so; pymatgen's ``run_type`` names a density functional."""
    for place in (row, row.get("parameters") or {}, row.get("data") or {}):
        for key in ("potential", "run_type"):
            if place.get(key):
                return str(place[key])
    return None


def _why(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__


def _phase(name: str, counts: Mapping[str, int], energy: float) -> Phase:
    unknown = [e for e in counts if e not in NUMBERS]
    if unknown or not counts:
        raise ValueError(f"unknown element {unknown[0]}" if unknown else "no elements")
    if not math.isfinite(energy):
        raise ValueError("an energy that is no number")
    return Phase(name, dict(counts), energy)


def _counts(formula: str) -> dict[str, int]:
    from pymatgen.core import Composition

    return _whole(Composition(formula).as_dict())


def _atoms(formula: str) -> float:
    from pymatgen.core import Composition

    return float(Composition(formula).num_atoms)


def _whole(amounts: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers in the same ratio."""
    from pymatgen.core import Composition

    whole, _ = Composition(dict(amounts)).get_integer_formula_and_factor()
    return {str(e): round(n) for e, n in Composition(whole).items()}


def _same(path: Path, theirs: str, ours: str) -> None:
    if theirs != ours:
        raise HullError(
            f"{path} holds energies of {theirs}, and the hull is of {ours}; energies of different potentials"
            " cannot share a hull"
        )
