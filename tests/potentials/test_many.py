"""Many crystals at once, what counts as relaxed, and elements that a potential does not know."""

from __future__ import annotations

import math
import re
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT

import crystalsmith
from crystalsmith.crystal import NUMBERS, Crystal, Site
from crystalsmith.crystal.validity import SOUND
from crystalsmith.errors import DataError, OutputError, RelaxationError
from crystalsmith.potentials import (
    Outcome,
    RelaxSettings,
    Resources,
    energies_of_many,
    load_calculator,
    relax_crystal,
    relax_free,
    relax_many,
    relax_symmetric,
    single_points,
)
from crystalsmith.potentials.calculators import known_elements, module_of, package_of, unknown_to
from crystalsmith.potentials.relaxation import Relaxation
from crystalsmith.potentials.run import RELAXATION, relax_into, same_crystal
from crystalsmith.runs.engines import Local
from crystalsmith.runs.manifest import read_manifest
from crystalsmith.runs.pool import Failed
from metals import fcc

NAME = "ase.calculators.emt:EMT"
QUICK = RelaxSettings(only="symmetric", max_calls=6)


CRYSTALS = {
    "cu": fcc("Cu"),
    "am": fcc("Am"),
    "ni": fcc("Ni", 3.6),
    "close": fcc("Cu", 0.6),
    "au": fcc("Au", 4.2),
}


# --- many ---


@pytest.mark.parametrize("workers", [1, 2])
def test_what_fails_costs_itself_alone(workers):
    told, seen = [], []
    found = relax_many(
        CRYSTALS,
        NAME,
        QUICK,
        engine=Local(workers),
        on_done=lambda name, outcome, seconds: seen.append((name, outcome)),
        progress=lambda *how: told.append(how),
    )
    assert list(sorted(found)) == sorted(CRYSTALS) and dict(seen).keys() == found.keys()
    assert {name for name, outcome in found.items() if outcome.sound} == {"cu", "ni", "au"}
    for name in ("cu", "ni", "au"):
        alone = relax_crystal(CRYSTALS[name], EMT(), QUICK)
        assert found[name].to_json() == alone.to_json()
    assert "the potential failed" in found["am"].reason and "too close" in found["close"].reason
    assert told[0] == ("relaxing", 0, 5) and told[-1] == ("relaxing", 5, 5)


def test_the_rest_is_left_when_the_time_is_over():
    seen: list[str] = []
    found = relax_many(
        CRYSTALS,
        NAME,
        QUICK,
        engine=Local(1),
        on_done=lambda name, outcome, seconds: seen.append(name),
        over=lambda: len(seen) >= 2,
    )
    assert list(found) == seen == ["cu", "am"]
    assert relax_many(CRYSTALS, NAME, QUICK, engine=Local(1), over=lambda: True) == {}
    assert energies_of_many(CRYSTALS, NAME, engine=Local(1), over=lambda: True) == {}
    with pytest.raises(RelaxationError, match="unknown potential"):
        relax_many(CRYSTALS, "nonsense", QUICK)
    with pytest.raises(RelaxationError, match="unknown potential"):
        energies_of_many(CRYSTALS, "nonsense")


def test_energies_of_many_are_those_of_each():
    crystals = {f"{name}{k}": c for k in range(8) for name, c in CRYSTALS.items() if name != "close"}
    batches = []
    found = energies_of_many(crystals, NAME, engine=Local(1), on_done=lambda part: batches.append(len(part)))
    assert list(found) == list(crystals) and batches == [16, 16]
    for name, energy in found.items():
        assert math.isfinite(energy.value) == ("am" not in name) == (energy.reason is None)
    assert found["cu3"].value == single_points([fcc("Cu")], EMT())[0].value


# --- what counts ---


def relaxation(reason: str, energy: float = -1.0) -> Relaxation:
    return Relaxation(fcc("Cu"), energy, 5, reason == "converged", reason, -0.5, 0.1, 0.1)


NOT_SOUND = (
    *("too close", "not finite", "collapsed", "left the bounds", "the potential failed: RuntimeError: x"),
    *("the potential does not know Am", "absurd density", "flat cell", "atoms too close", "bonds too short"),
)


