"""Orders for a known formula: its phases come first, are named, or are left out."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crystalsmith.cli.options
from crystals import KNOWN
from crystalsmith.assignments import Cells, Request, parse_formula
from crystalsmith.cli.main import main
from crystalsmith.crystal import Crystal, Site
from crystalsmith.data import pack
from crystalsmith.data.wyckoff import Occupations, occupations
from crystalsmith.errors import ImpossibleOrder, OutputError
from crystalsmith.generation import generate_records
from crystalsmith.generation.asked_for import chances as chances_of
from crystalsmith.generation.drafts import drafter_of
from crystalsmith.generation.journal import Entry
from crystalsmith.generation.known import KnownPhases, model_known
from crystalsmith.generation.results import rank_all
from crystalsmith.generation.run import generate_into
from crystalsmith.generation.settings import GenerateSettings
from crystalsmith.orders import parse_order
from crystalsmith.prior import KnownCrystals, Prototypes, known_recipes, twin_of
from crystalsmith.ranking import Score
from fake_model import FakeModel
from pages import Page
from priors import clever, small_network

# Of titanium dioxide: anatase on the hull, rutile above it, a third whose distance nobody knows.
NAMES = ("rutile", "anatase", "marcasite", "rock salt")
IDS = ("mp-2", "mp-1", "mp-3", "mp-4")
ABOVE = (0.03, 0.0, np.nan, 0.0)


def tio2(above: tuple[float, ...] = ABOVE, seen: tuple[int, ...] | None = None) -> Occupations:
    crystals = [KNOWN[n] for n in NAMES]
    marcasite = crystals[2]
    other = {"Fe": "Ti", "S": "O"}
    sites = tuple(Site(other[s.element], s.letter, s.free) for s in marcasite.sites)
    crystals[2] = Crystal(marcasite.space_group, marcasite.cell, sites)
    return occupations(pack(crystals, IDS, above, seen))


def model(**options: Any) -> FakeModel:
    return FakeModel(prior=small_network(), occupations=tio2(), **options)


def order(count: int = 6, **more: Any):
    return parse_order({"id": "o", "formula": "TiO2", "max_atoms": 12, "count": count, **more})


def keys(recipes: list[Request]) -> list[int]:
    return [r.space_group for r in recipes]


def test_recipes_of_known_phases_are_sorted_by_stability():
    prototypes = Prototypes(KnownCrystals.read(tio2()))
    formula, everywhere = parse_formula("TiO2"), tuple(range(1, 231))
    assert keys(known_recipes(prototypes, formula, [Cells(2, everywhere)])) == [141, 136]
    assert keys(known_recipes(prototypes, formula, [Cells(2, (136,)), Cells(4, everywhere)])) == [136]
    assert keys(known_recipes(prototypes, parse_formula("Ti3O5"), [Cells(2, everywhere)])) == []
    shifted = Request(136, (("O", "f"), ("Ti", "b")))  # the same crystal from another origin
    twin = twin_of(prototypes, shifted)
    assert twin is not None and prototypes.known.ids[twin] == "mp-2"
    assert prototypes.known.name(twin) == "TiO2 (P4_2/mnm, mp-2)"
    assert twin_of(prototypes, Request(136, (("O", "e"), ("Ti", "b")))) is None
    assert twin_of(prototypes, Request(136, (("Ti", "*"), ("O", "*")))) is None


def test_the_first_crystals_are_the_known_phases_and_the_most_stable_one_is_never_missing():
    drafter = drafter_of(model(), "likely")  # type: ignore[arg-type]
    rng = np.random.default_rng(0)

    def groups(count: int) -> list[int]:
        return [drafter.draft(order(count), k, rng, 1).space_group for k in range(count)]

    assert groups(1) == [141] and groups(6)[:3:2] == [141, 136]
    assert groups(3) == groups(6)[:3]  # whatever the budget
    drafter = drafter_of(FakeModel(prior=small_network(), occupations=tio2((0.0, 0.1, 0.02, 0.0))), "likely")  # type: ignore[arg-type]
    assert groups(1) == [136] and groups(3)[::2] == [136, 58] and groups(6)[::2] == [136, 58, 141]
    # Where distances are not told, as in older checkpoints, nothing is put first.
    known = tio2()
    silent = Occupations(known.space_group, known.start, known.element, known.wyckoff)
    source = drafter_of(FakeModel(prior=small_network(), occupations=silent), "likely").source  # type: ignore
    asked = order(6)
    assert asked.content.known(asked.bounds, source, 12) == []
    assert len(asked.content.known(asked.bounds, drafter.source, 12)) == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize("letters", ["likely", "drawn"])
def test_new_only_makes_no_known_crystal(letters):
    known = model_known(model())  # type: ignore[arg-type]
    records = list(generate_records(model(), [order(8)], letters=letters, new_only=True))
    made = [r.crystal for r in records if r.crystal is not None]
    assert len(made) >= 6 and not any(known.holds(c) for c in made)
    assert any(known.holds(r.crystal) for r in generate_records(model(), [order(8)]) if r.crystal)


def test_new_only_refuses_what_a_file_holds_and_known_letters(tmp_path: Path):
    first = next(r.crystal for r in generate_records(model(), [order(3)], new_only=True) if r.crystal)
    (tmp_path / "mine.cif").write_text(first.to_cif())
    again = generate_records(model(), [order(3)], new_only=True, known=[tmp_path / "mine.cif"])
    mine = KnownPhases(None, files=[tmp_path / "mine.cif"])
    assert mine.holds(first) and not any(mine.holds(r.crystal) for r in again if r.crystal)
    letters = parse_order({"id": "l", "space_group": 136, "wyckoff": [["Ti", "b"], ["O", "f"]]})
    with pytest.raises(ImpossibleOrder, match=r"TiO2 \(P4_2/mnm, mp-2\).*leave --new-only out"):
        list(generate_records(model(), [letters], new_only=True))
    assert [r.crystal is not None for r in generate_records(model(), [letters])] == [True]


def entries(*rows: tuple[str, float, float | None]) -> tuple[Any, Any]:
    found = [
        (Entry("o", i, 1, i, KNOWN[name], None, None, Score("TiO2", 0.0, energy=energy)), figure)
        for i, (name, figure, energy) in enumerate(rows)
    ]
    return order(), found


def ranks(
    known: KnownPhases | None, *rows: tuple[str, float, float | None], sort: str = "score"
) -> list[int]:
    return [r.entry.index for r in rank_all([entries(*rows)], sort, known)]


ROWS = (("perovskite", 9.0, None), ("rutile", 8.0, None), ("anatase", 7.0, None), ("rutile", 9.5, None))


def test_the_known_phase_that_is_likeliest_stands_first():
    on_hull = model_known(model())  # type: ignore[arg-type]
    assert ranks(on_hull, *ROWS)[0] == 2 and ranks(None, *ROWS)[0] == 3
    # Observed before computed alone; of two that were observed, the more stable one.
    rutile = KnownPhases(Prototypes(KnownCrystals.read(tio2(seen=(1, 0, -1, -1)))))
    assert ranks(rutile, *ROWS)[0] == 3
    for above, first in (((0.1, 0.0), 2), ((0.0, 0.1), 3)):
        both = tio2((*above, np.nan, 0.0), seen=(1, 1, -1, -1))
        assert ranks(KnownPhases(Prototypes(KnownCrystals.read(both))), *ROWS)[0] == first
    # Without distances, as in older checkpoints, nothing is compared.
    silent = tio2((np.nan,) * 4)
    assert ranks(KnownPhases(Prototypes(KnownCrystals.read(silent))), *ROWS) == [3, 0, 2, 1]


def test_a_bad_crystal_of_a_known_phase_does_not_stand_first():
    known = KnownPhases(Prototypes(KnownCrystals.read(tio2(seen=(1, 1, -1, -1)))))
    assert ranks(known, ("rutile", 9.0, None), ("anatase", 8.0, None))[0] == 1
    assert ranks(known, ("rutile", 9.0, None), ("anatase", -12.0, None))[0] == 0
    # One known phase, computed alone and far from the hull: what is no known phase may stand before it.
    lonely = occupations(pack([KNOWN["anatase"]], ["mp-1"], [0.08], [0]))
    index = KnownPhases(Prototypes(KnownCrystals.read(lonely)))
    assert ranks(index, ("rutile", 9.0, None), ("anatase", 4.0, None))[0] == 0
    seen = occupations(pack([KNOWN["anatase"]], ["mp-1"], [0.0], [1]))
    index = KnownPhases(Prototypes(KnownCrystals.read(seen)))
    assert ranks(index, ("rutile", 9.0, None), ("anatase", 8.0, None))[0] == 1


def test_a_crystal_far_above_another_in_energy_is_not_its_phase():
    known = model_known(model())  # type: ignore[arg-type]
    # Its letters are those of the phase on the hull.
    far = (("rutile", 1.0, -8.0), ("anatase", 0.5, -7.0))
    near = (("rutile", 1.0, -8.0), ("anatase", 0.5, -7.99))
    assert ranks(known, *far) == [0, 1] and ranks(known, *near) == [1, 0]
    assert ranks(known, *near, sort="energy") == [0, 1]


def test_stated_chances_are_of_one_scale_and_leave_room_for_what_is_not_known():
    known = KnownPhases(Prototypes(KnownCrystals.read(tio2(seen=(1, 1, -1, -1)))))
    asked, rows = entries(*ROWS)
    stated = [(replace(e, p_right=0.7), figure) for e, figure in rows]
    ranked = rank_all([(asked, stated)], "score", known)
    chances = [r.entry.p_right for r in ranked if r.entry.p_right is not None]
    first = [r.entry.p_right for r in ranked if not r.stands_behind]
    assert first == sorted(first, reverse=True) and len(first) == 3
    assert len(chances) == 4 and 0.5 < sum(chances) < 1
    # Two crystals of one phase share its chance: the second counts where the first is wrong.
    one, two = (r.entry.p_right for r in ranked if r.entry.index in (1, 3))
    assert one is not None and two is not None and two < one
    # Of another formula or group than is asked for, nothing changes.
    within = chances_of(order(space_group=136), [e for e, _ in stated], [f for _, f in stated], known)
    assert within is not None and within[2] < 1e-2 < within[1]
    assert chances_of(order(space_group=225), [e for e, _ in stated], [f for _, f in stated], known) is None


def test_bounds_leave_out_phases_beyond_them():
    known, titania = KnownPhases(Prototypes(KnownCrystals.read(tio2()))), parse_formula("TiO2")

    def found(**bounds: Any) -> set[int]:
        phases, _ = known.asked_for(titania, order(**bounds).bounds)
        index = KnownCrystals.read(tio2()).space_group
        return {int(index[i]) for i in phases}

    assert found() == {136, 141}  # 58 has no distance to the hull
    assert found(space_group=136) == {136} and found(z=4) == {141} and found(z=2) == {136}
    assert found(space_group=141, z=4) == {141} and found(space_group=141, z=2) == set()


def test_a_run_says_which_phases_are_known_and_which_crystals_they_are(tmp_path: Path, capsys, monkeypatch):
    told = tio2(seen=(0, 1, -1, -1))
    made_by = FakeModel(prior=small_network(), occupations=told)
    monkeypatch.setattr(crystalsmith.cli.options, "load", lambda args: made_by)
    arguments = ["--formula", "TiO2", "--max-atoms", "12", "-n", "6"]
    assert main(["--json", "generate", *arguments, "-o", str(tmp_path / "run"), "--quiet"]) == 0
    facts = json.loads(capsys.readouterr().out)["result"]
    phases = facts["known_phases"]
    assert [(p["id"], p["space_group"], p["e_above_hull"], p["observed"]) for p in phases] == [
        ("mp-1", 141, 0.0, True),
        ("mp-2", 136, 0.03, False),
        ("mp-3", 58, None, None),
    ]
    rows = list(csv.DictReader((tmp_path / "run" / "crystals.csv").open(newline="")))
    first = phases[0]["rank"]
    assert first is not None and rows[first - 1]["known_as"] == "TiO2 (I4_1/amd, mp-1)"
    assert float(rows[first - 1]["e_above_hull_of_known"]) == 0.0
    page = Page((tmp_path / "run" / "report.html").read_text(encoding="utf-8"))
    page.check_offline()
    assert "Known phases" in page.text and "mp-1" in page.text and "on it" in page.text
    assert main(["generate", *arguments, "-o", str(tmp_path / "run")]) == 0
    shown = capsys.readouterr().out
    assert "known phases" in shown and "mp-2" in shown and "0.030" in shown
    assert "observed" in shown and "computed" in shown and "observed" in page.text
    # Another choice is another run.
    assert main(["generate", *arguments, "-o", str(tmp_path / "run"), "--new-only"]) == 2
    assert "--new-only" in capsys.readouterr().err
    assert main(["generate", *arguments, "-o", str(tmp_path / "run"), "--known-too"]) == 0


def test_known_files_are_part_of_a_run_of_new_crystals_alone(tmp_path: Path):
    (tmp_path / "mine.cif").write_text(KNOWN["rutile"].to_cif())
    settings = GenerateSettings(new_only=True, known=(str(tmp_path / "mine.cif"),))
    made = generate_into([order(2)], tmp_path / "run", settings, model=model())  # type: ignore[arg-type]
    assert [p.source for p in made.known_phases].count("file") == 1
    (tmp_path / "mine.cif").write_text(KNOWN["anatase"].to_cif())
    with pytest.raises(OutputError, match="other known crystals"):
        generate_into([order(2)], tmp_path / "run", settings, model=model())  # type: ignore[arg-type]


def test_phases_of_a_system_are_those_of_all_its_elements():
    known = model_known(clever())  # type: ignore[arg-type]
    found = {p.formula for p in known.phases(("Ti", "O"), None)}
    assert found == {"TiO2"} and known.phases(("Ti", "Xe"), None) == []
