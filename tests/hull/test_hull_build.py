"""Building references with cheap potentials: resumed from any cut, energies never rise, failures."""

from __future__ import annotations

import json
import math
import signal
import sys
import types
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from ase.calculators.emt import EMT

from crystalsmith.cli.main import main
from crystalsmith.crystal import Crystal, Site
from crystalsmith.data import Dataset, pack
from crystalsmith.errors import HullError, OutputError, RelaxationError
from crystalsmith.hull import Phase, References
from crystalsmith.hull import build as module
from crystalsmith.hull.build import BuildSettings, build_references, merge, stable_rows
from crystalsmith.potentials.calculators import process_calculator
from crystalsmith.runs.lock import FolderLock


def cubic(group: int, a: float, *sites: tuple[str, str]) -> Crystal:
    return Crystal(group, (a, a, a, 90, 90, 90), tuple(Site(*site) for site in sites))


CRYSTALS = {
    "cu3au": cubic(221, 3.80, ("Au", "a"), ("Cu", "c")),
    "cu": cubic(225, 3.70, ("Cu", "a")),
    "au": cubic(225, 4.20, ("Au", "a")),
    "alni": cubic(221, 2.95, ("Al", "a"), ("Ni", "b")),
    "ag": cubic(225, 4.00, ("Ag", "a")),
    "alti": cubic(221, 3.00, ("Al", "a"), ("Ti", "b")),  # EMT knows no titanium
    "high": cubic(225, 3.90, ("Pd", "a")),
    "pt": cubic(225, 3.80, ("Pt", "a")),
}
ABOVE = [0.0, 0.0, math.nan, 0.00005, 0.0, 0.0, 0.2, 0.0]


class Counting(EMT):
    """EMT that counts; ``asked`` holds the formula of every evaluation."""

    asked: ClassVar[list[str]] = []

    def calculate(self, atoms=None, *arguments, **options):
        self.asked.append(atoms.get_chemical_formula(empirical=True))
        super().calculate(atoms, *arguments, **options)


@pytest.fixture
def potential(monkeypatch):
    """Name of a potential that counts in this process."""
    made = types.ModuleType("counting_potential")
    calculator = type("Counter", (Counting,), {"asked": []})
    made.make = calculator
    made.__spec__ = types.SimpleNamespace(name="counting_potential")
    monkeypatch.setitem(sys.modules, "counting_potential", made)
    process_calculator.cache_clear()
    yield "counting_potential:make"
    process_calculator.cache_clear()


def asked() -> list[str]:
    return sys.modules["counting_potential"].make.asked


@pytest.fixture
def dataset() -> Dataset:
    return pack(list(CRYSTALS.values()), list(CRYSTALS), e_above_hull=ABOVE)


def here(potential: str, **options) -> BuildSettings:
    return BuildSettings(potential, **{"max_calls": 6, "workers": 1, **options})


def emt(crystal: Crystal) -> float:
    atoms = crystal.to_atoms()
    atoms.calc = EMT()
    return atoms.get_potential_energy() / len(atoms)


def journal(path: Path) -> list[dict]:
    return [json.loads(line) for line in Path(f"{path}.journal").read_text().splitlines()[1:]]


def test_rows_near_the_hull_the_smallest_first(dataset):
    names = [dataset.ids[r] for r in stable_rows(dataset, 1e-4)]
    assert names == ["cu", "au", "ag", "pt", "alni", "alti", "cu3au"]
    assert "high" in [dataset.ids[r] for r in stable_rows(dataset, 0.3)]


