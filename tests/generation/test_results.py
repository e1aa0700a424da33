"""Ranks, duplicates, hidden symmetry, what is known, the table, the CSV and the page of a run."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from crystals import KNOWN
from crystalsmith.crystal import Crystal, Site, crystal_from_arrays
from crystalsmith.crystal.hidden import hidden_group
from crystalsmith.errors import ConfigError
from crystalsmith.generation.alike import first_alike
from crystalsmith.generation.journal import Entry
from crystalsmith.generation.known import KnownPhases
from crystalsmith.generation.origin import Origin
from crystalsmith.generation.results import COLUMNS, Results, rank_all, write_results
from crystalsmith.generation.run import generate_into
from crystalsmith.generation.settings import GenerateSettings
from crystalsmith.hull import Phase
from crystalsmith.orders import parse_order
from crystalsmith.ranking import Score
from fake_model import FakeModel
from pages import Page

# Of elements that make no compound, so that nothing but a file can know it.
SALT = {"id": "salt", "space_group": 225, "wyckoff": [["Ne", "a"], ["Kr", "b"]], "count": 2}
SETTINGS = SimpleNamespace(known=(), seed=7, letters="likely", potential=None, new_only=False, format="cif")


class Folder:
    """What ``write_results`` needs of a run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> None:
        (self.path / name).write_text(text, encoding="utf-8")


def entry(crystal: Crystal, index: int, energy: float | None = None, order: str = "salt") -> Entry:
    return Entry(order, index, 1, 40 + index, crystal, None, None, Score(crystal.formula, 2.0, energy=energy))


def order_of(name: str = "salt"):
    return parse_order({"id": name, "formula": "NaCl", "count": 9})


def found(*rows: tuple[Crystal, float | None], energies: tuple[float | None, ...] = (), name: str = "salt"):
    energies = energies or (None,) * len(rows)
    own = [
        (entry(c, i, e, name), figure) for i, ((c, figure), e) in enumerate(zip(rows, energies, strict=True))
    ]
    return order_of(name), own


def salt(a: float = 5.64) -> Crystal:
    return Crystal(225, (a, a, a, 90, 90, 90), (Site("Na", "a"), Site("Cl", "b")))


def nias(a: float = 3.9) -> Crystal:
    return Crystal(194, (a, a, 1.3 * a, 90, 90, 120), (Site("Na", "a"), Site("Cl", "c")))


def shaken_perovskite(shift: float) -> Crystal:
    """SrTiO3 in P4mm with titanium moved along c."""
    a = 3.905
    sites = (Site("Sr", "a", (0.0,)), Site("Ti", "b", (0.5 + shift / a,)), Site("O", "b", (0.0,)))
    return Crystal(99, (a, a, a, 90, 90, 90), (*sites, Site("O", "c", (0.5,))))


def perovskite() -> Crystal:
    return KNOWN["perovskite"]


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_crystals_that_say_what_they_are_hide_nothing(name):
    assert hidden_group(KNOWN[name]) == (KNOWN[name].space_group, False)


@pytest.mark.parametrize("shift", [0.0, 0.01, 0.04])
def test_more_symmetry_within_a_tenth_of_an_angstrom_is_found(shift):
    assert hidden_group(shaken_perovskite(shift)) == (221, True)
    assert hidden_group(shaken_perovskite(0.4)) == (99, False)


def test_a_smaller_cell_is_more_symmetry_too():
    a = 5.64
    sites = (Site("Na", "a"), Site("Na", "c"), Site("Cl", "b"), Site("Cl", "d"))  # rock salt as Pm-3m
    assert hidden_group(Crystal(221, (a, a, a, 90, 90, 90), sites)) == (225, True)


def test_copies_in_other_cells_and_a_little_off_are_found_and_others_are_not():
    p1 = Crystal.from_structure(salt(5.7).to_structure(primitive=True), symprec=0.01)
    crystals = [salt(), nias(), salt(5.66), p1, salt(5.5), nias(3.95), perovskite()]
    groups = [hidden_group(c)[0] for c in crystals]
    assert first_alike(crystals, groups) == [0, 1, 0, 0, 0, 1, 6]


def test_the_first_of_many_kinds_is_found_however_many_there_are():
    rng = np.random.default_rng(0)
    kinds = []
    for _ in range(9):
        sites = (Site(e, "a", tuple(rng.random(3))) for e in ("Na", "Na", "Cl", "Cl"))
        kinds.append(Crystal(1, (5.0, 5.6, 6.3, 80, 95, 102), tuple(sites)))
    many = [kinds[k] for k in rng.integers(0, len(kinds), 40)]
    stands = first_alike(many, [1] * 40)
    assert all(stands[i] == stands[many.index(crystal)] for i, crystal in enumerate(many))
    assert 2 < len(set(stands)) <= 9


