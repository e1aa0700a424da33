"""What is written is read back: the same crystal, with its group and letters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crystals import KNOWN, random_crystal
from crystalsmith.crystal.io import named_crystals, read_records, write_crystals
from crystalsmith.crystal.io.write import extxyz_frame
from crystalsmith.errors import OutputError


@pytest.mark.parametrize("ending", [".cif", ".extxyz", ".xyz", ".jsonl", ".csv"])
def test_what_is_written_is_read_back(ending: str, tmp_path: Path) -> None:
    crystals = {name.replace(" ", "-"): crystal for name, crystal in KNOWN.items()}
    write_crystals(tmp_path / f"all{ending}", crystals)
    records = list(read_records(tmp_path / f"all{ending}"))
    assert [r.id.removeprefix("all:") for r in records] == list(crystals)
    for record, crystal in zip(records, crystals.values(), strict=True):
        assert record.crystal is not None
        assert (record.crystal.space_group, record.crystal.wyckoff) == (crystal.space_group, crystal.wyckoff)
        assert record.crystal.volume == pytest.approx(crystal.volume, rel=1e-5)


@pytest.mark.parametrize("number", range(1, 231, 7))
def test_frames_keep_every_group(number: int, tmp_path: Path) -> None:
    crystal = random_crystal(number, np.random.default_rng(number))
    (tmp_path / "x.xyz").write_text(extxyz_frame(crystal, {"order": "a", "index": 2, "score": None}, -1.5))
    (record,) = read_records(tmp_path / "x.xyz")
    assert record.crystal is not None and record.crystal.wyckoff == crystal.wyckoff
    assert (record.id, record.index, record.space_group) == ("a", 2, number)
    assert record.energy == pytest.approx(-1.5, abs=1e-5)


def test_one_crystal_in_a_poscar(tmp_path: Path) -> None:
    write_crystals(tmp_path / "x.vasp", {"quartz": KNOWN["quartz"]})
    (found,) = named_crystals(tmp_path / "x.vasp").values()
    assert found.space_group == 154
    with pytest.raises(OutputError, match="a POSCAR holds one crystal, not 2"):
        write_crystals(tmp_path / "y.vasp", {"a": KNOWN["quartz"], "b": KNOWN["rutile"]})
    with pytest.raises(OutputError, match=r"must end in \.cif"):
        write_crystals(tmp_path / "y.png", {"a": KNOWN["quartz"]})
