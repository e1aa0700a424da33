"""Space groups by number and by symbol, and what is refused."""

import numpy as np
import pytest
import spglib
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.symmetry.groups import sg_symbol_from_int_number
from test_symmetry_operations import GROUPS, standard_halls

from crystalsmith.errors import CrystalsmithError, SymmetryError
from crystalsmith.symmetry import SpaceGroup, space_group

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # spglib's own


def refusal(which: object, letters: bool = False) -> str:
    with pytest.raises(SymmetryError) as caught:
        space_group(which, letters)  # type: ignore[arg-type]
    message = str(caught.value)
    assert len(message.splitlines()) == 1 and len(message) < 200, message
    return message


def test_by_number():
    for number in range(1, 231):
        group = space_group(number)
        assert group.number == number
        for same in (str(number), f" {number} ", np.int64(number), group):
            assert space_group(same) is group


def test_by_the_symbols_of_spglib():
    for number, hall in standard_halls().items():
        kind = spglib.get_spacegroup_type(hall)
        assert space_group(number).symbol == kind.international_short
        for symbol in (kind.international_short, kind.international_full):
            for old, new in (("", ""), ("_", ""), (" ", ""), (" ", "_")):
                spelling = symbol.replace(old, new)
                assert space_group(spelling).number == number, spelling
                assert space_group(spelling.upper()).number == number, spelling
                assert space_group(f"  {spelling.lower()}\t").number == number, spelling


def test_by_the_symbols_of_pymatgen():
    for number in range(1, 231):
        for hexagonal in (True, False):
            symbol = sg_symbol_from_int_number(number, hexagonal=hexagonal)
            assert space_group(symbol).number == number, symbol


@pytest.mark.parametrize(
    ("symbol", "number"),
    [
        ("Fm-3m", 225),
        ("F m -3 m", 225),
        ("F 4/m -3 2/m", 225),
        ("Fm3m", 225),
        ("fM-3M", 225),
        ("P21/c", 14),
        ("P2_1/c", 14),
        ("P 2_1/c", 14),
        ("P 21/c", 14),
        ("P 1 21/c 1", 14),
        ("P 1 2_1/c 1", 14),
        ("P12_1/c1", 14),
        ("P212121", 19),
        ("P 21 21 21", 19),
        ("Pnma", 62),
        ("P 21/n 21/m 21/a", 62),
        ("Cmce", 64),
        ("Cmca", 64),
        ("Aba2", 41),
        ("I41/amd", 141),
        ("I 41/a m d :2", 141),
        ("P31m", 157),
        ("P3_112", 151),
        ("P3_121", 152),
        ("P312", 149),
        ("R-3m", 166),
        ("R -3 m :H", 166),
        ("R-3mH", 166),
        ("P63/mmc", 194),
        ("P6_3/m 2/m 2/c", 194),
        ("Fd-3m:2", 227),
        ("Fd-3mZ", 227),
        ("Ia3d", 230),
        ("P-1", 2),
    ],
)
def test_by_symbol(symbol, number):
    assert space_group(symbol).number == number


def test_no_spelling_means_two_groups():
    """Underscores, spaces and case carry nothing: spglib's symbols still mean one group without them."""
    numbers: dict[str, set[int]] = {}
    for hall in range(1, 531):
        kind = spglib.get_spacegroup_type(hall)
        for symbol in (kind.international_short, kind.international_full):
            numbers.setdefault(symbol.replace(" ", "").replace("_", "").lower(), set()).add(kind.number)
    assert {symbol: found for symbol, found in numbers.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    ("symbol", "number", "standard"),
    [
        ("P2_1/n", 14, "P2_1/c"),
        ("P21/n", 14, "P2_1/c"),
        ("P 1 21/n 1", 14, "P2_1/c"),
        ("P21/a", 14, "P2_1/c"),
        ("P 1 1 21/b", 14, "P2_1/c"),
        ("I2/a", 15, "C2/c"),
        ("A2/m", 12, "C2/m"),
        ("B2", 5, "C2"),
        ("Pbnm", 62, "Pnma"),
        ("Amam", 63, "Cmcm"),
        ("Fd-3m:1", 227, "Fd-3m"),
        ("Fd-3m S", 227, "Fd-3m"),
        ("R-3m:R", 166, "R-3m"),
        ("R 3 R", 146, "R3"),
    ],
)
def test_settings_other_than_the_standard_name_the_group_but_no_letters(symbol, number, standard):
    assert space_group(symbol).number == number
    message = refusal(symbol, letters=True)
    assert f"is a non-standard setting of space group {number}, whose Wyckoff letters may differ" in message
    assert f"give {number} or {standard} and the letters of that setting" in message
    assert symbol in message