@pytest.mark.parametrize("reason", [*SOUND, *NOT_SOUND])
def test_one_definition_of_sound(reason):
    good = reason in SOUND
    one = relaxation(reason)
    assert one.sound == good and not relaxation(reason, math.nan).sound
    outcome = Outcome(fcc("Cu"), ("symmetric",), {"symmetric": one}, -0.5)
    assert outcome.sound == good and (outcome.result is one) == good and outcome.calls == 5
    assert Outcome.from_json(outcome.to_json()).sound == good


def test_the_last_stage_that_counts_is_the_result():
    first, last, wreck = relaxation("converged"), relaxation("out of calls", -2.0), relaxation("collapsed")
    stages = ("symmetric", "free")

    def result(*done):
        return Outcome(fcc("Cu"), stages, dict(zip(stages, done, strict=False)), -0.5).result

    assert result(first, last) is last and result(first, wreck) is first
    assert result(first) is first and result(wreck) is None


def test_nobody_has_another_definition():
    """Outside this package nobody reads why a relaxation ended in order to judge it."""
    source = Path(crystalsmith.__file__).parent
    judged = re.compile(r'"(collapsed|left the bounds|stalled)"|isfinite\((done|result)\.energy\)')
    homes = {p.relative_to(source).parts[0] for p in source.rglob("*.py") if judged.search(p.read_text())}
    # crystal.validity holds the reasons, for readers of journals.
    assert homes <= {"potentials", "crystal"}


class Press(Calculator):
    """Pulls the cell together or apart, without end."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, sign: float) -> None:
        super().__init__()
        self.sign = sign

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results = {
            "energy": self.sign * 0.3 * atoms.get_volume(),
            "forces": np.zeros((len(atoms), 3)),
            "stress": self.sign * 0.3 * np.eye(3),
        }


@pytest.mark.parametrize("how", [relax_symmetric, relax_free])
@pytest.mark.parametrize(("sign", "a"), [(1.0, 2.8), (-1.0, 8.2)])
def test_wreckage_made_of_a_crystal_does_not_count(how, sign, a):
    wide = RelaxSettings(max_calls=12, max_strain=3.0, max_volume_change=None)
    ended = how(fcc("Cu", a), Press(sign), wide)
    assert ended.reason in ("absurd density", "bonds too short", "atoms too close") and not ended.sound
    assert not ended.converged and ended.energy < ended.energy_start
    # One that begins so, such as a molecule in a large box, may stay so.
    begun = how(fcc("Cu", 9.0), EMT(), replace(wide, max_calls=2))
    assert begun.reason not in ("absurd density", "flat cell")


def test_a_drop_that_is_too_deep_is_a_hole():
    free = relax_symmetric(fcc("Cu", 3.2), EMT())
    drop = free.energy_start - free.energy
    assert free.sound and drop > 0.5
    assert relax_symmetric(fcc("Cu", 3.2), EMT(), RelaxSettings(max_drop=1.1 * drop)).sound
    held = relax_symmetric(fcc("Cu", 3.2), EMT(), RelaxSettings(max_drop=0.5 * drop))
    assert held.reason == "collapsed" and not held.sound


# --- elements ---

UNKNOWN_TO_CHGNET = {"Po", "At", "Rn", "Fr", "Ra", *(s for s, z in NUMBERS.items() if z > 94)}


def test_what_chgnet_says_of_every_element():
    """One reason in words for those that it was never fitted to; an energy for all the others."""
    pytest.importorskip("chgnet")
    calculator = load_calculator("chgnet")
    crystals = {symbol: fcc(symbol, 4.6) for symbol in NUMBERS}
    assert len(crystals) == 118
    energies = dict(zip(crystals, single_points(list(crystals.values()), calculator), strict=True))
    for symbol, crystal in crystals.items():
        reason = f"the potential does not know {symbol}"
        if symbol not in UNKNOWN_TO_CHGNET:
            assert math.isfinite(energies[symbol].value) and energies[symbol].reason is None
            assert unknown_to(calculator, crystal.counts) == ""
            continue
        assert energies[symbol].reason == unknown_to(calculator, [symbol, "O"]) == reason
        for how in (relax_symmetric, relax_free):
            done = how(crystal, calculator)
            assert (done.reason, done.calls, done.sound, done.crystal) == (reason, 0, False, crystal)
        outcome = relax_crystal(crystal, calculator)
        assert outcome.reason == f"symmetric: {reason}" and not outcome.sound
    both = Crystal(225, (6.0,) * 3 + (90.0,) * 3, (Site("Rn", "a"), Site("Am", "b")))
    assert relax_symmetric(both, calculator).reason == "the potential does not know Rn, Am"


@pytest.mark.parametrize(
    "calculator",
    [
        types.SimpleNamespace(type_map={1: 0, 8: 1, 29: 2}),  # SevenNet
        types.SimpleNamespace(z_table=types.SimpleNamespace(zs=[1, 8, 29])),  # MACE
    ],
)
def test_potentials_that_say_what_they_know(calculator):
    assert known_elements(calculator) == {1, 8, 29}
    assert unknown_to(calculator, ["Cu", "O"]) == ""
    assert unknown_to(calculator, ["Og", "O", "Po"]) == "the potential does not know Po, Og"


def test_potentials_that_do_not_say_answer_for_themselves():
    assert known_elements(EMT()) is None and unknown_to(EMT(), ["Og"]) == ""
    assert "No EMT-potential for Og" in relax_symmetric(fcc("Og"), EMT()).reason


class Picky(EMT):
    """Refuses atoms when it is given to them, as SevenNet's calculator does."""

    def set_atoms(self, atoms):
        raise ValueError("do not know\natomic number")


