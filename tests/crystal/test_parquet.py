"""Parquet: what is written is read back exactly, shard by shard, and other programs' tables are read too."""

from __future__ import annotations

import itertools
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from crystals import KNOWN, random_crystal
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.io import Limits, named_crystals, read_records, write_crystals
from crystalsmith.errors import CrystalsmithError, DataError, OutputError
from crystalsmith.runs import extras

pa = pytest.importorskip("pyarrow", reason="pyarrow, of the extra parquet, is not installed")
pq = pytest.importorskip("pyarrow.parquet")

from crystalsmith.crystal.io.parquet import ParquetShards, compact_crystal  # noqa: E402
from crystalsmith.crystal.io.rows import Row  # noqa: E402


def some_rows(count: int) -> list[Row]:
    crystals = itertools.islice(itertools.cycle(KNOWN.items()), count)
    return [Row(f"{k} {name}", c, energy=-k / 8, index=k) for k, (name, c) in enumerate(crystals)]


def write(folder: Path, rows: list[Row], size: int = 4) -> None:
    with ParquetShards(folder, rows=size) as shards:
        for row in rows[shards.done :]:
            shards.add(row)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@pytest.mark.parametrize("number", range(1, 231, 9))
def test_compact_crystals_lose_nothing(number: int, tmp_path: Path) -> None:
    crystal = random_crystal(number, np.random.default_rng(number))
    write_crystals(tmp_path / "one.parquet", {"it": crystal})
    (record,) = read_records(tmp_path / "one.parquet")
    assert record.crystal == crystal and (record.id, record.space_group) == ("it", number)


def test_facts_and_failures_come_back(tmp_path: Path) -> None:
    rows = [
        Row("a", KNOWN["quartz"], energy=-5.5, above_hull=0.01, index=3, more={"reason": "converged"}),
        Row("b", None, "not made: no bonds", index=4, more={"reason": None}),
    ]
    with ParquetShards(tmp_path / "x", {"reason": "string"}) as shards:
        for row in rows:
            shards.add(row)
    good, failed = read_records(tmp_path / "x")
    assert (good.energy, good.e_above_hull, good.index) == (-5.5, 0.01, 3)
    assert (failed.id, failed.failure, failed.index) == ("b", "not made: no bonds", 4)
    table = pq.read_table(tmp_path / "x").to_pylist()
    assert [row["reason"] for row in table] == ["converged", None]
    assert (table[0]["formula"], table[0]["elements"], table[0]["n_atoms"]) == ("SiO2", ["O", "Si"], 9)


