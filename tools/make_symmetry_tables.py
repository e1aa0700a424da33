"""Write ``src/crystalsmith/symmetry/tables.npz`` and ``names.json`` from PyXtal and spglib.

Run when PyXtal corrects a table: ``pip install 'crystalsmith[tables]'``, then this file. The conventions are
those of ``crystalsmith.symmetry``; translations are stored as integers over 24.
"""

from __future__ import annotations

import itertools
import json
from functools import cache
from pathlib import Path

import numpy as np
import spglib
from pyxtal.symmetry import Group

OUT = Path(__file__).parents[1] / "src" / "crystalsmith" / "symmetry"
DEN = 24
# Columns: primitive basis vectors in conventional fractional coordinates.
PRIMITIVE = {
    "P": np.eye(3),
    "A": np.array([[1, 0, 0], [0, 0.5, 0.5], [0, -0.5, 0.5]]),
    "C": np.array([[0.5, 0.5, 0], [-0.5, 0.5, 0], [0, 0, 1]]),
    "I": np.array([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]]),
    "F": np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]),
    "R": np.array([[2, -1, -1], [1, 1, -2], [1, 1, 1]]) / 3,
}


def over24(x: np.ndarray) -> np.ndarray:
    k = np.rint(np.asarray(x) * DEN)
    assert np.allclose(k, np.asarray(x) * DEN, atol=1e-6), x
    return k.astype(np.int64)


def reference_metric(number: int) -> np.ndarray:
    g = np.eye(3)
    if 143 <= number <= 194:
        g[0, 1] = g[1, 0] = -0.5
    return g


def holohedry(number: int) -> list[np.ndarray]:
    """Integer matrices of the lattice's point group, for a generic lattice of the family."""
    metric = reference_metric(number)
    every = [np.array(m).reshape(3, 3) for m in itertools.product((-1, 0, 1), repeat=9)]
    every = [m for m in every if abs(round(np.linalg.det(m))) == 1 and np.allclose(m.T @ metric @ m, metric)]
    if number <= 2:
        generic = np.array([[1, 0.1, 0.2], [0.1, 1.3, 0.3], [0.2, 0.3, 1.7]])
    elif number <= 15:
        generic = np.array([[1, 0, 0.2], [0, 1.3, 0], [0.2, 0, 1.7]])
    elif number <= 74:
        generic = np.diag([1, 1.3, 1.7])
    elif number <= 142:
        generic = np.diag([1, 1, 1.7])
    elif number <= 194:
        generic = metric.copy()
        generic[2, 2] = 1.7
    else:
        generic = metric
    return [m for m in every if np.allclose(m.T @ generic @ m, generic)]


def complete(n: np.ndarray) -> np.ndarray:
    """Unimodular 3x3 integer matrix whose first columns are ``n`` (3 x d, primitive)."""
    d = n.shape[1]
    small = sorted(itertools.product((0, 1, -1, 2, -2, 3, -3), repeat=3), key=lambda v: sum(map(abs, v)))
    for extra in itertools.combinations(small, 3 - d):
        m = np.column_stack([n, *extra]) if extra else n
        if abs(abs(np.linalg.det(m)) - 1) < 1e-6:
            return m
    raise RuntimeError(f"no unimodular completion of {n}")


def period_basis(basis: np.ndarray, prim: np.ndarray, metric: np.ndarray) -> np.ndarray:
    """Q (d x d): columns of ``basis @ Q`` are a reduced basis of the lattice in the span of ``basis``."""
    d = basis.shape[1]
    if d == 0:
        return np.zeros((0, 0))
    inv = np.linalg.inv(prim)
    steps = np.arange(-6, 7) / 6  # periods are multiples of 1/2 or 1/3 of the standard parameters
    grid = np.stack(np.meshgrid(*[steps] * d, indexing="ij"), -1).reshape(-1, d)
    v = grid @ basis.T
    n = v @ inv.T
    ok = np.all(np.abs(n - np.rint(n)) < 1e-6, axis=1) & np.any(grid != 0, axis=1)
    length = np.einsum("ni,ij,nj->n", v, metric, v)
    cand = [
        (round(float(g), 6), -sum(x > 0 for x in u), tuple(u))
        for g, u in zip(length[ok], grid[ok], strict=True)
    ]
    cand.sort(key=lambda c: (c[0], c[1], [-x for x in c[2]]))
    chosen: list[np.ndarray] = []
    for _, _, u in cand:  # successive minima; in at most three dimensions they are a basis
        trial = np.array([*chosen, np.array(u)])
        if np.linalg.matrix_rank(trial, tol=1e-6) == len(trial):
            chosen.append(np.array(u))
        if len(chosen) == d:
            break
    q = np.array(chosen).T
    complete(np.rint(inv @ basis @ q).astype(int))  # raises unless saturated
    return q


