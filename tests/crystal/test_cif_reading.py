"""CIFs of all habits: what a block says is understood, or it is left out alone and says why."""

from __future__ import annotations

import numpy as np
import pytest

from crystals import KNOWN
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.io.cif import crystal_to_cif, read_cif
from crystalsmith.crystal.io.cif_atoms import number, read_formula
from crystalsmith.crystal.io.records import Record
from crystalsmith.errors import StructureError

HEAD = "data_perovskite\n"
CELL = "".join(f"_cell_length_{x} 3.905\n" for x in "abc")
ANGLES = "".join(f"_cell_angle_{x} 90\n" for x in ("alpha", "beta", "gamma"))
GROUP = "_symmetry_space_group_name_H-M 'P m -3 m'\n"
COLUMNS = ("label", "type_symbol", "fract_x", "fract_y", "fract_z")
ROWS = ("Sr1 Sr 0 0 0", "Ti1 Ti .5 .5 .5", "O1 O .5 .5 0")


def loop(rows: tuple[str, ...] = ROWS, columns: tuple[str, ...] = COLUMNS) -> str:
    return "loop_\n" + "".join(f"_atom_site_{c}\n" for c in columns) + "".join(f"{r}\n" for r in rows)


def one(text: str | bytes) -> Record:
    records = read_cif(text)
    assert len(records) == 1
    return records[0]


def is_perovskite(record: Record) -> bool:
    assert not record.failure, record.failure
    crystal = record.symmetrized()
    return (crystal.formula, crystal.n_atoms, crystal.space_group) == ("SrTiO3", 5, 221)


def failure(text: str) -> str:
    record = one(text)
    assert record.failure and record.lattice is None and not len(record.numbers)
    with pytest.raises(StructureError) as caught:
        record.symmetrized()
    assert str(caught.value) == record.failure and "\n" not in record.failure
    return record.failure


FIELD = "_publ_author_name 'Müller, J.'\n_publ_section_title\n;\ndata_none\nof ; them\n;\n"
PLAIN = HEAD + FIELD + CELL + ANGLES + GROUP + loop()


@pytest.mark.parametrize(
    "raw",
    [
        PLAIN.encode(),
        PLAIN.encode("latin-1"),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-le"),
        PLAIN.encode("utf-16-be"),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.encode() + b"\x1a\x00\x00",
        PLAIN.replace(" ", "\t").replace("P\tm\t-3\tm", "P m -3 m").replace("Müller,\tJ.", "M").encode(),
        PLAIN.upper().replace("SR", "Sr").replace("TI1", "Ti1").replace("TI ", "Ti ").encode(),
        PLAIN.replace("_cell_length", "_cell.length").replace("_atom_site_", "_atom_site.").encode(),
    ],
)
def test_encodings_line_ends_and_spellings(raw: bytes) -> None:
    assert is_perovskite(one(raw))


