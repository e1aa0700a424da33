"""Which operations a CIF can mean: those it lists, and those of the settings that it names."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import gemmi
import numpy as np

from crystalsmith.crystal.hall import OperationKeys, operation_keys
from crystalsmith.crystal.io.cif_text import Block
from crystalsmith.errors import StructureError
from crystalsmith.symmetry.settings import Setting, setting_of_hall, settings_named

LISTED = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_symmetry_equiv_position_as_xyz",
    "_space_group_symop_magn_operation_xyz",
)
CENTRINGS = ("_space_group_symop_magn_centering_xyz",)
SYMBOLS = (
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_h-m_full",
    "_space_group_name_h-m_ref",
    "_space_group_name_h-m",
)
HALLS = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
NUMBERS = ("_space_group_it_number", "_symmetry_int_tables_number", "_space_group_int_tables_number")
CODES = ("_space_group_it_coordinate_system_code",)
MODULATED = ("_cell_modulation_dimension", "_cell_wave_vector_seq_id", "_cell_wave_vector_x")


@dataclass(frozen=True, eq=False)
class Operations:
    """All operations of a conventional cell, centring included.

    Attributes:
        rotations: (n, 3, 3) integers W.
        translations: (n, 3) w, multiples of 1/24.
        number: of the space group, 0 if unknown.
        where: what of the CIF gives them, in words.
    """

    rotations: np.ndarray
    translations: np.ndarray
    number: int
    where: str

    @property
    def keys(self) -> OperationKeys:
        """The operations as a set that can be compared."""
        return operation_keys(self.rotations, self.translations)

    def fits(self, metric: np.ndarray, tolerance: float) -> bool:
        """Whether they leave lengths and angles as they are, relative to the axes' lengths."""
        moved = np.einsum("nki,kl,nlj->nij", self.rotations, metric, self.rotations)
        length = np.sqrt(np.diag(metric))
        return bool((np.abs(moved - metric) / np.outer(length, length)).max() < tolerance)


@dataclass(frozen=True, eq=False)
class Possible:
    """What a block says of its symmetry.

    Attributes:
        operations: what it can mean, the likeliest first.
        proof: why it counts only if sum formula and Z, or the like, bear it out; empty if it is certain.
        number: the group that is named, 0 if none or several are.
        warnings: what is odd but settled.
    """

    operations: list[Operations]
    proof: str = ""
    number: int = 0
    warnings: tuple[str, ...] = ()


def possible_operations(block: Block) -> Possible:
    """What the operations of a block can be.

    Raises:
        StructureError: modulated, unreadable, or names that contradict each other or that nothing is called.
    """
    if any(block.one(tag) not in ("", "0") for tag in MODULATED) or any("_ssg_" in tag for tag in block.tags):
        raise StructureError("modulated: the structure is incommensurate and has no three-dimensional cell")
    listed = _listed(block)
    try:
        named, proof, warnings = _named(block)
    except StructureError as error:
        if not any(len(o.rotations) > 1 for o in listed):
            raise
        named, proof, warnings = [], "", [str(error)]
    numbers = {s.number for s in named}
    number = numbers.pop() if len(numbers) == 1 else 0
    whole = [o for o in listed if len(o.rotations) > 1]
    if whole:
        return _of_listed(whole, named, number, warnings)
    found = list({o.keys: o for s in named if s.hall for o in (of_setting(s),)}.values())
    if named and not found:
        symbol = named[0].symbols[0]
        raise StructureError(
            f"unknown symmetry: the CIF lists no operators, and no table has those of {symbol}"
        )
    if found and listed and number != 1:
        found.append(identity())
        proof = "it names a space group but lists only x,y,z"
    if not found:
        found = [identity()]
        proof = "" if listed else "it states neither operators nor a space group"
    return Possible(found, proof, number, tuple(warnings))


