"""Every kind of source gives the same crystals; what is none of them is refused with a reason."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
from pymatgen.io.cif import CifWriter

from crystals import FORMULAS, KNOWN
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.io.parsers import parse
from crystalsmith.crystal.io.records import Item
from crystalsmith.crystal.io.sources import open_source, split_cif
from crystalsmith.data import Dataset
from crystalsmith.data.build import build
from crystalsmith.errors import DataError

SOME = {
    name: KNOWN[name]
    for name in ("rock salt", "quartz", "corundum", "aragonite", "baddeleyite", "boric acid")
}


def row(name: str, crystal: Crystal) -> dict:
    structure = crystal.to_structure(primitive=True)
    return {
        "id": name,
        "cell": list(structure.lattice.parameters),
        "species": [s.specie.symbol for s in structure],
        "frac": structure.frac_coords.tolist(),
        "e_above_hull": 0.25,
        "icsd": True,
    }


def write_jsonl(path: Path) -> None:
    path.write_text("".join(json.dumps(row(n, c)) + "\n" for n, c in SOME.items()))


def write_pymatgen_dict(path: Path) -> None:
    path.write_text(json.dumps({n: c.to_structure().as_dict() for n, c in SOME.items()}))


def write_pymatgen_list(path: Path) -> None:
    entries = [
        {"material_id": n, "energy_above_hull": 0.25, "icsd": True, "structure": c.to_structure().as_dict()}
        for n, c in SOME.items()
    ]
    path.write_text(json.dumps(entries, indent=1))


def write_pymatgen_jsonl(path: Path) -> None:
    path.write_text("\n".join(json.dumps({"id": n, **c.to_structure().as_dict()}) for n, c in SOME.items()))


def write_csv(path: Path) -> None:
    with path.open("w", newline="") as f:
        table = csv.writer(f)
        table.writerow(["", "material_id", "e_above_hull", "icsd", "cif"])
        for i, (n, c) in enumerate(SOME.items()):
            table.writerow([i, n, 0.25, "True", str(CifWriter(c.to_structure()))])


def write_extxyz(path: Path) -> None:
    frames = []
    for name, crystal in SOME.items():
        atoms = crystal.to_atoms()
        atoms.info.update(id=name, e_above_hull=0.25, icsd=True)
        frames.append(atoms)
    text = io.StringIO()
    ase.io.write(text, frames, format="extxyz")
    path.write_text(text.getvalue())


def write_cif(path: Path) -> None:
    path.write_text(
        "\n".join(c.to_cif().replace("data_", f"data_{n.replace(' ', '_')}_", 1) for n, c in SOME.items())
    )


def write_folder(path: Path) -> None:
    (path / "deep").mkdir(parents=True)
    for i, (name, crystal) in enumerate(SOME.items()):
        if i % 2:
            (path / f"{name}.cif").write_text(crystal.to_cif())
        else:
            (path / "deep" / f"{name}.CIF.gz").write_bytes(gzip.compress(crystal.to_cif().encode()))
    (path / "notes.txt").write_text("not a structure")


def write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, crystal in SOME.items():
            archive.writestr(f"set/{name}.cif", crystal.to_cif())
        archive.writestr("__MACOSX/._x.cif", b"\0\1")
        archive.writestr("readme", "x")


WRITERS: dict[str, tuple[Callable[[Path], None], str, bool]] = {
    "jsonl": (write_jsonl, "jsonl", True),
    "pymatgen dict": (write_pymatgen_dict, "json", False),
    "pymatgen list": (write_pymatgen_list, "json", True),
    "pymatgen lines": (write_pymatgen_jsonl, "jsonl", False),
    "csv": (write_csv, "csv", True),
    "extxyz": (write_extxyz, "extxyz", True),
    "cif": (write_cif, "cif", False),
    "folder": (write_folder, "folder", False),
    "zip": (write_zip, "zip", False),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("packed", [False, True])
def test_all_kinds_give_the_same_crystals(name: str, packed: bool, tmp_path: Path) -> None:
    write, kind, annotated = WRITERS[name]
    path = tmp_path / "source"  # no suffix: the content decides
    write(path)
    if packed:
        if kind in ("folder", "zip"):
            pytest.skip("packed already")
        path.write_bytes(gzip.compress(path.read_bytes()))
    source = open_source(path)
    assert source.kind == kind
    assert source.count() == (1 if kind == "cif" else len(SOME))
    report = build(path, tmp_path / "out", workers=1, symprec=0.01)
    assert (report.kept, report.dropped) == (len(SOME), {})
    dataset = Dataset.open(report.path)
    found = {c.formula: c.space_group for c in dataset}
    assert found == {FORMULAS[n]: c.space_group for n, c in SOME.items()}
    volumes = {c.formula: c.volume for c in dataset}
    assert volumes == pytest.approx({FORMULAS[n]: c.volume for n, c in SOME.items()}, rel=1e-4)
    if name in ("folder", "zip"):
        assert sorted(i.rsplit("/", 1)[-1] for i in dataset.ids) == sorted(SOME)
    elif name != "cif":
        assert dataset.ids == list(SOME)
    hull, icsd = dataset.arrays["e_above_hull"], dataset.arrays["icsd"]
    if annotated:
        assert (hull == 0.25).all() and (icsd == 1).all()
    else:
        assert np.isnan(hull).all() and (icsd == -1).all()


def test_single_structures(tmp_path: Path) -> None:
    one = tmp_path / "one"
    for text in (
        json.dumps(KNOWN["quartz"].to_structure().as_dict()),
        json.dumps(row("q", KNOWN["quartz"]), indent=2),
        KNOWN["quartz"].to_cif(),
        "\ufeff# a comment\n\n" + KNOWN["quartz"].to_cif(),
    ):
        one.write_text(text)
        assert build(one, tmp_path / "o", workers=1).kept == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"hello world\n", "none of the known sources"),
        (b"a,b,c\n1,2,3\n", "has the columns a, b, c; none holds structures"),
        (bytes(range(256)) * 20, "none of the known sources"),
        (b"\x1f\x8b\x08\x00garbage", "cannot read"),
        (gzip.compress(b"x" * 100_000, mtime=0)[:60], "cannot read|none of the known"),
    ],
)
def test_what_is_no_source_is_refused(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(DataError, match=says):
        open_source(path)


def test_missing_and_empty_places(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        open_source(tmp_path / "nothing")
    with pytest.raises(DataError, match="holds no structures"):
        open_source(tmp_path)


@pytest.mark.parametrize("name", ["jsonl", "csv", "extxyz", "pymatgen list"])
def test_damaged_gzip_is_an_error_not_a_short_data_set(name: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    WRITERS[name][0](path)
    text = path.read_bytes() * (1 if name.startswith("pym") else 40)
    path.write_bytes(gzip.compress(text)[:-200])
    with pytest.raises(DataError, match=r"damaged|cannot read"):
        build(path, tmp_path / "out", workers=1)
    assert not (tmp_path / "out").exists()


def test_damaged_zip_and_zip_without_cif(tmp_path: Path) -> None:
    path = tmp_path / "s"
    write_zip(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match="damaged"):
        list(open_source(path).items())
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(DataError, match="holds no structures"):
        list(open_source(path).items())


def test_lost_place_in_extxyz(tmp_path: Path) -> None:
    path = tmp_path / "s"
    write_extxyz(path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:5] + lines[6:]))
    with pytest.raises(DataError, match=r"frame \d begins with"):
        list(open_source(path).items())


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        ("json", "{", "^unreadable"),
        ("json", "[1]", "^unreadable"),
        ("json", "{}", "^unreadable"),
        ("json", '{"cell": [4,4,4,90,90,90], "frac": [[0,0,0]], "species": ["Zz"]}', "Zz"),
        ("json", '{"cell": [4,4,4,90,90], "frac": [[0,0,0]], "species": ["H"]}', "^unreadable"),
        ("json", '{"cell": [4,4,4,90,90,180], "frac": [[0,0,0]], "species": ["H"]}', "^flat cell"),
        ("json", '{"cell": [4,4,NaN,90,90,90], "frac": [[0,0,0]], "species": ["H"]}', "^not finite"),
        ("json", '{"cell": [4,4,4,90,90,90], "frac": [[0,0]], "species": ["H"]}', "^unreadable"),
        ("json", '{"lattice": {}, "sites": []}', "^unreadable"),
        (
            "json",
            '{"lattice": {"matrix": [[4,0,0],[0,4,0],[0,0,4]]}, "sites": [{"abc": [0,0,0], "species": '
            '[{"element": "Na", "occu": 0.5}]}]}',
            "^disordered",
        ),
        ("cif", "", "^unreadable"),
        ("cif", "data_x\n", "^unreadable"),
        ("extxyz", "1\nx\n", "^unreadable"),
        ("extxyz", '2\nLattice="4 0 0 0 4 0 0 0 4"\nH 0 0 0\n', "^unreadable"),
    ],
)
def test_unreadable_structures_say_why(kind: str, text: str, says: str) -> None:
    (record,) = parse(Item("x", kind, text))
    assert re.search(says, record.failure) and record.lattice is None


def test_a_file_cannot_make_us_import_what_it_names() -> None:
    data = KNOWN["rock salt"].to_structure().as_dict()
    data["sites"][0]["properties"] = {"x": {"@module": "antigravity", "@class": "X"}}
    data["@module"] = "antigravity"
    (record,) = parse(Item("x", "json", json.dumps(data)))
    assert len(record.numbers) == 8


def test_cif_blocks_are_split_outside_of_text_fields() -> None:
    one, two = KNOWN["rutile"].to_cif(), KNOWN["quartz"].to_cif()
    text = "data_global\n_title\n;\ndata_not_a_block\n;\n" + one + two
    blocks = split_cif(text)
    assert [name for name, _ in blocks] == ["TiO2", "SiO2"]
    assert Crystal.from_cif(blocks[1][1]).space_group == 154