@pytest.mark.parametrize(
    "text",
    [
        HEAD + CELL + GROUP + loop(),  # angles are 90 where none is stated
        HEAD + CELL + ANGLES + GROUP + loop((*ROWS[:2], "O1 O 1/2 1/2 0/1")),
        HEAD + CELL + ANGLES + GROUP + loop((*ROWS[:2], "O1 O 0.500(3) +.5 0.0E+00")),
        HEAD
        + CELL
        + ANGLES
        + GROUP
        + loop(tuple(f"{r} {o}" for r, o in zip(ROWS, "?.1", strict=True)), (*COLUMNS, "occupancy")),
        HEAD + CELL + ANGLES + "_symmetry_space_group_name_H-M P m -3 m\n" + loop(),  # no quotes
        HEAD + CELL + ANGLES + "_symmetry_Int_Tables_number 221.0\n" + loop(),
        HEAD + CELL + ANGLES + GROUP + loop(tuple(r.replace("Sr1", "X1").replace("O1", "Y1") for r in ROWS)),
        HEAD
        + CELL
        + ANGLES
        + GROUP
        + loop(tuple(" ".join(r.split()[:1] + r.split()[2:]) for r in ROWS), ("label", *COLUMNS[2:])),
        HEAD
        + CELL
        + ANGLES
        + GROUP
        + loop(tuple(r.replace("Sr ", "SR ").replace("Ti ", "TI ") for r in ROWS)),
        HEAD + CELL + ANGLES + GROUP + loop((*ROWS, "O2 O .5 0 .5", "O3 O 1.5 .5 -1")),
        HEAD + CELL + ANGLES + GROUP + loop(("Sr1 Sr1 0 0 0", "Ti1 Ti1 .5 .5 .5", "O1 O1 .5 .5 0")),
        HEAD
        + CELL
        + ANGLES
        + GROUP
        + loop((*ROWS, "V1 O .2 .2 .2")).replace(".5 .5 0\n", ".5 .5 0\n").replace("V1 O .2 .2 .2", ""),
        HEAD
        + CELL
        + ANGLES
        + GROUP
        + "_symmetry_cell_setting cubic\n_refine\n;\ndata_other\nloop_\n_a\n;\n"
        + loop(),
        "data_global\n_journal_year 2001\n\n" + HEAD + CELL + ANGLES + GROUP + loop(),
        HEAD
        + CELL
        + ANGLES
        + GROUP
        + loop()
        + "\ndata_empty\n_cell_length_a 3\nloop_\n_atom_site_label\n_atom_site_fract_x\n"
        "_atom_site_fract_y\n_atom_site_fract_z\n? ? ? ?\n",
        HEAD
        + CELL
        + ANGLES
        + "loop_\n_space_group_symop_operation_xyz\n'x,y,z'\n"
        + GROUP
        + "_chemical_formula_sum 'Sr Ti O3'\n_cell_formula_units_Z 1\n"
        + loop(),
        HEAD
        + CELL
        + ANGLES
        + "loop_\n_space_group_symop_operation_xyz\n'x,y,z'\n"
        + GROUP
        + loop(
            tuple(f"{r} {m}" for r, m in zip(ROWS, "113", strict=True)), (*COLUMNS, "symmetry_multiplicity")
        ),
    ],
)
def test_habits_that_are_understood(text: str) -> None:
    assert is_perovskite(one(text))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "unreadable: the CIF has no atoms"),
        ("no CIF", "unreadable: not a CIF"),
        (HEAD + CELL, "unreadable: the CIF has no atoms"),
        (HEAD + CELL + GROUP + loop((*ROWS, "O2 O .5")), "unreadable: the CIF cannot be parsed"),
        (HEAD + CELL + GROUP + loop((*ROWS[:2], "O1 O .5 .5 x")), "unreadable: 'x' is no number"),
        (HEAD + CELL + GROUP + loop((*ROWS[:2], "O1 O .5 .5 ?")), "incomplete: O1 has no coordinates"),
        (HEAD + CELL + GROUP + loop((*ROWS[:2], "O1 O .5 .5 1e308")), "unreadable: '1e308' is no coordinate"),
        (HEAD + CELL.replace("3.905", "-1") + GROUP + loop(), "unreadable: the cell has a length or angle"),
        (HEAD + GROUP + loop(), "unreadable: 'none' is no number"),
        (
            HEAD
            + CELL
            + "_cell_angle_alpha 120\n_cell_angle_beta 120\n_cell_angle_gamma 120\n"
            + GROUP
            + loop(),
            "flat cell",
        ),
        (HEAD + CELL + loop(), "contradiction: it states neither operators nor a space group"),
        (
            HEAD + CELL + "_symmetry_Int_Tables_number 231\n" + loop(),
            "unknown symmetry: there is no space group '231'",
        ),
        (
            HEAD + CELL + "_symmetry_space_group_name_H-M 'P m q'\n" + loop(),
            "unknown symmetry: the CIF lists no operators",
        ),
        (
            HEAD + CELL + GROUP + "_symmetry_Int_Tables_number 225\n" + loop(),
            "contradiction: the CIF names the space groups",
        ),
        (
            HEAD + CELL + "_symmetry_space_group_name_H-M 'P 63/m m c'\n" + loop(),
            "contradiction: the cell does not fit",
        ),
        (
            HEAD + CELL + "_cell_volume 65.1\n" + GROUP + loop(),
            "contradiction: the cell has 59.5 A^3 and is said to have 65.1",
        ),
        (
            HEAD + CELL + GROUP + "_chemical_formula_sum 'Sr Ti O2'\n" + loop(),
            "contradiction: the sites make O3 Sr1 Ti1",
        ),
        (
            HEAD + CELL + GROUP + "_chemical_formula_sum 'Sr Ti O3 H'\n" + loop(),
            "incomplete: no site holds the H",
        ),
        (
            HEAD + CELL + GROUP + "_chemical_formula_sum 'Sr O3'\n" + loop(),
            "contradiction: the sum formula has no Ti",
        ),
        (
            HEAD + CELL + GROUP + "_chemical_formula_sum 'Sr Ti O3'\n_cell_formula_units_Z 4\n" + loop(),
            "contradiction: the sites make",
        ),
        (HEAD + CELL + GROUP + loop((*ROWS, "Va1 Va .5 0 0")), "unknown element: the type 'Va'"),
        (HEAD + CELL + GROUP + loop((*ROWS, "X1 X .5 0 0")), "unknown element: the type 'X'"),
        (HEAD + CELL + GROUP + loop((*ROWS, "N1 NH4 .5 0 0")), "unknown element: the type 'NH4'"),
        (HEAD + CELL + GROUP + loop((*ROWS, "NH4 NH4 .5 0 0")), "unknown element: the type 'NH4'"),
        (HEAD + CELL + GROUP + loop((*ROWS, "N1 NH .5 0 0")), "unknown element: the type 'NH'"),
        (HEAD + CELL + GROUP + loop((*ROWS, "O2 OH .5 0 0")), "unknown element: the type 'OH'"),
        (HEAD + CELL + GROUP + loop((*ROWS, "X1 O2 .5 0 0")), "unknown element: the type 'O2'"),
        (HEAD + CELL + GROUP + loop((*ROWS, "W1 Wat .5 0 0")), "unknown element: the type 'Wat'"),
        (HEAD + CELL + GROUP + loop(("CO1 CO 0 0 0",)), "unknown element: the type 'CO'"),
        (
            HEAD + CELL + GROUP + loop(("A1 Sr 0 0 0 0.5", "A1 Ca 0 0 0 0.5"), (*COLUMNS, "occupancy")),
            "disordered",
        ),
        (
            HEAD
            + CELL
            + GROUP
            + loop(("A1 Sr 0 0 0 1 1", "A1 Sr .5 .5 .5 1 2"), (*COLUMNS, "occupancy", "disorder_group")),
            "disordered",
        ),
        (
            HEAD
            + CELL
            + GROUP
            + loop(("O1 O 0 0 0 2", "Ti1 Ti .5 .5 .5 0"), (*COLUMNS, "attached_hydrogens")),
            "incomplete: hydrogen",
        ),
        (HEAD + CELL + GROUP + loop((*ROWS, "S1 S .5 .5 0.001")), "overlapping atoms: O and S are"),
        (HEAD + CELL + GROUP + loop(("Sr1 Sr 0 0 0.0050000",)), "overlapping atoms"),
        (
            HEAD + CELL + "_symmetry_space_group_name_H-M 'C 4/a m m'\n" + loop(),
            "unknown symmetry: the CIF lists no operators, and no",
        ),
        (
            HEAD + CELL + "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'x,y,q'\n" + loop(),
            "unreadable: 'x,y,q' is no symmetry operator",
        ),
        (
            HEAD + CELL + "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'x,y,z+1/7'\n" + loop(),
            "unreadable: 'x,y,z+1/7' is no symmetry",
        ),
    ],
)
def test_what_is_not_understood_says_why(text: str, says: str) -> None:
    assert failure(text).startswith(says)


