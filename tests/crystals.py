"""Crystals whose structures are published, and random ones in every space group."""

from __future__ import annotations

import numpy as np

from crystalsmith.crystal import Crystal, Site
from crystalsmith.symmetry import lattice_to_cell, space_group, strain_mask, strain_to_lattice

Cell = tuple[float, float, float, float, float, float]
_Row = tuple[int, Cell, list[tuple[str, str, tuple[float, ...]]], str]


def _cubic(a: float) -> Cell:
    return (a, a, a, 90, 90, 90)


def _hexagonal(a: float, c: float) -> Cell:
    return (a, a, c, 90, 90, 120)


# Name: space group, cell, (element, letter of the standard setting, free parameters), reduced formula.
# Sources: R. W. G.
# Wyckoff, Crystal Structures (1963); quartz: Levien et al., Am. Mineral. 65, 920 (1980); ZrO2: Howard et
# al., Acta Cryst.
# B44, 116 (1988); CuO (tenorite): Asbrink and Norrby, Acta Cryst. B26, 8 (1970); boric acid: Zachariasen,
# Acta Cryst. 7, 305 (1954), without its hydrogens.
_KNOWN: dict[str, _Row] = {
    "rock salt": (225, _cubic(5.6402), [("Na", "a", ()), ("Cl", "b", ())], "NaCl"),
    "diamond": (227, _cubic(3.5670), [("C", "a", ())], "C"),
    "zinc blende": (216, _cubic(5.4093), [("Zn", "a", ()), ("S", "c", ())], "ZnS"),
    "perovskite": (221, _cubic(3.9050), [("Sr", "a", ()), ("Ti", "b", ()), ("O", "c", ())], "SrTiO3"),
    "spinel": (227, _cubic(8.0806), [("Mg", "a", ()), ("Al", "d", ()), ("O", "e", (0.2624,))], "MgAl2O4"),
    "pyrite": (205, _cubic(5.4067), [("Fe", "a", ()), ("S", "c", (0.3850,))], "FeS2"),
    "quartz": (
        154,
        _hexagonal(4.9137, 5.4047),
        [("Si", "a", (0.4697,)), ("O", "c", (0.4135, 0.2669, 0.7858))],
        "SiO2",
    ),
    "wurtzite": (186, _hexagonal(3.8230, 6.2565), [("Zn", "b", (0.0,)), ("S", "b", (0.3748,))], "ZnS"),
    "corundum": (167, _hexagonal(4.7570, 12.9877), [("Al", "c", (0.3522,)), ("O", "e", (0.3062,))], "Al2O3"),
    "rutile": (136, (4.5941, 4.5941, 2.9589, 90, 90, 90), [("Ti", "a", ()), ("O", "f", (0.3057,))], "TiO2"),
    "anatase": (141, (3.7850, 3.7850, 9.5140, 90, 90, 90), [("Ti", "a", ()), ("O", "e", (0.0816,))], "TiO2"),
    "marcasite": (
        58,
        (4.4430, 5.4245, 3.3871, 90, 90, 90),
        [("Fe", "a", ()), ("S", "g", (0.2001, 0.3782))],
        "FeS2",
    ),
    "aragonite": (
        62,
        (5.7404, 4.9614, 7.9671, 90, 90, 90),
        [
            ("Ca", "c", (0.2405, 0.4151)),
            ("C", "c", (0.0852, 0.7621)),
            ("O", "c", (0.0956, 0.9224)),
            ("O", "d", (0.0873, 0.4735, 0.6807)),
        ],
        "CaCO3",
    ),
    "baddeleyite": (
        14,
        (5.1505, 5.2116, 5.3173, 90, 99.230, 90),
        [
            ("Zr", "e", (0.2754, 0.0395, 0.2083)),
            ("O", "e", (0.0700, 0.3317, 0.3447)),
            ("O", "e", (0.4496, 0.7569, 0.4792)),
        ],
        "ZrO2",
    ),
    "tenorite": (
        15,
        (4.6837, 3.4226, 5.1288, 90, 99.54, 90),
        [("Cu", "c", ()), ("O", "e", (0.4184,))],
        "CuO",
    ),
    "boric acid": (
        2,
        (7.039, 7.053, 6.578, 92.58, 101.17, 119.83),
        [
            ("B", "i", (0.646, 0.427, 0.258)),
            ("O", "i", (0.424, 0.302, 0.261)),
            ("O", "i", (0.768, 0.328, 0.250)),
            ("O", "i", (0.744, 0.652, 0.261)),
            ("B", "i", (0.307, 0.760, 0.242)),
            ("O", "i", (0.532, 0.886, 0.250)),
            ("O", "i", (0.214, 0.535, 0.236)),
            ("O", "i", (0.182, 0.860, 0.236)),
        ],
        "BO3",
    ),
}