def test_best_first_and_what_says_nothing_new_behind():
    hidden, real = shaken_perovskite(0.01), perovskite()
    ranked = rank_all([found((hidden, 9.0), (real, 3.0), (nias(), 5.0), (real, 4.0))])
    assert [r.entry.index for r in ranked] == [2, 3, 0, 1]
    assert [r.rank for r in ranked] == [1, 2, 3, 4]
    assert [r.stands_behind for r in ranked] == [False, False, True, True]
    assert ranked[2].hidden_group == 221 and ranked[2].duplicate_of == 2
    assert ranked[3].hidden_group is None and ranked[3].duplicate_of == 2
    assert ranked[3].remark == "same as 2" and ranked[2].remark == "same as 2, Pm-3m within 0.1 Å"
    assert [r.stem for r in ranked] == ["001_salt_2", "002_salt_3", "003_salt_0", "004_salt_1"]


def test_a_crystal_of_the_users_own_stands_for_those_that_are_the_same():
    order, rows = found((nias(), 7.0), (salt(5.7), 5.0), (salt(5.64), 4.0), (nias(3.95), 1.0))
    sure = (0.6, 0.3, 0.2, 0.05)
    origins = {
        2: Origin("prototype", "file", "mine", 1.0, 1, 0.0, 0.0),
        3: Origin("prototype", "file", "theirs", 0.4, 1, 0.0, 0.0),  # of other elements: a guess as any
    }
    rows = [
        (replace(e, p_right=p, origin=origins.get(e.index, e.origin)), f)
        for (e, f), p in zip(rows, sure, strict=True)
    ]
    ranked = rank_all([(order, rows)])
    assert [r.entry.index for r in ranked] == [0, 2, 1, 3]
    assert [r.duplicate_of for r in ranked] == [None, None, 2, 1]
    assert [r.entry.p_right for r in ranked[:2]] == [0.6, 0.3]  # as sure as what it stands for
    # Asked for by energy, they stay by energy.
    assert [r.entry.index for r in rank_all([(order, rows)], sort="energy")][:2] == [0, 1]


def test_orders_follow_each_other_and_share_no_duplicates():
    ranked = rank_all([found((salt(), 1.0), (nias(), 2.0)), found((salt(), 8.0), name="other")])
    assert [(r.rank, r.order.id, r.entry.index) for r in ranked] == [
        (1, "salt", 1),
        (2, "salt", 0),
        (3, "other", 0),
    ]
    assert not any(r.stands_behind for r in ranked)


def test_without_figures_they_stay_in_their_sequence():
    ranked = rank_all([found((nias(), None), (salt(), None))])
    assert [r.entry.index for r in ranked] == [0, 1] and ranked[0].figure is None


def test_the_lowest_energy_first_within_a_formula():
    blende = Crystal(216, (6.4, 6.4, 6.4, 90, 90, 90), (Site("Na", "a"), Site("Cl", "c")))
    rows = found(
        (salt(), 1.0), (perovskite(), 2.0), (nias(), 0.0), (blende, 5.0), energies=(-3.5, -8.0, -3.6, None)
    )
    by_energy = rank_all([rows], sort="energy")
    assert [r.energy for r in by_energy] == [-3.6, -3.5, None, -8.0]
    assert [r.figure for r in rank_all([rows])] == [5.0, 2.0, 1.0, 0.0]


def test_names_sort_like_ranks_however_many_crystals_there_are():
    assert replace(rank_all([found((salt(), 1.0))])[0], total=12345).stem == "00001_salt_0"


def results_of(*rows, **kwargs) -> Results:
    return Results(tuple(rank_all([found(*rows, **kwargs)])))


def text_of(results: Results) -> str:
    console = Console(width=200, file=io.StringIO())
    console.print(results.text())
    return console.file.getvalue()


def test_the_table_for_people():
    text = text_of(results_of((salt(), 2.5), (nias(), 1.0), (salt(), 0.5), energies=(-3.5, -3.4, -3.5)))
    rows = [line.split() for line in text.splitlines()]
    assert rows[0][:4] == ["rank", "formula", "space", "group"] and "eV/atom" in text
    assert rows[1][:6] == ["1", "NaCl", "Fm-3m", "(225)", "a", "5.640"] and "2.50" in text
    assert rows[3][-3:] == ["same", "as", "1"]
    assert "order" not in text.splitlines()[0]
    many = text_of(
        Results(tuple(rank_all([found(*[(salt(), 1.0)] * 2), found(*[(salt(), 1.0)] * 60, name="b")])))
    )
    assert "22 more in crystals.csv" in many and "order" in many.splitlines()[0]