def test_names_of_another_group_than_the_operators_need_the_formula() -> None:
    salt = (
        HEAD
        + "".join(f"_cell_length_{x} 5.64\n" for x in "abc")
        + "_symmetry_space_group_name_H-M 'F m -3 m'\n"
    )
    listed = "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'x,y+1/2,z+1/2'\n'x+1/2,y,z+1/2'\n'x+1/2,y+1/2,z'\n"
    rows = loop(("Na1 Na 0 0 0", "Cl1 Cl .5 .5 .5"))
    assert failure(salt + listed + rows).startswith(
        "contradiction: it names space group 225 and lists the operators of 1"
    )
    z = "_chemical_formula_sum 'Na Cl'\n_cell_formula_units_Z 4\n"
    assert one(salt + listed + z + rows).symmetrized().space_group == 225  # both readings are rock salt
    rows = rows.replace(".5 .5 .5", ".25 .25 .25")
    assert one(salt + listed + z + rows).symmetrized().space_group == 216  # 225 would make fluorite
    assert failure(salt + listed + rows).startswith("contradiction")


def test_every_atom_of_the_cell_beside_a_name_and_the_identity() -> None:
    fcc = ("0 0 0", "0 .5 .5", ".5 0 .5", ".5 .5 0")
    other = (".5 .5 .5", ".5 0 0", "0 .5 0", "0 0 .5")
    rows = loop(
        tuple(f"Na{i} Na {p}" for i, p in enumerate(fcc))
        + tuple(f"Cl{i} Cl {p}" for i, p in enumerate(other))
    )
    text = (
        HEAD
        + "".join(f"_cell_length_{x} 5.64\n" for x in "abc")
        + "_symmetry_space_group_name_H-M 'F m -3 m'\n"
    )
    text += "_chemical_formula_sum 'Na4 Cl4'\n_cell_formula_units_Z 4\n"
    record = one(text + "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n" + rows)
    assert len(record.numbers) == 8 and record.symmetrized().space_group == 225