def test_single_points_are_the_potentials_own(dataset, potential, tmp_path):
    told: list[tuple[str, float, float]] = []
    settings = here(potential, max_calls=1)
    made = build_references(dataset, tmp_path / "r.npz", settings, lambda *how: told.append(how))
    assert [p.id for p in made] == ["cu3au", "cu", "au", "alni", "ag", "pt"]
    for phase in made:
        assert phase.energy == pytest.approx(emt(CRYSTALS[phase.id]), abs=1e-6)
        assert phase.calls == 1 and phase.space_group == CRYSTALS[phase.id].space_group
        assert phase.counts == CRYSTALS[phase.id].counts
    assert made.metadata["failed"] == 1 and made.potential == potential
    assert {stage for stage, *_ in told} == {"single points"} and told[-1][1:] == (7, 7)
    assert list(made.metadata["failures"]) == ["alti"]
    # The failure is on record with its reason, and is not tried again.
    failed = [row for row in journal(tmp_path / "r.npz") if row["energy"] is None]
    assert len(failed) == 1 and "the potential failed" in failed[0]["reason"]
    before = len(asked())
    assert list(build_references(dataset, tmp_path / "r.npz", settings)) == list(made)
    assert len(asked()) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.npz", "r.npz.journal"]


def test_relaxation_lowers_energies_or_leaves_them(dataset, potential, tmp_path):
    made = build_references(dataset, tmp_path / "r.npz", here(potential))
    lower = {p.id: emt(CRYSTALS[p.id]) - p.energy for p in made}
    assert min(lower.values()) > -1e-6 and max(lower.values()) > 0.01
    assert all(1 < p.calls <= 6 for p in made if p.id != "au")
    assert {p.id: p.calls for p in made}["au"] <= 30  # nothing was known of it: five times as many calls
    # Against the minimum of EMT along the only degree of freedom.
    curve = [emt(cubic(225, a, ("Au", "a"))) for a in np.arange(3.9, 4.3, 0.0005)]
    assert {p.id: p.energy for p in made}["au"] == pytest.approx(min(curve), abs=2e-4)
    assert list(References.open(tmp_path / "r.npz")) == list(made)


def test_a_build_goes_on_after_a_cut_anywhere(dataset, potential, tmp_path):
    whole = list(build_references(dataset, tmp_path / "whole.npz", here(potential)))
    text = (tmp_path / "whole.npz.journal").read_bytes()
    ends = [k + 1 for k, byte in enumerate(text) if byte == ord("\n")]
    cuts = {0, 10, ends[0] - 1, *ends[:-1], *(e + 7 for e in ends[:-1]), len(text) - 1}
    full = len(asked())
    for cut in sorted(cuts):
        output = tmp_path / f"{cut}.npz"
        Path(f"{output}.journal").write_bytes(text[:cut])
        asked().clear()
        assert list(build_references(dataset, output, here(potential))) == whole, cut
        if cut >= ends[len(whole)]:
            assert len(asked()) < full
        # Its journal is sound: once more asks for nothing.
        asked().clear()
        assert list(build_references(dataset, output, here(potential))) == whole and asked() == []


def test_a_damaged_line_is_named(dataset, potential, tmp_path):
    build_references(dataset, tmp_path / "r.npz", here(potential))
    path = tmp_path / "r.npz.journal"
    lines = path.read_text().splitlines(keepends=True)
    for bad in ("{torn\n", '{"row": 3}\n', "3\n", '{"row": "x", "energy": 1, "calls": 1}\n'):
        text = "".join([*lines[:2], bad, *lines[3:]])
        path.write_text(text)
        with pytest.raises(OutputError, match="line 3 is damaged; remove the file to begin anew"):
            build_references(dataset, tmp_path / "r.npz", here(potential))
        assert path.read_text() == text


def test_the_journal_of_another_build_is_refused(dataset, potential, tmp_path):
    build_references(dataset, tmp_path / "r.npz", here(potential))
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    fewer = dataset.subset(indices=[0, 1, 2])
    strained = pack(
        [CRYSTALS["cu3au"], cubic(225, 3.71, ("Cu", "a")), *list(CRYSTALS.values())[2:]],
        list(CRYSTALS),
        e_above_hull=ABOVE,
    )
    for other, settings in (
        (fewer, here(potential)),
        (strained, here(potential)),
        (dataset, here(potential, max_calls=7)),
        (dataset, here(potential, max_above_hull=0.5)),
        (dataset, here("ase.calculators.emt:EMT")),
    ):
        with pytest.raises(HullError, match="is of another build"):
            build_references(other, tmp_path / "r.npz", settings)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_no_time_for_relaxations(dataset, potential, tmp_path):
    """Only the crystal that nothing is known of is relaxed; given time later, the others are."""
    made = build_references(dataset, tmp_path / "r.npz", here(potential, minutes=0.0))
    assert [p.id for p in made if p.calls > 1] == ["au"]
    later = build_references(dataset, tmp_path / "r.npz", here(potential))
    assert len([p for p in later if p.calls > 1]) == 6
    assert list(later) == list(build_references(dataset, tmp_path / "one.npz", here(potential)))