def _of_listed(whole: list[Operations], named: list[Setting], number: int, warnings: list[str]) -> Possible:
    proof = ""
    found = list({o.keys: o for o in whole}.values())
    if len(found) > 1:
        proof = "it lists two different sets of operators"
    for operations in found:
        if not _closed(operations):
            proof = "its operators are no group"
    kinds = {o.number for o in found}
    # P 1 beside operators is what programs write that know no symbols.
    if number > 1 and not proof and kinds != {number} and 0 not in kinds:
        proof = f"it names space group {number} and lists the operators of {kinds.pop()}"
    if proof:
        found = [o for o in found if _closed(o)] + [of_setting(s) for s in named if s.hall]
        found = list({o.keys: o for o in found}.values())
        if not found:
            raise StructureError("contradiction: the operators that the CIF lists are no group")
    else:
        number = next(iter(kinds))
    return Possible(found, proof, number, tuple(warnings))


def _listed(block: Block) -> list[Operations]:
    centrings = tuple(x for values in block.all(*CENTRINGS) for x in values if x)
    found = []
    for values in block.all(*LISTED):
        texts = tuple(x for x in values if x)
        if any(x.rstrip().endswith(",") for x in texts):  # "x, y, z" without quotes
            texts = tuple(re.sub(r"\s", "", x) for x in re.findall(r"[^,]+,[^,]+,\S+", "\n".join(texts)))
        if not texts:
            raise StructureError("unreadable: the CIF's symmetry operators are none")
        found.append(parse_operators(texts, centrings))
    return found


@lru_cache(maxsize=1024)
def parse_operators(texts: tuple[str, ...], centrings: tuple[str, ...] = ()) -> Operations:
    """Operations of ``x,y,z`` strings; ``,+1`` and ``,-1`` of magnetic groups are left aside.

    Raises:
        StructureError: one that is none.
    """
    rotations, translations = _affine(texts)
    if centrings:
        turns, shifts = _affine(centrings)
        translations = (np.einsum("cij,nj->cni", turns, translations) + shifts[:, None]).reshape(-1, 3)
        rotations = np.einsum("cij,njk->cnik", turns, rotations).reshape(-1, 3, 3)
    both = np.hstack([rotations.reshape(-1, 9), np.rint(24 * translations).astype(int) % 24])
    _, first = np.unique(both, axis=0, return_index=True)
    first.sort()
    found = Operations(rotations[first], translations[first] % 1.0, 0, "the operators listed")
    return replace(found, number=_group_number(found))