def test_both_lists_of_operators() -> None:
    new = "loop_\n_space_group_symop_operation_xyz\n'x,y,z'\n'-x,-y,-z'\n"
    old = new.replace("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
    mirror = old.replace("'-x,-y,-z'", "'x,-y,z'")
    rows = loop(("Si1 Si .1 .2 .3", "O1 O .6 0 .7"))
    assert len(one(HEAD + CELL + new + old + rows).numbers) == 4
    assert failure(HEAD + CELL + new + mirror + rows).startswith("contradiction: it lists two different sets")
    decided = one(
        HEAD + CELL + new + mirror + "_chemical_formula_sum 'Si O'\n_cell_formula_units_Z 2\n" + rows
    )
    assert len(decided.numbers) == 4 and decided.space_group == 2


@pytest.mark.parametrize(
    "slip",
    [
        "_publ_section_title 'A title of two\nlines'\n",
        "_citation_author_name 'M. O'Keeffe, and O. M. Yaghi',\n",
        "loop_\n_citation_id\n_citation_title\n1 'A' 2\n",
        "_journal_name_full J. Solid State Chem.\n_journal_volume 5\n",
        "_audit_date\n_publ_contact ~ ~\nstray words\n",
    ],
)
@pytest.mark.parametrize("behind", [False, True])
def test_slips_of_syntax_in_what_is_not_read_cost_nothing(slip: str, behind: bool) -> None:
    body = CELL + ANGLES + GROUP + loop()
    record = one(HEAD + (body + slip if behind else slip + body))
    assert is_perovskite(record) and record.warnings


def test_every_block_with_atoms_is_a_record_and_a_broken_one_costs_itself_alone() -> None:
    good = PLAIN.replace("perovskite", "one")
    bad = (
        PLAIN.replace("perovskite", "two")
        .replace("Ti Ti .5", "Ti Ti")
        .replace("Ti1 Ti .5 .5 .5", "Ti1 Ti .5 .5")
    )
    other = PLAIN.replace("perovskite", "three").replace("Sr", "Ba")
    records = read_cif(good + bad + other)
    assert [r.id for r in records] == ["one", "two", "three"]
    assert [bool(r.failure) for r in records] == [False, True, False]
    assert records[2].symmetrized().formula == "BaTiO3"


@pytest.mark.parametrize(
    ("third", "two"),
    [
        ("0.33", "0.67"),
        ("0.333", "0.667"),
        ("0.3333", "0.6667"),
        ("0.33333", "0.66667"),
        ("1/3", "2/3"),
        ("0.3333", "0.6666"),
    ],
)
def test_rounded_thirds_are_on_their_position(third: str, two: str) -> None:
    text = (
        "data_x\n_cell_length_a 3.161\n_cell_length_b 3.161\n_cell_length_c 12.295\n_cell_angle_gamma 120\n"
        "_symmetry_space_group_name_H-M 'P 63/m m c'\n"
        + loop((f"Mo1 Mo {third} {two} 0.25", f"S1 S {third} {two} 0.621"))
    )
    record = one(text)
    assert len(record.numbers) == 6
    crystal = record.symmetrized()
    assert (crystal.formula, crystal.space_group, crystal.wyckoff) == ("MoS2", 194, "Mo:c S:f")
    thirds = 3 * record.fractional[:, :2]
    assert np.abs(thirds - np.rint(thirds)).max() < 1e-9


def test_shares_of_one_element_are_one_atom_and_nothing_is_none() -> None:
    columns = (*COLUMNS, "occupancy")
    rows = ("Fe1 Fe2+ 0 0 0 0.333", "Fe2 Fe3+ 0 0 0 0.667", "O1 O2- .5 .5 .5 1", "O2 O2- .25 .25 .25 0")
    record = one(
        "data_x\n"
        + CELL.replace("3.905", "4.3")
        + "_symmetry_space_group_name_H-M 'F m -3 m'\n"
        + loop(rows, columns)
    )
    assert record.symmetrized().formula == "FeO"
    assert any("added up" in w for w in record.warnings) and any("occupancy 0" in w for w in record.warnings)


def test_multiplicities_that_do_not_fit_are_a_warning() -> None:
    rows = tuple(f"{r} {m}" for r, m in zip(ROWS, "114", strict=True))
    record = one(HEAD + CELL + GROUP + loop(rows, (*COLUMNS, "symmetry_multiplicity")))
    assert is_perovskite(record) and any("multiplicities" in w for w in record.warnings)


def test_a_metric_off_by_its_rounding_is_made_to_fit() -> None:
    text = PLAIN.replace("_cell_length_b 3.905", "_cell_length_b 3.906").replace("alpha 90", "alpha 90.02")
    record = one(text)
    assert is_perovskite(record)
    assert np.ptp(np.linalg.norm(record.lattice, axis=1)) < 1e-12


@pytest.mark.parametrize("name", KNOWN)
def test_our_own_cifs_keep_group_letters_and_numbers(name: str) -> None:
    crystal = KNOWN[name]
    record = one(crystal.to_cif())
    assert record.crystal is not None and not record.warnings
    assert (record.crystal.space_group, record.crystal.wyckoff) == (crystal.space_group, crystal.wyckoff)
    assert record.symmetrized() is record.crystal
    assert len(record.numbers) == crystal.n_atoms_conventional
    assert record.space_group == crystal.space_group


def test_letters_of_another_setting_are_not_ours() -> None:
    """The letter e of P 21/a is not read as that of P 21/c; the search gives the crystal."""
    text = (
        "data_x\n_cell_length_a 5.1505\n_cell_length_b 5.2116\n_cell_length_c 5.3173\n"
        "_cell_angle_beta 99.23\n"
        "_symmetry_space_group_name_H-M 'P 21/a'\n"
        + loop(("Zr1 Zr 0.2754 0.0395 0.2083 e",), (*COLUMNS, "Wyckoff_symbol"))
    )
    record = one(text)
    assert not record.failure and record.crystal is None and record.space_group == 14


@pytest.mark.parametrize(
    ("right", "wrong"), [("O1 O 4 f", "O1 O 4 k"), ("O1 O 4 f", "O1 O 4 g"), ("a 0.0", "b 0.0")]
)
def test_letters_that_the_points_contradict_are_not_believed(right: str, wrong: str) -> None:
    """k is the general position, which every point is on; it would be sixteen oxygen atoms."""
    text = KNOWN["rutile"].to_cif()
    assert right in text
    record = one(text.replace(right, wrong))
    assert record.crystal is None and record.symmetrized().wyckoff == "Ti:a O:f"


def test_extra_tags() -> None:
    text = crystal_to_cif(KNOWN["rutile"], rank=3, note="it's 'quoted'\nand long")
    assert "_crystalsmith_rank '3'" in text
    assert one(text).crystal == one(KNOWN["rutile"].to_cif()).crystal


@pytest.mark.parametrize(
    ("text", "value", "fuzz"),
    [
        ("0.3333(2)", 0.3333, 5e-5),
        (".5", 0.5, 0),
        ("-.25", -0.25, 0),
        ("5.", 5, 0),
        ("1/3", 1 / 3, 0),
        ("1.2E-1", 0.12, 5e-3),
        ("0.3", 0.3, 5e-3),
    ],
)
def test_numbers(text: str, value: float, fuzz: float) -> None:
    assert number(text) == (pytest.approx(value), pytest.approx(fuzz))


@pytest.mark.parametrize(
    "text", ["", "x", "1/0", "0,5", "1.2.3", "--1", "nan", "inf", "1e999", "(3)", "0.5(", "1 2"]
)
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(StructureError, match=r"^unreadable"):
        number(text)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("Na4 Cl4", {"Na": 4, "Cl": 4}),
        ("D2 O", {"H": 2, "O": 1}),
        ("C0.5 O1.50(2)", {"C": 0.5, "O": 1.5}),
        ("SrTiO3", {"Sr": 1, "Ti": 1, "O": 3}),
        ("Ca (O H)2", {}),
        ("Xx2", {}),
        ("", {}),
    ],
)
def test_sum_formulas(text: str, counts: dict[str, float]) -> None:
    assert read_formula(text) == counts


