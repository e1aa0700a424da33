"""Reference phases on disk, hulls worked out by hand and by pymatgen, entries of the user's, elements."""

from __future__ import annotations

import csv
import gzip
import json
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import spglib
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.entries.computed_entries import ComputedEntry

from crystalsmith.crystal import SYMBOLS
from crystalsmith.errors import ConfigError, HullError, OutputError
from crystalsmith.hull import MOST_ELEMENTS, Hull, Phase, References, read_entries, shipped
from crystalsmith.hull.diagram import lowest_entries
from crystalsmith.hull.elements import element_crystals, element_dataset
from crystalsmith.hull.materials_project import KEY, fetch_system
from crystalsmith.hull.picture_simplex import tie_lines
from crystalsmith.hull.pictures import draw_phase_diagram
from references import phases, references

ELEMENTS = ("Li", "P", "O", "Fe")
COUNTS = st.dictionaries(st.sampled_from(ELEMENTS), st.integers(1, 12), min_size=1)


@st.composite
def phase_lists(draw, least: int = 0) -> list[Phase]:
    rows = draw(st.lists(st.tuples(COUNTS, st.integers(-9000, 9000), st.integers(0, 230)), min_size=least))
    return [Phase(f"é-{k}", c, e / 1024, g, k % 9) for k, (c, e, g) in enumerate(rows)]


# --- references on disk ---


@given(phase_lists())
@settings(max_examples=40, deadline=None)
def test_references_are_read_as_they_were_written(tmp_path_factory, given):
    path = tmp_path_factory.mktemp("references") / "r.npz"
    References.of(given, {"potential": "springs", "max_calls": 8}).save(path)
    read = References.open(path)
    assert list(read) == given and len(read) == len(given)  # energies of a 1024th are exact in 32 bits
    assert read.potential == "springs" and read.metadata["max_calls"] == 8
    assert [p.name for p in path.parent.iterdir()] == ["r.npz"]


@given(phase_lists(), st.sets(st.sampled_from(ELEMENTS), min_size=1))
@settings(max_examples=60, deadline=None)
def test_phases_of_a_system_are_those_of_a_plain_search(given, system):
    found = References.of(given, {}).of_system(sorted(system))
    assert found == [p for p in given if set(p.counts) <= system]


def test_an_id_with_a_line_break_shifts_no_other():
    read = References.of([Phase("a\nb", {"Li": 1}, -1.0), Phase("c", {"O": 1}, -2.0)], {})
    assert [p.id for p in read] == ["a b", "c"]


def test_phases_can_be_left_out_by_id():
    phases = [Phase("a", {"Li": 1}, -1.0), Phase("b", {"O": 1}, -2.0), Phase("c", {"Li": 1, "O": 1}, -3.0)]
    rest = References.of(phases, {"potential": "springs"}).without({"b", "x"})
    assert [p.id for p in rest] == ["a", "c"] and rest.potential == "springs"


def test_the_hull_that_ships_knows_the_elements_and_rock_salts():
    found = shipped("chgnet")
    assert found is not None
    elements = {next(iter(p.counts)) for p in found if len(p.counts) == 1}
    assert {*SYMBOLS[1:95]} - elements == {"Po", "At", "Rn", "Fr", "Ra"}
    for system, formula in ((("Li", "F"), "LiF"), (("Na", "Cl"), "NaCl"), (("Mg", "O"), "MgO")):
        hull = Hull(found)
        places = {
            p.id: hull.place(p.counts, p.energy).above_hull
            for p in hull.phases(system)
            if (p.formula, p.space_group) == (formula, 225)
        }
        assert places and min(places.values()) < 0.01


def test_a_phase_tells_its_formula():
    phase = Phase("x", {"O": 6, "Fe": 4}, -1.0)
    assert (phase.formula, phase.n_atoms, phase.name) == ("Fe2O3", 10, "Fe2O3 (x)")
    assert phase.elements == {"Fe", "O"}


def test_the_note_counts_relaxed_phases():
    made = references()
    assert made.note == "10 reference phases by springs, single points"
    made.arrays["calls"][:3] = 5
    assert made.note == "10 reference phases by springs, 3 of them relaxed under their symmetry"


