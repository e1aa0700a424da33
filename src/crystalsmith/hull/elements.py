"""Elements as they crystallise, from published parameters: a hull needs one phase of each at least.

Those of a common packing are taken from ASE's table of reference states; the others stand here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ase.data import reference_states

from crystalsmith.crystal import NUMBERS, SYMBOLS, Crystal, Site
from crystalsmith.data import Dataset, pack

_PACKED = ("fcc", "bcc", "hcp", "diamond")

# Space group, conventional cell (a, b, c in Angstrom; angles as the group has them), sites (letter, free).
# Graphite: Trucano and Chen 1975; S8: Rettig and Trotter 1987; black P: Brown and Rundqvist 1965; Cl2: Powell
# et al. 1984; Se: Cherin and Unger 1967; Bi: Cucka and Barrett 1962; Sm: Daane et al. 1954; La, Pr, Nd, Pm:
# double-hexagonal; U: Barrett et al. 1963; Pa: Zachariasen 1959; In: bct.
_SPECIAL: dict[
    str, list[tuple[str, int, tuple[float, float, float], tuple[tuple[str, tuple[float, ...]], ...]]]
] = {
    "C": [("graphite", 194, (2.461, 2.461, 6.708), (("b", ()), ("c", ())))],
    "S": [
        (
            "orthorhombic",
            70,
            (10.4646, 12.8660, 24.4860),
            (
                ("h", (0.14415, 0.04732, 0.0486)),
                ("h", (0.29277, 0.2269, 0.25406)),
                ("h", (0.21598, 0.28022, 0.32618)),
                ("h", (0.21405, 0.15761, 0.37947)),
            ),
        )
    ],
    "P": [("black", 64, (3.3133, 10.473, 4.374), (("f", (0.1034, 0.0806)),))],
    "Cl": [("orthorhombic", 64, (6.145, 4.395, 8.154), (("f", (0.1015, 0.1012)),))],
    "Se": [("trigonal", 152, (4.366, 4.366, 4.954), (("a", (0.2254,)),))],
    "Bi": [("rhombohedral", 166, (4.546, 4.546, 11.862), (("c", (0.2339,)),))],
    "Sm": [("rhombohedral", 166, (3.629, 3.629, 26.207), (("a", ()), ("c", (0.2222,))))],
    "La": [("dhcp", 194, (3.774, 3.774, 12.171), (("a", ()), ("c", ())))],
    "Pr": [("dhcp", 194, (3.672, 3.672, 11.833), (("a", ()), ("c", ())))],
    "Nd": [("dhcp", 194, (3.658, 3.658, 11.797), (("a", ()), ("c", ())))],
    "Pm": [("dhcp", 194, (3.65, 3.65, 11.65), (("a", ()), ("c", ())))],
    "U": [("orthorhombic", 63, (2.854, 5.868, 4.955), (("c", (0.1025,)),))],
    "Pa": [("tetragonal", 139, (3.925, 3.925, 3.238), (("a", ()),))],
    "In": [("tetragonal", 139, (3.2520, 3.2520, 4.9466), (("a", ()),))],
}


def element_crystals() -> Iterator[tuple[str, Crystal]]:
    """(id, crystal) of known structures of the elements up to plutonium, such as ``Cu-fcc``."""
    for symbol in SYMBOLS[1:95]:
        state: dict[str, Any] = reference_states[NUMBERS[symbol]] or {}
        kind = state.get("symmetry")
        if symbol not in _SPECIAL and kind in _PACKED and state.get("basis", ()) is not None:
            yield f"{symbol}-{kind}", _packed(symbol, kind, float(state["a"]), float(state.get("c/a", 1.0)))
        for name, group, lengths, sites in _SPECIAL.get(symbol, []):
            angles = (90.0, 90.0, 120.0 if 143 <= group <= 194 else 90.0)
            made = tuple(Site(symbol, letter, free) for letter, free in sites)
            yield f"{symbol}-{name}", Crystal(group, (*lengths, *angles), made)


def element_dataset() -> Dataset:
    """These crystals as a data set; nothing is said of their energies."""
    found = list(element_crystals())
    return pack([c for _, c in found], [name for name, _ in found])


def _packed(symbol: str, kind: str, a: float, ratio: float) -> Crystal:
    if kind == "hcp":
        return Crystal(194, (a, a, a * ratio, 90.0, 90.0, 120.0), (Site(symbol, "c", ()),))
    group = {"fcc": 225, "bcc": 229, "diamond": 227}[kind]
    return Crystal(group, (a, a, a, 90.0, 90.0, 90.0), (Site(symbol, "a", ()),))
