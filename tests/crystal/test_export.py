"""Crystals written in another form as they are read, structures of OPTIMADE among the forms."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crystals import KNOWN, random_crystal
from crystalsmith.cli.main import main
from crystalsmith.crystal import Crystal, Site
from crystalsmith.crystal.io import read_records
from crystalsmith.crystal.io.export import export
from crystalsmith.crystal.io.optimade import optimade_attributes, optimade_lines
from crystalsmith.crystal.io.rows import Row
from crystalsmith.errors import DataError, OutputError


def source(folder: Path) -> Path:
    """Two rows that have energies, and one that is no crystal."""
    crystals = {"quartz": KNOWN["quartz"], "rutile": KNOWN["rutile"]}
    rows = [
        {"id": n, "index": k, "energy_per_atom": -7.5, "e_above_hull": 0.25, "crystal": c.to_dict()}
        for k, (n, c) in enumerate(crystals.items())
    ]
    path = folder / "source.jsonl"
    path.write_text(
        "".join(json.dumps(row) + "\n" for row in [*rows, {"id": "bad", "cell": [1], "frac": []}])
    )
    return path


@pytest.mark.parametrize(
    "name", ["a.parquet", "shards", "a.optimade.jsonl", "a.jsonl", "a.csv", "a.cif", "a.extxyz", "a.xyz"]
)
def test_what_is_exported_is_read_back(name: str, tmp_path: Path) -> None:
    if name in ("a.parquet", "shards"):
        pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    done = export([source(tmp_path)], tmp_path / name)
    assert (done.crystals, done.failed) == (2, 1) and done.reasons[0].startswith("bad: ")
    records = list(read_records(tmp_path / name))
    found = [r.crystal for r in records if r.crystal is not None]
    assert [c.formula for c in found] == ["SiO2", "TiO2"]
    for crystal, name_ in zip(found, ("quartz", "rutile"), strict=True):
        assert crystal.wyckoff == KNOWN[name_].wyckoff
        assert crystal.cell == pytest.approx(KNOWN[name_].cell, abs=1e-5)
    assert len(records) == (3 if name in ("a.parquet", "shards") else 2)  # which keep failures
    if not name.endswith(".cif"):  # whose files have no place for them
        assert [r.energy for r in records[:2]] == pytest.approx([-7.5] * 2)
        assert [r.e_above_hull for r in records[:2]] == [0.25] * 2


def test_structures_are_those_of_the_specification() -> None:
    models = pytest.importorskip("optimade.models", reason="optimade is not installed")
    rng = np.random.default_rng(3)
    crystals = [*KNOWN.values(), *(random_crystal(number, rng) for number in range(1, 231, 20))]
    rows = [Row("x", crystal, energy=-1.5) for crystal in crystals]
    lines = [json.loads(line) for line in optimade_lines(rows, "2026-11-27T12:00:00Z")]
    assert lines[0] == {"x-optimade": {"meta": {"api_version": "1.2.0"}}}
    own = lines[1]["properties"]
    ids = set()
    for line, crystal in zip(lines[2:], crystals, strict=True):
        resource = models.StructureResource(**line)
        ids.add(resource.id)
        attributes = resource.attributes
        assert attributes.nsites == crystal.n_atoms
        strange = {key for key in line["attributes"] if key.startswith("_")}
        assert strange == own.keys()
        lattice = np.array(attributes.lattice_vectors)
        assert abs(np.linalg.det(lattice)) == pytest.approx(
            crystal.volume * crystal.n_atoms / crystal.n_atoms_conventional
        )
    assert len(ids) == len(crystals)


@pytest.mark.parametrize(
    ("name", "reduced", "anonymous"),
    [("quartz", "O2Si", "A2B"), ("diamond", "C", "A"), ("spinel", "Al2MgO4", "A4B2C")],
)
def test_formulas_of_the_specification(name: str, reduced: str, anonymous: str) -> None:
    attributes = optimade_attributes(KNOWN[name])
    assert attributes["chemical_formula_reduced"] == reduced
    assert attributes["chemical_formula_anonymous"] == anonymous
    assert attributes["elements"] == sorted(attributes["elements"])
    assert math.fsum(attributes["elements_ratios"]) == pytest.approx(1)


def test_letters_beyond_z() -> None:
    from crystalsmith.crystal.io.optimade import _anonymous

    assert _anonymous({str(k): 1 for k in range(28)}).endswith("YZAaBa")


def test_ids_are_told_apart() -> None:
    rows = [Row(name, KNOWN["quartz"]) for name in ("a", "a", "a-2", "a", "b-2", "b", "b")]
    ids = [json.loads(line)["id"] for line in [*optimade_lines(rows, "2026-11-27T12:00:00Z")][2:]]
    assert ids == ["a", "a-2", "a-2-2", "a-3", "b-2", "b", "b-3"]


def test_a_server_of_optimade_would_take_the_file(tmp_path: Path) -> None:
    """By the reader of the reference server; only its collection is ours."""
    utils = pytest.importorskip("optimade.utils", reason="optimade is not installed")
    pytest.importorskip("bson")
    export([source(tmp_path)], tmp_path / "a.optimade.jsonl")
    kept: list[dict[str, Any]] = []

    class Collection:
        def create_default_index(self) -> None:
            pass

        def insert(self, entries: list[dict[str, Any]]) -> None:
            kept.extend(entries)

    utils.insert_from_jsonl(tmp_path / "a.optimade.jsonl", {"structures": Collection()})
    assert [entry["id"] for entry in kept] == ["quartz_0", "rutile_1"]
    assert [entry["chemical_formula_reduced"] for entry in kept] == ["O2Si", "O2Ti"]


def test_a_column_of_cifs(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")
    assert main(["export", str(source(tmp_path)), "-o", str(tmp_path / "a.parquet"), "--cif"]) == 0
    texts = pq.read_table(tmp_path / "a.parquet").column("cif").to_pylist()
    assert [Crystal.from_cif(text).formula for text in texts[:2]] == ["SiO2", "TiO2"] and texts[2] is None


def test_what_is_refused_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    given = source(tmp_path)
    with pytest.raises(OutputError, match=r"must end in \.parquet, \.optimade\.jsonl"):
        export([given], tmp_path / "a.png")
    with pytest.raises(OutputError, match="standard output"):
        export([given], "-")
    with pytest.raises(OutputError, match="is a file"):
        (tmp_path / "taken").write_text("x")
        export([given], tmp_path / "taken")
    with pytest.raises(OutputError, match="holds other files, such as source"):
        export([given], tmp_path)
    before = set(tmp_path.iterdir())
    for name in ("b.parquet", "b.csv", "b.optimade.jsonl", "b"):
        with pytest.raises(DataError, match="no file or folder"):
            export([given, tmp_path / "none.cif"], tmp_path / name)
    assert set(tmp_path.iterdir()) == before
    assert main(["export", str(tmp_path / "none.cif"), "-o", str(tmp_path / "b.csv")]) == 2
    assert "no file or folder" in capsys.readouterr().err


def test_shards_of_an_earlier_export_are_replaced(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "part-00000.parquet").write_bytes(b"x")
    (tmp_path / "out" / "part-00003.parquet").write_bytes(b"x")
    copper = Crystal(225, (3.6, 3.6, 3.6, 90, 90, 90), (Site("Cu", "a"),))
    export([copper], tmp_path / "out")
    assert [r.crystal for r in read_records(tmp_path / "out")] == [copper]