def test_every_symbol_of_spglib_is_known_and_refused_beside_letters_if_not_of_the_standard():
    halls = standard_halls()
    for hall in range(1, 531):
        kind = spglib.get_spacegroup_type(hall)
        short = spglib.get_spacegroup_type(halls[kind.number]).international_short
        for symbol in (kind.international_short, kind.international_full, kind.international.split("=")[-1]):
            assert space_group(symbol).number == kind.number, symbol
            try:
                assert space_group(symbol, letters=True).number == kind.number, symbol
            except SymmetryError as error:
                assert hall != halls[kind.number], symbol
                assert f"give {kind.number} or {short} and the letters" in str(error)


@pytest.mark.parametrize(
    ("names", "number"),
    [
        ("Cmca Ccmb Abma Acam Bbcm Bmab Cmce Aema Bmeb", 64),
        ("Cmma Cmmb Abmm Acmm Bmcm Bmam Bmem", 67),
        ("Ccca Cccb Abaa Acaa Bbcb Bbab", 68),
        ("Abm2 Bma2 B2cm C2mb Cm2a Ac2m Aem2", 39),
        ("Aba2 Bba2 B2cb C2cb Cc2a Ac2a", 41),
        ("A-1 B-1 C-1 F-1 I-1 Ci1 Ci^1", 2),
        ("I4/mmm F4/mmm D4h17 D4h^17 D_{4h}^{17} D4h¹⁷", 139),
        ("P42/mcm C42/mmc C4₂/mmc", 132),
        ("P4/nmm C4/amm", 129),
        ("I41/amd F41/ddm I41/amd:1 I41/amdS", 141),
        ("P63/mmc P6₃/mmc C63/mmc P6<sub>3</sub>/mmc D6h4 194 #194 No.194 sg194", 194),
        (
            "Fm-3m Fm3\u0305m Fm\u0305" + "3m Fm3\u0304m Fm–3m Fm−3m Fm3m $Fm\\bar{3}m$ Oh5 Oh^5 Oh⁵ 225:1",
            225,
        ),
        ("227:1 227:2 Fd-3m:1 Fd-3m:2 Fd-3mS Fd-3mZ Fd-3m:Z -F4vw2vw3", 227),
        ("P2(1)/c P2(1)/n P21/a 14:b2 14:c3 P2₁/c -P2ybc -P2yn C2h5", 14),
        ("R-3c R-3cH R-3c:R R-3cr 167:R 167:H H-3c", 167),
        ("R3 H3 C3^4", 146),
        ("P41 C4^2", 76),
        ("P42 C42", 77),
    ],
)
def test_names_that_people_type(names, number):
    for name in names.split():
        assert space_group(name).number == number, name


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("-P 2ybc", 14),
        ("-F 4vw 2vw 3", 227),
        ("F 4d 2 3 -1d", 227),
        ('R 3 2"', 155),
        ("R 3 2=", 155),
        ("P 4 2 3", 207),
        ("P 21/m 21/m 2/n (origin choice 2)", 59),
        ("F d -3 m [origin 1]", 227),
        ("R -3 m (hexagonal axes)", 166),
        ("R -3 m rhombohedral axes", 166),
        ("P21/c (No. 14)", 14),
        ("Fm-3m (225)", 225),
        ("space group 62", 62),
        ("Pnma #62", 62),
        ("C 1 2/m 1", 12),
        ("B 1 21 1", 4),
        ("'P 21/c'", 14),
    ],
)
def test_names_with_words_and_spaces(name, number):
    assert space_group(name).number == number


def test_every_hall_and_schoenflies_symbol_is_known():
    for hall in range(1, 531):
        kind = spglib.get_spacegroup_type(hall)
        for symbol in (kind.hall_symbol, kind.hall_symbol.replace("=", '"')):
            try:
                assert space_group(symbol).number == kind.number, symbol
            except SymmetryError as error:
                assert "can mean" in str(error) and f"({kind.number})" in str(error), symbol
        assert space_group(kind.schoenflies).number == kind.number
        if kind.choice:
            assert space_group(f"{kind.number}:{kind.choice}").number == kind.number


