"""Crystals of orders that leave cells, groups, compositions or letters open to the learned prior."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pymatgen.core import Composition, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

import crystalsmith.cli.options
from crystalsmith.assignments import canonical, from_pairs
from crystalsmith.cli.main import main
from crystalsmith.crystal import Crystal
from crystalsmith.errors import ImpossibleOrder
from crystalsmith.generation import Generated, generate, generate_batches, generate_records
from crystalsmith.generation.drafts import LIKELY_TRIES, drafter_of
from crystalsmith.orders import Order, parse_order, parse_orders, sources
from crystalsmith.symmetry import space_group
from fake_model import FakeModel
from priors import clever, known_occupations, small_network

ORDERS = parse_orders(
    [
        {"id": "salt", "formula": "NaCl", "atoms": 2, "count": 6},
        {"id": "titanate", "formula": "BaTiO3", "max_atoms": 10, "count": 5},
        {"id": "quartz", "formula": "SiO2", "space_group": 154, "z": 3, "count": 3},
        {"id": "aragonite", "formula": "SrCO3", "space_group": "Pnma", "z": 4, "count": 3},
        {"id": "rutile", "formula": "Sn2O4", "space_group": [136, 14], "z": 1, "count": 3},
        {"id": "search", "system": "Mg-Al-O", "max_sites": 6, "max_atoms": 14, "count": 6},
        {"id": "alloys", "system": "Cu-Ni", "space_group": [12, 225], "count": 4},
        {"id": "some", "sites": {"K": "1-2", "Cl": "1-3"}, "space_group": [221, 225], "count": 12},
    ]
)


FORMULAS = {"salt": "NaCl", "titanate": "BaTiO3", "quartz": "SiO2", "aragonite": "SrCO3", "rutile": "SnO2"}


def composition(crystal: Crystal) -> Composition:
    """Of the whole conventional cell, as pymatgen reads the CIF."""
    return Structure.from_str(crystal.to_cif(), fmt="cif").composition


@pytest.fixture(scope="module", params=["likely", "drawn"])
def made(request: pytest.FixtureRequest) -> dict[str, list[Crystal]]:
    """Crystals by order."""
    result: dict[str, list[Crystal]] = {o.id: [] for o in ORDERS}
    for r in generate_records(clever(), ORDERS, seed=1, letters=request.param):
        if r.crystal is not None:
            result[r.order_id].append(r.crystal)
    assert sum(map(len, result.values())) >= 0.9 * sum(o.count for o in ORDERS)
    return result


def test_formulas_are_met_exactly(made: dict[str, list[Crystal]]) -> None:
    for name, formula in FORMULAS.items():
        assert made[name]
        for crystal in made[name]:
            assert composition(crystal).reduced_composition == Composition(formula)


def test_cells_are_those_asked_for(made: dict[str, list[Crystal]]) -> None:
    assert all(c.n_atoms == 2 for c in made["salt"])
    assert all(c.n_atoms in (5, 10) for c in made["titanate"])
    assert all(composition(c) == Composition("Si3O6") for c in made["quartz"])
    assert all(composition(c) == Composition("Sr4C4O12") for c in made["aragonite"])
    assert all(composition(c) == Composition("Sn2O4") for c in made["rutile"])
    assert all(c.n_atoms <= 14 for c in made["search"])


def test_systems_hold_all_of_their_elements_and_no_other(made: dict[str, list[Crystal]]) -> None:
    for crystal in made["search"]:
        found = composition(crystal)
        assert {e.symbol for e in found} == {"Mg", "Al", "O"}
        assert found["Mg"] * 2 + found["Al"] * 3 == found["O"] * 2  # neutral
        assert len(crystal.sites) <= 6
    assert all({e.symbol for e in composition(c)} == {"Cu", "Ni"} for c in made["alloys"])


def test_numbers_of_sites_lie_within_their_ranges(made: dict[str, list[Crystal]]) -> None:
    numbers = [Counter(s.element for s in c.sites) for c in made["some"]]
    assert {n["K"] for n in numbers} == {1, 2}
    assert {n["Cl"] for n in numbers} <= {1, 2, 3} and len({n["Cl"] for n in numbers}) > 1


def test_groups_are_those_asked_for(made: dict[str, list[Crystal]]) -> None:
    for order in ORDERS:
        assert {c.space_group for c in made[order.id]} <= set(order.bounds.allowed)
    assert {c.space_group for c in made["some"]} == {221, 225}
    # Random positions have no more symmetry than asked for, where every axis has some freedom.
    for crystal in made["aragonite"]:
        structure = Structure.from_str(crystal.to_cif(), fmt="cif")
        found = SpacegroupAnalyzer(structure, symprec=1e-3).get_space_group_number()
        assert found == 62 or sum(len(s.free) for s in crystal.sites) < 6


def test_how_elements_are_put_does_not_matter() -> None:
    for one, two in (
        ({"formula": "SrTiO3"}, {"formula": "O3 Ti Sr"}),
        ({"system": "Na-Cl-O"}, {"system": "O, Na, Cl"}),
        (
            {"sites": {"Na": "1-2", "Cl": 1}, "space_group": [12, 14]},
            {"sites": {"Cl": 1, "Na": "1-2"}, "space_group": [14, 12]},
        ),
        ({"sites": {"Na": 2, "Cl": 1}, "space_group": 62}, {"sites": {"Cl": 1, "Na": 2}, "space_group": 62}),
    ):
        crystals = [
            list(generate_records(clever(), [{"id": "x", "count": 4, "max_atoms": 14, **o}], seed=2))
            for o in (one, two)
        ]
        assert crystals[0] == crystals[1]


def test_crystals_do_not_depend_on_batches_or_on_other_orders() -> None:
    def by_name(records: Any) -> dict[tuple[str, int], Generated]:
        return {(r.order_id, r.index): r for r in records}

    whole = by_name(generate_records(clever(bad=0.3), ORDERS, seed=7))
    small = by_name(generate_records(clever(bad=0.3), ORDERS[::-1], seed=7, batch_atoms=10))
    assert small == whole


def test_run_goes_on_from_any_of_its_tries() -> None:
    options: dict[str, Any] = {"seed": 2, "batch_atoms": 60}
    tries = [r for batch in generate_batches(clever(bad=0.3), ORDERS, **options) for r in batch]
    assert len(tries) > sum(o.count for o in ORDERS)
    for cut in (3, 30):
        done = {r.key: r.failure for r in tries[:cut]}
        rest = [r for batch in generate_batches(clever(bad=0.3), ORDERS, done=done, **options) for r in batch]
        assert rest == tries[cut:]


# Which assignments.


def drafted(model: FakeModel, order: Order, letters: str = "likely", number: int = 1) -> list[Any]:
    drafter = drafter_of(model, letters)  # type: ignore[arg-type]
    return [drafter.draft(order, k, np.random.default_rng(k), number) for k in range(order.count)]


def canonical_of(draft: Any) -> tuple[int, Any]:
    """Group and canonical assignment, cations first."""
    group = draft.space_group
    elements, assignment = from_pairs(group, draft.sites)
    assert elements == ("Na", "Cl")
    return group, canonical(group, assignment)


def test_known_crystals_come_first_and_are_not_repeated() -> None:
    for order in (
        Order(formula="NaCl", atoms=2, count=8),
        Order(225, sites={"Na": 1, "Cl": 1}, count=8, max_atoms=10),
    ):
        drafts = drafted(clever(), order)
        found = [canonical_of(d) for d in drafts]
        assert found[0] == (225, ((0,), (1,)))
        assert drafts[0].log_prior > -0.7  # more than all others together
        # Rock salt has no freedom: it leaves most of the crystals to others, which are far less likely.
        assert found.count(found[0]) <= 4 and len(set(found)) >= 5
        assert all(d.log_prior is not None and d.log_prior <= 1e-6 for d in drafts)
        assert max(d.log_prior for d in drafts) == drafts[0].log_prior


def test_a_smaller_budget_makes_the_first_crystals_of_a_larger_one() -> None:
    many = drafted(clever(), Order(formula="NaCl", atoms=2, count=6, id="x"))
    few = drafted(clever(), Order(formula="NaCl", atoms=2, count=3, id="x"))
    assert many[:3] == few


def test_letters_of_further_tries_differ() -> None:
    order = Order(formula="NaCl", atoms=2, count=1)
    first = [drafted(clever(), order, number=n)[0] for n in range(1, LIKELY_TRIES + 1)]
    later = [drafted(clever(), order, number=n)[0] for n in range(LIKELY_TRIES + 1, LIKELY_TRIES + 4)]
    assert len(set(first)) == 1
    assert len({first[0], *later}) == 4


def test_bad_luck_with_a_system_ends_in_the_recipe_that_showed_it_possible(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One attempt a crystal, and few compositions that fit: still every crystal keeps to the bounds."""
    monkeypatch.setattr(sources, "_ATTEMPTS", 1)
    for sites in range(3, 12):
        order = parse_order({"system": "Mg-Al-O", "space_group": [2, 14], "max_sites": sites, "count": 12})
        try:
            drafts = [r.request for r in generate_records(clever(), [order], max_tries=1)]
        except ImpossibleOrder:
            continue
        assert len(drafts) == 12
        assert all(len(d.sites) <= sites for d in drafts)
        assert max(Counter(drafts).values()) > 1  # luck was against some
        return
    raise AssertionError("no order was possible")