def test_known_phases_and_files_name_what_a_crystal_is(tmp_path):
    (tmp_path / "mine.cif").write_text(salt(5.7).to_cif())
    phase = Phase("mp-1", {"Na": 1, "Cl": 1}, -3.0, 225)
    by_file = KnownPhases(None, [phase], [tmp_path / "mine.cif"])
    assert by_file.judge(salt()).verdict == "known" and not by_file.judge(salt()).is_new
    other = by_file.judge(nias())
    assert other.is_new and other.nearest == "NaCl (Fm-3m, mp-1)"
    assert by_file.judge(perovskite()).verdict == "new composition"
    by_phase = KnownPhases(None, [phase])
    assert by_phase.judge(salt()).nearest == "NaCl (Fm-3m, mp-1)" and not by_phase.judge(salt()).is_new
    assert by_phase.judge(nias()).is_new
    doubled = Crystal(225, (9.0, 9.0, 9.0, 90, 90, 90), (Site("Na", "c"), Site("Cl", "a"), Site("Cl", "b")))
    assert by_phase.judge(doubled).is_new


def test_csv_and_page_are_written_and_say_the_same(tmp_path):
    ranked = rank_all([found((salt(), 2.5), (nias(), 1.0), (salt(5.65), 0.5))])
    results = write_results(Folder(tmp_path), ranked, orders=[order_of()], model=None, settings=SETTINGS)
    with (tmp_path / "crystals.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    assert tuple(rows[0]) == COLUMNS
    assert [r["rank"] for r in rows] == ["1", "2", "3"] and rows[2]["duplicate_of"] == "1"
    assert rows[0]["cif"] == "cif/001_salt_0.cif" and float(rows[0]["a"]) == 5.64
    assert rows[0]["shortest_bond"] == "Na-Cl" and float(rows[0]["shortest_bond_angstrom"]) == 2.82
    assert 0.88 < float(rows[0]["p_given_letters"]) < 0.89  # log-odds of 2
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    page.check_offline()
    assert "Crystals of NaCl" in page.text and "same as 1" in page.text and "Na–Cl 2.82" in page.text
    assert {"r1", "r2"} <= set(page.ids) and "r3" not in page.ids
    assert "cif/001_salt_0.cif" in page.links
    frame = results.to_dataframe()
    assert list(frame.columns) == list(COLUMNS) and len(frame) == 3


def test_drawing_is_bounded_and_an_empty_run_has_a_page(tmp_path):
    crystals = [
        Crystal(194, (3.9, 3.9, 3.9 * r, 90, 90, 120), nias().sites) for r in np.geomspace(0.7, 6, 30)
    ]
    ranked = rank_all([found(*((c, -float(i)) for i, c in enumerate(crystals)))])
    ranked = [replace(r, duplicate_of=None) for r in ranked]
    for many in (ranked, []):
        write_results(Folder(tmp_path), many, orders=[order_of()], model=None, settings=SETTINGS)
        page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
        page.check_offline()
        assert page.text.count("Conventional cell") == min(24, len(many))
    assert "Nothing: every try" in page.text
    assert len((tmp_path / "crystals.csv").read_text().splitlines()) == 1


def test_a_crystal_from_another_program_keeps_its_place(tmp_path):
    structure = perovskite().to_structure()
    numbers = np.array([s.Z for s in structure.species])
    again = crystal_from_arrays(structure.lattice.matrix, structure.frac_coords, numbers, 0.01)
    assert first_alike([perovskite(), again], [221, 221]) == [0, 0]


def test_a_run_is_sorted_by_energies_only_where_there_are_some(tmp_path):
    settings = GenerateSettings(sort="energy")
    with pytest.raises(ConfigError, match="needs energies; name a potential"):
        generate_into([SALT], tmp_path / "out", settings, model=FakeModel())
    assert not (tmp_path / "out").exists()


def test_a_run_knows_its_own_crystals_again(tmp_path):
    first = generate_into([SALT], tmp_path / "a", GenerateSettings(max_tries=50), model=FakeModel())
    again = GenerateSettings(max_tries=50, known=(str(tmp_path / "a"),))
    second = generate_into([SALT], tmp_path / "b", again, model=FakeModel())
    assert not any(r.known_as for r in first.results) and all(r.known_as for r in second.results)
    assert {p.stem[:4] for p in (tmp_path / "b" / "cif").iterdir()} == {"001_", "002_"}
    Page((tmp_path / "b" / "report.html").read_text(encoding="utf-8")).check_offline()
    rows = list(csv.DictReader((tmp_path / "b" / "crystals.csv").open(newline="")))
    assert all((tmp_path / "b" / row["cif"]).is_file() for row in rows) and len(rows) == 2
