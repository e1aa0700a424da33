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

# Space group, conventional cell (a, b, c in Angstrom; angles as the group has them, or of ``_BETA``), sites
# (letter, free).
# Graphite: Trucano and Chen 1975; S8: Rettig and Trotter 1987; black P: Brown and Rundqvist 1965; Cl2: cell
# of Powell et al. 1984, a bond of 1.98 Angstrom; Se: Cherin and Unger 1967; Bi: Cucka and Barrett 1962; Sm:
# Daane et al. 1954; La, Pr, Nd, Pm: double-hexagonal; U: Barrett et al. 1963; Pa: Zachariasen 1959;
# In: bct; H2: ordered orthohydrogen, Silvera 1980; He: Keesom and Taconis 1938; B:
# Decker and Kasper 1959; N2: Schuch and Mills 1970; O2: Barrett et al. 1967, molecules of 1.21 Angstrom
# along c*; Mn: Oberteuffer and Ibers 1970; Ga: Sharma and Donohue 1962; As: Schiferl and Barrett 1969; Br2:
# Vonnegut and Warren 1936; Sn: Swanson and Tatge 1953; Sb: Barrett et al. 1963; Te: Adenis et al. 1989; I2:
# van Bolhuis et al. 1967; Hg: Barrett 1957; Np: Zachariasen 1952; Pu: Zachariasen and Ellinger 1963.
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
    "Cl": [("orthorhombic", 64, (6.145, 4.395, 8.154), (("f", (0.1260, 0.1012)),))],
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
    "H": [("cubic", 205, (5.312, 5.312, 5.312), (("c", (0.0403,)),))],
    "He": [("hcp", 194, (3.57, 3.57, 5.83), (("c", ()),))],
    "B": [("rhombohedral", 166, (4.908, 4.908, 12.567), (("h", (0.1177, -0.1073)), ("h", (0.1961, 0.0245))))],
    "N": [("cubic", 205, (5.649, 5.649, 5.649), (("c", (0.0556,)),))],
    "O": [("monoclinic", 12, (5.403, 3.429, 5.086), (("i", (0.1028, 0.1615)),))],
    "Mn": [
        (
            "cubic",
            217,
            (8.911, 8.911, 8.911),
            (
                ("a", ()),
                ("c", (0.18213,)),
                ("g", (0.35706, -0.03457)),
                ("g", (0.41042, 0.21806)),
            ),
        )
    ],
    "Ga": [("orthorhombic", 64, (4.5192, 7.6586, 4.5258), (("f", (0.1539, 0.9190)),))],
    "As": [("rhombohedral", 166, (3.7598, 3.7598, 10.5475), (("c", (0.22707,)),))],
    "Br": [("orthorhombic", 64, (6.67, 4.48, 8.72), (("f", (0.135, 0.110)),))],
    "Sn": [
        ("tetragonal", 141, (5.8318, 5.8318, 3.1819), (("b", ()),)),
        ("diamond", 227, (6.4892,) * 3, (("a", ()),)),
    ],
    "Sb": [("rhombohedral", 166, (4.3084, 4.3084, 11.274), (("c", (0.23349,)),))],
    "Te": [("trigonal", 152, (4.4572, 4.4572, 5.929), (("a", (0.2636,)),))],
    "I": [("orthorhombic", 64, (7.136, 4.686, 9.784), (("f", (0.15434, 0.11741)),))],
    "Hg": [("rhombohedral", 166, (3.457, 3.457, 6.663), (("a", ()),))],
    "Np": [("orthorhombic", 62, (6.663, 4.723, 4.887), (("c", (0.036, 0.208)), ("c", (0.319, 0.842))))],
    "Pu": [
        (
            "monoclinic",
            11,
            (6.183, 4.822, 10.963),
            (
                ("e", (0.345, 0.162)),
                ("e", (0.767, 0.168)),
                ("e", (0.128, 0.340)),
                ("e", (0.657, 0.457)),
                ("e", (0.025, 0.618)),
                ("e", (0.473, 0.653)),
                ("e", (0.328, 0.926)),
                ("e", (0.869, 0.894)),
            ),
        )
    ],
}
_BETA = {"O": 132.53, "Pu": 101.79}


def element_crystals() -> Iterator[tuple[str, Crystal]]:
    """(id, crystal) of known structures of the elements up to plutonium, such as ``Cu-fcc``.

    Fluorine, which every large data set holds, is left out, and so are polonium, astatine, radon, francium
    and radium, of which few compounds are known or not even a crystal.
    """
    for symbol in SYMBOLS[1:95]:
        state: dict[str, Any] = reference_states[NUMBERS[symbol]] or {}
        kind = state.get("symmetry")
        if symbol not in _SPECIAL and kind in _PACKED and state.get("basis", ()) is not None:
            yield f"{symbol}-{kind}", _packed(symbol, kind, float(state["a"]), float(state.get("c/a", 1.0)))
        for name, group, lengths, sites in _SPECIAL.get(symbol, []):
            angles = (90.0, _BETA.get(symbol, 90.0), 120.0 if 143 <= group <= 194 else 90.0)
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