def test_generate_from_python() -> None:
    crystals = list(generate(clever(), [{"formula": "MgO", "max_atoms": 4, "count": 3}], seed=3))
    assert len(crystals) == 3 and {c.formula for c in crystals} == {"MgO"}
    with pytest.raises(ImpossibleOrder, match="order 1"):
        generate(clever(), [{"formula": "MgO", "atoms": 3}])
    with pytest.raises(ImpossibleOrder, match="train-prior"):
        generate(FakeModel(), [{"formula": "MgO"}])


# From the command line.


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    """Commands get a model without a denoiser, but with a prior."""
    model = clever()
    monkeypatch.setattr(crystalsmith.cli.options, "load", lambda args: model)
    return model


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("crystalsmith: error: ") and captured.err.count("\n") == 1
    return captured.err


def contents(folder: Path) -> dict[str, Any]:
    files: dict[str, Any] = {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and p.name != "run.log"
    }
    manifest = json.loads(files.pop("manifest.json"))
    return {**files, "run": manifest["run"], "status": manifest["status"]}


def test_options_of_one_order(capsys: pytest.CaptureFixture[str], tmp_path: Path, fake: FakeModel) -> None:
    def run(name: str, *arguments: str) -> list[dict[str, Any]]:
        assert main(["generate", *arguments, "-o", str(tmp_path / name)]) == 0
        return list(json.loads((tmp_path / name / "manifest.json").read_text())["run"]["orders"])

    assert run("a", "--formula", "NaCl", "--space-group", "225", "--z", "4", "-n", "2") == [
        {"id": "225-NaCl-z4", "space_group": 225, "formula": "NaCl", "z": 4, "count": 2}
    ]
    assert "of 1" in capsys.readouterr().out  # the only assignment, which serves twice
    bounds = ["--max-sites", "4", "--max-atoms", "8", "--space-group", "195-230"]
    (order,) = run("b", "--system", "Mg-O", *bounds)
    assert order["system"] == "Mg-O" and order["space_group"] == list(range(195, 231))
    (order,) = run("c", "--sites", "K=1-2,Cl=1", "--space-group", "Fm-3m,221", "-n", "3")
    assert order["sites"] == {"K": "1-2", "Cl": 1} and order["space_group"] == [221, 225]
    (order,) = run("d", "--formula", "MgO", "--atoms", "2", "--letters", "drawn")
    assert order["atoms"] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--formula", ""], "the formula is empty"),
        (["--formula", "Na0.5Cl"], "fractional numbers"),
        (["--formula", "NaQ"], "Q is no chemical element"),
        (["--formula", "NaCl", "--z", "0"], "'0' is not a whole number of at least 1"),
        (["--formula", "NaCl", "--z", "2", "--atoms", "2"], "not allowed with"),
        (["--formula", "NaCl", "--sites", "Na=1"], "not allowed with"),
        (["--formula", "NaCl", "--max-sites", "2"], "max_sites does not go with formula"),
        (
            ["--formula", "NaCl", "--atoms", "3"],
            "command line, order 1 (NaCl-atoms3): 3 atoms",
        ),
        (["--formula", "NaCl", "--letters", "frequencies"], "leave --letters frequencies out"),
        (["--system", "Na-Na"], "names an element twice"),
        (["--system", "Na-Cl", "--z", "2"], "z does not go with system"),
        (["--system", "Na-Cl", "--space-group", "230", "--max-atoms", "4"], "Ia-3d (230) needs at least"),
        (["--sites", "K=2-1", "--space-group", "1"], "upside down"),
        (["--sites", "K=1", "--space-group", "229-232"], "231"),
    ],
)
def test_one_bad_order_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fake: FakeModel, arguments: list[str], words: str
) -> None:
    assert words in refused(capsys, "generate", *arguments, "-o", str(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


LINES = [
    {"id": "good", "formula": "NaCl", "atoms": 2, "count": 2},
    {"id": "odd", "formula": "NaCl", "atoms": 3, "count": 2},
    {"id": "search", "system": "Mg-O", "max_atoms": 8, "count": 3},
    {"id": "none", "system": "Mg-O", "space_group": 230, "max_atoms": 12},
    {"id": "large", "sites": {"O": 16}, "space_group": 62},
]


@pytest.mark.parametrize("kind", ["jsonl", "yaml"])
def test_impossible_orders_in_a_file_are_named_and_the_others_made(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fake: FakeModel, kind: str
) -> None:
    path, out = tmp_path / f"orders.{kind}", tmp_path / "out"
    text = yaml.safe_dump(LINES) if kind == "yaml" else "".join(json.dumps(x) + "\n" for x in LINES)
    path.write_text(text)
    assert main(["generate", str(path), "-o", str(out)]) == 1
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if "left out" in line]
    place = f"{path}, order" if kind == "yaml" else f"{path} line"
    assert [line.split(": ")[:4] for line in lines] == [
        ["crystalsmith", "warning", "left out", f"{place} {n} ({LINES[n - 1]['id']})"] for n in (2, 4, 5)
    ]
    assert "3 atoms are no multiple" in lines[0]
    said = " ".join(captured.out.split())
    assert "5 of 5 crystals" in said and "3 of 5 orders are impossible and were left out" in said
    assert {p.name.partition("_")[2] for p in (out / "cif").iterdir()} == {
        "good_0.cif",
        "good_1.cif",
        "search_0.cif",
        "search_1.cif",
        "search_2.cif",
    }
    # Again: what is made stays, and the status still tells.
    assert main(["generate", str(path), "-o", str(out), "--quiet"]) == 1
    assert capsys.readouterr().err.count("left out") == 3


def test_file_of_impossible_orders_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fake: FakeModel
) -> None:
    path = tmp_path / "orders.jsonl"
    path.write_text("".join(json.dumps(LINES[n]) + "\n" for n in (1, 3, 4)))
    line = refused(capsys, "generate", str(path), "-o", str(tmp_path / "out"))
    assert f"{path} line 1 (odd): 3 atoms" in line and "(and 2 more orders)" in line
    assert not (tmp_path / "out").exists()


