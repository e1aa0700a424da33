"""Scripts that score finished runs: what counts as right, and in which place."""

from __future__ import annotations

import importlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crystalsmith.crystal import Site
from crystalsmith.evaluation.measures.arrays import crystal_arrays

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    yield importlib.import_module
    for name in ("textbook", "first", "composition"):
        sys.modules.pop(name, None)


def test_textbook_compounds_are_what_their_books_say(script):
    textbook = script("textbook")
    compounds = {row["formula"]: row["accepted"] for row in textbook.read_compounds("builtin")}
    assert len(compounds) >= 15
    for formula, accepted in compounds.items():
        crystal = textbook.builtin(formula)
        assert crystal.formula == formula and 1.5 < crystal.shortest_distance() < 4
        assert (
            [group for _, group in accepted] == [crystal.space_group] == [textbook.group_at(accepted[0][0])]
        )


def test_right_is_the_structure_and_its_group_in_the_order_of_the_output(script):
    textbook = script("textbook")
    compounds = [c for c in textbook.read_compounds("builtin") if c["formula"] in ("SnO2", "CsCl", "Cu")]
    rutile, cscl = textbook.builtin("SnO2"), textbook.builtin("CsCl")
    larger = replace(rutile, cell=tuple(x * 1.03 if k < 3 else x for k, x in enumerate(rutile.cell)))
    far = replace(rutile, sites=(rutile.sites[0], Site("O", "f", (0.15,))))
    rock_salt = replace(textbook.builtin("NaCl"), sites=(Site("Cs", "a"), Site("Cl", "b")))
    long = replace(cscl, space_group=123, cell=(4.12, 4.12, 4.5, 90.0, 90.0, 90.0))
    sites = (Site("Cs", "a"), Site("Cl", "d"))
    made = {
        "SnO2": [crystal_arrays(far), crystal_arrays(larger)],
        # In the matcher's eyes the long cell is the cubic one: the group tells.
        "CsCl": [crystal_arrays(rock_salt), crystal_arrays(replace(long, sites=sites))],
    }
    result = textbook.score(compounds, made)
    assert result["not_first"] == {"SnO2": 2, "CsCl": None, "Cu": None}
    assert (result["compounds"], result["first"], result["any"]) == (3, 0.0, pytest.approx(1 / 3, abs=1e-4))
    made["SnO2"].reverse()
    assert textbook.score(compounds, made)["first"] == pytest.approx(1 / 3, abs=1e-4)


def test_strict_tolerances_are_within_those_of_the_field(script):
    first, textbook = script("first"), script("textbook")
    rutile = textbook.builtin("SnO2")
    truth = crystal_arrays(rutile)

    def moved(x: float):
        return crystal_arrays(replace(rutile, sites=(rutile.sites[0], Site("O", "f", (x,)))))

    assert first.compare((truth, truth)) == (pytest.approx(0, abs=1e-6), True)
    near, further, other = first.compare((moved(0.31), truth)), first.compare((moved(0.19), truth)), None
    assert near[0] < further[0] and near[1] and not further[1]
    assert first.compare((crystal_arrays(textbook.builtin("CsCl")), truth)) == (other, False)


def test_places_count_and_what_was_not_made_is_wrong(script):
    first = script("first")
    inf = np.inf
    rms = [[inf, 0.1, 0.05], [0.2, inf, inf], [], [inf] * 7 + [0.3]]
    strict = [[False, True, True], [False] * 3, [], [False] * 7 + [True]]
    found = first.columns("", rms, strict, 8)
    shares = {name: float(right.mean()) for name, (right, _) in found.items()}
    assert shares == {
        "first": 0.25,
        "any of 8": 0.75,
        "strict first": 0.0,
        "strict in 5": 0.25,
        "strict any": 0.5,
    }
    assert first.cell(*found["any of 8"]) == "75.0 ± 21.7 (0.183)"
    assert first.cell(*found["strict first"]).startswith("0.0 ± ") and "0.0 ± 0.0" not in first.cell(
        *found["strict first"]
    )


def test_every_script_finds_what_it_imports() -> None:
    code = (
        "import importlib, sys; sys.path.insert(0, sys.argv[1])\n"
        "for name in sys.argv[2:]: importlib.import_module(name)"
    )
    names = sorted(path.stem for path in BENCHMARKS.glob("*.py"))
    assert len(names) > 20
    done = subprocess.run(
        [sys.executable, "-c", code, str(BENCHMARKS), *names], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_line_that_was_cut_off_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    lines = __import__("lines")
    path = tmp_path / "kept.jsonl"
    assert lines.whole_lines(path) == []
    lines.append(path, [{"row": 1}, {"row": 2}])
    path.write_text(path.read_text() + '{"row": 3')
    assert lines.whole_lines(path) == [{"row": 1}, {"row": 2}]
    lines.append(path, [{"row": 4}])
    assert [line["row"] for line in lines.whole_lines(path)] == [1, 2, 4]
