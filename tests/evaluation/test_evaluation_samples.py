"""Sets of crystals from every kind of source; what is not there is counted."""

from __future__ import annotations

import csv
import gzip
import json
import zipfile

import numpy as np
import pytest

from crystals import KNOWN
from crystalsmith.crystal.io.records import array_fault
from crystalsmith.data import pack
from crystalsmith.errors import DataError, EvaluationError
from crystalsmith.evaluation.samples import read_samples
from crystalsmith.evaluation.targets import target_orders
from crystalsmith.generation import generate_into
from crystalsmith.orders import parse_orders
from fake_model import FakeModel

NAMES = ["rutile", "quartz", "rock salt"]


def row(name: str, **more) -> str:
    symbols, fractional = KNOWN[name].positions(primitive=False)
    data = {"cell": list(KNOWN[name].cell), "species": symbols, "frac": fractional.tolist(), **more}
    return json.dumps({"id": name.replace(" ", "-"), **data})


@pytest.fixture
def sources(tmp_path):
    """The same three crystals in every form."""
    (tmp_path / "set.jsonl").write_text("\n".join(row(n) for n in NAMES) + "\n")
    with gzip.open(tmp_path / "set2.jsonl.gz", "wt") as f:
        f.write("\n".join(row(n) for n in NAMES))
    folder = tmp_path / "cifs"
    folder.mkdir()
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as z, (tmp_path / "set.csv").open("w", newline="") as f:
        table = csv.writer(f)
        table.writerow(["material_id", "cif"])
        for n in NAMES:
            text = KNOWN[n].to_structure().to(fmt="cif")
            (folder / f"{n.replace(' ', '-')}.cif").write_text(text)
            z.writestr(f"{n.replace(' ', '-')}.cif", text)
            table.writerow([n.replace(" ", "-"), text])
    from ase.io import write

    atoms = []
    for n in NAMES:
        a = KNOWN[n].to_atoms()
        a.info = {"order": n.replace(" ", "-"), "index": 3, "space_group": KNOWN[n].space_group}
        atoms.append(a)
    write(tmp_path / "set.extxyz", atoms, format="extxyz")
    structures = [{**KNOWN[n].to_structure().as_dict(), "id": n.replace(" ", "-")} for n in NAMES]
    (tmp_path / "set.json").write_text(json.dumps(structures))
    pack([KNOWN[n] for n in NAMES], [n.replace(" ", "-") for n in NAMES]).save(tmp_path / "set.safetensors")
    return tmp_path


@pytest.mark.parametrize(
    "name",
    ["set.jsonl", "set2.jsonl.gz", "cifs", "set.zip", "set.csv", "set.extxyz", "set.json", "set.safetensors"],
)
def test_every_form_gives_the_same_crystals(sources, name):
    found = read_samples(sources / name)
    assert sorted(s.id for s in found) == sorted(n.replace(" ", "-") for n in NAMES)
    assert not found.failures and found.name in ("set", "set2", "cifs")
    by_id = {s.id: s for s in found}
    for n in NAMES:
        sample = by_id[n.replace(" ", "-")]
        assert sample.arrays.formula == KNOWN[n].formula
        per_atom = KNOWN[n].volume / KNOWN[n].n_atoms_conventional
        assert sample.arrays.volume / len(sample.arrays.numbers) == pytest.approx(per_atom, rel=1e-4)
    if name == "set.extxyz":
        assert {s.index for s in found} == {3} and by_id["quartz"].asked_group == 154


def test_what_cannot_be_read_is_a_failure_with_its_reason(sources):
    bad = [
        "{broken",
        json.dumps({"id": "empty", "cell": [3, 3, 3, 90, 90, 90], "species": [], "frac": []}),
        row("rutile").replace("4.5941", "NaN", 1),
        json.dumps({"id": "flat", "cell": [3, 3, 3, 90, 90, 180], "species": ["Na"], "frac": [[0, 0, 0]]}),
        json.dumps({"id": "who", "cell": [3, 3, 3, 90, 90, 90], "species": ["Xx"], "frac": [[0, 0, 0]]}),
    ]
    path = sources / "bad.jsonl"
    path.write_text("\n".join([row("quartz"), *bad]) + "\n")
    found = read_samples(path)
    assert len(found) == 6 and [s.arrays is None for s in found] == [False] + [True] * 5
    assert all(s.failure for s in found.failures)
    assert found.failures[0].id == "line 2" and "unreadable" in found.failures[0].failure


def test_damaged_members_of_folders_and_zips_are_failures(sources):
    (sources / "cifs" / "torn.cif.gz").write_bytes(gzip.compress(b"data_x" * 1000)[:-40])
    (sources / "cifs" / "empty.cif").write_text("")
    found = {s.id: s for s in read_samples(sources / "cifs")}
    assert len(found) == 5 and "cannot be read" in found["torn"].failure and found["empty"].failure
    raw = bytearray((sources / "set.zip").read_bytes())
    raw[60:80] = bytes(20)  # inside the first member
    (sources / "torn.zip").write_bytes(bytes(raw))
    found = read_samples(sources / "torn.zip")
    assert len(found) == 3 and len(found.failures) == 1 and "damaged in the zip" in found.failures[0].failure


