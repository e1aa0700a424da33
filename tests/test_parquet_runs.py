"""Runs that write shards in place of a file for each crystal, and the commands that read them."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from crystalsmith.cli.main import main
from crystalsmith.crystal.io import read_records, write_crystals
from crystalsmith.errors import OutputError
from crystalsmith.evaluation import read_samples
from crystalsmith.generation import GenerateSettings, generate_into
from crystalsmith.generation.known import KnownPhases
from crystalsmith.orders import parse_orders
from crystalsmith.potentials.run import Relaxed, relax_into
from crystalsmith.potentials.settings import RelaxSettings, Resources
from crystalsmith.runs import extras
from crystalsmith.serving.answers import crystal_of
from fake_model import FakeModel
from metals import fcc

pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow, of the extra parquet, is not installed")

ORDERS = parse_orders(
    [
        {"id": "salt", "space_group": 225, "sites": {"Na": 1, "Cl": 1}, "count": 30},
        {"id": "clino", "space_group": 14, "sites": {"Zr": 1, "O": 2}, "count": 6},
    ]
)


def generate(folder: Path, format: str) -> Any:
    settings = GenerateSettings(seed=5, max_tries=1, format=format)
    model: Any = FakeModel(bad=0.25)
    return generate_into(ORDERS, folder, settings, model=model)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parquet") / "run"
    assert not generate(folder, "parquet").complete  # one in four fails
    return folder


def test_generated_crystals_are_those_of_the_journal(generated: Path) -> None:
    own = {(r.id, r.index): (r.crystal, r.failure) for r in read_records(generated)}
    shards = {(r.id, r.index): (r.crystal, r.failure) for r in read_records(generated / "crystals.parquet")}
    assert own == shards and len(own) == 36
    assert {not crystal for crystal, _ in own.values()} == {True, False}
    with (generated / "crystals.csv").open() as f:
        table = list(csv.DictReader(f))
    rows = [row for row in pq.read_table(generated / "crystals.parquet").to_pylist() if not row["failure"]]
    keys = ("rank", "formula", "wyckoff", "origin", "seed")
    assert [[str(row[k]) for k in keys] for row in rows] == [[row[k] for k in keys] for row in table]


def test_only_crystals_that_the_page_shows_have_files(generated: Path) -> None:
    cifs = {p.name for p in (generated / "cif").iterdir()}
    with (generated / "crystals.csv").open() as f:
        named = {row["cif"].removeprefix("cif/") for row in csv.DictReader(f)} - {""}
    assert cifs == named and 0 < len(cifs) <= 24
    page = (generated / "report.html").read_text()
    assert all(f'href="cif/{name}"' in page for name in cifs)
    assert not (generated / "crystals.extxyz").exists()


def test_formats_take_each_others_place(generated: Path, tmp_path: Path) -> None:
    shutil.copytree(generated, tmp_path / "run")
    generate(tmp_path / "run", "cif")
    generate(tmp_path / "fresh", "cif")

    def files(folder: Path) -> dict[str, bytes]:
        found = [p for p in folder.rglob("*") if p.is_file() and p.name not in ("run.log", "manifest.json")]
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found}

    assert files(tmp_path / "run") == files(tmp_path / "fresh")
    generate(tmp_path / "run", "parquet")
    assert files(tmp_path / "run") == files(generated)


def test_the_page_finds_crystals_without_files(generated: Path) -> None:
    with (generated / "crystals.csv").open() as f:
        table = list(csv.DictReader(f))
    by_name = {(r.id, str(r.index)): r.crystal for r in read_records(generated)}
    for n, row in enumerate(table, 1):
        if not row["cif"]:
            assert crystal_of(generated, n, row) == by_name[row["order"], row["index"]]


def test_shards_are_measured_and_known(generated: Path) -> None:
    samples = read_samples(generated / "crystals.parquet")
    assert len(samples) == 36 and samples.failures and samples.name == "crystals"
    crystal = next(r.crystal for r in read_records(generated) if r.id == "salt" and r.crystal is not None)
    for within in (None, {"Na", "Cl", "K"}):
        known = KnownPhases(None, (), [generated / "crystals.parquet"], within=within)
        assert known.judge(crystal).verdict == "known"
    assert not KnownPhases(None, (), [generated / "crystals.parquet"], within={"K"}).holds(crystal)


def relax(source: Any, folder: Path, format: str = "parquet") -> Relaxed:
    settings = RelaxSettings(format=format, max_calls=30)
    return relax_into(source, folder, settings, Resources("emt_potential:make", 1))


def test_relax_reads_and_writes_shards(tmp_path: Path) -> None:
    source = tmp_path / "start.parquet"
    write_crystals(source, {"cu": fcc("Cu", 3.8), "w": fcc("W", 3.2), "pd": fcc("Pd", 4.0)})
    result = relax(source, tmp_path / "out")
    cu, w, pd = read_records(tmp_path / "out" / "crystals.parquet")
    assert [(r.id, r.crystal) for r in (cu, pd)] == list(result.crystals.to_dict().items())
    assert w.id == "w" and w.failure.startswith("not relaxed: ")
    rows = pq.read_table(tmp_path / "out" / "crystals.parquet").to_pylist()
    assert rows[0]["energy_per_atom"] == pytest.approx(cu.energy)
    assert [row["converged"] for row in rows] == [True, None, True]
    assert rows[0]["energy_start"] > rows[0]["energy_symmetric"] >= rows[0]["energy_free"] - 1e-6
    assert not (tmp_path / "out" / "cif").exists() and not (tmp_path / "out" / "relaxed.extxyz").exists()
    again = {p.name: p.read_bytes() for p in (tmp_path / "out" / "crystals.parquet").iterdir()}
    relax(source, tmp_path / "other")
    assert again == {p.name: p.read_bytes() for p in (tmp_path / "other" / "crystals.parquet").iterdir()}
    assert [e.name for e in relax(tmp_path / "out" / "crystals.parquet", tmp_path / "two").entries] == [
        *("cu", "w", "pd")
    ]


def test_show_draws_shards(generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = tmp_path / "sheet.png"
    assert main(["--json", "show", str(generated / "crystals.parquet"), "-o", str(sheet)]) == 0
    assert json.loads(capsys.readouterr().out)["result"]["crystals"] > 6 and sheet.stat().st_size > 1000


def test_show_reads_no_more_than_it_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from crystalsmith.crystal.io.parquet import GROUP, ParquetShards
    from crystalsmith.crystal.io.rows import Row

    with ParquetShards(tmp_path / "many", rows=100) as shards:
        for k in range(300):
            shards.add(Row(f"c{k}", fcc("Cu", 3.5 + k / 1000)))
    for part in ("part-00001.parquet", "part-00002.parquet"):
        (tmp_path / "many" / part).write_bytes(b"PAR1 and no more")
    assert GROUP > 100 and main(["show", str(tmp_path / "many"), "-o", str(tmp_path / "x.svg")]) == 0
    printed = capsys.readouterr()
    assert "60 crystals drawn" in printed.out and "shows the first 60 crystals only" in printed.err
    assert "part-00001" not in printed.err


def test_nothing_begins_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "_is_installed", lambda module: module != "pyarrow")
    with pytest.raises(OutputError, match="Parquet needs pyarrow"):
        generate(tmp_path / "a", "parquet")
    with pytest.raises(OutputError, match="Parquet needs pyarrow"):
        relax(fcc("Cu", 3.8), tmp_path / "b")
    assert not list(tmp_path.iterdir())
