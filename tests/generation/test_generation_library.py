"""Runs that make crystals from files of prototypes and of known crystals."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crystals import KNOWN
from crystalsmith.cli.main import main
from crystalsmith.crystal import Crystal, Site
from crystalsmith.data import pack
from crystalsmith.errors import DataError, OutputError
from crystalsmith.generation import GenerateSettings, generate_into, generate_records, read_entries
from crystalsmith.generation.library import library_of, strangers, with_known
from crystalsmith.orders import parse_order
from crystalsmith.prior import KnownCrystals
from crystalsmith.prototypes import PrototypeTable
from diffusion.test_diffusion_model import small_model
from fake_model import FakeModel
from priors import clever

SPINEL = next(c for c in KNOWN.values() if c.formula == "MgAl2O4")
ORDER = {"id": "spinel", "space_group": 227, "wyckoff": [["Zn", "a"], ["Cr", "d"], ["O", "e"]], "count": 16}


def exchanged(crystal: Crystal, scale: float = 1.0, **change: str) -> Crystal:
    sites = tuple(Site(change.get(s.element, s.element), s.letter, s.free) for s in crystal.sites)
    return Crystal(crystal.space_group, (*(scale * x for x in crystal.cell[:3]), *crystal.cell[3:]), sites)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    relatives = [
        exchanged(SPINEL, 1 + 0.001 * k, Mg=mg, Al=al)
        for k, (mg, al) in enumerate([("Mg", "Al"), ("Mg", "Cr"), ("Fe", "Cr"), ("Mn", "Cr"), ("Co", "Cr")])
    ]
    paths = {name: folder / f"{name}.safetensors" for name in ("prototypes", "known", "strange", "later")}
    PrototypeTable.build(pack(relatives)).save(paths["prototypes"])
    pack([exchanged(SPINEL, 1.03, Mg="Zn", Al="Cr")], ["mine"]).save(paths["known"])
    pack([SPINEL], ["mp-1"]).save(paths["strange"])
    text = paths["prototypes"].read_bytes().replace(b'"version":"1"', b'"version":"9"')
    paths["later"].write_bytes(text)
    return paths


def run(folder: Path, model: Any = None, **options: Any) -> Any:
    settings = GenerateSettings(seed=4, **options)
    return generate_into([ORDER], folder, settings, model=model or clever())


def test_a_file_of_prototypes(tmp_path: Path, files: dict[str, Path]) -> None:
    result = run(tmp_path / "run", prototypes=str(files["prototypes"]))
    assert result.complete
    entries = read_entries(tmp_path / "run")
    assert {"prototype", "refined"} <= {e.kind for e in entries}
    with (tmp_path / "run" / "crystals.csv").open(encoding="utf-8") as text:
        origins = {row["origin"] for row in csv.DictReader(text)}
    assert any(o.startswith("prototype: ") and o.endswith("(Fd-3m), 5 crystals") for o in origins)
    assert any(o.startswith("refined from prototype: ") for o in origins)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "prototype: " in page
    assert "prototype: " in (tmp_path / "run" / "crystals.extxyz").read_text(encoding="utf-8")
    assert "origin" in [str(c.header) for c in result.results.text().columns]


def test_known_crystals_lend_their_coordinates(tmp_path: Path, files: dict[str, Path]) -> None:
    result = run(tmp_path / "run", known=(str(files["known"]),))
    (own,) = (e for e in read_entries(tmp_path / "run") if e.kind == "prototype")
    assert own.crystal is not None and own.origin.words == "known crystal: mine" and own.weight == 1.0
    assert own.crystal.cell[0] == pytest.approx(1.03 * SPINEL.cell[0], rel=1e-7)
    assert own.crystal.sites[2].free == pytest.approx(SPINEL.sites[2].free, abs=1e-7)
    assert not result.notes
    assert "mine" in {r.novelty.nearest for r in result.ranked if r.novelty} | {
        r.known_as for r in result.results
    }


def test_a_file_without_the_elements_is_named(tmp_path: Path, files: dict[str, Path]) -> None:
    known = (str(files["strange"]), str(files["known"]))
    result = run(tmp_path / "run", known=known)
    (note,) = result.notes
    assert note.startswith(f"{files['strange']} holds no crystal of Cr-O-Zn") and "\n" not in note
    library = library_of(clever(), None, known)  # type: ignore[arg-type]
    several = [parse_order({"formula": f, "id": f}) for f in ("NaCl", "KBr")]
    assert all("2 chemical systems" in line for line in strangers(library, several))
    assert len(strangers(library, several)) == 2
    assert strangers(library, [parse_order({"formula": "MgAl2O4"})]) == strangers(
        library_of(clever(), None, known[1:]),  # type: ignore[arg-type]
        [parse_order({"formula": "MgAl2O4"})],
    )


def test_none_leaves_all_to_the_network(tmp_path: Path, files: dict[str, Path]) -> None:
    run(tmp_path / "run", prototypes="none", known=(str(files["known"]),))
    assert {e.kind for e in read_entries(tmp_path / "run")} == {"network"}
    assert "prototypes" not in json.loads((tmp_path / "run" / "manifest.json").read_text())["run"]
    # The crystals are those of a model that has no prototypes.
    run(tmp_path / "plain")
    one, two = ([e.crystal for e in read_entries(tmp_path / f)] for f in ("run", "plain"))
    assert one == two


def test_another_source_is_another_run(tmp_path: Path, files: dict[str, Path]) -> None:
    run(tmp_path / "run", prototypes=str(files["prototypes"]))
    before = (tmp_path / "run" / "crystals.jsonl").read_bytes()
    run(tmp_path / "run", prototypes=str(files["prototypes"]))
    assert (tmp_path / "run" / "crystals.jsonl").read_bytes() == before
    for other in ({}, {"prototypes": str(files["prototypes"]), "known": (str(files["known"]),)}):
        with pytest.raises(OutputError, match="prototypes"):
            run(tmp_path / "run", **other)


def test_processes_and_python_change_nothing(tmp_path: Path, files: dict[str, Path]) -> None:
    options: dict[str, Any] = {"prototypes": str(files["prototypes"]), "known": [str(files["known"])]}
    whole = list(generate_records(clever(), [ORDER], seed=4, **options))
    assert list(generate_records(clever(), [ORDER], seed=4, batch_atoms=20, workers=2, **options)) == whole
    run(tmp_path / "run", prototypes=options["prototypes"], known=tuple(options["known"]))
    assert [e.crystal for e in read_entries(tmp_path / "run")] == [r.crystal for r in whole]


def test_a_prior_that_knows_the_crystals_of_files(files: dict[str, Path]) -> None:
    model = small_model()
    library = library_of(model, None, [files["known"]])
    known = list(KnownCrystals.read(with_known(model, library).occupations))
    assert [(k.space_group, k.elements) for k in known] == [(227, (30, 24, 8))]
    assert not len(model.occupations)
    assert with_known(model, None) is model


def test_the_method_of_the_paper_begins_with_noise(files: dict[str, Path]) -> None:
    model = FakeModel()
    model.method = "paper"  # type: ignore[misc]
    assert library_of(model, files["prototypes"], [files["known"]]) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--prototypes", "{later}"], "version 9"),
        (["--prototypes", "{known}"], "no table of prototypes"),
        (["--prototypes", "missing.safetensors"], "missing.safetensors"),
        (["--known", "missing.cif"], "missing.cif"),
    ],
)
def test_bad_files_are_named_in_one_line(
    option: list[str],
    words: str,
    tmp_path: Path,
    files: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crystalsmith.cli.options.load", lambda args: clever())
    given = [part.format(**files) for part in option]
    order = ["--space-group", "227", "--wyckoff", "Zn:a,Cr:d,O:e"]
    assert main(["generate", *order, "-o", str(tmp_path / "run"), "--quiet", *given]) == 2
    error = capsys.readouterr().err
    assert words in error and len(error.strip().splitlines()) == 1
    with pytest.raises(DataError):
        library_of(
            clever(),  # type: ignore[arg-type]
            given[1] if option[0] == "--prototypes" else None,
            given[1:] if option[0] == "--known" else (),
        )


def test_aflow_is_asked_for_by_name() -> None:
    library = library_of(clever(), "aflow")  # type: ignore[arg-type]
    assert library is not None and [s.kind for s in library.sources] == ["aflow"]
    assert replace(GenerateSettings(), prototypes="aflow").prototypes == "aflow"