def test_samples_of_one_id_are_numbered(sources):
    path = sources / "two.jsonl"
    path.write_text("\n".join([row("quartz"), row("rutile"), row("quartz"), row("quartz", index=7)]) + "\n")
    assert [(s.id, s.index) for s in read_samples(path)] == [
        ("quartz", 0),
        ("rutile", 0),
        ("quartz", 1),
        ("quartz", 7),
    ]


@pytest.mark.parametrize(
    ("keys", "number"),
    [({"sg": 136}, 136), ({"space_group": "136"}, 136), ({}, 0), ({"sg": "P4"}, 75), ({"sg": 999}, 0)],
)
def test_the_group_that_a_source_names(sources, keys, number):
    (sources / "one.jsonl").write_text(row("rutile", **keys) + "\n")
    assert read_samples(sources / "one.jsonl").samples[0].asked_group == number


def test_the_group_of_a_cif_counts_unless_it_is_p1(sources):
    (sources / "ours.cif").write_text(KNOWN["rutile"].to_cif())
    assert read_samples(sources / "ours.cif").samples[0].asked_group == 136
    assert {s.asked_group for s in read_samples(sources / "cifs")} == {0}


def test_an_output_folder_with_what_it_did_not_make(tmp_path):
    orders = parse_orders(
        [
            {"id": "salt", "space_group": 225, "wyckoff": [["Na", "a"], ["Cl", "b"]], "count": 3},
            {"id": "late", "space_group": 221, "wyckoff": [["Cs", "a"], ["Cl", "b"]], "count": 2},
        ]
    )
    model = FakeModel()
    generate_into(orders, tmp_path / "run", model=model)
    journal = tmp_path / "run" / "crystals.jsonl"
    kept = [line for line in journal.read_text().splitlines(keepends=True) if '"salt"' in line]
    journal.write_text("".join(kept))
    found = read_samples(tmp_path / "run", "mine")
    assert found.name == "mine" and [(s.id, s.index) for s in found] == [
        ("salt", 0),
        ("salt", 1),
        ("salt", 2),
        ("late", 0),
        ("late", 1),
    ]
    assert {s.asked_group for s in found} == {225, 221}
    assert [bool(s.failure) for s in found] == [False] * 3 + [True] * 2
    assert found.failures[0].failure == "not made: the run was interrupted"


@pytest.mark.parametrize(("name", "words"), [("none", "no file or folder"), ("x.txt", "none of the known")])
def test_what_is_no_set_is_refused(tmp_path, name, words):
    (tmp_path / "x.txt").write_text("hello\nworld\n")
    with pytest.raises(DataError, match=words):
        read_samples(tmp_path / name)


def test_faults():
    cell, point, sodium = np.eye(3) * 4, np.zeros((1, 3)), np.array([11])
    assert array_fault(cell, point, sodium) == ""
    assert "no volume" in array_fault(np.zeros((3, 3)), point, sodium)
    assert "not finite" in array_fault(cell * np.nan, point, sodium)
    assert "million" in array_fault(cell * 1e9, point, sodium)
    assert "do not fit" in array_fault(cell, np.zeros((2, 3)), sodium)
    assert "not an element" in array_fault(cell, point, np.array([0]))


def test_orders_for_the_crystals_of_a_reference(sources):
    reference = read_samples(sources / "set.jsonl")
    sites = target_orders(reference)
    assert sites[0] == {"id": "rutile", "space_group": 136, "sites": {"Ti": 1, "O": 1}, "count": 1}
    letters = {o["id"]: o for o in target_orders(reference, 2, give="wyckoff", count=5, max_atoms=6)}
    assert set(letters) == {"rutile", "rock-salt"} and letters["rutile"]["count"] == 5
    assert sorted(x for _, x in letters["rutile"]["wyckoff"]) == ["a", "f"]
    assert [o["id"] for o in target_orders(reference, space_groups=(150, 160))] == ["quartz"]
    assert target_orders(reference, 2, seed=1) == target_orders(reference, 2, seed=1)
    with pytest.raises(EvaluationError, match="only 3 crystals of set qualify"):
        target_orders(reference, 4)
    formula = {o["id"]: o for o in target_orders(reference, give="formula")}
    assert formula["rutile"] == {"id": "rutile", "space_group": 136, "formula": "TiO2", "z": 2, "count": 1}
    assert formula["rock-salt"] == {
        "id": "rock-salt",
        "space_group": 225,
        "formula": "NaCl",
        "z": 4,
        "count": 1,
    }
    atoms = {o["id"]: o for o in target_orders(reference, give="atoms")}
    assert atoms["rutile"] == {"id": "rutile", "formula": "TiO2", "atoms": 6, "count": 1}
    assert atoms["rock-salt"] == {"id": "rock-salt", "formula": "NaCl", "atoms": 2, "count": 1}
    group = {o["id"]: o for o in target_orders(reference, give="group", count=3)}
    assert group["rutile"] == {"id": "rutile", "space_group": 136, "formula": "TiO2", "count": 3}
    assert {"id": "rock-salt", "formula": "NaCl", "count": 1} in target_orders(reference, give="name")
    with pytest.raises(EvaluationError, match="or formula or group or atoms or cell or name, not 'colour'"):
        target_orders(reference, give="colour")
