"""What public bug reports tell of CIFs that were read wrongly by one program or another, tried on our reader.

Each case is made anew from published parameters, so that it shows the kind of fault that the report named
before the colon describes. It is read as what it is or left out with a reason, never read as something else.
"""

from __future__ import annotations

import pytest

from crystalsmith.crystal.io.cif import read_cif
from crystalsmith.crystal.io.cif_symmetry import triplet
from crystalsmith.symmetry import space_group

XYZ = ("label", "type_symbol", "fract_x", "fract_y", "fract_z")


def cell(
    a: object, b: object = None, c: object = None, alpha: object = 90, beta: object = 90, gamma: object = 90
) -> str:
    names = zip(
        ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma"),
        (a, b or a, c or a, alpha, beta, gamma),
        strict=True,
    )
    return "".join(f"_cell_{name} {value}\n" for name, value in names)


def atoms(*rows: str, columns: tuple[str, ...] = XYZ) -> str:
    return "loop_\n" + "".join(f"_atom_site_{c}\n" for c in columns) + "\n".join(rows) + "\n"


def listed(*xyz: str, tag: str = "_symmetry_equiv_pos_as_xyz") -> str:
    return f"loop_\n{tag}\n" + "".join(f"'{x}'\n" for x in xyz)


def operators(number: int, centring: bool = True) -> list[str]:
    g = space_group(number)
    return [
        triplet(w, t + c)
        for c in g.centring[: None if centring else 1]
        for w, t in zip(g.rotations, g.translations, strict=True)
    ]


def hm(symbol: str, number: int = 0) -> str:
    return f"_symmetry_space_group_name_H-M '{symbol}'\n" + (
        f"_symmetry_Int_Tables_number {number}\n" if number else ""
    )


def formula(text: str, z: int = 0) -> str:
    return f"_chemical_formula_sum '{text}'\n" + (f"_cell_formula_units_Z {z}\n" if z else "")


SALT = atoms("Na1 Na 0 0 0", "Cl1 Cl 0.5 0.5 0.5")
STO = atoms("Sr1 Sr 0 0 0", "Ti1 Ti .5 .5 .5", "O1 O .5 .5 0")
CORUNDUM = cell(4.757, 4.757, 12.9877, gamma=120)
AL2O3 = atoms("Al1 Al 0 0 0.3522", "O1 O 0.3062 0 0.25")
PARACELSIAN_P1 = atoms(
    "Pb1 Pb 0.0599 0.25 0.0302", "Ga1 Ga 0.3488 0.0535 0.7127", "O1 O 0.0607 0.3684 0.3715"
)
ZNS_HEX = cell(3.8230, 3.8230, 6.2565, gamma=120)
ZNS = atoms("Zn1 Zn 0.3333 0.6667 0", "S1 S 0.3333 0.6667 0.3748")
RUTILE = cell(4.5941, 4.5941, 2.9589)
TIO2 = atoms("Ti1 Ti 0 0 0", "O1 O 0.3057 0.3057 0")
MG_FE = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy")

