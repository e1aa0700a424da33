"""What may be asked for over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from crystalsmith.errors import CrystalsmithError
from crystalsmith.serving.errors import TooLarge
from crystalsmith.serving.kinds import KINDS, Allowed, discovery_settings

SALT = {"formula": "NaCl"}
HALITE = {
    "space_group": 225,
    "cell": [5.64, 5.64, 5.64, 90, 90, 90],
    "sites": [{"element": "Na", "letter": "a", "free": []}, {"element": "Cl", "letter": "b", "free": []}],
}
COLUMNS = {
    "x": [10 + 0.1 * k for k in range(400)],
    "y": [5.0 + 50 * (k % 40 == 0) for k in range(400)],
    "sigma": None,
    "axis": "2theta",
    "peaks": False,
    "radiation": None,
}
UPLOADS: dict[str, dict[str, Any]] = {
    "one": {"name": "halite.cif", "crystals": {"halite": HALITE}},
    "two": {"name": "two.zip", "crystals": {"a": HALITE, "b": HALITE}},
    "pattern": {"name": "halite.xy", "pattern": COLUMNS},
}


def crystals(run_id: str, names: Sequence[str] | None) -> dict[str, Any]:
    """Of the only run."""
    assert run_id == "run"
    return {name: HALITE for name in names or ("a", "b")}


def energies(run_id: str) -> tuple[str, list[dict[str, Any]]]:
    """Of a run by the potential of its name."""
    row = {"name": "a", "counts": {"Na": 1, "Cl": 1}, "energy": -3.4, "crystal": HALITE}
    return run_id, [row]


ALLOWED = Allowed(100, UPLOADS.__getitem__, crystals, energies)


def options(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """Of a job that is taken."""
    return KINDS[kind](given, ALLOWED).options


def test_an_order_or_a_list_of_them_with_settings_is_taken():
    given = {"orders": SALT, "seed": 3, "judges": "validity", "best_of": 2}
    assert options("generate", given) == {**given, "orders": [SALT]}
    two = KINDS["generate"]({"orders": [SALT, {"formula": "KCl"}]}, ALLOWED)
    assert two.options["orders"][1] == {"formula": "KCl"} and two.name == "NaCl, KCl"


def test_a_host_comes_as_an_upload_of_one_crystal():
    order = {"host": {"upload": "one"}, "add": {"Li": 1}}
    assert options("generate", {"orders": order})["orders"][0]["host"] == HALITE
    with pytest.raises(CrystalsmithError, match="one crystal"):
        options("generate", {"orders": {**order, "host": {"upload": "two"}}})


def test_crystals_of_a_run_or_an_upload_are_relaxed():
    checked = KINDS["relax"]({"run": "run", "names": ["b"], "only": "free", "fmax": 0.1}, ALLOWED)
    assert checked.data == {"crystals": {"b": HALITE}} and checked.options == {"only": "free", "fmax": 0.1}
    assert list(KINDS["relax"]({"upload": "two"}, ALLOWED).data["crystals"]) == ["a", "b"]


def test_a_pattern_needs_what_its_file_does_not_say():
    given = {"upload": "pattern", "formula": "NaCl", "cell": "5.64,5.64,5.64,90,90,90", "candidates": 20}
    with pytest.raises(CrystalsmithError, match="wavelength"):
        options("solve", given)
    checked = KINDS["solve"]({**given, "radiation": "CuKa", "two_theta": [12, 40]}, ALLOWED)
    assert checked.data["pattern"] == COLUMNS and checked.name == "NaCl"


def test_a_search_takes_lists_as_text_or_as_json_has_them():
    for formulas in ("CuK2Si,CuKSi", ["CuK2Si", "CuKSi"]):
        given = {"system": "Cu-K-Si", "formulas": formulas, "crystals": 50, "sites": "1-3"}
        chosen = discovery_settings(options("discover", given))
        assert (chosen.formulas, chosen.sites, chosen.system) == (
            ("CuK2Si", "CuKSi"),
            (1, 3),
            ("Cu", "K", "Si"),
        )


def test_a_phase_diagram_is_of_the_crystals_that_are_in_its_system():
    assert options("hull", {"runs": ["chgnet"]}) == {
        "system": ["Na", "Cl"],
        "potential": "chgnet",
        "runs": ["chgnet"],
    }
    checked = KINDS["hull"]({"system": "Li-O", "runs": ["7net-0"]}, ALLOWED)
    assert checked.options["potential"] == "7net-0" and checked.data == {"candidates": []}
    with pytest.raises(CrystalsmithError, match="one hull"):
        options("hull", {"runs": ["chgnet", "7net-0"]})


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("relax", {}),
        ("relax", {"run": "run", "upload": "one"}),
        ("relax", {"run": 7}),
        ("relax", {"run": "run", "names": "a"}),
        ("relax", {"run": "run", "names": [1]}),
        ("relax", {"upload": "pattern"}),
        ("relax", {"run": "run", "potential": "mace:here.pt"}),
        ("relax", {"run": "run", "fmax": "small"}),
        ("relax", {"run": "run", "fmax": float("nan")}),
        ("relax", {"run": "run", "max_calls": 10**9}),
        ("relax", {"run": "run", "only": "both"}),
        ("relax", {"run": "run", "workers": 99}),
        ("solve", {"formula": "NaCl"}),
        ("solve", {"upload": "one", "formula": "NaCl"}),
        ("solve", {"upload": "pattern", "radiation": "CuKa"}),
        ("solve", {"upload": "pattern", "radiation": "CuKa", "formula": "NaCl", "known": ["x.cif"]}),
        ("solve", {"upload": "pattern", "radiation": "CuKa", "formula": "NaCl", "cell": [1, 2]}),
        ("solve", {"upload": "pattern", "radiation": "death", "formula": "NaCl"}),
        ("solve", {"upload": "pattern", "radiation": "CuKa", "elements": "Ca=1-60,C=1-60,O=1-60"}),
        ("solve", {"upload": "pattern", "radiation": "CuKa", "formula": "NaCl", "candidates": 10**6}),
        ("discover", {"system": "Cu"}),
        ("discover", {"system": "Cu-K-Xx"}),
        ("discover", {"system": "Cu-K-Si", "known": ["x.cif"]}),
        ("discover", {"system": "Cu-K-Si", "formulas": "NaCl"}),
        ("discover", {"system": "Cu-K-Si", "crystals": 10**7}),
        ("discover", {"system": "Cu-K-Si", "database": "postgresql://here"}),
        ("discover", {"system": ["../.."]}),
        ("hull", {}),
        ("hull", {"runs": "chgnet"}),
        ("hull", {"system": "Cu", "potential": "chgnet"}),
        ("hull", {"system": "Cu-K", "potential": "os:system"}),
        ("hull", {"system": "Cu-K", "references": "x.npz"}),
    ],
)
def test_other_kinds_are_as_strict(kind, given):
    with pytest.raises(CrystalsmithError) as caught:
        options(kind, given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"orders": []},
        {"orders": "NaCl"},
        {"orders": [1]},
        {"orders": {"formula": "Xx2"}},
        {"orders": {"formula": "NaCl", "colour": "red"}},
        {"orders": {"formula": "<script>alert(1)</script>"}},
        {"orders": SALT, "output": "here"},
        {"orders": SALT, "seed": "1"},
        {"orders": SALT, "seed": True},
        {"orders": SALT, "seed": 10**30},
        {"orders": SALT, "steps": 10**9},
        {"orders": SALT, "new_only": "yes"},
        {"orders": SALT, "sampler": ["a"]},
        {"orders": SALT, "letters": "x" * 1000},
    ],
)
def test_what_is_no_order_or_setting_is_refused_in_one_line(given):
    with pytest.raises(CrystalsmithError) as caught:
        KINDS["generate"](given, ALLOWED)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "given",
    [
        {"orders": {"host": "host.cif", "add": {"Li": 1}}},
        {"orders": {"host": "../../etc/passwd", "add": {"Li": 1}}},
        {"orders": {"host": {"space_group": 225}, "add": {"Li": 1}}},
        {"orders": SALT, "potential": "os:system"},
        {"orders": SALT, "potential": "mace:model.pt"},
        {"orders": SALT, "prototypes": "table.safetensors"},
        {"orders": SALT, "known": ["known.cif"]},
        {"orders": SALT, "workers": 64},
    ],
)
def test_no_file_and_no_python_of_the_server_can_be_named(given):
    with pytest.raises(CrystalsmithError):
        KINDS["generate"](given, ALLOWED)


@pytest.mark.parametrize(
    "given",
    [
        {"orders": {"formula": "NaCl", "count": 101}},
        {"orders": {"formula": "NaCl", "count": 26}, "best_of": 4},
        {"orders": [SALT] * 101},
    ],
)
def test_giant_orders_are_too_large(given):
    with pytest.raises(TooLarge):
        KINDS["generate"](given, ALLOWED)