@pytest.mark.parametrize("count", [0, 3, 4, 9])
def test_shards_hold_their_rows_in_order(count: int, tmp_path: Path) -> None:
    rows = some_rows(count)
    write(tmp_path, rows)
    files = sorted(p.name for p in tmp_path.iterdir())
    assert files == [f"part-{k:05d}.parquet" for k in range(max(1, -(-count // 4)))]
    if count:
        assert [r.id for r in read_records(tmp_path)] == [" ".join(r.id.split()) for r in rows]


def test_shards_are_gone_on_with(tmp_path: Path) -> None:
    rows = some_rows(14)
    write(tmp_path / "whole", rows)
    with pytest.raises(RuntimeError, match="stopped"), ParquetShards(tmp_path / "cut", rows=4) as shards:
        for row in rows[:7]:
            shards.add(row)
        raise RuntimeError("stopped")
    assert list(contents(tmp_path / "cut")) == ["part-00000.parquet"]
    (tmp_path / "cut" / "part-00001.parquet.partial").write_bytes(b"left by a kill")
    (tmp_path / "cut" / "part-00007.parquet").write_bytes(b"of a longer run")
    with ParquetShards(tmp_path / "cut", rows=4) as shards:
        assert shards.done == 4
        for row in rows[4:]:
            shards.add(row)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_new_shards_wait_for_all_of_them(tmp_path: Path) -> None:
    """A mixture of old and new ones would look whole."""
    write(tmp_path, some_rows(9))
    before, rows = contents(tmp_path), some_rows(6)[::-1]
    with pytest.raises(KeyboardInterrupt), ParquetShards(tmp_path, rows=4, anew=True) as shards:
        for row in rows:
            shards.add(row)
        assert len(contents(tmp_path)) == len(before) + 1
        raise KeyboardInterrupt
    assert contents(tmp_path) == before
    (tmp_path / "part-00005.parquet.new").write_bytes(b"left by a kill")
    with ParquetShards(tmp_path, rows=4, anew=True) as shards:
        for row in rows:
            shards.add(row)
    assert [r.index for r in read_records(tmp_path)] == [5, 4, 3, 2, 1, 0]
    assert sorted(contents(tmp_path)) == ["part-00000.parquet", "part-00001.parquet"]


def test_a_damaged_shard_is_written_again(tmp_path: Path) -> None:
    rows = some_rows(9)
    write(tmp_path, rows)
    whole = contents(tmp_path)
    (tmp_path / "part-00001.parquet").write_bytes(whole["part-00001.parquet"][:100])
    with ParquetShards(tmp_path, rows=4) as shards:
        assert shards.done == 4
        for row in rows[4:]:
            shards.add(row)
    assert contents(tmp_path) == whole


def test_a_damaged_shard_costs_itself_alone(tmp_path: Path) -> None:
    write(tmp_path, some_rows(8))
    file = tmp_path / "part-00000.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    records = list(read_records(tmp_path))
    assert "part-00000" in records[0].id and "unreadable" in records[0].failure
    assert [r.index for r in records[1:]] == [4, 5, 6, 7]
    with pytest.raises(DataError, match="damaged"):
        list(read_records(file))


def test_crystals_of_other_elements_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, [*some_rows(40), Row("none", None, "not made")], size=15)
    wanted = frozenset({"Si", "O", "C"})
    found = [r.id for r in read_records(tmp_path, Limits(within=wanted))]
    inside = [" ".join(r.id.split()) for r in some_rows(40) if set(r.crystal.counts) <= wanted]
    assert found == inside and found
    assert list(read_records(tmp_path, Limits(within=frozenset({"He"})))) == []


def test_members_of_archives(tmp_path: Path) -> None:
    write_crystals(tmp_path / "a.parquet", KNOWN)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as z:
        z.write(tmp_path / "a.parquet", "inner/a.parquet")
    assert list(named_crystals(tmp_path / "set.zip").values()) == list(KNOWN.values())


def test_tables_of_other_programs(tmp_path: Path) -> None:
    rutile = KNOWN["rutile"]
    structure = rutile.to_structure(primitive=True)
    optimade = {
        "immutable_id": ["x-1"],
        "lattice_vectors": [structure.lattice.matrix.tolist()],
        "species_at_sites": [[s.species_string for s in structure]],
        "cartesian_site_positions": [structure.cart_coords.tolist()],
        "dimension_types": [[1, 1, 1]],
    }
    pq.write_table(pa.table(optimade), tmp_path / "optimade.parquet")
    cifs = {"material_id": ["m-7"], "CIF": [rutile.to_cif()], "energy_per_atom": [-7.5]}
    pq.write_table(pa.table(cifs), tmp_path / "cif.parquet")
    text = json.dumps(structure.as_dict())
    pq.write_table(pa.table({"id": ["p"], "structure": [text]}), tmp_path / "json.parquet")
    for name, told in (("optimade", "row 1"), ("cif", "m-7"), ("json", "p")):
        (record,) = read_records(tmp_path / f"{name}.parquet")
        assert (record.id, record.failure) == (told, "")
        assert record.symmetrized().space_group == 136
    assert next(read_records(tmp_path / "cif.parquet")).energy == -7.5


def test_tables_that_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({"a": [1], "b": ["x"]}), tmp_path / "none.parquet")
    with pytest.raises(DataError, match="has the columns a, b; none holds structures"):
        list(read_records(tmp_path / "none.parquet"))
    write_crystals(tmp_path / "own.parquet", KNOWN)
    with pytest.raises(DataError, match="a row group unpacks to more than 100 bytes"):
        list(read_records(tmp_path / "own.parquet", Limits(document=100)))
    table = pq.read_table(tmp_path / "own.parquet")
    newer = table.replace_schema_metadata({b"crystalsmith": b'{"format": 99}'})
    pq.write_table(newer, tmp_path / "newer.parquet")
    with pytest.raises(DataError, match="format 99, of a newer version"):
        list(read_records(tmp_path / "newer.parquet"))
    monkeypatch.setattr(extras, "_is_installed", lambda module: module != "pyarrow")
    with pytest.raises(DataError, match=r"Parquet needs pyarrow, not installed here: .*install"):
        list(read_records(tmp_path / "own.parquet"))
    with pytest.raises(OutputError, match="Parquet needs pyarrow"):
        write_crystals(tmp_path / "more.parquet", KNOWN)
    assert not (tmp_path / "more.parquet").exists()


def test_rows_that_hold_no_crystal_say_so(tmp_path: Path) -> None:
    write_crystals(tmp_path / "own.parquet", {"good": KNOWN["quartz"], "bad": KNOWN["rutile"]})
    table = pq.read_table(tmp_path / "own.parquet")
    letters = pa.array([KNOWN["quartz"].wyckoff, "Ti:a O:zz"])
    pq.write_table(
        table.set_column(table.column_names.index("wyckoff"), "wyckoff", letters), tmp_path / "bad.parquet"
    )
    good, bad = read_records(tmp_path / "bad.parquet")
    assert not good.failure and bad.failure.startswith("unreadable: ")


def test_parameters_must_be_as_many_as_the_letters_have() -> None:
    quartz = KNOWN["quartz"]
    free = [x for site in quartz.sites for x in site.free]
    assert compact_crystal(quartz.space_group, quartz.cell, quartz.wyckoff, free) == quartz
    for wrong in ([*free, 0.5], free[:-1]):
        with pytest.raises(ValueError, match="free parameters where"):
            compact_crystal(quartz.space_group, quartz.cell, quartz.wyckoff, wrong)
    with pytest.raises(CrystalsmithError):
        compact_crystal(quartz.space_group, quartz.cell, "Si:a O:zz", free)


def test_a_full_disk_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Crystal) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Crystal, "formula", property(fail))
    with pytest.raises(OutputError, match="No space left"):
        write_crystals(tmp_path / "x.parquet", KNOWN)
    assert not list(tmp_path.iterdir())
