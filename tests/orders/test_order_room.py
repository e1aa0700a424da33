"""Sizes at which no crystal can be: refused before anything is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import crystalsmith.cli.options
from crystals import KNOWN
from crystalsmith.cli.main import main
from crystalsmith.crystal.validity import ATOMIC_VOLUME
from crystalsmith.errors import ImpossibleOrder
from crystalsmith.orders import parse_order
from crystalsmith.orders.limits import check_orders, sort_out
from priors import clever

RUTILE = {"space_group": 136, "wyckoff": [["Ti", "a"], ["O", "f"]]}
SALT = {"space_group": 225, "sites": {"Na": 1, "Cl": 1}}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"formula": "MgO", "density": 99},
            "no crystal of MgO has a density of 99 g/cm.3: .* 0.22 to 8.37 g/cm",
        ),
        ({"formula": "MgO", "density": 0.1}, "density of 0.1 "),
        ({"system": "Mg-O", "density": 12}, "no crystal of Mg-O has a density of 12 "),
        ({**RUTILE, "density": 50}, "check density"),
        ({**SALT, "density": 0.05}, "no crystal of Na-Cl has"),
        (
            {**RUTILE, "volume": 20},
            "a cell of 20 Angstrom.3 leaves 3.33 Angstrom.3 for an atom.*check volume",
        ),
        ({**RUTILE, "volume": 2000}, "leaves 333 Angstrom.3"),
        ({**SALT, "volume": 30}, "leaves 3.75 "),
        ({"formula": "MgO", "z": 4, "volume": 20}, "leaves 2.5 "),
        ({"formula": "MgO", "z": 4, "volume": 2000}, "leaves 250 "),
        ({"formula": "MgO", "atoms": 2, "volume": 2000, "space_group": 221}, "leaves 1e\\+03 "),
        ({**RUTILE, "cell": [2, 2, 2.5, 90, 90, 90]}, "leaves 1.67 .* check cell"),
        ({**RUTILE, "primitive_cell": [2, 2, 2.5, 90, 90, 90]}, "check cell"),
    ],
)
def test_a_size_that_no_crystal_has_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ImpossibleOrder, match=words) as caught:
        check_orders([parse_order(values)], clever())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"formula": "MgO", "density": 3.6},
        {"formula": "MgO", "density": 8.3},
        {"formula": "MgO", "density": 9.5, "cell_tolerance": 0.1},  # perhaps less
        {"system": "Mg-O", "density": 8.0},
        {**RUTILE, "volume": 62},
        {**RUTILE, "volume": 23, "cell_tolerance": 0.02},
        {**SALT, "volume": 180},
        {"formula": "MgO", "z": 4, "volume": 75},
        {**RUTILE, "cell": [4.6, 4.6, 2.96, 90, 90, 90]},
    ],
)
def test_a_size_that_crystals_have_is_taken(values: dict[str, Any]) -> None:
    check_orders([parse_order(values)], clever())


@pytest.mark.parametrize("name", KNOWN)
def test_every_crystal_may_be_ordered_with_its_own_size(name: str) -> None:
    crystal = KNOWN[name]
    assert ATOMIC_VOLUME[0] <= crystal.volume / crystal.n_atoms <= ATOMIC_VOLUME[1]
    content = {"space_group": crystal.space_group, "wyckoff": [[s.element, s.letter] for s in crystal.sites]}
    for size in ({"cell": list(crystal.cell)}, {"volume": abs(crystal.volume)}):
        check_orders([parse_order({**content, **size})], clever())


def test_the_other_orders_of_a_file_are_carried_out() -> None:
    orders = [parse_order({"id": "heavy", **RUTILE, "density": 99}), parse_order({"id": "good", **RUTILE})]
    checked = sort_out(orders, clever())
    assert [order.id for order in checked.orders] == ["good"]
    assert [refusal.order.id for refusal in checked.refused] == ["heavy"]


@pytest.mark.parametrize("options", [["--density", "99"], ["--volume", "20"]])
def test_the_command_line_refuses_in_one_line(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(crystalsmith.cli.options, "load", lambda args: clever())
    order = ["--space-group", "136", "--wyckoff", "Ti:a,O:f", "-n", "2", "-o", str(tmp_path / "out")]
    assert main(["generate", *order, *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert f"check {options[0][2:]}" in captured.err
    assert not (tmp_path / "out").exists()