# Report: (CIF, what it is: (formula, atoms of the primitive cell, space group), or how it is left out).
REPORTS: dict[str, tuple[str, tuple[str, int, int] | str]] = {
    "pymatgen 474: one operator without a loop, uncertainties (0)": (
        cell(5.387, 8.575, 5.22, "90.(0)", 118.99, "90.(0)")
        + "_symmetry_equiv_pos_as_xyz x,y,z\n"
        + PARACELSIAN_P1,
        ("GaPbO", 3, 1),
    ),
    "pymatgen 474: one operator in a loop of one line": (
        cell(5.387, 8.575, 5.22, beta=118.99)
        + "loop_\n_symmetry_equiv_pos_as_xyz       x,y,z\n"
        + PARACELSIAN_P1,
        ("GaPbO", 3, 1),
    ),
    "pymatgen 483: hematite, thirds and a third of the oxygen lost": (
        cell(5.038, 5.038, 13.772, gamma=120)
        + hm("R -3 c", 167)
        + formula("Fe2 O3", 6)
        + atoms("Fe1 Fe 0.0000 0.0000 0.3553", "O1 O 0.3059 0.0000 0.25"),
        ("Fe2O3", 10, 167),
    ),
    "pymatgen 488: no operators, Hall symbol alone": (
        cell(5.431) + "_symmetry_space_group_name_Hall 'F 4d 2 3 -1d'\n" + atoms("Si1 Si 0 0 0"),
        ("Si", 2, 227),
    ),
    "pymatgen 1407, 1415: data_ and loop_ in a text field before the atoms": (
        cell(5.381)
        + hm("F d -3 m :1")
        + "_iucr_refine_fcf_details\n;\ndata_symmetries\nloop_\n _space_group_symop_id\n"
        " _space_group_symop_operation_xyz\n 1 x,y,z\n 2 -x+1/2,y+1/2,-z+1/2\n;\n" + atoms("Si1 Si 0 0 0"),
        ("Si", 2, 227),
    ),
    "pymatgen 1407: a tag without its value": (
        "_journal_name_full\n" + cell(5.381) + hm("F d -3 m :1") + atoms("Si1 Si 0 0 0"),
        ("Si", 2, 227),
    ),
    "pymatgen 637: germanium and antimony on one site told by types, labels alike": (
        cell(6.02)
        + hm("F m -3 m", 225)
        + atoms("Ge Ge 0.5 0.5 0.5 0.4", "Ge Sb 0.5 0.5 0.5 0.4", "Te Te 0 0 0 1", columns=MG_FE),
        "disordered",
    ),
    "pymatgen 440: type '0.75Si + 0.25Al'": (
        cell(5) + hm("P 1") + atoms("T1(o) '0.75Si + 0.25Al' 0.1 0.2 0.3"),
        "disordered",
    ),
    "pymatgen 391: type '0.8Nb + 0.2Zr' of full occupancy": (
        cell(3.3) + hm("I m -3 m", 229) + atoms("Nb,Zr '0.8Nb + 0.2Zr' 0 0 0 1", columns=MG_FE),
        "disordered",
    ),
    "pymatgen 1179: screw axis lost from some of the operators": (
        cell(7.1, 7.1, 19.3, gamma=120)
        + hm("P 61", 169)
        + listed("x-y, x, z", "y, -x+y, z", "-x, -y, z+1/2", "-x+y, -x, z+1/3", "-y, x-y, z+2/3", "x, y, z")
        + atoms("In1 In 0.33 0.01 0.05", "Se1 Se 0.02 0.31 0.21"),
        "contradiction: its operators are no group",
    ),
    "pymatgen 3963: images of one oxygen apart by the rounding": (
        cell(20.91, 20.91, 5.06, gamma=120)
        + hm("R -3", 148)
        + formula("Si O2", 18)
        + atoms("Si1 Si 0.1968 0.0003 0.2500", "O1 O 0.2610 0.0570 0.3250", "O2 O 0.1430 0.0390 0.0760"),
        ("SiO2", 18, 148),
    ),
    "pymatgen 3761: symbol P 2/m, operators with signs before x": (
        cell(8.8481, 7.2386, 19.2301)
        + hm("P 2/m", 10)
        + listed("+x,+y,+z", "-x,+y,-z", "-x,-y,-z", "+x,-y,+z")
        + atoms("C1 C 0.0134 0 0.2761", "Zn1 Zn 0.5 0 0.5"),
        ("ZnC2", 3, 10),
    ),
    "pymatgen 1789: apatite's P 63/m by its number": (
        cell(9.417, 9.417, 6.875, gamma=120)
        + "_symmetry_Int_Tables_number 176\n"
        + formula("Ca5 P3 O12 F", 2)
        + atoms(
            "Ca1 Ca 0.3333 0.6667 0.0015",
            "Ca2 Ca 0.2468 0.9934 0.25",
            "P1 P 0.3987 0.3685 0.25",
            "O1 O 0.3284 0.4848 0.25",
            "O2 O 0.5873 0.4651 0.25",
            "O3 O 0.3437 0.2579 0.0702",
            "F1 F 0 0 0.25",
        ),
        ("Ca5P3O12F", 42, 176),
    ),
    "pymatgen 1867, 3174: occupancies that add up to more than one": (
        cell(5.64) + hm("F m -3 m") + atoms("Na1 Na 0 0 0 6", "Cl1 Cl .5 .5 .5 1", columns=MG_FE),
        "disordered",
    ),
    "pymatgen 4486: O and OH share a site": (
        cell(9, 6, 7, beta=115)
        + hm("C 2/m")
        + atoms(
            "O1 O 0.02 0.30 0.256 1",
            "OH2 O 0.1576 0 0.5754 0.655",
            "OH O 0.1576 0 0.5754 0.345",
            columns=MG_FE,
        ),
        ("O", 6, 12),
    ),
    "pymatgen 331: a byte order mark": (
        "\ufeffdata_x\n" + cell(5.64) + hm("F m -3 m") + SALT,
        ("NaCl", 2, 225),
    ),
    "pymatgen 1830: one of two blocks has no atoms": (
        cell(5.64) + hm("F m -3 m") + SALT + "\ndata_second\n" + cell(3) + hm("P 1"),
        ("NaCl", 2, 225),
    ),
    "pymatgen 868: a loop of structure factors behind": (
        cell(5.64) + hm("F m -3 m") + SALT + "loop_\n_refln_index_h\n_refln_F_squared_calc\n1 2.0\n2 ?\n",
        ("NaCl", 2, 225),
    ),
    "pymatgen 886: magnetic CIF with dots in its names": (
        "_cell.length_a 4.17\n_cell.length_b 4.17\n_cell.length_c 8.34\n"
        "_space_group_magn.name_BNS 'P_c 4/n n c'\n"
        "loop_\n_space_group_symop_magn_operation.id\n_space_group_symop_magn_operation.xyz\n"
        "1 x,y,z,+1\n2 -x,-y,-z,+1\n"
        "loop_\n_space_group_symop_magn_centering.id\n_space_group_symop_magn_centering.xyz\n"
        "1 x,y,z,+1\n2 x,y,z+1/2,-1\n"
        "loop_\n_atom_site.label\n_atom_site.type_symbol\n_atom_site.fract_x\n_atom_site.fract_y\n_atom_site.fract_z\n"
        "Mn1 Mn 0 0 0\nO1 O 0.5 0.5 0.25\n",
        ("MnO", 2, 221),
    ),
    "pymatgen-core 76: operators with 2x of a cell doubled along one axis": (
        cell(9.06, 4.53, 7.22, gamma=120)
        + listed(
            "x,y,z,+1",
            "x+1/2,y,z+1/2,-1",
            "-x,-2x+y,z,+1",
            "-x+1/2,-2x+y,z+1/2,-1",
            tag="_space_group_symop_magn_operation.xyz",
        )
        + atoms("Ho1 Ho 0 0 0", "Au1 Au 0 0.3333 0.25", "Ge1 Ge 0 0.6667 0.25"),
        ("HoGeAu", 3, 8),
    ),
    "openbabel 2586: F 4/m -3 2/m beside x,y,z": (
        cell(5.64) + hm("F 4/m -3 2/m") + formula("Na1 Cl1", 4) + listed("x,y,z") + SALT,
        ("NaCl", 2, 225),
    ),
    "openbabel 2586: the same without a sum formula": (
        cell(5.64) + hm("F 4/m -3 2/m") + listed("x,y,z") + SALT,
        "contradiction: it names a space group but lists only",
    ),
    "openbabel 228: F d 3 m without bar and origin, decided by nothing": (
        cell(5.431) + hm("F d 3 m") + atoms("Si1 Si 0 0 0"),
        "ambiguous",
    ),
    "openbabel 228: F d 3 m, decided by Z": (
        cell(5.431) + hm("F d 3 m") + formula("Si", 8) + atoms("Si1 Si 0 0 0"),
        ("Si", 2, 227),
    ),
    "openbabel 228: a symbol that there is not": (cell(5.64) + hm("F d 3 q") + SALT, "unknown symmetry"),
    "openbabel 2414: P 1 of VESTA, every atom listed": (
        cell(5.64)
        + hm("P 1", 1)
        + listed("x, y, z", tag="_space_group_symop_operation_xyz")
        + atoms(
            *(
                f"{s}{i} {s} {p}"
                for s, of in (
                    ("Na", ("0 0 0", ".5 .5 0", ".5 0 .5", "0 .5 .5")),
                    ("Cl", (".5 .5 .5", "0 0 .5", "0 .5 0", ".5 0 0")),
                )
                for i, p in enumerate(of)
            )
        ),
        ("NaCl", 2, 225),
    ),
    "gemmi 117: P 2/m whose unique axis is c": (
        cell(4, 5, 6, gamma=100)
        + hm("P 2/m", 10)
        + formula("Fe O2", 1)
        + atoms("Fe1 Fe 0 0 0", "O1 O 0.3 0.2 0"),
        ("FeO2", 3, 10),
    ),
    "cif2cell 6: P 21/m 21/m 2/n (origin choice 2)": (
        cell(4.6871, 2.7061, 4.419)
        + hm("P 21/m 21/m 2/n (origin choice 2)", 59)
        + atoms("Fe1 Fe 0.25 0.25 0.4167", "Al1 Al 0.25 0.75 0.9167"),
        ("AlFe", 4, 59),
    ),
    "acwf 22: the number in quotes": (
        cell(5.64) + "_symmetry_Int_Tables_number '225'\n" + SALT,
        ("NaCl", 2, 225),
    ),
    "ase 809: Fm-3m without spaces": (
        cell(5.64) + "_symmetry_space_group_name_H-M Fm-3m\n" + SALT,
        ("NaCl", 2, 225),
    ),
    "hexrd 965: second origin by the code of the coordinate system": (
        cell(8.0806)
        + "_space_group_IT_number 227\n_space_group_IT_coordinate_system_code 2\n"
        + atoms("Mg1 Mg .125 .125 .125", "Al1 Al .5 .5 .5", "O1 O .2624 .2624 .2624"),
        ("MgAl2O4", 14, 227),
    ),
    "hexrd 965: first origin by the code": (
        cell(5.431)
        + "_space_group_IT_number 227\n_space_group_IT_coordinate_system_code 1\n"
        + atoms("Si1 Si 0 0 0"),
        ("Si", 2, 227),
    ),
    "crystalexplorer 37: P 21/n is not P 21/c": (
        cell(5.4139, 5.6012, 7.7769, beta=90.183)
        + hm("P 21/n", 14)
        + formula("Na3 Al F6", 2)
        + atoms(
            "Al1 Al 0 0 .5",
            "Na1 Na 0 0 0",
            "Na2 Na .5133 -.0519 .2474",
            "F1 F .1026 .045 .2194",
            "F2 F -.2737 .3252 .0462",
            "F3 F .1626 .2698 -.0628",
        ),
        ("Na3AlF6", 20, 14),
    ),
    "crystals 5: MgSiO3 in P b n m, one oxygen too many by rounding": (
        cell(4.7787, 4.9313, 6.9083)
        + hm("P b n m")
        + formula("Mg O3 Si", 4)
        + atoms(
            "Mg1 Mg 0.5141 0.5560 0.25",
            "Si1 Si 0.5 0 0.5",
            "O1 O 0.1028 0.4660 0.25",
            "O2 O 0.1961 0.2014 0.5531",
        ),
        ("MgSiO3", 20, 62),
    ),
    "catgo 101: molybdenite with thirds of four decimals": (
        cell(3.15, 3.15, 12.3, gamma=120)
        + listed(*operators(194))
        + formula("Mo1 S2", 2)
        + atoms("Mo1 Mo 0.3333 0.6667 0.25", "S1 S 0.3333 0.6667 0.621"),
        ("MoS2", 6, 194),
    ),
    "objcryst 67: R -3 c with its operators stays in hexagonal axes": (
        CORUNDUM + hm("R -3 c", 167) + listed(*operators(167)) + AL2O3,
        ("Al2O3", 10, 167),
    ),
    "dioptas 100: number 167 with a cell of hexagonal axes": (
        CORUNDUM + "_symmetry_Int_Tables_number 167\n" + AL2O3,
        ("Al2O3", 10, 167),
    ),
    "dioptas 100: number 167 with a rhombohedral cell": (
        cell(5.1284, alpha=55.28, beta=55.28, gamma=55.28)
        + "_symmetry_Int_Tables_number 167\n"
        + formula("Al2 O3", 2)
        + atoms("Al1 Al 0.3522 0.3522 0.3522", "O1 O 0.5562 -0.0562 0.25"),
        ("Al2O3", 10, 167),
    ),
    "hexagonal operators beside a rhombohedral cell": (
        cell(5.1284, alpha=55.28, beta=55.28, gamma=55.28)
        + hm("R -3 c :R")
        + listed(*operators(167))
        + AL2O3,
        "contradiction: the cell does not fit",
    ),
    "hexrd 106: numbered operators": (
        cell(4.083428)
        + hm("Fm-3m", 225)
        + "loop_\n_symmetry_equiv_pos_site_id\n_symmetry_equiv_pos_as_xyz\n"
        + "".join(f" {i} '{x}'\n" for i, x in enumerate(operators(225), 1))
        + atoms("Li1 Li 0 0 0", "F1 F 0 0 .5"),
        ("LiF", 2, 225),
    ),
    "hexrd 106: operators of the face-centred group without their centrings": (
        cell(4.083428)
        + hm("Fm-3m", 225)
        + listed(*operators(225, centring=False))
        + formula("Li F", 4)
        + atoms("Li1 Li 0 0 0", "F1 F 0 0 .5"),
        ("LiF", 2, 225),
    ),
    "xfab 44: charges such as Al0+": (
        cell(5.64) + hm("F m -3 m") + atoms("Na1 Na0+ 0 0 0", "Cl1 Cl1- .5 .5 .5"),
        ("NaCl", 2, 225),
    ),
    "xrayutilities 122: the type O- and the like": (
        ZNS_HEX + hm("P 63 m c") + atoms("Zn1 Zn2+ 0.3333 0.6667 0", "O1 O- 0.3333 0.6667 0.3748"),
        ("ZnO", 4, 186),
    ),
    "xrayutilities 103: water as Wat1": (
        cell(5) + hm("P 1") + atoms("Ca1 Ca 0 0 0", "Wat1 Wat 0.5 0.5 0.5"),
        "unknown element",
    ),
    "biojava 68: the label CA where the formula has carbon and calcium": (
        cell(5)
        + hm("P 1")
        + formula("C Ca O")
        + atoms("CA 0 0 0", "O1 .5 .5 .5", columns=("label", *XYZ[2:])),
        "unknown element",
    ),
    "biojava 68: the label CA where it has calcium alone": (
        cell(4.81)
        + hm("F m -3 m")
        + formula("Ca O")
        + atoms("CA 0 0 0", "O1 .5 .5 .5", columns=("label", *XYZ[2:])),
        ("CaO", 2, 225),
    ),
    "cp2k 3085: types behind the coordinates, labels of no meaning": (
        cell(5.64)
        + hm("F m -3 m")
        + atoms(
            "Site1 1.0 0 0 0 Na",
            "Site2 1.0 .5 .5 .5 Cl",
            columns=("label", "occupancy", *XYZ[2:], "type_symbol"),
        ),
        ("NaCl", 2, 225),
    ),
    "matador 171: one atom in P 1": (
        cell(3) + hm("P 1", 1) + listed("x, y, z") + atoms("Si1 Si 0 0 0"),
        ("Si", 1, 221),
    ),
    "optimade-python-tools 271: Cartesian coordinates alone": (
        cell(5)
        + hm("P 1")
        + "loop_\n_atom_site_label\n_atom_site_Cartn_x\n_atom_site_Cartn_y\n_atom_site_Cartn_z\nNa 0 0 0\n",
        "unreadable: the CIF has Cartesian coordinates alone",
    ),
    "PorousMaterials 133: blanks behind the operators": (
        cell(5.64)
        + hm("P -1")
        + "loop_\n_symmetry_equiv_pos_as_xyz\n'x, y, z'   \n'-x, -y, -z'  \n"
        + atoms("Na1 Na 0 0 0", "Cl1 Cl .5 .5 .5"),
        ("NaCl", 2, 221),
    ),
    "matterviz 236: no data_ header": ("!" + cell(5.64) + hm("F m -3 m") + SALT, ("NaCl", 2, 225)),
    "diffBloch 135: a cell stated twice, alike": (
        cell(5.64) + "_cell_length_a 5.64\n" + hm("F m -3 m") + SALT,
        ("NaCl", 2, 225),
    ),
    "diffBloch 135: a cell stated twice, differently": (
        cell(5.64) + "_cell_length_a 5.70\n" + hm("F m -3 m") + SALT,
        "contradiction: _cell_length_a stands twice",
    ),
    "FindSpinGroup 31: Unicode minus signs": (
        cell(4.757, 4.757, 12.9877, gamma=120)
        + hm("R \u22123 c :H")
        + atoms("Al1 Al 0 0 \u22120.3522", "O1 O \u22120.3062 0 0.25"),
        ("Al2O3", 10, 167),
    ),
    "cctbx 73: an angstrom sign where only ASCII may be": (
        "_cell_measurement_remark 10\u00c5\n_publ_author_name 'M\u00fcller'\n"
        + cell(5.64)
        + hm("F m -3 m")
        + SALT,
        ("NaCl", 2, 225),
    ),
    "SymmCD 6, multem 13: every atom of the cell beside all operators": (
        RUTILE
        + hm("P 42/m n m", 136)
        + listed(*operators(136))
        + formula("Ti O2", 2)
        + atoms(
            "Ti1 Ti 0 0 0",
            "Ti2 Ti .5 .5 .5",
            "O1 O .3057 .3057 0",
            "O2 O .6943 .6943 0",
            "O3 O .1943 .8057 .5",
            "O4 O .8057 .1943 .5",
        ),
        ("TiO2", 6, 136),
    ),
    "crystals 3: occupancies below one": (
        cell(8.2) + hm("F d -3 m :2") + atoms("Ni1 Ni .5 .5 .5 0.33", "O1 O .26 .26 .26 1", columns=MG_FE),
        "disordered",
    ),
    "occ 16: deuterium, and hydrogen in the formula": (
        cell(4.0, 4.0, 6.0) + hm("P 4/m m m") + formula("D2 O1", 1) + atoms("O1 O 0 0 0", "D1 D 0 0 0.16"),
        ("H2O", 3, 123),
    ),
    "CURATED-COFs 16: P1 without a space": (
        cell(5.64) + hm("P1") + formula("Na Cl", 1) + SALT,
        ("NaCl", 2, 221),
    ),
    "pymatgen-core, ICSD 59959: dots for zeros, borne out by sum formula and Z": (
        cell(4.19)
        + hm("P m -3 m", 221)
        + formula("K Mn F3", 1)
        + atoms("K1 K1+ .5 .5 .5", "Mn1 Mn2+ . . .", "F1 F1- .5 . ."),
        ("KMnF3", 5, 221),
    ),
    "pymatgen-core, ICSD 59959: dots for zeros without a sum formula": (
        cell(4.19) + hm("P m -3 m", 221) + atoms("K1 K1+ .5 .5 .5", "Mn1 Mn2+ . . .", "F1 F1- .5 . ."),
        "contradiction: some of its coordinates are dots",
    ),
    "jana: a modulated structure": (
        cell(5.64) + "_cell_modulation_dimension 1\n" + hm("F m -3 m") + SALT,
        "modulated",
    ),
    "jana: a superspace group": (
        cell(5.64) + "_space_group_ssg_name 'Fmmm(00g)'\nloop_\n"
        "_space_group_ssg_symop_operation_algebraic\nx1,x2,x3,x4\n" + SALT,
        "modulated",
    ),
}


@pytest.mark.parametrize("report", REPORTS)
def test_reported_cif_is_read_as_what_it_is_or_left_out(report: str) -> None:
    text, wanted = REPORTS[report]
    text = text[1:] if text.startswith("!") else text if "data_x" in text else f"data_x\n{text}"
    records = read_cif(text)
    assert len(records) == 1
    if isinstance(wanted, str):
        assert records[0].failure.startswith(wanted), records[0].failure or records[0]
        assert records[0].lattice is None and "\n" not in records[0].failure
    else:
        assert not records[0].failure, records[0].failure
        crystal = records[0].symmetrized()
        assert (crystal.formula, crystal.n_atoms, crystal.space_group) == wanted


def test_there_are_enough_tries() -> None:
    assert len({report.split(":")[0] for report in REPORTS}) >= 30