def test_time_runs_out_among_the_relaxations(dataset, potential, tmp_path, monkeypatch):
    clock = iter(range(10**6))
    monkeypatch.setattr(module, "time", types.SimpleNamespace(monotonic=lambda: 60.0 * next(clock)))
    made = build_references(dataset, tmp_path / "r.npz", here(potential, minutes=2.5))
    relaxed = {p.id for p in made if p.calls > 1}
    assert "au" in relaxed and 1 < len(relaxed) < 6
    assert all(math.isfinite(p.energy) for p in made) and len(made) == 6


class Hole(EMT):
    """Sound at the start, and bottomless as soon as the cell has moved."""

    implemented_properties = (*EMT.implemented_properties, "stress")

    def calculate(self, atoms=None, *arguments, **options):
        super().calculate(atoms, *arguments, **options)
        volume = atoms.get_volume() / len(atoms)
        start = {"Cu": 3.7**3 / 4, "Au": 4.2**3 / 4}[atoms.get_chemical_formula(empirical=True)]
        if abs(volume / start - 1) > 1e-6:
            self.results["energy"] -= 4.0 * len(atoms)


def test_what_falls_into_a_hole_keeps_its_single_point(potential, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["counting_potential"], "make", Hole)
    two = pack([CRYSTALS["cu"], CRYSTALS["au"]], ["cu", "au"], e_above_hull=[0.0, 0.0])
    made = build_references(two, tmp_path / "r.npz", here(potential))
    assert [p.energy for p in made] == pytest.approx([emt(CRYSTALS["cu"]), emt(CRYSTALS["au"])], abs=1e-6)
    assert [p.calls for p in made] == [1, 1] and "single points" in made.note
    assert sum(row.get("tried", False) for row in journal(tmp_path / "r.npz")) == 2  # and not once more
    size = (tmp_path / "r.npz.journal").stat().st_size
    build_references(two, tmp_path / "r.npz", here(potential))
    assert (tmp_path / "r.npz.journal").stat().st_size == size


class Slow(EMT):
    """Out of time with gold."""

    def calculate(self, atoms=None, *arguments, **options):
        if "Au" in atoms.get_chemical_symbols():
            signal.raise_signal(signal.SIGALRM)  # as the timer would
        super().calculate(atoms, *arguments, **options)


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="needs timers")
def test_a_crystal_that_hangs_costs_no_other(dataset, potential, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["counting_potential"], "make", Slow)
    made = build_references(dataset, tmp_path / "r.npz", here(potential, max_calls=1))
    assert [p.id for p in made] == ["cu", "alni", "ag", "pt"]
    reasons = {row["row"]: row["reason"] for row in journal(tmp_path / "r.npz") if row["energy"] is None}
    assert reasons[0] == reasons[2] == "took longer than 300 s" and set(reasons) == {0, 2, 5}


def test_a_potential_that_gives_nothing_is_an_error(potential, tmp_path):
    titanium = pack([CRYSTALS["alti"]], ["alti"])
    with pytest.raises(HullError, match="gave no crystal an energy"):
        build_references(titanium, tmp_path / "r.npz", here(potential))
    assert not (tmp_path / "r.npz").exists()


