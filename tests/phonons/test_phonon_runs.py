"""Runs of phonons: every element, crystals that fail, several processes, folders of earlier versions."""

import json

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from ase.data import atomic_masses

from crystalsmith.crystal import NUMBERS, Crystal, Site
from crystalsmith.errors import OutputError
from metals import fcc

pytest.importorskip("phonopy")
pytest.importorskip("seekpath")

from crystalsmith.phonons import PhononSettings, Study, phonons_into, study_crystal, study_many
from crystalsmith.phonons.supercell import choose_supercell
from crystalsmith.phonons.vibrations import _atoms, _phonopy, compute_phonons, relax_tightly
from crystalsmith.potentials import Resources
from crystalsmith.runs.engines import Local
from crystalsmith.runs.manifest import read_manifest
from crystalsmith.runs.pool import Failed

EMT = "ase.calculators.emt:EMT"
SMALL = PhononSettings(length=4.0, max_atoms=8, elastic=False)


def lennard_jones() -> LennardJones:
    return LennardJones(sigma=2.4, epsilon=0.5, rc=6.0, ro=5.0, smooth=True)


ARGON = relax_tightly(fcc("Ar", 3.7), lennard_jones()).crystal


def test_every_element_has_its_number_and_mass():
    """Phonopy's own table lacks 26 masses, and calls the last elements Uut to Uuo."""
    assert len(NUMBERS) == 118
    supercell = choose_supercell(fcc("Cu", 3.59), 3.0, 2)
    for symbol, number in NUMBERS.items():
        phonon = _phonopy(fcc(symbol, 3.59), supercell)
        cells = (phonon.unitcell, phonon.primitive, phonon.supercell)
        assert {mass for cell in cells for mass in cell.masses} == {atomic_masses[number]}
        assert atomic_masses[number] > 1 and set(_atoms(phonon.supercell).get_chemical_symbols()) == {symbol}


@pytest.mark.parametrize("element", ["Po", "At", "Rn", "Fr", "Ra", "Pu", "Am", "Nh", "Og"])
def test_frequencies_of_one_potential_go_with_the_root_of_the_mass(element, tmp_path):
    import phonopy

    crystal = Crystal(225, ARGON.cell, (Site(element, "a"),))
    found = compute_phonons(crystal, lennard_jones(), SMALL)
    light = compute_phonons(ARGON, lennard_jones(), SMALL)
    root = np.sqrt(atomic_masses[18] / atomic_masses[NUMBERS[element]])
    assert found.bands == pytest.approx(light.bands * root, abs=1e-4) and found.stable
    found.write_phonopy(tmp_path / "params.yaml")
    again = phonopy.load(tmp_path / "params.yaml", log_level=0)
    again.run_qpoints(found.path.q[:3])
    assert again.qpoints.frequencies == pytest.approx(found.bands[:3], abs=2e-3)


BAD = {"am": fcc("Am", 3.59), "ti": fcc("Ti", 3.59), "close": fcc("Cu", 0.6), "large": fcc("Cu", 6.5)}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_crystal_that_fails_costs_no_other(workers):
    crystals = {**BAD, "cu": fcc("Cu", 3.59), "ni": fcc("Ni", 3.5)}
    seen = []
    found = study_many(
        crystals, EMT, SMALL, engine=Local(workers), on_done=lambda name, study, seconds: seen.append(name)
    )
    assert sorted(seen) == sorted(found) == sorted(crystals)
    assert {name for name, study in found.items() if isinstance(study, Study)} == {"cu", "ni"}
    for name in BAD:
        assert found[name].reason and "\n" not in found[name].reason
    alone = study_crystal(fcc("Cu", 3.59), effective_medium(), SMALL)
    assert found["cu"].phonons.bands == pytest.approx(alone.phonons.bands, abs=1e-5)


def effective_medium():
    from ase.calculators.emt import EMT as Calculator

    return Calculator()


def test_what_goes_wrong_in_a_library_is_told_of_its_crystal(monkeypatch):
    """Of any kind, from any place: a symmetry search, a path, a picture."""
    from crystalsmith.phonons import vibrations

    real = vibrations.band_path

    def path(crystal):
        if "Ni" in crystal.counts:
            raise IndexError("list index\nout of range")
        return real(crystal)

    monkeypatch.setattr(vibrations, "band_path", path)
    found = study_many({"ni": fcc("Ni", 3.5), "cu": fcc("Cu", 3.59)}, EMT, SMALL, engine=Local(1))
    assert found["ni"] == Failed("IndexError: list index out of range") and isinstance(found["cu"], Study)


def test_a_run_is_a_call_and_its_folder_says_what_it_is(tmp_path):
    resources = Resources(EMT, workers=1)
    run = phonons_into({"cu": fcc("Cu", 3.59), **BAD}, tmp_path / "out", SMALL, resources)
    assert list(run.studies) == ["cu"] and set(run.lost) == set(BAD)
    manifest = read_manifest(tmp_path / "out")
    assert (manifest["kind"], manifest["status"], manifest["asked"]) == ("phonons", "finished", 5)
    assert manifest["failures"] == run.lost and manifest["run"]["length"] == 4.0
    assert run.rows()[0]["verdict"] == "stable" and run.to_dataframe().shape[0] == 5
    json.dumps(run.to_dict())
    # More crystals of the same settings may follow; others may not, unless told.
    more = phonons_into({"ni": fcc("Ni", 3.5)}, tmp_path / "out", SMALL, resources)
    assert list(more.studies) == ["ni"]
    (tmp_path / "out" / "mine.json").write_text("{}")
    with pytest.raises(OutputError, match="another length"):
        phonons_into({"cu": fcc("Cu", 3.59)}, tmp_path / "out", PhononSettings(length=5.0), resources)
    other = PhononSettings(length=5.0, elastic=False)
    phonons_into({"ni": fcc("Ni", 3.5)}, tmp_path / "out", other, resources, overwrite=True)
    left = {p.name for p in (tmp_path / "out").iterdir() if p.suffix == ".json"}
    assert left == {"ni.json", "mine.json", "manifest.json"}


def test_a_folder_of_an_earlier_version_is_gone_on_with(tmp_path):
    """It held the files of each crystal and nothing else."""
    out, resources = tmp_path / "out", Resources(EMT, workers=1)
    phonons_into({"cu": fcc("Cu", 3.59)}, out, SMALL, resources)
    (out / "manifest.json").unlink()
    (out / "run.log").unlink()
    before = (out / "cu.json").read_bytes()
    with pytest.raises(OutputError, match="made with other settings"):
        phonons_into({"cu": fcc("Cu", 3.59)}, out, PhononSettings(length=5.0), resources)
    run = phonons_into({"cu": fcc("Cu", 3.59), "ni": fcc("Ni", 3.5)}, out, SMALL, resources)
    assert list(run.studies) == ["cu", "ni"] and (out / "cu.json").read_bytes() == before