def test_every_truncated_file_is_refused(tmp_path):
    path = tmp_path / "r.npz"
    references().save(path)
    whole = path.read_bytes()
    for length in {*range(0, len(whole), 41), len(whole) - 1}:
        path.write_bytes(whole[:length])
        with pytest.raises(HullError, match="damaged or holds no reference phases"):
            References.open(path)


def test_a_file_with_a_byte_changed_is_read_the_same_or_refused(tmp_path):
    path = tmp_path / "r.npz"
    references().save(path)
    whole = bytearray(path.read_bytes())
    right = list(references())
    refused = 0
    for place in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[place] ^= 0x5A
        path.write_bytes(changed)
        try:
            assert list(References.open(path)) == list(References.of(right, {}))
        except HullError:
            refused += 1
    assert refused > 50


def rewrite(path: Path, **changes: np.ndarray | None) -> None:
    """The file with arrays replaced or, for None, taken out."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files} | changes
    np.savez(path, **{name: a for name, a in arrays.items() if a is not None})


def as_text(**metadata: object) -> np.ndarray:
    return np.frombuffer(json.dumps(metadata).encode(), dtype=np.uint8)


def test_a_file_of_another_version_is_refused(tmp_path):
    path = tmp_path / "r.npz"
    references().save(path)
    rewrite(path, metadata=as_text(format="crystalsmith.hull", version="99", potential="springs"))
    with pytest.raises(HullError, match=r"version 99, this program reads 1; build them again"):
        References.open(path)


@pytest.mark.parametrize(
    "change",
    [
        {"energy": None},
        {"metadata": as_text(format="another", version="1")},
        {"metadata": np.frombuffer(b"[1]", dtype=np.uint8)},
        {"metadata": np.frombuffer(b"{", dtype=np.uint8)},
        {"energy": np.zeros(9, np.float32)},
        {"energy": np.full(10, np.nan, np.float32)},
        {"energy": np.zeros(10, np.int32)},
        {"energy": np.zeros((), np.float32)},
        {"space_group": np.zeros(11, np.uint8)},
        {"space_group": np.full(10, 231, np.uint8)},
        {"start": np.arange(11, dtype=np.int32)},
        {"start": np.zeros(11, np.int32)},
        {"element": np.full(16, 200, np.uint8)},
        {"element": np.zeros(16, np.uint8)},
        {"atoms": np.zeros(16, np.uint16)},
        {"atoms": np.ones(15, np.uint16)},
        {"ids": np.frombuffer(b"one\ntwo", dtype=np.uint8)},
    ],
)
def test_a_file_whose_arrays_do_not_fit_is_refused(tmp_path, change):
    path = tmp_path / "r.npz"
    references().save(path)
    assert len(References.open(path).arrays["element"]) == 16
    rewrite(path, **change)
    with pytest.raises(HullError, match="damaged or holds no reference phases"):
        References.open(path)


def test_what_is_no_file_of_references_is_refused(tmp_path):
    with pytest.raises(HullError, match="there is no file"):
        References.open(tmp_path / "none.npz")
    with pytest.raises(HullError, match="damaged"):
        References.open(tmp_path)
    (tmp_path / "text.npz").write_text("dear reader")
    np.save(tmp_path / "one.npy", np.zeros(3))
    np.savez(tmp_path / "objects.npz", metadata=np.array([{"a": 1}], dtype=object))
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("readme.txt", "dear reader")
    for name in ("text.npz", "one.npy", "objects.npz", "other.npz"):
        with pytest.raises(HullError, match="damaged"):
            References.open(tmp_path / name)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "r.npz").mkdir()
    with pytest.raises(OutputError):
        references().save(tmp_path / "r.npz")
    with pytest.raises(OutputError):
        references().save(tmp_path / "none" / "r.npz")
    assert [p.name for p in tmp_path.iterdir()] == ["r.npz"]


def test_references_that_ship_are_those_of_their_potential():
    assert shipped("springs") is None
    assert shipped("../phases") is None and shipped("mace:model") is None
    found = shipped("chgnet")
    assert found is None or found.potential == "chgnet"


# --- hulls ---


def test_a_binary_hull_worked_out_by_hand():
    hull = Hull(references())
    # Formation energies along x, the share of O: 0 at 0, -2 at 1/3, -1.5 at 1/2, 0 at 1. On the line from
    # Li2O to O at x = 1/2 the hull would lie at -2 * (1 - 1/2) / (1 - 1/3) = -1.5, just where Li2O2 is.
    place = hull.place({"Li": 1, "O": 1}, -3.0 - 1.2)
    assert place.formation == pytest.approx(-1.2, abs=1e-6)
    assert place.above_hull == pytest.approx(0.3, abs=1e-6)
    # LiO3, x = 3/4: half of the way from Li2O2 (or of Li2O) to O at -0.75.
    place = hull.place({"Li": 2, "O": 6}, -3.5 - 0.75)
    assert place.above_hull == pytest.approx(0.0, abs=1e-6)
    # Li4O, x = 1/5: 3/5 of the atoms go into Li2O, 2/5 are left as Li; the hull is at 3/5 of -2.
    place = hull.place({"Li": 4, "O": 1}, 0.0)
    assert place.decomposition == pytest.approx({"Li2O (li2o)": 0.6, "Li (li-1)": 0.4})
    assert place.above_hull == pytest.approx(2.4 + 1.2, abs=1e-6)
    assert list(place.decomposition) == ["Li2O (li2o)", "Li (li-1)"]  # the largest first


def test_a_ternary_hull_worked_out_by_hand():
    hull = Hull(references())
    # LiPO4 = 1/3 Li3PO4 + 2/3 P + 8/3 O: of its 6 atoms, 8/3 are in the phosphate.
    place = hull.place({"Li": 1, "P": 1, "O": 4}, -(2 + 5 + 16) / 6 - 1.0)
    assert place.decomposition == pytest.approx(
        {"Li3PO4 (li3po4)": 8 / 18, "O (o-1)": 8 / 18, "P (p-1)": 2 / 18}
    )
    assert place.formation == pytest.approx(-1.0, abs=1e-6)
    assert place.above_hull == pytest.approx(-1.0 + 2.5 * 8 / 18, abs=1e-6)


def test_a_phase_below_the_hull_has_a_negative_distance():
    place = Hull(references()).place({"Li": 2, "O": 1}, -8 / 3 - 2.25)
    assert place.above_hull == pytest.approx(-0.25, abs=1e-6)
    assert place.decomposition == pytest.approx({"Li2O (li2o)": 1.0})
    place = Hull(references()).place({"Fe": 2, "O": 3}, -5.6 - 1.5)  # 4/5 FeO, 1/5 O: at -0.8
    assert place.above_hull == pytest.approx(-0.7, abs=1e-6)


@given(phase_lists(least=1), COUNTS, st.integers(-9000, 9000))
@settings(max_examples=40, deadline=None)
def test_places_agree_with_pymatgen(given, counts, energy):
    ends = [Phase(e, {e: 1}, 1.0) for e in ELEMENTS]
    hull = Hull(References.of([*given, *ends], {}))
    energy = energy / 1024
    place = hull.place(counts, energy)
    # pymatgen is given all phases, the high ones too, and looks at the crystal as one that is no part of it.
    inside = [p for p in [*given, *ends] if set(p.counts) <= set(counts)]
    diagram = PhaseDiagram([PDEntry(Composition(p.counts), p.energy * p.n_atoms) for p in inside])
    entry = PDEntry(Composition(counts), energy * sum(counts.values()))
    expected = diagram.get_e_above_hull(entry, allow_negative=True)
    assert place.above_hull == pytest.approx(expected, abs=1e-6)
    assert place.formation == pytest.approx(diagram.get_form_energy_per_atom(entry), abs=1e-6)
    assert sum(place.decomposition.values()) == pytest.approx(1.0, abs=1e-6)
    assert min(place.decomposition.values()) > -1e-9
    # The parts make up the crystal, and their energies the hull below it.
    known = {p.name: p for p in [*given, *ends]}
    parts = [(known[name], share) for name, share in place.decomposition.items()]
    total = sum(counts.values())
    for element in ELEMENTS:
        made = sum(share * p.counts.get(element, 0) / p.n_atoms for p, share in parts)
        assert made == pytest.approx(counts.get(element, 0) / total, abs=1e-6)
    assert energy - sum(share * p.energy for p, share in parts) == pytest.approx(place.above_hull, abs=1e-5)


def test_phases_of_the_users_join_the_references():
    mine = Phase("mine", {"Li": 1, "O": 1}, -3.0 - 1.8)
    hull = Hull(references(), [mine])
    assert hull.place({"Li": 1, "O": 1}, -3.0 - 1.5).above_hull == pytest.approx(0.3, abs=1e-6)
    assert mine in hull.phases(["Li", "O"]) and mine not in hull.phases(["Li", "P"])
    alone = Hull(None, phases())
    assert alone.place({"Li": 4, "O": 1}, 0.0).above_hull == pytest.approx(3.6, abs=1e-6)


def test_elements_without_a_phase_are_missing():
    hull = Hull(references())
    assert hull.missing(["O", "Si", "Cu", "Li"]) == ["Cu", "Si"]
    with pytest.raises(HullError, match=r"no reference phase of Cu, Si alone; add one with --entries"):
        hull.place({"Si": 1, "Cu": 2, "O": 1}, -1.0)
    # A compound of an element is none of the element's own phases.
    assert Hull(None, [Phase("x", {"Na": 1, "Cl": 1}, -1.0)]).missing(["Na", "Cl"]) == ["Cl", "Na"]


def test_notes_name_subsystems_without_a_phase():
    hull = Hull(references())
    assert hull.notes(["Li", "O"]) == []
    assert hull.notes(["Li", "P", "O"]) == ["no reference phase with all elements of O-P"]
    assert hull.notes(["O", "Fe", "P"]) == [
        "no reference phase with all elements of Fe-P, O-P",
        "no reference phase with all elements of Fe-O-P",
    ]


def test_too_many_elements_are_refused():
    symbols = SYMBOLS[3 : 4 + MOST_ELEMENTS]
    hull = Hull(None, [Phase(e, {e: 1}, -1.0) for e in symbols])
    assert len(symbols) == MOST_ELEMENTS + 1
    with pytest.raises(HullError, match=r"a hull of 8 elements; at most 7 can be made"):
        hull.diagram(symbols)
    assert len(hull.diagram(symbols[:4]).stable_entries) == 4


def test_the_lowest_phase_of_a_composition_counts():
    found = lowest_entries(
        [
            Phase("high", {"Li": 2, "O": 1}, -1.0),
            Phase("low", {"Li": 4, "O": 2}, -1.5),  # the same composition in a larger cell
            Phase("b", {"O": 2}, -4.0),
            Phase("a", {"O": 4}, -4.0),  # as low: the name decides, whatever the order
        ]
    )
    assert sorted((e.name, round(e.energy_per_atom, 9)) for e in found) == [
        ("Li2O (low)", -1.5),
        ("O (a)", -4.0),
    ]


# --- pictures ---


@pytest.mark.parametrize("system", ["Li-O", "Li-P-O", "Li-Fe-P-O"])
def test_a_diagram_of_two_three_and_four_elements_is_drawn(system):
    diagram = Hull(references()).diagram(system.split("-"))
    figure = draw_phase_diagram(diagram, [("Li4O", 0.05, "new"), ("Li6O", 0.0, "")])
    words = {text.get_text() for text in figure.axes[0].texts}
    assert {"Li$_{2}$O", "new", "Li", "O"} <= words
    figure.draw_without_rendering()


def test_tie_lines_join_what_stands_in_equilibrium():
    lines = tie_lines(Hull(references()).diagram(["Li", "P", "O"]))
    names = {frozenset(e.name.split(" ")[0] for e in line) for line in lines}
    assert {"Li3PO4", "P"} in names and {"Li2O", "Li"} in names
    # 12 Li2O + 8 P lie at -72 eV and 5 Li3P + 3 Li3PO4 at -70: of two lines that cross, the first stands.
    assert {"Li2O", "P"} in names and {"Li3P", "Li3PO4"} not in names


def test_what_cannot_be_drawn_is_refused():
    hull = Hull(None, [Phase(e, {e: 1}, -1.0) for e in SYMBOLS[3:8]])
    with pytest.raises(ConfigError, match="5 elements cannot be drawn"):
        draw_phase_diagram(hull.diagram(SYMBOLS[3:8]))
    diagram = Hull(references()).diagram(["Li", "O"])
    with pytest.raises(ConfigError, match="elements beside Li, O"):
        draw_phase_diagram(diagram, [("Li3PO4", 0.0, "")])
    with pytest.raises(ConfigError, match="not finite"):
        draw_phase_diagram(diagram, [("Li3O", float("nan"), "")])


# --- entries ---


def test_a_table_of_entries(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(
        "\ufeffid, formula ,energy_per_atom,potential\n"
        "a,Li2O2,-4.5,springs\n\n"
        " ,Fe0.5O0.75, -7.1,\n"
        '"b, c",K4(SiO4),-1,springs\n',
        encoding="utf-8",
    )
    found = read_entries(path, "springs")
    assert [(p.id, p.formula, p.energy) for p in found] == [
        ("a", "LiO", -4.5),
        ("mine-4", "Fe2O3", -7.1),
        ("b, c", "K4SiO4", -1.0),
    ]


def test_entries_of_pymatgen(tmp_path):
    path = tmp_path / "mine.json"
    rows = [
        ComputedEntry("Fe4O6", -50.0, entry_id="plain").as_dict(),
        ComputedEntry("Fe4O6", -50.0, correction=-5.0, entry_id="mended").as_dict(),
        ComputedEntry("Li2O", -14.1, parameters={"potential": "springs"}).as_dict(),
        PDEntry(Composition("LiO"), -9.0, name="peroxide").as_dict(),
        {"composition": "Li4O4", "energy": -36.0},
        {"composition": {"@module": "pymatgen.core", "Li": 0.5, "O": 0.25}, "energy": -3.0},
    ]
    path.write_text(json.dumps(rows))
    found = read_entries(path, "springs")
    assert [(p.formula, pytest.approx(p.energy)) for p in found] == [
        ("Fe2O3", -5.0),
        ("Fe2O3", -5.5),
        ("Li2O", -4.7),
        ("LiO", -4.5),
        ("LiO", -4.5),
        ("Li2O", -4.0),
    ]
    assert [p.id for p in found[:4]] == ["plain", "mended", "mine-3", "peroxide"]
    path.write_text(json.dumps({"entries": rows}))
    assert read_entries(path, "springs") == found
    path.write_text(json.dumps(rows[0]))
    assert read_entries(path, "springs") == found[:1]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_entries_of_an_api_and_packed_ones(tmp_path, pack):
    path = tmp_path / "mp.json.gz"
    rows = [
        {"material_id": "mp-1", "composition": {"Li": 2.0, "O": 2.0}, "energy_per_atom": -4.5},
        {"task_id": "mp-2", "composition": "Li", "energy_per_atom": -1.9},
    ]
    path.write_bytes(pack(json.dumps({"data": rows, "meta": {}}).encode()))
    assert [(p.id, p.energy) for p in read_entries(path, "springs")] == [("mp-1", -4.5), ("mp-2", -1.9)]
    for delimiter in ";\t":
        lines = ("id", '"formula"', "energy_per_atom"), ("x", "Li", "-1.5")
        path.write_bytes(pack("\n".join(delimiter.join(line) for line in lines).encode()))
        assert [(p.id, p.energy) for p in read_entries(path, "springs")] == [("x", -1.5)]


def test_entries_of_a_build(tmp_path):
    path = tmp_path / "r.dat"  # known by its content, not its name
    references().save(path)
    assert read_entries(path, "springs") == list(References.of(phases(), {}))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "formula,energy_per_atom,potential\nLi,-1,chgnet\n"),
        ("a.json", json.dumps([{"composition": "Li", "energy": -1, "potential": "chgnet"}])),
        ("b.json", json.dumps([ComputedEntry("Li", -1, parameters={"potential": "chgnet"}).as_dict()])),
        ("c.json", json.dumps([ComputedEntry("Li", -1, data={"potential": "chgnet"}).as_dict()])),
        (
            "d.json",
            json.dumps(
                [ComputedEntry("Li", -1, parameters={"a": 1}, data={"potential": "chgnet"}).as_dict()]
            ),
        ),
    ],
)
def test_energies_of_another_potential_are_refused(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(HullError, match="energies of chgnet, and the hull is of springs"):
        read_entries(tmp_path / name, "springs")
    assert len(read_entries(tmp_path / name, "chgnet")) == 1


def test_energies_of_density_functional_theory_are_of_another_potential(tmp_path):
    path = tmp_path / "mp.json"
    path.write_text(json.dumps([ComputedEntry("Li", -1, parameters={"run_type": "GGA+U"}).as_dict()]))
    with pytest.raises(HullError, match=r"energies of GGA\+U, and the hull is of chgnet"):
        read_entries(path, "chgnet")


def test_a_build_of_another_potential_is_refused(tmp_path):
    references("chgnet").save(tmp_path / "r.npz")
    with pytest.raises(HullError, match="cannot share a hull"):
        read_entries(tmp_path / "r.npz", "springs")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no entries"),
        (" \n\n", "holds no entries"),
        ("[]", "holds no entries"),
        ("formula,energy_per_atom\n", "holds no entries"),
        ("formula,energy\nLi,-1\n", "lacks the columns"),
        ("formula,energy_per_atom\nLi,-1\nLi2O,low\n", "line 3 cannot be read"),
        ("formula,energy_per_atom\n\n\nLi2O,low\n", "line 4 cannot be read"),
        ("formula,energy_per_atom\nLi\n", "line 2 cannot be read"),
        ("formula,energy_per_atom\nLi,-1,2\n", "line 2 cannot be read"),
        ("formula,energy_per_atom\nLi,nan\n", "line 2 cannot be read"),
        ("formula,energy_per_atom\n,-1\n", "line 2 cannot be read"),
        ("formula,energy_per_atom\nXx2O,-1\n", "unknown element Xx"),
        ("formula,energy_per_atom\nli2o,-1\n", "line 2 cannot be read"),
        ("formula,energy_per_atom\nFe0,-1\n", "line 2 cannot be read"),
        ("formula,energy_per_atom\nLi-1,-1\n", "line 2 cannot be read"),
        ("[{", "is no JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 5_000, "nested too deeply"),
        ('{"entries": 5}', "holds no list of entries"),
        ("[5]", "entry 1 cannot be read"),
        ('[{"energy": -1}]', "entry 1 cannot be read (no 'composition')"),
        ('[{"composition": "Li"}]', "entry 1 cannot be read (no 'energy')"),
        ('[{"composition": "Li", "energy": "low"}]', "entry 1 cannot be read"),
        ('[{"composition": "Li", "energy": NaN}]', "entry 1 cannot be read"),
        ('[{"composition": {}, "energy": -1}]', "entry 1 cannot be read"),
        ('[{"composition": {"Li": -1}, "energy": -1}]', "entry 1 cannot be read"),
        ('[{"composition": [3], "energy": -1}]', "entry 1 cannot be read"),
        ('[{"composition": "Li", "energy": -1, "parameters": 3}]', "entry 1 cannot be read"),
    ],
)
def test_damaged_entries_are_refused_in_one_line(tmp_path, text, words):
    path = tmp_path / "mine.txt"
    path.write_text(text)
    with pytest.raises(HullError) as error:
        read_entries(path, "springs")
    assert words in str(error.value) and "\n" not in str(error.value)


def test_files_of_entries_that_cannot_be_read(tmp_path):
    (tmp_path / "bytes.csv").write_bytes(b"formula,energy_per_atom\n\xff\xfe,-1\n")
    for name, words in (("none.csv", "there is no file"), (".", "cannot read"), ("bytes.csv", "cannot read")):
        with pytest.raises(HullError, match=words):
            read_entries(tmp_path / name, "springs")
    (tmp_path / "zip.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(HullError, match="damaged"):
        read_entries(tmp_path / "zip.npz", "springs")


@given(phase_lists(least=1))
@settings(max_examples=20, deadline=None)
def test_any_table_is_read_back(tmp_path_factory, given):
    path = tmp_path_factory.mktemp("entries") / "mine.csv"
    with path.open("w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(["formula", "id", "energy_per_atom"])
        writer.writerows([p.formula, p.id, repr(p.energy)] for p in given)
    found = read_entries(path, "springs")
    assert [(p.formula, p.id, p.energy) for p in found] == [(p.formula, p.id, p.energy) for p in given]


# --- elements ---

# Shortest distance between atoms in Angstrom: Sutton, Tables of Interatomic Distances (1958); Donohue, The
# Structures of the Elements (1974).
NEAREST = {
    "H-cubic": 0.74,
    "He-hcp": 3.57,
    "Li-bcc": 3.04,
    "Be-hcp": 2.22,
    "B-rhombohedral": 1.71,
    "C-graphite": 1.421,
    "N-cubic": 1.10,
    "O-monoclinic": 1.21,
    "Na-bcc": 3.66,
    "Mg-hcp": 3.20,
    "Al-fcc": 2.86,
    "Si-diamond": 2.352,
    "P-black": 2.22,
    "S-orthorhombic": 2.05,
    "Cl-orthorhombic": 1.98,
    "K-bcc": 4.54,
    "Ca-fcc": 3.95,
    "Ti-hcp": 2.90,
    "V-bcc": 2.62,
    "Cr-bcc": 2.50,
    "Mn-cubic": 2.26,
    "Fe-bcc": 2.48,
    "Co-hcp": 2.50,
    "Ni-fcc": 2.49,
    "Cu-fcc": 2.556,
    "Zn-hcp": 2.66,
    "Ga-orthorhombic": 2.46,
    "Ge-diamond": 2.45,
    "As-rhombohedral": 2.517,
    "Se-trigonal": 2.373,
    "Br-orthorhombic": 2.27,
    "Rb-bcc": 4.95,
    "Sr-fcc": 4.30,
    "Mo-bcc": 2.73,
    "Pd-fcc": 2.75,
    "Ag-fcc": 2.89,
    "Cd-hcp": 2.98,
    "In-tetragonal": 3.25,
    "Sn-tetragonal": 3.02,
    "Sn-diamond": 2.81,
    "Sb-rhombohedral": 2.908,
    "Te-trigonal": 2.835,
    "I-orthorhombic": 2.715,
    "Cs-bcc": 5.32,
    "La-dhcp": 3.74,
    "Sm-rhombohedral": 3.59,
    "W-bcc": 2.74,
    "Pt-fcc": 2.77,
    "Au-fcc": 2.88,
    "Hg-rhombohedral": 3.0,
    "Tl-hcp": 3.41,
    "Pb-fcc": 3.50,
    "Bi-rhombohedral": 3.07,
    "Th-fcc": 3.60,
    "Pa-tetragonal": 3.21,
    "U-orthorhombic": 2.75,
    "Np-orthorhombic": 2.60,
    "Pu-monoclinic": 2.57,
}

# g/cm3 at room temperature, or of the crystal where the element is no solid there (CRC Handbook; Donohue).
DENSITY = {
    "H": 0.088, "N": 1.03, "O": 1.53, "B": 2.46, "C": 2.27, "Si": 2.33, "P": 2.69, "S": 2.07, "Cl": 2.13,
    "Mn": 7.44, "Fe": 7.87, "Cu": 8.96, "Ga": 5.91, "As": 5.78, "Se": 4.81, "Br": 4.05, "In": 7.31,
    "Sb": 6.69, "Te": 6.24, "I": 4.93, "La": 6.15, "Nd": 7.01, "Pm": 7.26, "Sm": 7.52, "W": 19.3, "Hg": 14.4,
    "Pb": 11.3, "Bi": 9.79, "Pa": 15.4, "U": 19.1, "Np": 20.4, "Pu": 19.9,
}  # fmt: skip


def test_elements_have_the_symmetry_that_they_claim():
    for name, crystal in element_crystals():
        atoms = crystal.to_atoms()
        cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
        assert spglib.get_symmetry_dataset(cell, symprec=1e-3).number == crystal.space_group, name
        assert list(crystal.counts) == [name.partition("-")[0]]


def test_elements_have_the_bonds_and_densities_that_are_known():
    found = dict(element_crystals())
    assert set(found) >= set(NEAREST)
    wrong = {n: found[n].shortest_distance() for n, d in NEAREST.items()}
    assert {n: round(d, 2) for n, d in wrong.items() if abs(d / NEAREST[n] - 1) > 0.03} == {}
    for name, crystal in found.items():
        atoms = crystal.to_atoms()
        density = atoms.get_masses().sum() / atoms.get_volume() * 1.66054
        known = DENSITY.get(name.partition("-")[0])
        if known is not None and name != "Sn-diamond":
            assert density == pytest.approx(known, rel=0.05), name


def test_every_element_up_to_plutonium_is_there_but_six():
    names = [name.partition("-")[0] for name, _ in element_crystals()]
    # Fluorine is in every large data set; of the others there are few compounds, or not even crystals.
    assert set(SYMBOLS[1:95]) - set(names) == {"F", "Po", "At", "Rn", "Fr", "Ra"}
    dataset = element_dataset()
    assert len(set(dataset.ids)) == len(dataset) == len(names)
    assert np.isnan(dataset.arrays["e_above_hull"]).all()


# --- the Materials Project ---


class FakeClient:
    """Stands in for MPRester: answers with ``answer``, or raises it, and remembers what it was asked."""

    answer: object = ()
    asked: dict[str, object]

    def __init__(self, key: str) -> None:
        type(self).asked = {"key": key}
        self.materials = types.SimpleNamespace(summary=self)

    def __enter__(self) -> FakeClient:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def search(self, **asked: object) -> object:
        self.asked.update(asked)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def client(monkeypatch) -> type[FakeClient]:
    module = types.ModuleType("mp_api.client")
    made = type("MPRester", (FakeClient,), {})
    module.MPRester = made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mp_api", types.ModuleType("mp_api"))
    monkeypatch.setitem(sys.modules, "mp_api.client", module)
    monkeypatch.setenv(KEY, "secret-key")
    return made


def document(name: str, structure: Structure, above: float | None = 0.0) -> types.SimpleNamespace:
    return types.SimpleNamespace(material_id=name, structure=structure, energy_above_hull=above)


def salt(**site: object) -> Structure:
    species = ["Na", site or "Cl"]
    return Structure.from_spacegroup(225, Lattice.cubic(5.64), species, [[0, 0, 0], [0.5, 0.5, 0.5]])


def test_a_system_of_the_materials_project(client):
    client.answer = [
        document("mp-1", salt()),
        document("mp-2", salt(Cl=0.5, Br=0.5)),  # disordered
        document("mp-3", Structure(Lattice.cubic(4.2), ["Na", "Na"], [[0, 0, 0], [0.5, 0.5, 0.5]]), 0.01),
        document("mp-4", salt(), None),
    ]
    found = fetch_system(["Na", "Cl"], 0.05)
    assert found.ids == ["mp-1", "mp-3", "mp-4"]
    assert [c.space_group for c in found] == [225, 229, 225]
    assert found.arrays["e_above_hull"][:2] == pytest.approx([0, 0.01])
    assert np.isnan(found.arrays["e_above_hull"][2])
    assert client.asked["key"] == "secret-key" and client.asked["energy_above_hull"] == (0, 0.05)
    assert sorted(client.asked["chemsys"]) == ["Cl", "Cl-Na", "Na"]


def test_the_materials_project_without_an_answer(client, monkeypatch):
    client.answer = ConnectionError("no route\nwith secret-key")
    with pytest.raises(HullError, match=r"did not answer \(ConnectionError: no route") as error:
        fetch_system(["Na", "Cl"], 0.05)
    assert "secret" not in str(error.value)
    client.answer = [document("mp-2", salt(Cl=0.5, Br=0.5))]
    with pytest.raises(HullError, match="no ordered crystal of Na-Cl"):
        fetch_system(["Na", "Cl"], 0.05)
    monkeypatch.setitem(sys.modules, "mp_api.client", None)
    with pytest.raises(HullError, match="client is not installed: "):
        fetch_system(["Na", "Cl"], 0.05)
    monkeypatch.delenv(KEY)
    with pytest.raises(HullError, match=f"set {KEY}"):
        fetch_system(["Na", "Cl"], 0.05)
