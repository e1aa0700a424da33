"""The functions at the top of the package, and what their docstrings promise."""

from __future__ import annotations

import doctest
import subprocess
import sys
from collections import Counter
from pathlib import Path

import ase.build
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure

import crystalsmith
import crystalsmith.api
from crystals import KNOWN
from crystalsmith import Crystals
from crystalsmith.errors import ConfigError, DataError, HullError, OrderError, RelaxationError
from priors import clever

EMT = "emt_potential:make"


def copper(a: float = 3.7) -> ase.Atoms:
    """Of a cell that EMT changes."""
    return ase.build.bulk("Cu", a=a)


@pytest.mark.parametrize("name", [n for n in crystalsmith.__all__ if not n.startswith("_")])
def test_everything_that_is_exported_is_there_and_documented(name):
    assert getattr(crystalsmith, name).__doc__ and name in dir(crystalsmith)


def test_docstring_examples():
    tests = doctest.DocTestFinder(exclude_empty=True).find(crystalsmith.api)
    tests = [test for test in tests if test.examples]
    assert len(tests) >= 2
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in tests:
        assert runner.run(test).failed == 0, test.name


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, crystalsmith; dir(crystalsmith); crystalsmith.__doc__; "
    code += (
        "print([m for m in ('torch', 'pymatgen', 'ase', 'numpy', 'crystalsmith.api') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


STRUCTURE = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)


@pytest.mark.parametrize(
    ("source", "formulas"),
    [
        (copper(), ["Cu"]),
        (STRUCTURE, ["NaCl"]),
        (KNOWN["corundum"], ["Al2O3"]),
        ([copper(), STRUCTURE, KNOWN["corundum"]], ["Cu", "NaCl", "Al2O3"]),
    ],
)
def test_read_takes_objects(source, formulas):
    found = crystalsmith.read(source)
    assert [c.formula for c in found] == formulas and len(set(found.names)) == len(formulas)
    table = found.to_dataframe()
    assert isinstance(table, pd.DataFrame) and table.formula.tolist() == formulas
    assert len(found[:1]) == 1 and list(found.to_dict()) == list(found.names)


def test_read_takes_several_paths_and_keeps_what_failed(tmp_path):
    for name in ("salt", "perovskite"):
        (tmp_path / f"{name}.cif").write_text(KNOWN["rock salt" if name == "salt" else name].to_cif())
    (tmp_path / "broken.cif").write_text("data_x\n_cell_length_a 3\n")
    found = crystalsmith.read(tmp_path)
    assert set(found.names) == {"salt", "perovskite"} and list(found.failures) == ["broken"]
    assert "2 crystals, 1 not read" in repr(found)
    both = crystalsmith.read(tmp_path / "salt.cif", str(tmp_path / "perovskite.cif"))
    assert both.names == ("salt", "perovskite")
    with pytest.raises(DataError):
        crystalsmith.read(tmp_path / "none.cif")


def test_relax_without_and_with_a_folder(tmp_path):
    found = crystalsmith.relax(copper(), potential=EMT)
    assert found.folder.is_dir() and len(found.to_dataframe()) == 1
    place = found.folder
    del found
    assert not place.exists()
    once = crystalsmith.relax(copper(), tmp_path / "run", potential=EMT, fmax=0.01)
    again = crystalsmith.relax(copper(), tmp_path / "run", potential=EMT, fmax=0.01)
    assert again.new == 0 and once.new == 1
    assert again.to_dict()["crystals"] == once.to_dict()["crystals"]


def test_results_go_into_the_next_function():
    crystals = crystalsmith.read([copper(3.7), copper(3.6)])
    relaxed = crystalsmith.relax(crystals, potential=EMT, only="symmetric")
    assert relaxed.crystals.names == crystals.names and isinstance(relaxed.crystals, Crystals)
    vibrating = crystalsmith.phonons(
        relaxed.crystals[:1], potential=EMT, workers=1, length=5, elastic=False, relax=False
    )
    assert vibrating.to_dataframe().shape[0] == 1 and not vibrating.lost
    table = crystalsmith.hull(["Li", "O"])
    assert table.to_dict()["phases"] and "above hull" in str(table)


@pytest.mark.parametrize(
    ("orders", "n", "made"),
    [
        ("NaCl", 2, {"NaCl": 2}),
        ({"formula": "CaO", "count": 1}, 5, {"CaO": 1}),
        ([{"formula": "CaO"}, {"formula": "KCl", "space_group": 225}], 2, {"CaO": 2, "KCl": 2}),
        ("file", None, {"MgO": 3}),
    ],
)
def test_generate_takes_orders_of_every_form(orders, n, made, tmp_path):
    if orders == "file":
        orders = tmp_path / "orders.jsonl"
        orders.write_text('{"formula": "MgO", "count": 3}\n')
    model = clever()
    found = crystalsmith.generate(orders, tmp_path / "run", n=n, model=model, seed=1)
    assert Counter(crystal.formula for crystal in found.crystals) == made
    assert len(found.to_dataframe()) == sum(made.values())
    again = crystalsmith.read(tmp_path / "run")
    assert Counter(again) == Counter(found.crystals)


def test_a_system_is_told_from_a_formula():
    (system,), (formula,) = (crystalsmith.api._orders(text, 2) for text in ("Cu-K-Si", "CuKSi"))
    assert type(system.content) is not type(formula.content) and system.count == 2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: crystalsmith.relax(copper(), fmaxx=1), ConfigError, "did you mean fmax?"),
        (lambda: crystalsmith.relax(copper(), fmax=-1), ConfigError, "fmax: '-1' is not a positive number"),
        (lambda: crystalsmith.relax(copper(), potential="x"), RelaxationError, "unknown potential"),
        (lambda: crystalsmith.evaluate("none", "none", metrix=1), ConfigError, "did you mean metrics?"),
        (lambda: crystalsmith.generate("NaCl", sead=1), ConfigError, "did you mean seed?"),
        (lambda: crystalsmith.generate("Nacl"), OrderError, "Nacl"),
        (lambda: crystalsmith.hull("Li-Xx"), HullError, "'Xx' is no element"),
        (lambda: crystalsmith.phonons(copper(), lenght=1), ConfigError, "did you mean length?"),
        (lambda: crystalsmith.discover("Cu-K", cristals=1), ConfigError, "did you mean crystals?"),
        (lambda: crystalsmith.discover("Cu", crystals=1), HullError, "has 1 element"),
        (lambda: crystalsmith.train("a", "b", "c", cristals=1), ConfigError, "cristals"),
    ],
)
def test_refusals_are_those_of_the_commands(call, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message.replace("?", r"\?")):
        call()
    assert not any(Path().iterdir())


def test_packages_that_bear_the_name_of_a_function_can_be_called(monkeypatch):
    import crystalsmith.hull
    import crystalsmith.phonons

    for module in (crystalsmith.hull, crystalsmith.phonons):
        name = module.__name__.rpartition(".")[2]
        monkeypatch.setattr(crystalsmith.api, name, lambda *args: args)
        assert module("Li-P-O") == ("Li-P-O",)