def test_what_means_two_groups_is_said():
    """To Hall it is P422, without its underscore P4_2."""
    assert refusal("P 4 2") == "space group 'P 4 2' can mean P4_2 (77) or P422 (89); give the number"
    assert space_group("P 42").number == space_group("P4_2").number == 77


@pytest.mark.parametrize("name", ["Fm-3m (226)", "Pnma #61", "P21/c (No. 62)"])
def test_symbol_and_number_that_contradict_are_refused(name):
    assert refusal(name).startswith("unknown space group")


@pytest.mark.parametrize(
    "which",
    [
        *(0, -1, 231, 10**30, "0", "231", "00000"),
        pytest.param(10**5000, id="5001 digits"),
        pytest.param(-(10**5000), id="minus and 5001 digits"),
        pytest.param("9" * 5000, id="text of 5000 digits"),
    ],
)
def test_numbers_out_of_range(which):
    assert refusal(which).endswith("does not exist; numbers run from 1 to 230")


@pytest.mark.parametrize("which", [None, True, False, 225.0, b"Fm-3m", ["Fm-3m"], {}, np.eye(30), np.True_])
def test_what_is_neither_number_nor_symbol(which):
    assert refusal(which).endswith("is neither a number from 1 to 230 nor a Hermann-Mauguin symbol")


@pytest.mark.parametrize(
    ("which", "meant"),
    [("Fm-3n", "Fm-3m"), ("Pnmaa", "Pnma"), ("P63/mmcc", "P6_3/mmc"), ("P2_1/cc", "P2_1/c")],
)
def test_misspelt_symbols_get_suggestions(which, meant):
    message = refusal(which)
    assert message.startswith(f"unknown space group {which!r}; did you mean ")
    suggestions = message.split("did you mean ")[1].rstrip("?").split(", ")
    assert meant in suggestions
    assert len(set(suggestions)) == len(suggestions)
    assert {group.symbol for group in GROUPS}.issuperset(suggestions)


def test_misspelt_symbols_of_other_settings_get_suggestions_with_their_group():
    message = refusal("Bmaq")
    assert "Bmab (Cmce)" in message and "Bmam (Cmme)" in message
    assert refusal("227:3").endswith("; 227 has the settings 1, 2")
    assert refusal("R-3m:2").endswith("; R-3m has the settings H, R")
    assert refusal("Fm-3m:R").endswith("; Fm-3m has one setting")


@pytest.mark.parametrize(
    "which",
    [
        *("hello world, this is no symbol", "-5", "+5", "1e2"),
        pytest.param("", id="empty"),
        pytest.param(" \n", id="blank"),
        pytest.param("²", id="superscript"),
        pytest.param("x" * 10_000, id="long"),
        pytest.param("\ud800", id="surrogate"),
    ],
)
def test_other_text_is_refused_with_what_to_give(which):
    message = refusal(which)
    assert message.startswith("unknown space group ")


def test_digits_of_other_scripts_are_numbers():
    assert space_group("２２５").number == 225


SYMBOL_LIKE = st.text("PABCIFRHSZ12346/-_ :mnabcde()", max_size=15)
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.binary(max_size=8),
    st.lists(st.integers(), max_size=3),
    st.complex_numbers(),
)


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.text(), SYMBOL_LIKE, st.integers(), st.integers(-5, 240).map(str), ANYTHING))
def test_anything_is_either_a_group_or_a_symmetry_error(which):
    try:
        group = space_group(which)  # type: ignore[arg-type]
    except SymmetryError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert isinstance(group, SpaceGroup)


def test_errors_are_value_errors_and_of_the_package():
    assert issubclass(SymmetryError, ValueError) and issubclass(SymmetryError, CrystalsmithError)


def test_positions_by_letter():
    group = space_group("Fm-3m")
    assert group.position("a").multiplicity == 4
    assert group.position("a") is group.wyckoff["a"]
    assert space_group(47).position("A").multiplicity == 8


@pytest.mark.parametrize(
    "letter", ["m", "A", "aa", "", "4a", None, 1, ["a"], pytest.param("z" * 999, id="long")]
)
def test_unknown_letters_are_refused_with_those_there_are(letter):
    with pytest.raises(SymmetryError) as caught:
        space_group(225).position(letter)
    message = str(caught.value)
    assert message.startswith("space group 225 (Fm-3m) has no Wyckoff letter ")
    assert message.endswith("; it has a, b, c, d, e, f, g, h, i, j, k, l")
    assert len(message.splitlines()) == 1 and len(message) < 200
