"""What is too large, damaged, nested or strange costs itself alone, within bounds, and says why."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inputs
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.io import Limits, Record, named_crystals, read_records
from crystalsmith.crystal.io.facts import named_group
from crystalsmith.crystal.io.json_kinds import load
from crystalsmith.crystal.io.names import LONGEST, file_name, file_names, order_id
from crystalsmith.crystal.io.poscar import read_poscar
from crystalsmith.errors import DataError, StructureError
from crystalsmith.orders import parse_order
from crystalsmith.runs import extras
from crystalsmith.runs.pool import Failed

SMALL = Limits(structure=20_000, document=30_000, total=200_000, members=20, depth=1, atoms=50)
GOOD = inputs.foreign_cif("copper")


def failures(path: Any, limits: Limits | None = None) -> dict[str, str]:
    return {r.id: r.failure for r in read_records(path, limits) if r.failure}


def frame(
    first: str = "1", columns: str = "species:S:1:pos:R:3", row: str = "Cu 0 0 0", more: str = ""
) -> str:
    return f'{first}\nLattice="4 0 0 0 4 0 0 0 4" Properties={columns} {more}\n{row}\n'


# --- bounds ---


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(gzip.compress(b"data_x\n_cell_length_a 4\n" + b"#" * 50_000), id="CIF.gz"),
        pytest.param(gzip.compress(b'[{"cell": "' + b"x" * 50_000), id="JSON.gz"),
        pytest.param(gzip.compress(b'{"id": "' + b"x" * 50_000 + b'"}\n{}\n'), id="a line of JSON lines"),
        pytest.param(gzip.compress(b"id,cif\n1," + b"x" * 50_000), id="a cell of a table"),
        pytest.param(gzip.compress(b"c\n1\n4 0 0\n0 4 0\n0 0 4\nCu\n1\nD\n" + b" " * 50_000), id="POSCAR"),
        pytest.param(gzip.compress(b"1\nLattice=" + b"x" * 50_000), id="a line of extxyz"),
    ],
)
def test_what_unpacks_to_too_much_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bomb").write_bytes(content)
    with pytest.raises(DataError, match="too large") as caught:
        list(read_records(tmp_path / "bomb", SMALL))
    assert str(tmp_path / "bomb") in str(caught.value)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("bomb.cif.gz", content)
        archive.writestr("copper.cif", GOOD)
    found = {r.id: r.failure for r in read_records(tmp_path / "set.zip", SMALL)}
    assert "too large" in found.pop("bomb") and found == {"copper": ""}


def test_archives_are_bounded_by_what_they_declare(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(5):
            archive.writestr(f"{k}.cif", b"#" * 50_000)
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive_:
        for k in range(5):
            info = tarfile.TarInfo(f"{k}.cif")
            info.size = 50_000
            archive_.addfile(info, io.BytesIO(b"#" * 50_000))
    for name in ("a.zip", "a.tgz"):
        with pytest.raises(DataError, match="too large"):
            list(read_records(tmp_path / name, SMALL))
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for k in range(21):
            archive.writestr(f"{k}.cif", GOOD)
    with pytest.raises(DataError, match="more than 20 files"):
        list(read_records(tmp_path / "many.zip", SMALL))


def test_archives_are_opened_in_archives_to_a_depth_only(tmp_path: Path) -> None:
    data = GOOD.encode()
    name = "copper.cif"
    for _ in range(3):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr(name, data)
        name, data = "inner.zip", out.getvalue()
    (tmp_path / "deep.zip").write_bytes(data)
    assert len(list(read_records(tmp_path / "deep.zip"))) == 1
    with pytest.raises(DataError, match="archives within archives"):
        list(read_records(tmp_path / "deep.zip", SMALL))
    packed = GOOD.encode()
    for _ in range(3):
        packed = gzip.compress(packed)
    (tmp_path / "thrice.gz").write_bytes(packed)
    assert len(list(read_records(tmp_path / "thrice.gz"))) == 1


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, '{"data": ' + "[" * 100_000])
@pytest.mark.parametrize("packed", [False, True])
def test_nested_json_is_refused(text: str, packed: bool, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    with pytest.raises(DataError, match="brackets within brackets"):
        list(read_records(tmp_path / "x"))


def test_brackets_in_strings_are_no_nesting() -> None:
    assert load(json.dumps({"a": "[" * 5000 + '\\"' + "{" * 5000}), 100)["a"].startswith("[[")
    with pytest.raises(DataError):
        load('["]]]]]]", ' * 101 + "1" + "]" * 101, 100)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (frame("99999999999"), "says that it has 99999999999 atoms and has 1"),
        (frame("9" * 400), "atoms and has 1"),
        (frame(columns="species:S:1:pos:R:99999999999"), "99999999999"),
        (frame(columns="species:S:1:pos:R:3:x:R:500000"), "columns"),
        (frame("51", row="Cu 0 0 0\n" * 50 + "Cu 0 0 0"), "at most 50"),
        (frame("3"), "not 3 atoms"),
        ("1\n plain\nCu 0 0 0\n", "plain XYZ has no cell"),
        (frame(more='pbc="T T F"'), "not periodic"),
    ],
)
def test_extxyz_is_believed_only_as_far_as_it_goes(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "x.xyz").write_text(frame() + text)
    assert says in " ".join(failures(tmp_path / "x.xyz", SMALL).values())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("1\n" + "x" * 2_000_000 + "\nCu 0 0 0\n", id="one long word"),
        pytest.param("1\n" + "x={" * 40_000 + "\nCu 0 0 0\n", id="brackets never closed"),
        pytest.param("\n" * 1_000_000, id="empty lines"),
        pytest.param("#\n" + "\n" * 60_000 + "x", id="empty lines, then words"),
        pytest.param('{"a": ' + '"\\\\' * 500_000, id="strings never closed"),
    ],
)
def test_reading_takes_time_in_proportion_to_the_size(text: str, tmp_path: Path) -> None:
    """Each of these would take minutes if a pattern looked at everything from everywhere."""
    (tmp_path / "x").write_text(text)
    with pytest.raises(DataError):
        list(read_records(tmp_path / "x"))


def test_a_member_that_takes_too_long_costs_itself_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crystalsmith.crystal.io import parsers
    from crystalsmith.runs import pool

    asked = []

    def ended(function: Any, items: Any, **options: Any) -> list[Failed]:
        asked.append(options)
        return [Failed("took longer than 60 s") for _ in items]

    monkeypatch.setattr(parsers, "_APART", 3000)
    monkeypatch.setattr(pool, "parallel_map", ended)
    (tmp_path / "copper.cif").write_text(GOOD)
    (tmp_path / "large.cif").write_text(GOOD + "#" * 3000)
    assert failures(tmp_path) == {"large": "unreadable: took longer than 60 s"}
    assert asked == [{"workers": 1, "seconds": 60.0, "apart": True}]


def test_too_many_atoms_are_refused_before_a_search(tmp_path: Path) -> None:
    crystal = inputs.CRYSTALS["copper"].to_atoms() * (4, 4, 4)
    crystal.write(tmp_path / "a.vasp", format="vasp")
    (tmp_path / "b.cif").write_text(GOOD)
    assert "64 atoms" in failures(tmp_path, SMALL)["a"]


# --- members by themselves, first reasons ---


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_a_damaged_member_costs_itself_alone(kind: str, tmp_path: Path) -> None:
    members = {
        "good.cif": GOOD.encode(),
        "torn.cif.gz": gzip.compress(GOOD.encode())[:-20],
        "empty.cif": b"",
        "noise.vasp": bytes(range(256)) * 5,
        "words.cif": b"hello",
    }
    source = tmp_path / f"set.{kind}"
    if kind == "folder":
        source.mkdir()
        for name, data in members.items():
            (source / name).write_bytes(data)
    elif kind == "zip":
        with zipfile.ZipFile(source, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(source, "w") as tar:
            for name, data in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    found = {r.id: r.failure for r in read_records(source)}
    assert found.pop("good") == "" and set(found) == {"torn", "empty", "noise", "words"}
    assert all(found.values())
    (bad := tmp_path / "bad").mkdir()
    (bad / "a.cif").write_text("hello")
    with pytest.raises(DataError, match=r"bad holds no crystal that can be read; a: unreadable"):
        list(read_records(bad))
    with pytest.raises(DataError, match="no crystal that can be read; a"):
        named_crystals([bad])


def test_first_reasons_and_how_many_more(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"id": "r", "cell": 1, "frac": 2}\n' * 9)
    with pytest.raises(DataError, match=r"(r: unreadable.*){3}\(and 6 more\)"):
        list(read_records(tmp_path / "x.jsonl"))


@pytest.mark.parametrize("value", ["1e308", "1e999", "-1e308", "NaN"])
def test_absurd_numbers_are_refused(value: str, tmp_path: Path) -> None:
    row = '{"id": "x", "cell": [4,4,4,90,90,90], "species": ["Cu"], "frac": [[0, 0, %s]]}'
    (tmp_path / "a.jsonl").write_text((row + "\n" + row + "\n") % (value, "0"))
    (failure,) = failures(tmp_path / "a.jsonl").values()
    assert failure.startswith(("absurd", "not finite"))
    (tmp_path / "a.xyz").write_text(frame(row=f"Cu 0 0 {value}") + frame())
    assert len(failures(tmp_path / "a.xyz")) == 1


# --- names ---

NAMES = [
    "漢" * 120,
    "a" * 5000,
    "\ud800x",
    "ß",
    "SS",
    "ss",
    "../../etc/passwd",
    "con",
    "nul.cif",
    "",
    "...",
    "é",
]


def test_ids_of_any_kind_become_names_of_files(tmp_path: Path) -> None:
    names = file_names([*NAMES, *NAMES])
    assert len({name.casefold() for name in names}) == len(names)
    for name in names:
        (tmp_path / f"{name}.cif").write_text("x")
        assert len(name.encode()) <= LONGEST and "/" not in name and not name.startswith(".")
    assert len(list(tmp_path.iterdir())) == len(names)
    assert file_name("mp-1234_0") == "mp-1234_0" and file_name("e\u0301") == file_name("\u00e9")


def test_many_equal_ids_are_named_quickly() -> None:
    names = file_names(["x"] * 20_000)
    assert names[0] == "x" and names[-1] == "x-20000"


@pytest.mark.parametrize("name", NAMES)
def test_ids_of_any_kind_become_ids_of_orders(name: str) -> None:
    order = {"id": order_id(name), "space_group": 225, "sites": {"Cu": 1}}
    assert parse_order(order).id == order["id"]
    assert order_id("mp-1") == "mp-1" and order_id("漢") != order_id("字")


def test_lone_surrogates_and_line_ends_leave_the_id(tmp_path: Path) -> None:
    row = {"cell": [4, 4, 4, 90, 90, 90], "species": ["Cu"], "frac": [[0, 0, 0]]}
    (tmp_path / "x.jsonl").write_text(
        "".join(json.dumps({"id": i, **row}) + "\n" for i in ("\ud800a", "b\nc\x00"))
    )
    ids = [r.id for r in read_records(tmp_path / "x.jsonl")]
    assert ids == ["?a", "b c"]
    assert Record.failed("\udfff", "x").id == "?"


# --- POSCAR (fault 20) ---

CELL = "1.0\n4 0 0\n0 4 0\n0 0 4\n"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Cu Au\n" + CELL + "1 1\nDirect\n0 0 0\n.5 .5 .5\n", [29, 79]),
        ("some alloy\n" + CELL + "1 1\nDirect\n0 0 0 Cu\n.5 .5 .5 Au\n", [29, 79]),
        ("alloy\n" + CELL + "1 1\nSelective\nDirect\n0 0 0 T T F Cu\n.5 .5 .5 F F F Au\n", [29, 79]),
        ("x\n" + CELL + "Cu_pv Au/0a1b\n1 1\nDirect\n0 0 0\n.5 .5 .5\n", [29, 79]),
        ("x\n" + CELL + "Cu Au Cu\n1 1 1\nC\n0 0 0\n2 2 2\n1 1 1\n", [29, 79, 29]),
        ("x\n" + CELL + "D\n1\nDirect\n0 0 0\n", [1]),
    ],
)
def test_elements_of_a_poscar(text: str, numbers: list[int]) -> None:
    assert read_poscar(text, 10)[2].tolist() == numbers


@pytest.mark.parametrize(
    "text",
    [
        "some alloy\n" + CELL + "1 1\nDirect\n0 0 0\n.5 .5 .5\n",
        "Cu\n" + CELL + "1 1\nDirect\n0 0 0\n.5 .5 .5\n",
        "Cu Au\n" + CELL + "1 1\nDirect\n0 0 0 Au\n.5 .5 .5 Cu\n",
        "alloy\n" + CELL + "1 1\nDirect\n0 0 0 Cu\n.5 .5 .5\n",
        "x\n" + CELL + "Cu Au\n1\nDirect\n0 0 0\n",
        "x\n" + CELL + "Xx\n1\nDirect\n0 0 0\n",
        "x\n" + CELL + "Cu\n99999999999\nDirect\n0 0 0\n",
        "x\n" + CELL + "Cu\n2\nDirect\n0 0 0\n",
        "x\n" + CELL + "Cu\n11\nDirect\n" + "0 0 0\n" * 11,
        "x\n" + CELL + "Cu\n0\nDirect\n",
        "x\n" + CELL,
    ],
)
def test_a_poscar_that_does_not_tell_is_refused(text: str) -> None:
    with pytest.raises(StructureError):
        read_poscar(text, 10)


def test_scales_of_a_poscar() -> None:
    body = "4 0 0\n0 4 0\n0 0 4\nCu\n1\nC\n2 0 0\n"
    for scale, volume in (("2.0", 512), ("-128", 128), ("1 2 0.5", 64), ("1.0D0 ! comment", 64)):
        lattice, fractional, _ = read_poscar(f"x\n{scale}\n{body}", 10)
        assert abs(np.linalg.det(lattice)) == pytest.approx(volume)
        assert fractional[0] == pytest.approx([0.5, 0, 0])


# --- tables (fault 21), extxyz (22), every block (17) ---


def test_a_table_without_structures_names_its_columns(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id;formula;energy\na;Cu;1\nb;Au;2\n")
    with pytest.raises(DataError, match="columns id, formula, energy; none holds structures"):
        list(read_records(tmp_path / "x.csv"))


def test_deuterium_and_tritium_are_hydrogen(tmp_path: Path) -> None:
    (tmp_path / "x.xyz").write_text(frame(row="D 0 0 0") + frame(row="T 0 0 0"))
    assert [r.numbers.tolist() for r in read_records(tmp_path / "x.xyz")] == [[1], [1]]


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_every_block_with_atoms_counts(kind: str, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "two.cif").write_text(inputs.blocks())
    source = tmp_path / "set"
    if kind == "zip":
        source = tmp_path / "set.zip"
        with zipfile.ZipFile(source, "w") as archive:
            archive.write(tmp_path / "set" / "two.cif", "two.cif")
    assert [r.id for r in read_records(source)] == ["two:copper_Cu", "two:Cu3Au_Cu3Au"]


def test_a_large_cif_is_read_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from crystalsmith.crystal.io import sources

    monkeypatch.setattr(sources, "_MANY", 1000)
    (tmp_path / "two.cif").write_text(inputs.blocks())
    assert [r.id for r in read_records(tmp_path / "two.cif")] == ["two:copper_Cu", "two:Cu3Au_Cu3Au"]


# --- lossless (fault 3) ---


def test_a_stated_group_is_kept_where_a_search_finds_another(tmp_path: Path) -> None:
    """A crystal of P1 whose atoms lie as those of copper do, stated as such by all that we write."""
    low = Crystal.from_dict(
        {
            "space_group": 1,
            "cell": [3.61, 3.61, 3.61, 90, 90, 90],
            "sites": [
                {"element": "Cu", "letter": "a", "free": free}
                for free in ([0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0])
            ],
        }
    )
    (tmp_path / "a.cif").write_text(low.to_cif())
    (tmp_path / "a.jsonl").write_text(json.dumps({"id": "a", "crystal": low.to_dict()}) + "\n")
    for name in ("a.cif", "a.jsonl"):
        (crystal,) = named_crystals(tmp_path / name).values()
        assert isinstance(crystal, Crystal) and crystal.space_group == 1


def test_moved_atoms_are_not_those_that_were_stated(tmp_path: Path) -> None:
    text = inputs.ours_extxyz()
    assert "1.87" in text
    (tmp_path / "x.xyz").write_text(text.replace("1.87", "1.95", 1))
    records = list(read_records(tmp_path / "x.xyz"))
    assert [r.crystal is None for r in records] == [False, True]


def test_a_table_that_names_files(tmp_path: Path) -> None:
    """As ours do: the crystals are in the folder beside it."""
    (tmp_path / "crystals.csv").write_text("name,cif\na,cif/a.cif\n")
    with pytest.raises(DataError, match="only names a file; give the folder"):
        list(read_records(tmp_path / "crystals.csv"))


def test_a_server_whose_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "_is_installed", lambda module: False)
    with pytest.raises(DataError, match="a database on a server needs ase-db-backends"):
        list(read_records("postgresql://host/db"))


def test_selections_of_a_database(tmp_path: Path) -> None:
    inputs.write_found(tmp_path / "c.db")
    found = list(read_records(f"{tmp_path}/c.db@candidate=copper,stage=generated"))
    assert [(r.id, round(r.symmetrized().cell[0], 3)) for r in found] == [("copper", 3.971)]
    with pytest.raises(DataError, match="cannot select"):
        list(read_records(f"{tmp_path}/c.db@>>"))
    with pytest.raises(DataError, match="holds no"):
        list(read_records(f"{tmp_path}/c.db@candidate=nobody"))


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *(
            (225, 225),
            ("225", 225),
            (225.0, 225),
            ("Fm-3m", 225),
            ("P2_1/n", 14),
            ("Bmab", 64),
            ("227:1", 227),
        ),
        *((0, 0), (231, 0), ("", 0), ("cubic", 0), (None, 0), ("P 4 2", 0), (2.5, 0), (True, 0)),
        pytest.param("x" * 10_000, 0, id="long"),
    ],
)
def test_groups_that_rows_name(value: object, number: int) -> None:
    assert named_group(value) == number


# --- run folders ---


@pytest.mark.parametrize(
    ("write", "file"),
    [
        (inputs.write_generation, "crystals.jsonl"),
        (inputs.write_relaxation, "journal.jsonl"),
        (inputs.write_rediscovery, "results.json"),
        (inputs.write_discovery, "shortlist.json"),
    ],
)
@pytest.mark.parametrize("damage", [b'"225"', b"{", b'{"order": 1}'])
def test_a_damaged_run_is_told_in_one_line(write: Any, file: str, damage: bytes, tmp_path: Path) -> None:
    write(tmp_path / "run")
    path = tmp_path / "run" / file
    path.write_bytes(damage + b"\n" + path.read_bytes())
    with pytest.raises(DataError, match="damaged") as caught:
        list(read_records(tmp_path / "run"))
    assert "\n" not in str(caught.value) and str(tmp_path / "run") in str(caught.value)


def test_runs_inside_of_folders_are_read_as_runs(tmp_path: Path) -> None:
    inputs.write_generation(tmp_path / "all" / "first")
    inputs.write_relaxation(tmp_path / "all" / "second")
    (tmp_path / "all" / "third.cif").write_text(GOOD)
    (tmp_path / "all" / "first" / "cif").mkdir()
    (tmp_path / "all" / "first" / "cif" / "copper_0.cif").write_text(GOOD)  # the run itself counts
    found = [(r.id, r.failure) for r in read_records(tmp_path / "all")]
    assert [name for name, failure in found if not failure] == ["copper", "Cu3Au", "copper", "Cu3Au", "third"]