def test_a_potential_may_refuse_atoms_before_it_is_asked():
    for how in (relax_symmetric, relax_free):
        done = how(fcc("Cu"), Picky())
        assert done.reason == "the potential failed: ValueError: do not know" and not done.sound
    assert "do not know" in str(single_points([fcc("Cu")], Picky())[0].reason)


# --- the run, as a call ---


def test_a_run_is_a_call_and_takes_what_python_has(tmp_path):
    from ase.build import bulk

    sources = [bulk("Cu", "fcc", 3.7), fcc("Ni", 3.6)]
    run = relax_into(sources, tmp_path / "out", QUICK, Resources(NAME, workers=1))
    assert len(run.entries) == 2 and not run.lost and run.reasons == {"converged": 2}
    assert [row["space_group"] for row in run.rows()] == [225, 225] and run.to_dataframe().shape[0] == 2
    assert str(run).startswith("2 of 2 crystals relaxed, 2 converged")
    manifest = read_manifest(tmp_path / "out")
    assert (manifest["kind"], manifest["status"], manifest["relaxed"]) == (RELAXATION.name, "finished", 2)
    assert (tmp_path / "out" / "run.log").exists()
    with pytest.raises(DataError):
        relax_into([], tmp_path / "none", QUICK, Resources(NAME))


def test_a_folder_whose_crystals_were_read_in_another_way_is_gone_on_with(tmp_path):
    """An earlier version searched the symmetry of each file anew: other last digits, the same crystals."""
    out, resources = tmp_path / "out", Resources(NAME, workers=1)
    relax_into({"cu": fcc("Cu", 3.7000000000000033), "bad": Failed("unreadable")}, out, QUICK, resources)
    journal = (out / "journal.jsonl").read_bytes()
    again = relax_into({"cu": fcc("Cu", 3.7), "bad": Failed("cannot be read")}, out, QUICK, resources)
    assert (out / "journal.jsonl").read_bytes() == journal and again.lost == {"bad": "unreadable"}
    for other in (
        {"cu": fcc("Cu", 3.71), "bad": Failed("x")},
        {"cu": fcc("Ni", 3.7), "bad": Failed("x")},
        {"cu": fcc("Cu", 3.7)},
        {"cu": fcc("Cu", 3.7), "ni": fcc("Ni")},
    ):
        with pytest.raises(OutputError, match="other crystals"):
            relax_into(other, out, QUICK, resources)


def test_the_same_crystal():
    quartz = Crystal(152, (4.913, 4.913, 5.405, 90, 90, 120), (Site("Si", "a", (0.47,)),))
    assert same_crystal(quartz, replace(quartz, cell=(4.913, 4.913 + 1e-9, 5.405, 90.0, 90.0, 120.0)))
    assert not same_crystal(quartz, replace(quartz, sites=(Site("Si", "a", (0.48,)),)))
    assert not same_crystal(quartz, replace(quartz, space_group=154))


@pytest.mark.parametrize(
    ("potential", "module", "package"),
    [
        ("chgnet", "chgnet", "chgnet"),
        ("7net-0", "sevenn", "sevenn"),
        ("mace:model.pt", "mace", "mace-torch"),
        ("mine:make", "", ""),
    ],
)
def test_where_a_potential_comes_from(potential, module, package):
    assert module_of(potential) == module and package_of(potential) == package