KNOWN: dict[str, Crystal] = {
    name: Crystal(number, cell, tuple(Site(*site) for site in sites))
    for name, (number, cell, sites, _) in _KNOWN.items()
}
"""Real crystals of all seven crystal systems by name."""

FORMULAS: dict[str, str] = {name: row[3] for name, row in _KNOWN.items()}
"""Their formulas."""


def random_crystal(
    number: int,
    rng: np.random.Generator,
    max_sites: int = 4,
    max_atoms: int = 48,
    shortest: float = 0.9,
    tries: int = 500,
) -> Crystal:
    """A crystal with random letters, parameters and strain; no atoms closer than ``shortest`` Angstrom."""
    group = space_group(number)
    for _ in range(tries):
        letters: list[str] = []
        for _ in range(int(rng.integers(1, max_sites + 1))):
            atoms = sum(group.wyckoff[x].multiplicity_primitive for x in letters)
            possible = [
                x
                for x, p in group.wyckoff.items()
                if atoms + p.multiplicity_primitive <= max_atoms and (p.dof or x not in letters)
            ]
            if possible:
                letters.append(str(rng.choice(possible)))
        sites = []
        for letter in letters:
            p = group.wyckoff[letter]
            free = p.period @ rng.random(p.dof)
            sites.append(Site(str(rng.choice(["Na", "Ti", "O", "Cl", "Fe"])), letter, tuple(free.tolist())))
        atoms = sum(group.wyckoff[x].multiplicity for x in letters)
        strain = np.where(strain_mask(number), rng.normal(0, 0.12, 6), 0)
        lattice = strain_to_lattice(number, strain, 18.0 * atoms)
        crystal = Crystal(number, tuple(lattice_to_cell(lattice).tolist()), tuple(sites))
        if crystal.shortest_distance() > shortest:
            return crystal
    raise AssertionError(f"no random crystal of space group {number} without overlapping atoms")


# Aragonite, after J. P. R. de Villiers, American Mineralogist 56 (1971) 758, brought to Pnma.
ARAGONITE = Crystal(
    62,
    (5.741, 4.961, 7.967, 90, 90, 90),
    (
        Site("Ca", "c", (0.7597, 0.4150)),
        Site("C", "c", (0.9138, 0.7622)),
        Site("O", "c", (0.9038, 0.9225)),
        Site("O", "d", (0.9138, 0.4736, 0.6810)),
    ),
)

# Kyanite, after J. K. Winter and S. Ghose, American Mineralogist 64 (1979) 573, aluminium and silicon alone.
KYANITE = Crystal(
    2,
    (7.126, 7.852, 5.572, 89.99, 101.11, 106.03),
    (
        Site("Al", "i", (0.3254, 0.7040, 0.4582)),
        Site("Al", "i", (0.2974, 0.6989, 0.9505)),
        Site("Al", "i", (0.0998, 0.3862, 0.6403)),
        Site("Al", "i", (0.1120, 0.9175, 0.1649)),
        Site("Si", "i", (0.2962, 0.0649, 0.7066)),
        Site("Si", "i", (0.2910, 0.3317, 0.1892)),
    ),
)
