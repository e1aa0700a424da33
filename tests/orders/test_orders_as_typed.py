"""What people type as formulas, and files that are meant to break a reader."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from crystalsmith.assignments import parse_formula
from crystalsmith.errors import OrderError
from crystalsmith.orders import files, parse_order, parse_orders, read_orders, sort_out
from crystalsmith.pictures.contact_sheet import _formula
from priors import clever


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("CuSO4·5H2O", {"Cu": 1, "S": 1, "O": 9, "H": 10}),
        ("CuSO4.5H2O", {"Cu": 1, "S": 1, "O": 9, "H": 10}),
        ("CuSO₄ • 5 H₂O", {"Cu": 1, "S": 1, "O": 9, "H": 10}),
        ("MgCl2*6H2O", {"Mg": 1, "Cl": 2, "O": 6, "H": 12}),
        ("Na2CO3.10H2O", {"Na": 2, "C": 1, "O": 13, "H": 20}),
        ("K4[Fe(CN)6]·3H2O", {"K": 4, "Fe": 1, "C": 6, "N": 6, "H": 6, "O": 3}),
        ("3CdSO4·8H2O", {"Cd": 3, "S": 3, "O": 20, "H": 16}),
        ("Al2O3·2SiO2·2H2O", {"Al": 2, "Si": 2, "O": 9, "H": 4}),
        ("CaO.SiO2", {"Ca": 1, "Si": 1, "O": 3}),
        ("Ca(OH)2", {"Ca": 1, "O": 2, "H": 2}),
        ("K3C60", {"K": 3, "C": 60}),
        ("Na10O100", {"Na": 10, "O": 100}),
    ],
)
def test_formulas_as_people_write_them(text: str, counts: dict[str, int]) -> None:
    assert dict(parse_formula(text).counts) == counts


@pytest.mark.parametrize(
    ("text", "words"),
    [
        *((ion, "has a charge") for ion in ("NH4+", "SO4 2-", "Fe3+", "[Fe(CN)6]4-", "Ca²⁺", "NO3^-", "Cl−")),
        ("NACL", "did you mean NaCl"),
        ("nacl", "did you mean NaCl"),
        ("CACO3", "CaCO3"),
        ("batio3", "did you mean BaTiO3"),
        ("BaTi03", "did you mean BaTiO3, with oxygen"),
        ("Ca(0H)2", r"did you mean Ca\(OH\)2"),
        ("SrTi03H2", "SrTiO3H2"),
        ("LiC0O2", "the letter O"),
        ("La1.85Sr0.15CuO4", "fractional numbers"),
        ("LiNi0.5Mn1.5O4", "fractional numbers"),
        ("CaSO4·0.5H2O", "fractional numbers"),
        ("CaSO4·½H2O", "fractional numbers"),
        ("Al2O3.2SiO2.2H2O", "joined by ·"),
        ("Cu-K-Si", "system: Cu-K-Si"),
        ("D2O", "write H"),
        ("·NaCl", "not understood"),
        ("NaCl.", "not understood"),
    ],
)
def test_what_is_no_formula_is_refused_with_what_was_meant(text: str, words: str) -> None:
    with pytest.raises(OrderError, match=words):
        parse_formula(text)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ({"formula": "K3C60", "max_atoms": 63}, "K3C60 is 3 units of KC20"),
        ({"formula": "Ti2O4", "max_atoms": 6}, "Ti2O4 is 2 units of TiO2"),
        ({"formula": "Ti2O4", "z": 1, "space_group": 136}, ""),
        ({"formula": "TiO2", "max_atoms": 6}, ""),
    ],
)
def test_a_formula_that_is_reduced_is_said_to_be(order: dict[str, Any], said: str) -> None:
    notes = [n for n in sort_out([parse_order(order)], clever()).notes if "units of" in n]  # type: ignore[arg-type]
    assert [said in n for n in notes] == ([True] if said else [])


@pytest.mark.parametrize(
    ("symbols", "title"),
    [("CaO2H2", "Ca(OH)2"), ("NaOH", "NaOH"), ("FeO2H", "FeHO2"), ("Ho2O3", "Ho2O3"), ("TiO2", "TiO2")],
)
def test_hydroxides_are_titled_as_everybody_writes_them(symbols: str, title: str) -> None:
    from ase import Atoms

    assert _formula(Atoms(symbols)) == title


def test_a_great_many_equal_orders_are_told_apart(tmp_path: Path) -> None:
    """It took minutes when each name was looked for from the beginning."""
    line = json.dumps({"space_group": 225, "sites": {"Na": 1, "Cl": 1}}) + "\n"
    taken = json.dumps({"id": "225-na-cl-7", "formula": "NaCl"}) + "\n"
    (tmp_path / "orders.jsonl").write_text(line * 20_000 + taken)
    ids = [order.id for order in read_orders(tmp_path / "orders.jsonl")]
    assert ids[:7] == ["225-Na-Cl", *(f"225-Na-Cl-{n}" for n in (2, 3, 4, 5, 6, 8))]
    assert len({name.lower() for name in ids}) == 20_001


def test_numbered_orders_are_the_same_order() -> None:
    one, two = parse_orders([{"formula": "NaCl", "count": 2}] * 2)
    assert (one.id, two.id) == ("NaCl", "NaCl-2")
    assert two.content == one.content and two.place != one.place


@pytest.mark.parametrize(
    "bomb",
    [
        "[" * 200_000,
        "{a: " * 100_000,
        "- " * 200_000,
        "- [" * 100_000,
        "[" * 60 + "]" * 60,
        "? " * 50_000,
    ],
)
@pytest.mark.parametrize("suffix", [".yaml", ".json", ".jsonl", ""])
def test_nesting_is_refused(tmp_path: Path, bomb: str, suffix: str) -> None:
    path = tmp_path / f"orders{suffix}"
    path.write_text(bomb)
    with pytest.raises(OrderError) as caught:
        read_orders(path)
    assert len(str(caught.value)) < 500


def test_merges_that_multiply_are_refused(tmp_path: Path) -> None:
    wide = ", ".join(f"k{n}: 1" for n in range(20))
    lines = [f"a0: &a0 {{{wide}}}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 12)]
    (tmp_path / "orders.yaml").write_text("\n".join(lines))
    with pytest.raises(OrderError):
        read_orders(tmp_path / "orders.yaml")


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_BYTES", 1 << 20)
    (tmp_path / "orders.yaml.gz").write_bytes(gzip.compress(b"#" * (1 << 21)))
    with pytest.raises(OrderError, match="more than 1 MB"):
        read_orders(tmp_path / "orders.yaml.gz")