@cache
def split_coordinates(full_q: bytes, d: int, prim: bytes) -> np.ndarray:
    """Matrix from conventional coordinates to (parameters w, coordinates across the free space)."""
    inv = np.linalg.inv(np.frombuffer(prim).reshape(3, 3))
    q = np.frombuffer(full_q).reshape(3, d)
    whole = complete(np.rint(inv @ q).astype(int)) if d else np.eye(3)
    return np.linalg.inv(whole) @ inv


def as_affine(
    full_q: np.ndarray, full_c: np.ndarray, linear: np.ndarray, shift: np.ndarray, prim: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """(A, a) with ``linear w + shift = full_q (A w + a) + full_c`` modulo the lattice, if there is one."""
    d = full_q.shape[1]
    to = split_coordinates(full_q.tobytes(), d, prim.tobytes())
    lin = to @ linear
    off = to @ (shift - full_c)
    if (np.abs(lin[d:]) > 1e-6).any() or (np.abs(off[d:] - np.rint(off[d:])) > 1e-6).any():
        return None
    return lin[:d], off[:d] % 1.0


def pad(m: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The matrix in the corner of a 3 x 3 one."""
    out = np.zeros((3, 3))
    out[:rows, :columns] = np.reshape(m, (rows, columns))
    return out


def main() -> None:
    keys = (
        "op_start rot trans cent_start cent prim polar "
        "wy_start wy_sg wy_letter wy_mult wy_mult_prim wy_dof wy_basis wy_origin wy_period img_start img_op "
        "self_start self_lin self_off norm_start norm_rot norm_trans map_start map_to map_lin map_off"
    )
    a: dict[str, list] = {k: [] for k in keys.split()}
    names: dict = {"symbol": [""], "full": [""], "point_group": [""], "site_symmetry": []}
    for key in ("op_start", "cent_start", "wy_start", "norm_start"):
        a[key].append(0)
    a["prim"].append(np.eye(3))
    a["polar"].append(np.zeros(3))
    for number in range(1, 231):
        group = Group(number)
        info = spglib.get_spacegroup_type(group.hall_number)
        names["symbol"].append(info.international_short)
        names["full"].append(info.international_full)
        names["point_group"].append(info.pointgroup_international)
        prim = PRIMITIVE[info.international_short[0]]
        inv = np.linalg.inv(prim)
        metric = reference_metric(number)

        def is_lattice(v: np.ndarray, inv: np.ndarray = inv) -> bool:
            return bool((np.abs(inv @ v - np.rint(inv @ v)) < 1e-6).all())

        general = [np.asarray(o.affine_matrix) for o in group.Wyckoff_positions[0].ops]
        ops: list[tuple[np.ndarray, np.ndarray]] = []
        for m in general:
            if not any(np.array_equal(m[:3, :3], r) for r, _ in ops):
                ops.append((np.rint(m[:3, :3]), m[:3, 3] % 1.0))
        cent = sorted(
            {tuple(over24(m[:3, 3] % 1.0) % DEN) for m in general if np.allclose(m[:3, :3], np.eye(3))}
        )
        assert len(ops) * len(cent) == len(general) and round(1 / abs(np.linalg.det(prim))) == len(cent)
        for op in ops:
            a["rot"].append(op[0])
            a["trans"].append(over24(op[1]))
        a["cent"] += cent
        a["prim"].append(prim)
        polar = np.array(
            [all(np.allclose((r - np.eye(3))[:, k], 0) for r, _ in ops) for k in range(3)], float
        )
        a["polar"].append(polar)
        first = len(a["wy_sg"])
        local = []
        for wp in reversed(group.Wyckoff_positions):  # letter a first
            m = np.asarray(wp.ops[0].affine_matrix)
            used = [k for k in range(3) if np.any(np.abs(m[:3, k]) > 1e-9)]
            basis, origin = m[:3, used], m[:3, 3]
            assert np.allclose(basis, np.rint(basis)), (number, wp.letter)
            q = period_basis(basis, prim, metric)
            full = basis @ q if used else np.zeros((3, 0))
            images, selfmaps, seen = [], [], []
            for k, (r, t) in enumerate(ops):
                lin, off = r @ full, r @ origin + t
                if any((np.abs(lin - l2) < 1e-6).all() and is_lattice(off - o2) for l2, o2 in seen):
                    continue
                seen.append((lin, off))
                images.append(k)
                back = as_affine(full, origin, lin, off, prim)
                if back is not None:
                    selfmaps.append(back)
            assert len(images) * len(cent) == wp.multiplicity, (number, wp.letter)
            d = len(used)
            a["wy_sg"].append(number)
            a["wy_letter"].append(ord(wp.letter) - 97 if wp.letter != "A" else 26)
            a["wy_mult"].append(wp.multiplicity)
            a["wy_mult_prim"].append(len(images))
            a["wy_dof"].append(d)
            a["wy_basis"].append(pad(basis, 3, d))
            a["wy_origin"].append(over24(origin))
            a["wy_period"].append(pad(q, d, d))
            a["img_start"].append(len(a["img_op"]))
            a["img_op"] += images
            a["self_start"].append(len(a["self_lin"]))
            for lin, off in selfmaps:
                a["self_lin"].append(pad(lin, d, d))
                a["self_off"].append(pad(off, d, 1)[:, 0])
            wp.get_site_symmetry()
            names["site_symmetry"].append(wp.site_symm.replace(" ", ""))
            local.append((full, origin, d, len(images)))
        # Euclidean normaliser of the generic lattice, modulo the group and modulo shifts along polar axes.
        rots = {tuple(r.astype(int).ravel()): t for r, t in ops}
        # A rotation of the family's lattice need not keep a centring: a twofold axis along c turns R obverse
        # into R reverse.
        cosets: list[np.ndarray] = [np.eye(3, dtype=int)]
        for w in holohedry(number):
            known = any(tuple(np.rint(np.linalg.inv(c) @ w).astype(int).ravel()) in rots for c in cosets)
            if not known and all(is_lattice(w @ v) for v in prim.T):
                cosets.append(w)
        axis = [np.array([0]) if polar[k] else np.arange(DEN) for k in range(3)]
        grid = np.stack(np.meshgrid(*axis, indexing="ij"), -1).reshape(-1, 3) / DEN
        normaliser = []
        for w in cosets:
            winv = np.linalg.inv(w)
            keep = np.ones(len(grid), bool)
            for r, t in ops:
                r2 = np.rint(w @ r @ winv)
                t2 = rots.get(tuple(r2.astype(int).ravel()))
                if t2 is None:
                    keep[:] = False
                    break
                left = (grid[keep] @ (np.eye(3) - r2).T - (t2 - w @ t)) @ inv.T
                keep[np.flatnonzero(keep)] = np.all(np.abs(left - np.rint(left)) < 1e-6, axis=1)
            found: list[np.ndarray] = []
            for t in grid[keep]:
                # A centring turns some shifts across the polar axes into shifts along them.
                across = [(t - f - np.array(c) / DEN)[polar == 0] for f in found for c in cent]
                if not any(np.allclose(v, np.rint(v)) for v in across):
                    found.append(t)
            normaliser += [(w, t) for t in found]
        for w, t in normaliser:
            a["norm_rot"].append(w)
            a["norm_trans"].append(over24(t))
        for full, origin, d, m_prim in local:
            a["map_start"].append(len(a["map_to"]))
            for w, t in normaliser:
                hit = None
                for other, (full2, origin2, d2, m2) in enumerate(local):
                    if hit is not None or d2 != d or m2 != m_prim:
                        continue
                    for r, s in ops:
                        back = as_affine(full2, origin2, r @ w @ full, r @ (w @ origin + t) + s, prim)
                        if back is not None:
                            hit = (first + other, *back)
                            break
                assert hit is not None, (number, w, t)
                a["map_to"].append(hit[0])
                a["map_lin"].append(pad(hit[1], d, d))
                a["map_off"].append(pad(hit[2], d, 1)[:, 0])
        for key, of in (
            ("op_start", "rot"),
            ("cent_start", "cent"),
            ("wy_start", "wy_sg"),
            ("norm_start", "norm_rot"),
        ):
            a[key].append(len(a[of]))
        print(number, info.international_short, len(ops), len(local), len(normaliser), flush=True)
    for key, of in (("img_start", "img_op"), ("self_start", "self_lin"), ("map_start", "map_to")):
        a[key].append(len(a[of]))
    ints = {"rot", "trans", "cent", "norm_rot", "norm_trans", "wy_basis", "self_lin", "map_lin", "wy_origin"}
    out = {}
    for k, v in a.items():
        arr = np.asarray(v)
        if k in ints or arr.dtype.kind == "i" or k == "polar":
            arr = np.rint(arr).astype(np.int32)
            arr = arr.astype(np.int8) if np.abs(arr).max() < 127 else arr
        out[k] = arr
    np.savez_compressed(OUT / "tables.npz", **out)
    (OUT / "names.json").write_text(json.dumps(names, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
