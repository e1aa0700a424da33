"""The raw symmetry tables as flat arrays: what batched code gathers from.

Made by ``tools/make_symmetry_tables.py`` from PyXtal and spglib; see ``crystalsmith.symmetry`` for the
conventions. ``*_start`` arrays delimit the entries of one space group (row number - 1) or of one Wyckoff
position (its row).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

DENOMINATOR = 24


@dataclass(frozen=True)
class Tables:
    """Flat tables; G = 230 groups, Y = 1731 Wyckoff positions (letter a first within each group).

    Attributes:
        op_start: (G + 2,) operations of group g are rows op_start[g - 1]:op_start[g] of ``rotations``.
        rotations: (O, 3, 3) integer W, one for each coset of the lattice translations; the identity first.
        translations: (O, 3) w, fractional.
        centring_start: (G + 1,) as op_start, for ``centring``.
        centring: (C, 3) lattice translations of the conventional cell in [0, 1).
        primitive: (G + 1, 3, 3) ROWS are the primitive vectors in conventional coordinates; row 0 is unused.
        polar: (G + 1, 3) 1 where the origin is free along that conventional axis.
        wyckoff_start: (G + 1,) Wyckoff rows of group g are wyckoff_start[g - 1]:wyckoff_start[g].
        wyckoff_group: (Y,) space-group number.
        letter: (Y,) 0 for a ... 25 for z, 26 for A (alpha in ITA, group 47).
        multiplicity: (Y,) points in the conventional cell.
        multiplicity_primitive: (Y,) points in the primitive cell.
        dof: (Y,) number d of free parameters.
        basis: (Y, 3, 3) integer; first d columns used.
        origin: (Y, 3) fractional.
        period: (Y, 3, 3) u = period @ w; first d rows and columns used.
        image_start: (Y + 1,) rows of ``image_op`` of one Wyckoff position.
        image_op: operation (row within its group) that makes each distinct point of the primitive cell.
        self_start, self_linear, self_offset: maps w -> linear @ w + offset of torus coordinates onto points
            of the same orbit that lie in the same free space.
        normalizer_start, normalizer_rotations, normalizer_translations: representatives of the Euclidean
            normaliser (generic lattice of the family) modulo the group and modulo shifts along polar axes;
            the identity first.
        map_start, map_to, map_linear, map_offset: row map_start[y] + n says that normaliser element n takes
            position y with coordinates w to position map_to with coordinates map_linear @ w + map_offset.
    """

    op_start: np.ndarray
    rotations: np.ndarray
    translations: np.ndarray
    centring_start: np.ndarray
    centring: np.ndarray
    primitive: np.ndarray
    polar: np.ndarray
    wyckoff_start: np.ndarray
    wyckoff_group: np.ndarray
    letter: np.ndarray
    multiplicity: np.ndarray
    multiplicity_primitive: np.ndarray
    dof: np.ndarray
    basis: np.ndarray
    origin: np.ndarray
    period: np.ndarray
    image_start: np.ndarray
    image_op: np.ndarray
    self_start: np.ndarray
    self_linear: np.ndarray
    self_offset: np.ndarray
    normalizer_start: np.ndarray
    normalizer_rotations: np.ndarray
    normalizer_translations: np.ndarray
    map_start: np.ndarray
    map_to: np.ndarray
    map_linear: np.ndarray
    map_offset: np.ndarray


@lru_cache(maxsize=1)
def tables() -> Tables:
    """Load the tables (once; about 20 ms)."""
    with resources.files("crystalsmith.symmetry").joinpath("tables.npz").open("rb") as f, np.load(f) as z:
        raw = {k: z[k] for k in z.files}
    i64 = {k: v.astype(np.int64) for k, v in raw.items() if v.dtype.kind == "i"}

    def whole24(key: str) -> np.ndarray:
        return i64[key] / DENOMINATOR

    result = Tables(
        op_start=i64["op_start"],
        rotations=i64["rot"],
        translations=whole24("trans"),
        centring_start=i64["cent_start"],
        centring=whole24("cent"),
        primitive=raw["prim"].swapaxes(1, 2).copy(),
        polar=i64["polar"],
        wyckoff_start=i64["wy_start"],
        wyckoff_group=i64["wy_sg"],
        letter=i64["wy_letter"],
        multiplicity=i64["wy_mult"],
        multiplicity_primitive=i64["wy_mult_prim"],
        dof=i64["wy_dof"],
        basis=i64["wy_basis"],
        origin=whole24("wy_origin"),
        period=raw["wy_period"],
        image_start=i64["img_start"],
        image_op=i64["img_op"],
        self_start=i64["self_start"],
        self_linear=i64["self_lin"],
        self_offset=raw["self_off"],
        normalizer_start=i64["norm_start"],
        normalizer_rotations=i64["norm_rot"],
        normalizer_translations=whole24("norm_trans"),
        map_start=i64["map_start"],
        map_to=i64["map_to"],
        map_linear=i64["map_lin"],
        map_offset=raw["map_off"],
    )
    for array in vars(result).values():
        array.setflags(write=False)
    return result


@lru_cache(maxsize=1)
def names() -> dict[str, Any]:
    """Symbols as read from the file.

    ``symbol``, ``full`` and ``point_group`` are lists by number, ``site_symmetry`` by Wyckoff row.
    """
    text = resources.files("crystalsmith.symmetry").joinpath("names.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data
