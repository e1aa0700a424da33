"""The training file: exact, mapped not copied, and refused when it is not whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from crystals import KNOWN, random_crystal
from crystalsmith.crystal import Crystal
from crystalsmith.data import Dataset, concatenate, pack
from crystalsmith.data.dataset import TENSORS
from crystalsmith.errors import CrystalsmithError, DataError
from crystalsmith.symmetry import tables


def crystals() -> list[Crystal]:
    return [random_crystal(n, np.random.default_rng(n)) for n in range(1, 231, 7)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "d.safetensors"
    some = crystals()
    hull = [0.01 * i if i % 2 else np.nan for i in range(len(some))]
    names = [f"mp-{i}-é" for i in range(len(some))]
    pack(some, names, hull, [i % 3 - 1 for i in range(len(some))], {"sources": "[]"}).save(path)
    return path


def test_crystals_come_back_to_single_precision(file: Path) -> None:
    dataset = Dataset.open(file)
    some = crystals()
    assert len(dataset) == len(some)
    for got, wanted in zip(dataset, some, strict=True):
        assert (got.space_group, got.wyckoff) == (wanted.space_group, wanted.wyckoff)
        assert got.cell == pytest.approx(wanted.cell, rel=1e-6)
        for a, b in zip(got.sites, wanted.sites, strict=True):
            assert a.free == pytest.approx(b.free, abs=1e-6)
    assert dataset[-1] == dataset[len(some) - 1]
    assert dataset.ids[3] == "mp-3-é"
    assert np.isnan(dataset.arrays["e_above_hull"][0]) and dataset.arrays["e_above_hull"][1] == np.float32(
        0.01
    )
    assert dataset.arrays["icsd"][:3].tolist() == [-1, 0, 1]
    assert dataset.metadata["kept"] == str(len(some))


def test_arrays_say_what_the_crystals_say(file: Path) -> None:
    dataset = Dataset.open(file)
    a = dataset.arrays
    some = crystals()
    assert a["atoms"].tolist() == [c.n_atoms for c in some]
    per_site = tables().multiplicity_primitive[a["wyckoff"]]
    sums = np.add.reduceat(per_site, a["start"][:-1])
    assert sums.tolist() == a["atoms"].tolist()
    assert (tables().wyckoff_group[a["wyckoff"]] == np.repeat(a["space_group"], np.diff(a["start"]))).all()


def test_file_is_mapped_and_is_plain_safetensors(file: Path) -> None:
    dataset = Dataset.open(file)
    for name, array in load_file(file).items():
        mapped = dataset.arrays[name]
        assert isinstance(mapped, np.memmap) and not mapped.flags.owndata and not mapped.flags.writeable
        assert mapped.ctypes.data % mapped.itemsize == 0
        np.testing.assert_array_equal(mapped, array)


def test_same_content_gives_the_same_bytes(file: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.safetensors"
    Dataset.open(file).save(again)
    assert again.read_bytes() == file.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.safetensors", "d.safetensors"]


def test_subset_and_concatenate(file: Path) -> None:
    dataset = Dataset.open(file)
    few = dataset.subset(max_sites=2)
    assert [len(c.sites) for c in few] == [len(c.sites) for c in dataset if len(c.sites) <= 2] != []
    small = dataset.subset(max_atoms=10, min_space_group=16)
    wanted = [i for i, c in enumerate(dataset) if c.n_atoms <= 10 and c.space_group >= 16]
    assert 0 < len(wanted) < len(dataset)
    assert list(small) == [dataset[i] for i in wanted]
    assert small.ids == [dataset.ids[i] for i in wanted]
    picked = dataset.subset(indices=[4, 0, 4, -1])
    assert list(picked) == [dataset[4], dataset[0], dataset[4], dataset[-1]]
    joined = concatenate([small, pack([]), picked])
    assert list(joined) == [*small, *picked]
    assert joined.ids == [*small.ids, *picked.ids]
    assert joined.arrays["start"].dtype == np.int64
    assert len(dataset.subset(indices=[])) == 0
    with pytest.raises(DataError, match="outside"):
        dataset.subset(indices=[len(dataset)])
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_every_truncation_is_noticed(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    broken = tmp_path / "broken.safetensors"
    for size in (0, 4, 8, 100, 700, len(whole) // 2, len(whole) - 1):
        broken.write_bytes(whole[:size])
        with pytest.raises(DataError, match=r"truncated|not a data set"):
            Dataset.open(broken)


def test_other_files_and_versions_are_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        Dataset.open(tmp_path / "missing")
    with pytest.raises(DataError, match="cannot read"):
        Dataset.open(tmp_path)
    other = tmp_path / "other"
    other.write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00[1,2,3,4,5,6,78]")
    with pytest.raises(DataError, match="not a data set"):
        Dataset.open(other)
    raw = file.read_bytes()
    other.write_bytes(
        raw.replace(b'"version":"1"', b'"version":"9"')
    )  # told before its checksum is looked at
    with pytest.raises(DataError, match="version 9"):
        Dataset.open(other)
    length = int.from_bytes(raw[:8], "little")
    for change in (
        {"start": None},
        {"atoms": {"dtype": "I64"}},
        {"free": {"shape": [3]}},
        {"cell": {"data_offsets": "x"}},
    ):
        header = json.loads(raw[8 : 8 + length])
        for name, fields in change.items():
            header[name] = None if fields is None else {**header[name], **fields}
        text = json.dumps(header).encode()
        other.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])
        with pytest.raises(DataError, match="damaged"):
            Dataset.open(other)


def flips(raw: bytes, places: Iterable[int]) -> Iterator[bytes]:
    for place in places:
        yield raw[:place] + bytes([raw[place] ^ 1 << 5 * place % 8]) + raw[place + 1 :]


def test_flipped_bits_are_refused(file: Path, tmp_path: Path) -> None:
    pack(list(Dataset.open(file))[:2], ["a-é", "b"]).save(file)
    raw, other = file.read_bytes(), tmp_path / "other"
    for damaged in flips(raw, range(len(raw))):
        other.write_bytes(damaged)
        if b'"crc":' in damaged:  # else the name of the checksum was hit, and all else is whole
            with pytest.raises(DataError, match=r"damaged|truncated|not a data set|version"):
                Dataset.open(other)
        else:
            with suppress(DataError):
                assert list(Dataset.open(other)) == list(Dataset.open(file))


def test_files_of_earlier_versions_have_no_checksum_and_are_read_or_refused(
    file: Path, tmp_path: Path
) -> None:
    """Whatever bit of them is flipped, there is a crystal for each row, or one line that says why not."""
    pack(list(Dataset.open(file))[:2], ["a-é", "b"]).save(file)
    raw = re.sub(rb'"crc":"\w{8}",', b" " * 17, file.read_bytes(), count=1)
    other = tmp_path / "other"
    other.write_bytes(raw)
    assert list(Dataset.open(other)) == list(Dataset.open(file))
    refused = 0
    for damaged in flips(raw, range(len(raw))):
        other.write_bytes(damaged)
        try:
            dataset = Dataset.open(other)
        except DataError:
            refused += 1
            continue
        assert len(dataset.ids) == len(dataset) == 2
        with suppress(CrystalsmithError):  # a cell that does not fit its group
            assert all(c.n_atoms > 0 and c.positions() for c in dataset)
    assert refused > len(raw) // 2


def test_unwritable_place_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot write"):
        pack([KNOWN["diamond"]]).save(tmp_path / "no" / "such" / "folder")
    place = tmp_path / "taken"
    place.mkdir()
    with pytest.raises(DataError, match="cannot write"):
        pack([KNOWN["diamond"]]).save(place)
    assert list(tmp_path.iterdir()) == [place]


def test_empty_data_set(tmp_path: Path) -> None:
    pack([]).save(tmp_path / "e")
    dataset = Dataset.open(tmp_path / "e")
    assert len(dataset) == 0 and dataset.ids == [] and list(dataset) == []
    assert set(dataset.arrays) == set(TENSORS)
