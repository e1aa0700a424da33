"""Many chemical systems in one run: each ends as it would alone, whatever happens to the run."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase.db
import pytest
from kills import Killed, killed_at

from crystalsmith.cli.main import main
from crystalsmith.crystal.io import read_records
from crystalsmith.diffusion import Model, load_model
from crystalsmith.discovery import many
from crystalsmith.discovery.calculations import write_run_inputs
from crystalsmith.discovery.many import Campaign, discover_systems_into
from crystalsmith.discovery.run import discover_into
from crystalsmith.discovery.systems import is_list, named_systems, read_systems
from crystalsmith.errors import DiscoveryError, OrderError, OutputError
from crystalsmith.hull import Hull
from crystalsmith.runs.campaign import standing
from crystalsmith.serving.opened import open_run
from metals import SEARCH, emt_references

SMALL = replace(SEARCH, crystals=4)
NAMES = ("Cu-Au", "Cu-Pd", "Au-Pd")


@pytest.fixture(scope="module")
def model() -> Model:
    loaded = load_model()
    assert isinstance(loaded, Model)
    return loaded


def search(model: Model, folder: Path, names: Any = NAMES, **options: Any) -> Campaign:
    hull = Hull(emt_references())
    return discover_systems_into(
        named_systems(names), SMALL, folder, model=model, hull=hull, workers=1, **options
    )


@pytest.fixture(scope="module")
def undisturbed(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    return search(model, tmp_path_factory.mktemp("systems") / "run")


def results(folder: Path) -> dict[str, bytes]:
    """Of one system."""
    files = [folder / "candidates.csv", *sorted(folder.glob("cif/*")), *sorted(folder.glob("poscar/*"))]
    return {str(f.relative_to(folder)): f.read_bytes() for f in files}


def test_a_system_of_many_is_the_system_alone(model: Model, undisturbed: Campaign, tmp_path: Path):
    hull = Hull(emt_references())
    alone = discover_into(
        replace(SMALL, system=("Cu", "Pd")), tmp_path / "one", model=model, hull=hull, workers=1
    )
    assert len(alone.summary.shortlist) > 0
    assert results(undisturbed.folder / "systems" / "Cu-Pd") == results(alone.folder)
    (row,) = [r for r in undisturbed.rows if r.system == "Cu-Pd"]
    assert (row.candidates, row.short) == (len(alone.candidates), len(alone.summary.shortlist))
    assert row.best == pytest.approx(min(c.above_hull for c in alone.summary.shortlist), abs=1e-6)
    assert undisturbed.summary("Cu-Pd").system == ("Cu", "Pd")


@pytest.mark.parametrize("stop", [2, 8])
def test_a_run_cut_off_anywhere_with_its_lines_in_another_order_ends_the_same(
    model: Model, undisturbed: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
):
    """The process ends at the so manieth write of the database, as kill -9 would have it."""
    killed_at(stop, monkeypatch)
    with pytest.raises(Killed):
        search(model, tmp_path / "run", NAMES[::-1])
    monkeypatch.undo()
    cut = standing(tmp_path / "run")
    assert set(cut.running) == set(NAMES) and cut.systems == {"finished": 0, "failed": 0, "waiting": 0}
    again = search(model, tmp_path / "run", NAMES[::-1])
    for name in NAMES:
        part = Path("systems", name)
        assert results(again.folder / part) == results(undisturbed.folder / part)
    assert sorted(again.rows, key=lambda r: r.system) == sorted(undisturbed.rows, key=lambda r: r.system)
    with ase.db.connect(again.folder / "crystals.db") as db:
        assert [db.count(system=name, stage="generated") for name in NAMES] == [4, 4, 4]


def test_a_finished_run_only_writes_its_index_again_and_takes_more_systems_but_no_fewer(
    model: Model, undisturbed: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = Path(shutil.copytree(undisturbed.folder, tmp_path / "run"))

    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("done again")

    page = folder / "report.html"
    text = page.read_text()
    page.unlink()
    for name in ("run_stages", "write_results"):
        monkeypatch.setattr(many, name, refuse)
    assert search(model, folder).rows == undisturbed.rows
    assert page.read_text() == text
    with pytest.raises(DiscoveryError, match="holds 1 systems that the list lacks, such as Au-Pd"):
        search(model, folder, NAMES[:2])
    with pytest.raises(AssertionError, match="done again"):
        search(model, folder, (*NAMES, "Cu-Au-Pd"))


def test_systems_that_fail_are_told_and_the_others_go_on(
    model: Model, undisturbed: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    orders, summary = many.make_orders, many.summary_of

    def no_orders(settings: Any, model: Any) -> Any:
        if settings.name == "Cu-Au":
            raise OrderError("nothing can be made of this")
        return orders(settings, model)

    def no_summary(passage: Any, arguments: Any) -> Any:
        if passage.work.settings.name == "Au-Pd":
            raise ZeroDivisionError("no such hull")
        return summary(passage, arguments)

    monkeypatch.setattr(many, "make_orders", no_orders)
    monkeypatch.setattr(many, "summary_of", no_summary)
    told: list[str] = []
    found = search(model, tmp_path / "run", finished=lambda row: told.append(row.system))
    assert found.failures == {"Cu-Au": "nothing can be made of this", "Au-Pd": "no such hull"}
    assert sorted(told) == sorted(NAMES) and "2 failed" in str(found)
    part = Path("systems", "Cu-Pd")
    assert results(found.folder / part) == results(undisturbed.folder / part)
    page = (found.folder / "report.html").read_text()
    assert "nothing can be made of this" in page and "no such hull" in page
    status = standing(found.folder)
    assert status.systems == {"finished": 1, "failed": 2, "waiting": 0} and "1 finished, 2 failed" in str(
        status
    )
    assert status.failures == {"nothing can be made of this": 1, "no such hull": 1}

    # The same call tries again what may come to something now, and that alone.
    monkeypatch.setattr(many, "summary_of", summary)
    told.clear()
    again = search(model, tmp_path / "run", finished=lambda row: told.append(row.system))
    assert told == ["Au-Pd"] and again.failures == {"Cu-Au": "nothing can be made of this"}
    assert again.rows[1:] == undisturbed.rows[1:]
    for name in NAMES[1:]:
        part = Path("systems", name)
        assert results(again.folder / part) == results(undisturbed.folder / part)
    assert standing(again.folder).systems == {"finished": 2, "failed": 1, "waiting": 0}
    assert "no such hull" not in (again.folder / "report.html").read_text()


def test_calculations_of_a_system_are_never_replaced(model: Model, undisturbed: Campaign, tmp_path: Path):
    folder = shutil.copytree(undisturbed.folder, tmp_path / "run")
    write_run_inputs([folder / "systems" / "Cu-Pd"], folder / "systems" / "Cu-Pd")
    output = next(folder.glob("systems/Cu-Pd/dft/vasp/01-*/relax")) / "OUTCAR"
    output.write_text("days of work")
    with pytest.raises(OutputError, match="holds calculations already"):
        search(model, folder, overwrite=True)
    assert output.read_text() == "days of work" and (folder / "systems.csv").exists()


def test_the_index_leads_to_every_system_and_the_table_says_the_same(undisturbed: Campaign):
    page = (undisturbed.folder / "report.html").read_text()
    links = re.findall(r'href="(systems/[^"]+)"', page)
    assert links == [f"systems/{name}/report.html" for name in NAMES]
    assert all((undisturbed.folder / link).is_file() for link in links)
    with (undisturbed.folder / "systems.csv").open() as f:
        rows = list(csv.DictReader(f))
    told = json.loads((undisturbed.folder / "systems.json").read_text())
    assert [r["system"] for r in rows] == [r["system"] for r in told["systems"]] == list(NAMES)
    assert sum(int(r["candidates"]) for r in rows) == told["totals"]["candidates"] == 12
    assert list(undisturbed.to_dataframe().best_formula) == [r["best_formula"] for r in rows]


def test_what_reads_runs_reads_many_systems(undisturbed: Campaign):
    listed = [c.name for name in NAMES for c in undisturbed.summary(name).shortlist]
    assert sorted(r.id for r in read_records(undisturbed.folder)) == sorted(listed)
    one = [r.id for r in read_records(undisturbed.folder / "systems" / "Cu-Pd")]
    assert one == [c.name for c in undisturbed.summary("Cu-Pd").shortlist]
    opened = open_run(undisturbed.folder)
    assert (opened.kind, opened.status) == ("systems", "finished")
    assert {row["name"] for row in opened.rows} == set(NAMES)
    assert open_run(undisturbed.folder / "systems" / "Cu-Pd").kind == "discovery"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Li-Fe-O\n# a comment\nLi-Xq\n", "systems.txt:3: system 'Li-Xq': 'Xq' is no element"),
        ("Li-Fe-O\n\nO-Li-Fe  # again\n", "systems.txt:3: O-Li-Fe stands at .*systems.txt:1 already"),
        ("Li-O\nFe\n", "systems.txt:2: system 'Fe' has 1 element; give 2 to 6"),
        ("# nothing\n\n", "names no chemical system"),
        ("Li-O\nLi-Rn\n", "systems.txt:2: no reference phase of Rn alone"),
        (None, "there is no file .*systems.txt; give a system such as Cu-K-Si, or a file"),
    ],
)
def test_lists_that_are_refused_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, why: str
):
    if text is not None:
        (tmp_path / "systems.txt").write_text(text)
    assert main(["discover", str(tmp_path / "systems.txt"), "-o", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said and re.search(why, said)
    assert not (tmp_path / "run").exists()


def test_a_list_is_told_from_a_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Cu-Au").mkdir()  # as after discover Cu-Au -o Cu-Au
    assert not is_list("Cu-Au") and is_list("systems.txt") and is_list("lists/systems")
    (tmp_path / "mine").write_text("Cu-Au # first\n\nCu,Pd,Au\n")
    assert is_list("mine") and read_systems("mine") == [
        ("mine:1", ("Cu", "Au")),
        ("mine:3", ("Cu", "Pd", "Au")),
    ]