@pytest.mark.parametrize("seed", range(60))
def test_damaged_text_never_raises(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = sorted(KNOWN)
    text = KNOWN[names[seed % len(names)]].to_cif()
    raw = bytearray((text + PLAIN).encode())
    for _ in range(int(rng.integers(1, 12))):
        place = int(rng.integers(len(raw)))
        if rng.random() < 0.3:
            del raw[place : place + int(rng.integers(1, 40))]
        else:
            raw[place] = int(rng.integers(256))
    for record in read_cif(bytes(raw)):
        assert isinstance(record, Record)
        if record.failure:
            assert "\n" not in record.failure and record.lattice is None
        else:
            assert np.isfinite(record.fractional).all() and len(record.numbers) == len(record.fractional)


def test_a_cif_that_would_fill_the_memory_is_left_out() -> None:
    rows = tuple(f"O{i} O 0.{i:06d} 0.1 0.2" for i in range(2000))
    assert failure("data_x\n" + CELL + "_symmetry_space_group_name_H-M 'F m -3 m'\n" + loop(rows)).startswith(
        "too large"
    )


def test_reading_by_the_crystal() -> None:
    assert Crystal.from_cif(PLAIN.encode("utf-16")).formula == "SrTiO3"
    with pytest.raises(StructureError, match=r"^incomplete"):
        Crystal.from_cif(PLAIN + "_chemical_formula_sum 'Sr Ti O3 H'\n")


@pytest.mark.parametrize(
    "text",
    [
        "data_x\n_atom_site_x x\n" + " " * 20_000 + "q\n",  # a line that a careless pattern walks for ever
        "data_x\n" + "loop_\n_a\n1\n" * 5000,
        "data_x\n" + "save_a\n" * 5000,
        HEAD + CELL + GROUP + "_chemical_formula_sum 'Sr Ti O3'\n_cell_formula_units_Z 0.3\n" + loop(),
        HEAD + CELL + GROUP + "_chemical_formula_sum 'Sr0.0 Ti O3'\n_cell_formula_units_Z 0\n" + loop(),
        HEAD + CELL + "_symmetry_space_group_name_H-M '" + "P 1 " * 5000 + "'\n" + loop(),
        HEAD + CELL + GROUP + loop(("Sr1 " + "1A+" * 5000 + " 0 0 0",)),
        HEAD + CELL + GROUP + loop(("Sr1 Sr " + "1" * 5000 + " 0 0",)),
    ],
)
def test_oddities_end_and_are_one_reason(text: str) -> None:
    assert failure(text)
