"""``crystalsmith data prototypes``: tables from files, alone and in a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from test_table import changed, spinels

from crystals import KNOWN
from crystalsmith.cli.main import main
from crystalsmith.data import pack
from crystalsmith.diffusion import LatticeField, Model, PositionField, Statistics, load_model, save_model
from crystalsmith.errors import CheckpointError, DataError
from crystalsmith.networks import Denoiser, DenoiserConfig
from crystalsmith.prototypes import Library, PrototypeTable
from crystalsmith.prototypes.make import make_prototypes


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.safetensors"
    pack([*spinels(np.random.default_rng(1)), KNOWN["rock salt"]]).save(path)
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = Denoiser(DenoiserConfig(scalars=8, vectors=4, edges=4, layers=1, form_factors=2))
    counts, elements = np.ones((1731, 6), np.int32), np.ones(119, np.int32)
    model = Model(
        network, PositionField(), LatticeField(), Statistics(np.full(119, 15.0), counts, elements, 20)
    )
    return save_model(model, tmp_path / "m.safetensors", {"crystals_seen": "17"}, half=True)


def test_a_table_from_a_terminal(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "table.safetensors"
    assert main(["data", "prototypes", str(data), "-o", str(out)]) == 0
    captured = capsys.readouterr()
    assert "1 clusters of 1 arrangements, from 4 of 5 crystals" in captured.out
    assert "crystals: 5 of 5" in captured.err
    table = PrototypeTable.open(out)
    assert table.summary()["crystals"] == 4
    assert main(["data", "prototypes", str(data), "-o", str(out), "--quiet", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["result"]["clusters"] == 1 and captured.err == ""


def test_several_files_are_one_set(tmp_path: Path) -> None:
    first = tmp_path / "a.safetensors"
    pack([KNOWN["spinel"]]).save(first)
    second = tmp_path / "b.cif"
    second.write_text(changed(KNOWN["spinel"], {"Mg": "Zn"}).to_cif())
    assert make_prototypes([first, second]).summary()["crystals"] == 2


def test_a_table_in_a_checkpoint(data: Path, checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "with.safetensors"
    assert load_model(checkpoint).statistics.prototypes is None  # those from before they were known
    assert main(["data", "prototypes", str(data), "--checkpoint", str(checkpoint), "-o", str(out)]) == 0
    before, after = load_model(checkpoint), load_model(out)
    table = after.statistics.prototypes
    assert table is not None and table.hash == make_prototypes([data]).hash
    assert after.metadata["crystals_seen"] == "17"
    with safe_open(checkpoint, "pt") as f, safe_open(out, "pt") as g:
        for name in f.keys():
            assert torch.equal(f.get_tensor(name), g.get_tensor(name))
    # The table stays when the model is saved by other means, and another one takes its place.
    again = load_model(save_model(after, tmp_path / "again.safetensors", {}))
    assert again.statistics.prototypes is not None and again.statistics.prototypes.hash == table.hash
    for name, tensor in before.network.state_dict().items():
        assert torch.equal(after.network.state_dict()[name], tensor)
    found = Library.of(table).by_atoms((12, 24, 8), (2, 4, 8))
    assert found[0].crystal.space_group == 227 and "4 crystals" in found[0].name


@pytest.mark.parametrize(
    ("tensors", "version", "reason"),
    [
        ({"prototypes.count": None}, "1", "does not hold what its version promises"),
        ({"prototypes.element": torch.zeros(3, dtype=torch.uint8)}, "1", "do not fit together"),
        ({"prototypes.atomic_volume": torch.zeros(119)}, "1", "do not fit together"),
        ({}, "2", "prototypes are of version 2, this program reads 1"),
    ],
)
def test_damaged_or_other_tables_in_a_checkpoint(
    data: Path, checkpoint: Path, tmp_path: Path, tensors: dict, version: str, reason: str
) -> None:
    out = tmp_path / "with.safetensors"
    assert (
        main(["data", "prototypes", str(data), "--checkpoint", str(checkpoint), "-o", str(out), "--quiet"])
        == 0
    )
    with safe_open(out, "pt") as f:
        metadata, kept = dict(f.metadata()), {k: f.get_tensor(k) for k in f.keys()}
    metadata.pop("crc")
    config = json.loads(metadata["config"])
    config["prototypes"]["version"] = version
    kept = {k: v for k, v in {**kept, **tensors}.items() if v is not None}
    save_file(kept, out, {**metadata, "config": json.dumps(config)})
    with pytest.raises(CheckpointError, match=reason) as error:
        load_model(out)
    assert "\n" not in str(error.value)


def test_bad_input_is_one_line(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lonely = tmp_path / "lonely.safetensors"
    pack([KNOWN["spinel"], KNOWN["quartz"]]).save(lonely)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(data.read_bytes()[:300])
    for arguments, reason in (
        ([str(tmp_path / "none"), "-o", "x"], "there is no file"),
        ([str(broken), "-o", "x"], "truncated"),
        ([str(lonely), "-o", str(tmp_path / "x")], "no two of the 2 crystals"),
        ([str(data), "-o", str(tmp_path / "no" / "x")], "cannot write"),
        ([str(data), "-o", "x", "--checkpoint", str(tmp_path / "none")], "no checkpoint"),
        ([str(data), "-o", "x", "--checkpoint", "paper"], "paper's method"),
    ):
        assert main(["data", "prototypes", *arguments, "--quiet"]) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.count("\n") == 1 and reason in captured.err
    assert not (tmp_path / "x").exists()
    with pytest.raises(DataError, match="no two"):
        make_prototypes([lonely])
