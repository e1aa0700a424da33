"""Controls: made once, kept in a folder, in the places of the crystals that they stand beside."""

from __future__ import annotations

import json

import numpy as np
import pytest

from crystals import KNOWN
from crystalsmith.errors import EvaluationError, RelaxationError
from crystalsmith.evaluation import Cache, Sample, SampleSet, Workshop, controls, read_samples
from crystalsmith.evaluation.measures.arrays import Arrays, crystal_arrays
from crystalsmith.evaluation.measures.geometry import Geometry, geometry, standard_crystal
from crystalsmith.runs import extras
from crystalsmith.runs.engines import Local

NAMES = ["rutile", "quartz", "rock salt", "wurtzite"]


@pytest.fixture
def model():
    samples = [Sample(n, 0, crystal_arrays(KNOWN[n]), asked_group=KNOWN[n].space_group) for n in NAMES]
    return SampleSet("model", (*samples, Sample("lost", 0, None, "atoms too close", 225)))


@pytest.fixture
def workshop():
    return Workshop(Cache(None), engine=Local(1))


def emt():
    """A potential for copper and a few others, without weights."""
    from ase.calculators.emt import EMT

    return EMT()


def test_random_crystals_have_group_elements_and_letters_of_the_model(model, workshop, tmp_path):
    random = controls.random_crystals(model, workshop, tmp_path / "new" / "folder")
    assert [(s.id, s.index, s.asked_group) for s in random] == [(s.id, s.index, s.asked_group) for s in model]
    for name, sample in zip(NAMES, random, strict=False):
        crystal = standard_crystal(sample.arrays)
        assert crystal.space_group == KNOWN[name].space_group
        assert crystal.counts == KNOWN[name].counts
        freedom = sorted(p.dof for p in KNOWN[name].positions_of_sites)
        assert sorted(p.dof for p in crystal.positions_of_sites) == freedom
        assert Geometry(*geometry(sample.arrays)).shortest > 0.5
    assert np.abs(crystal_arrays(KNOWN["rutile"]).lattice - random.samples[0].arrays.lattice).max() > 0.01
    assert random.failures[0].failure == "nothing to start from: atoms too close"
    assert random.name == "PyXtal"


def test_controls_are_made_once(model, workshop, tmp_path, monkeypatch):
    first = controls.random_crystals(model, workshop, tmp_path)
    path = tmp_path / "pyxtal.jsonl"
    text = path.read_text()
    assert len(text.splitlines()) == len(NAMES)
    path.write_text(text[:-40])  # a kill in the middle of a line
    again = controls.random_crystals(model, workshop, tmp_path)
    for a, b in zip(first, again, strict=True):
        assert (a.arrays is None) == (b.arrays is None)
        if a.arrays is not None:
            assert a.arrays.digest == b.arrays.digest  # seeded: the lost one comes back the same
    monkeypatch.setattr(controls, "_random", lambda job: 1 / 0)
    controls.random_crystals(model, workshop, tmp_path)  # nothing left to make
    other = controls.random_crystals(model, workshop, tmp_path, seed=1)
    assert len(other.failures) == len(model)  # another seed has to be made, and could not
    assert "ZeroDivisionError" in other.failures[0].failure
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    assert all({"cell", "species", "frac", "crystal"} <= set(r) or "failure" in r for r in rows)


def test_others_can_read_the_file(model, workshop, tmp_path):
    made = controls.random_crystals(model, workshop, tmp_path)
    read = read_samples(tmp_path / "pyxtal.jsonl")
    for a, b in zip(made, read, strict=False):
        assert a.id == b.id and b.asked_group == a.asked_group
        assert a.arrays.volume / len(a.arrays.numbers) == pytest.approx(
            b.arrays.volume / len(b.arrays.numbers), rel=1e-6
        )


def test_relaxed_crystals(workshop, tmp_path):
    from crystalsmith.crystal import Crystal, Site

    copper = Crystal(225, (3.9, 3.9, 3.9, 90, 90, 90), (Site("Cu", "a"),))
    start = SampleSet("x", (Sample("cu", 0, crystal_arrays(copper)), Sample("no", 0, None, "torn")))
    potential = "test_evaluation_controls:emt"
    relaxed = controls.relaxed_crystals(start, "relaxed", potential, workshop, tmp_path)
    assert relaxed.name == "relaxed" and "torn" in relaxed.failures[0].failure
    found = standard_crystal(relaxed.samples[0].arrays)
    assert found.space_group == 225 and found.cell[0] == pytest.approx(3.59, abs=0.02)
    row = json.loads(next(tmp_path.glob("relaxed-*.jsonl")).read_text())
    assert row["calls"] >= 2 and row["reason"] == "converged" and row["energy"] < 0.1
    iron = SampleSet("x", (Sample("u", 0, crystal_arrays(KNOWN["rock salt"])),))  # EMT knows no sodium
    failed = controls.relaxed_crystals(iron, "relaxed", potential, workshop, tmp_path)
    assert "failed" in failed.failures[0].failure


def test_the_limit_is_a_filtered_sample(workshop):
    rng = np.random.default_rng(0)
    rows = []
    for k in range(60):
        a = crystal_arrays(KNOWN[NAMES[k % 4]])
        rows.append(Sample(f"t{k}", 0, Arrays(a.lattice * rng.normal(1, 0.01), a.fractional, a.numbers)))
    train = SampleSet("train", (*rows, Sample("bad", 0, None, "torn")))
    limit = controls.limit(train, 12, workshop, space_groups=(150, 200), max_atoms=8)
    assert len(limit) == 12 and limit.name == "limit"
    assert all(s.arrays.formula == "ZnS" for s in limit)
    assert {s.id for s in controls.limit(train, 12, workshop, seed=1)} != {
        s.id for s in controls.limit(train, 12, workshop)
    }
    assert len(controls.limit(train, 500, workshop)) == 60
    with pytest.raises(EvaluationError, match="no crystal like"):
        controls.limit(train, 5, workshop, space_groups=(1, 2))


def test_what_is_missing_is_said_before_any_work(monkeypatch):
    controls.check_controls(None)
    with pytest.raises(RelaxationError, match="known"):
        controls.check_controls("no-such-potential")
    monkeypatch.setattr(extras, "_is_installed", lambda module: False)
    with pytest.raises(EvaluationError, match=r"needs pyxtal, not installed here: .*install"):
        controls.check_controls(None)