def test_a_potential_that_cannot_be_loaded_leaves_nothing(dataset, potential, tmp_path, monkeypatch):
    def broken():
        raise OSError("no weights")

    monkeypatch.setattr(sys.modules["counting_potential"], "make", broken)
    with pytest.raises(RelaxationError, match="cannot be loaded: OSError: no weights"):
        build_references(dataset, tmp_path / "r.npz", here(potential))
    with pytest.raises(RelaxationError, match="unknown potential"):
        build_references(dataset, tmp_path / "r.npz", here("nonsense"))
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_built_is_refused(dataset, potential, tmp_path):
    high = pack([CRYSTALS["high"]], ["high"], e_above_hull=[0.2])
    with pytest.raises(HullError, match=r"no crystal lies within 0\.0001 eV/atom"):
        build_references(high, tmp_path / "r.npz", here(potential))
    with pytest.raises(OutputError, match="is a folder"):
        build_references(dataset, tmp_path, here(potential))
    with pytest.raises(OutputError, match="cannot write"):
        build_references(dataset, tmp_path / "none" / "r.npz", here(potential))
    assert list(tmp_path.iterdir()) == [] and not Path(f"{tmp_path}.lock").exists()
    lock = FolderLock.take(tmp_path / "r.npz.lock")
    with pytest.raises(OutputError, match="another process"):
        build_references(dataset, tmp_path / "r.npz", here(potential))
    lock.release()
    assert not (tmp_path / "r.npz.journal").exists()


def test_a_build_goes_on_from_references_that_are_there(dataset, potential, tmp_path):
    whole = build_references(dataset, tmp_path / "whole.npz", here(potential, max_calls=1))
    calls = len(asked())
    half = dataset.subset(indices=[0])
    first = build_references(half, tmp_path / "first.npz", here(potential, max_calls=1))
    before = len(asked())
    both = build_references(dataset, tmp_path / "both.npz", here(potential, max_calls=1), start=[first])
    assert len(asked()) - before == calls - len(first)  # none is computed twice
    assert {p.id: p.energy for p in both} == {p.id: p.energy for p in whole}
    assert [p["phases"] for p in both.metadata["parts"]] == [len(first), len(whole) - len(first)]
    # Nothing is left to compute but what failed, and what is put together may be put together again.
    done = len(asked())
    again = build_references(
        dataset, tmp_path / "again.npz", here(potential, max_calls=1), start=[both, first]
    )
    assert set(asked()[done:]) == {"AlTi"} and {p.id for p in again} == {p.id for p in whole}
    assert sum(p["phases"] for p in again.metadata["parts"]) == len(whole) + len(first)
    sound = dataset.subset(indices=[0, 1])
    merged = build_references(sound, tmp_path / "merged.npz", here(potential), start=[both, first])
    assert {p.id: p.energy for p in merged} == {p.id: p.energy for p in whole}
    assert set(asked()[done:]) == {"AlTi"} and len(References.open(tmp_path / "merged.npz")) == len(whole)


def test_of_the_same_crystal_the_lower_energy_counts_and_potentials_do_not_mix(tmp_path):
    def of(energy: float, potential: str = "a", group: int = 225) -> References:
        return References.of([Phase("x", {"Cu": 1}, energy, group, 1)], {"potential": potential})

    assert [p.energy for p in merge([of(-1.0), of(-1.5), of(-1.25)])] == [-1.5]
    assert len(merge([of(-1.0), of(-1.5, group=229)])) == 2
    with pytest.raises(HullError, match="energies of b cannot stand beside those of a"):
        merge([of(-1.0), of(-1.0, "b")])
    of(-1.0, "b").save(tmp_path / "b.npz")
    assert main(["hull", "build", str(tmp_path / "b.npz"), "-o", str(tmp_path / "c.npz")]) == 2
    assert not (tmp_path / "c.npz").exists()


def test_workers_give_what_one_process_gives(dataset, tmp_path):
    name = "ase.calculators.emt:EMT"
    small = dataset.subset(indices=[0, 1, 5])
    alone = build_references(small, tmp_path / "one.npz", here(name))
    spread = build_references(small, tmp_path / "two.npz", here(name, workers=2))
    assert [(p.id, p.calls) for p in spread] == [(p.id, p.calls) for p in alone]
    assert [p.energy for p in spread] == pytest.approx([p.energy for p in alone], abs=1e-6)