def _affine(texts: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    rotations, translations = [], []
    for text in texts:
        plain = re.sub(r"^\s*\d+\s+(?=[-+\d.]*\s*[xyzXYZ\d])", "", text)
        plain = re.sub(r",\s*[-+]1\s*$", "", plain) if plain.count(",") == 3 else plain
        try:
            plain = re.sub(r"\d*\.\d*", _as_fraction, re.sub(r"[\s'\"]", "", plain))
            plain = re.sub(r"(\d)(?=[xyzXYZ])", r"\1*", plain)  # 2x, of cells doubled along one axis
            op = gemmi.Op(plain)
        except (RuntimeError, ValueError):
            raise StructureError(f"unreadable: {text[:40]!r} is no symmetry operator") from None
        rotation = np.array(op.rot) / op.DEN
        if (rotation != np.rint(rotation)).any() or abs(round(float(np.linalg.det(rotation)))) != 1:
            raise StructureError(f"unreadable: {text[:40]!r} is no symmetry operator")
        rotations.append(np.rint(rotation).astype(int))
        translations.append(np.array(op.tran) / op.DEN)
    return np.array(rotations), np.array(translations)


def _as_fraction(match: re.Match[str]) -> str:
    """0.3333 as 1/3: operators have 24ths alone."""
    value = float(match[0])
    nearest = Fraction(round(24 * value), 24)
    if abs(value - nearest) > 0.006:
        raise ValueError(match[0])
    return str(nearest)


def _named(block: Block) -> tuple[list[Setting], str, list[str]]:
    """Settings that fit all names of the block, why they need proof, warnings.

    Raises:
        StructureError: a name that nothing has, or names of different groups.
    """
    code, number = block.one(*CODES), re.sub(r"\.0*$", "", block.one(*NUMBERS))
    symbols = [block.one(tag) for tag in SYMBOLS if block.one(tag)]
    halls = [block.one(tag) for tag in HALLS if block.one(tag)]
    known = [found for name in symbols if (found := settings_named(name, code))]
    known += [(s,) for name in halls if (s := setting_of_hall(name))]
    of_number = settings_named(number, code) if number else ()
    if number and not of_number:
        raise StructureError(f"unknown symmetry: there is no space group {number[:20]!r}")
    if not known:
        if (symbols or halls) and len(of_number) != 1:
            name = (symbols or halls)[0][:40]
            raise StructureError(
                f"unknown symmetry: the CIF lists no operators and nothing is called {name!r}"
            )
        # A number alone means the setting of the tables; of origins and axes there is no such rule.
        usual = [s for s in of_number if code or s.ours or s.choice in ("1", "2", "R")]
        return usual, "", []
    numbers = [{s.number for s in found} for found in (*known, of_number) if found]
    if not set.intersection(*numbers):
        meant = " and ".join(str(n) for n in sorted(set.union(*numbers)))
        raise StructureError(f"contradiction: the CIF names the space groups {meant}")
    every = list(dict.fromkeys(s for found in known for s in found if not number or s in of_number))
    common = [s for s in every if all(s in found for found in known)]
    return (common, "", []) if common else (every, "its names are those of different settings", [])


@lru_cache(maxsize=1)
def identity() -> Operations:
    """P 1."""
    return Operations(np.eye(3, dtype=int)[None], np.zeros((1, 3)), 1, "x,y,z alone")


@lru_cache(maxsize=600)
def of_setting(setting: Setting) -> Operations:
    """The operations that a setting's Hall symbol stands for."""
    operations = list(gemmi.symops_from_hall(setting.hall))
    rotations = np.array([np.rint(np.array(o.rot) / o.DEN) for o in operations]).astype(int)
    translations = np.array([np.array(o.tran) / o.DEN for o in operations])
    name = setting.symbols[0] + (f" :{setting.choice}" if setting.choice in ("1", "2", "H", "R") else "")
    return Operations(rotations, translations % 1.0, setting.number, name)


@lru_cache(maxsize=1024)
def _closed(o: Operations) -> bool:
    keys = o.keys
    if len(keys) != len(o.rotations) or len(keys) > 384:
        return False
    turns = np.einsum("aij,bjk->abik", o.rotations, o.rotations).reshape(-1, 9)
    shifts = np.einsum("aij,bj->abi", o.rotations, o.translations) + o.translations[:, None]
    both = np.hstack([turns, np.rint(24 * shifts).astype(int).reshape(-1, 3) % 24])
    return bool(len(np.unique(both, axis=0)) == len(keys))


def _group_number(o: Operations) -> int:
    """Number of the space group of a set of operations, 0 if it cannot be told."""
    if not _closed(o):
        return 0
    rows = [gemmi.Op(triplet(w, v)) for w, v in zip(o.rotations, o.translations, strict=True)]
    found: Any = gemmi.find_spacegroup_by_ops(gemmi.GroupOps(rows))
    if found is not None:
        return int(found.number)
    import spglib

    try:
        found = spglib.get_spacegroup_type_from_symmetry(o.rotations, o.translations)
    except Exception:  # spglib's own error classes differ between versions
        return 0
    return int(found.number) if found else 0


def triplet(rotation: np.ndarray, translation: np.ndarray) -> str:
    """An operation as ``x, y, z`` text, translations in [0, 1)."""
    parts = []
    for row, shift in zip(rotation.tolist(), translation.tolist(), strict=True):
        text = "".join(
            ("+" if value > 0 else "-") + axis for value, axis in zip(row, "xyz", strict=True) if value
        )
        fraction = Fraction(round(24 * shift), 24) % 1
        parts.append(text.removeprefix("+") + (f"+{fraction}" if fraction else ""))
    return ", ".join(parts)