def test_malformed_order_in_a_file_is_named_by_its_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fake: FakeModel
) -> None:
    path = tmp_path / "orders.jsonl"
    path.write_text(json.dumps(LINES[0]) + '\n{"formula": "NaCl", "z": 0}\n')
    line = refused(capsys, "generate", str(path), "-o", str(tmp_path / "out"))
    assert f"{path} line 2: z must be at least 1, not 0" in line


def test_more_atoms_than_trained_on_is_a_warning(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fake: FakeModel
) -> None:
    arguments = ["--formula", "MgO", "--space-group", "1", "--atoms", "54", "-o", str(tmp_path / "out")]
    assert main(["generate", *arguments, "--quiet"]) in (0, 1)
    error = capsys.readouterr().err
    assert "warning: order 1-MgO-atoms54 has 54 atoms in the primitive cell" in error
    assert "trained on at most 52" in error


def test_interrupted_system_goes_on_to_the_same_files(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tired(FakeModel):
        def sample(self, requests: Any, seeds: Any, **options: Any) -> Any:
            if len(self.batches) == 2:
                raise KeyboardInterrupt
            return super().sample(requests, seeds, **options)

    def run(model: FakeModel, name: str) -> int:
        monkeypatch.setattr(crystalsmith.cli.options, "load", lambda args: model)
        system = ["--system", "Mg-Al-O", "--max-atoms", "14", "-n", "8", "--batch", "30", "--seed", "4"]
        return main(["generate", *system, "--quiet", "-o", str(tmp_path / name)])

    parts: dict[str, Any] = {"prior": small_network(), "occupations": known_occupations(), "bad": 0.3}
    assert run(FakeModel(**parts), "whole") in (0, 1)  # some may be given up
    assert run(Tired(**parts), "cut") == 130
    before = len((tmp_path / "cut" / "crystals.jsonl").read_text().splitlines())
    assert 0 < before < len((tmp_path / "whole" / "crystals.jsonl").read_text().splitlines())
    assert run(FakeModel(**parts), "cut") in (0, 1)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    capsys.readouterr()


def test_letters_stand_for_the_positions_of_the_group(made: dict[str, list[Crystal]]) -> None:
    """Numbers of atoms by the Wyckoff positions, against the atoms that the crystal makes."""
    for crystal in made["quartz"] + made["search"]:
        group = space_group(crystal.space_group)
        by_letters = Counter[str]()
        for site in crystal.sites:
            by_letters[site.element] += group.wyckoff[site.letter].multiplicity_primitive
        assert by_letters == Counter(crystal.to_atoms(primitive=True).get_chemical_symbols())
