"""Checkpoints survive the disk, and what is not one is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from test_diffusion_model import REQUESTS, SEEDS, small_model

from crystals import KNOWN
from crystalsmith.data import pack
from crystalsmith.data.wyckoff import Occupations, occupations
from crystalsmith.diffusion import LatticeField, LogSchedule, Model, PositionField, load_model, save_model
from crystalsmith.errors import CheckpointError, OutputError


@pytest.fixture(scope="module")
def model() -> Model:
    model = small_model(torch.float32)
    model.position = PositionField(LogSchedule(0.01, 0.4))
    model.lattice = LatticeField((0.1, 0.2, 0.3, 0.4, 0.5, 0.6), LogSchedule(0.02, 3.0))
    model.statistics.wyckoff_counts[5, 2] = 70_000
    model.statistics.atomic_volume[11] = 23.456
    return model


@pytest.fixture(scope="module")
def saved(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(model, tmp_path_factory.mktemp("saved") / "m.safetensors", {"crystals_seen": "12"})


def test_round_trip(model: Model, saved: Path) -> None:
    back = load_model(saved)
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(back.network.state_dict()[name], tensor)
    assert back.network.config == model.network.config
    assert not back.network.training
    assert (back.position, back.lattice) == (model.position, model.lattice)
    np.testing.assert_allclose(back.statistics.atomic_volume, model.statistics.atomic_volume, rtol=1e-7)
    np.testing.assert_array_equal(back.wyckoff_counts, model.wyckoff_counts)
    assert back.elements == model.elements
    assert back.max_atoms == model.max_atoms
    assert back.metadata["crystals_seen"] == "12"
    assert len(back.hash) == 64
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_names_and_stabilities_of_known_crystals_are_kept(model: Model, tmp_path: Path) -> None:
    crystals = [KNOWN["rutile"], KNOWN["anatase"], KNOWN["rock salt"]]
    known = occupations(pack(crystals, ["mp-2", "mp-ä", ""], [0.0312, math.nan, 0.0], [1, 0, -1]))
    told = replace(model, statistics=replace(model.statistics, occupations=known))
    back = load_model(save_model(told, tmp_path / "m.safetensors", {})).occupations
    assert back.ids is not None and back.ids.tolist() == ["mp-2", "mp-ä", ""]
    assert back.e_above_hull is not None
    np.testing.assert_allclose(back.e_above_hull, [0.0312, math.nan, 0.0], atol=2e-5)
    assert back.observed is not None and back.observed.tolist() == [1, 0, -1]
    silent = Occupations(known.space_group, known.start, known.element, known.wyckoff)
    old = replace(model, statistics=replace(model.statistics, occupations=silent))
    back = load_model(save_model(old, tmp_path / "old.safetensors", {})).occupations
    assert back.ids is None and back.e_above_hull is None and back.observed is None and len(back) == 3
    assert back.seen.tolist() == [-1, -1, -1]
    damaged = replace(known, observed=np.array([1, 0, 7], np.int8))
    torn = replace(model, statistics=replace(model.statistics, occupations=damaged))
    with pytest.raises(CheckpointError, match="do not fit together"):
        load_model(save_model(torn, tmp_path / "torn.safetensors", {}))


def test_the_loaded_model_draws_the_same_crystals(saved: Path) -> None:
    a, b = load_model(saved), load_model(str(saved))
    assert a.hash == b.hash
    assert a.sample(REQUESTS, SEEDS, steps=2) == b.sample(REQUESTS, SEEDS, steps=2)


def test_half_precision(model: Model, saved: Path, tmp_path: Path) -> None:
    half = save_model(model, tmp_path / "half.safetensors", {}, half=True)
    with safe_open(half, "pt") as f:
        kinds = {f.get_tensor(k).dtype for k in f.keys() if k.startswith("network.")}
    assert kinds == {torch.float16}
    back = load_model(half)
    assert back.dtype == torch.float32
    for name, tensor in model.network.state_dict().items():
        torch.testing.assert_close(back.network.state_dict()[name], tensor, rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(back.wyckoff_counts, model.wyckoff_counts)  # 70,000 does not fit a half
    assert back.hash != load_model(saved).hash


def test_a_record_cannot_pass_for_the_format(model: Model, tmp_path: Path) -> None:
    path = save_model(model, tmp_path / "m.safetensors", {"format": "mine", "config": "{}"})
    assert load_model(path).network.config == model.network.config


def test_saving_replaces_whole_files_only(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_model(model, path, {"n": "1"})
    (tmp_path / "m.safetensors.partial").write_bytes(b"left behind by a kill")
    save_model(model, path, {"n": "2"})
    assert load_model(path).metadata["n"] == "2"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    with pytest.raises(OutputError, match="cannot write"):
        save_model(model, tmp_path / "missing" / "m.safetensors", {})
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        save_model(model, tmp_path / "folder", {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", path.name]


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_model(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    assert "no checkpoint at" in refused(tmp_path / "none.safetensors")
    refused(tmp_path)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(3)}, foreign)
    assert "not a checkpoint of this version" in refused(foreign)
    save_file({"weight": torch.zeros(3)}, foreign, {"format": "crystalsmith-model-0"})
    assert "'crystalsmith-model-0'" in refused(foreign)


@settings(max_examples=60)
@given(st.data())
def test_truncated(saved: Path, data: st.DataObject) -> None:
    raw = saved.read_bytes()
    header = int.from_bytes(raw[:8], "little") + 8
    near = st.integers(0, 9) | st.integers(header - 9, header + 9) | st.integers(len(raw) - 9, len(raw) - 1)
    length = data.draw(near | st.integers(0, len(raw) - 1))
    path = saved.parent / "truncated.safetensors"
    path.write_bytes(raw[:length])
    assert "copy it again" in refused(path)


@settings(max_examples=60)
@given(st.none() | st.integers(0, 64), st.binary(max_size=200))
def test_garbage(tmp_path_factory: pytest.TempPathFactory, length: int | None, raw: bytes) -> None:
    """Any bytes, also where they begin with the length of a header."""
    path = tmp_path_factory.getbasetemp() / "garbage.safetensors"
    path.write_bytes((b"" if length is None else length.to_bytes(8, "little")) + raw)
    refused(path)


@settings(max_examples=60)
@given(st.data())
def test_flipped_bits_are_refused(saved: Path, data: st.DataObject) -> None:
    raw = bytearray(saved.read_bytes())
    header = int.from_bytes(raw[:8], "little") + 8
    place = data.draw(st.integers(0, header - 1) | st.integers(0, len(raw) - 1))
    raw[place] ^= 1 << data.draw(st.integers(0, 7))
    path = saved.parent / "damaged.safetensors"
    path.write_bytes(raw)
    if b'"crc":' in raw:  # else the name of the checksum was hit, and all else is whole
        refused(path)


@settings(max_examples=60)
@given(st.data())
def test_damaged_bytes_of_a_file_without_a_checksum(saved: Path, data: st.DataObject) -> None:
    """As earlier versions wrote them: read as it stands or refused in one line, nothing else."""
    path = rewrite(saved, saved.parent / "damaged.safetensors")
    raw = bytearray(path.read_bytes())
    header = int.from_bytes(raw[:8], "little") + 8
    place = data.draw(st.integers(0, header - 1) | st.integers(0, len(raw) - 1))
    raw[place] = data.draw(st.integers(0, 255))
    path.write_bytes(raw)
    try:
        load_model(path)
    except CheckpointError as error:
        assert "\n" not in str(error)


def rewrite(saved: Path, path: Path, tensors: dict[str, Any] | None = None, config: Any = None) -> Path:
    """A copy with other tensors (None takes one out) or another configuration."""
    with safe_open(saved, "pt") as f:
        metadata = {k: v for k, v in f.metadata().items() if k != "crc"}
        content = {k: f.get_tensor(k) for k in f.keys()}
    content |= tensors or {}
    if config is not None:
        metadata["config"] = config if isinstance(config, str) else json.dumps(config)
    save_file({k: v for k, v in content.items() if v is not None}, path, metadata)
    return path


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["network.norm.weight", "statistics.atomic_volume"])
def test_not_finite(saved: Path, tmp_path: Path, name: str, value: float) -> None:
    with safe_open(saved, "pt") as f:
        tensor = f.get_tensor(name)
    tensor[3] = value
    message = refused(rewrite(saved, tmp_path / "m.safetensors", {name: tensor}))
    assert ("weights that are not finite" if name.startswith("network") else "atomic volumes") in message


@pytest.mark.parametrize(
    "tensors",
    [
        {"network.norm.weight": None},
        {"network.norm.weight": torch.ones(7)},
        {"network.other": torch.ones(7)},
        {"statistics.atomic_volume": None},
        {"statistics.atomic_volume": torch.ones(118)},
        {"statistics.atomic_volume": torch.zeros(119)},
        {"statistics.atomic_volume": torch.ones(119, dtype=torch.bfloat16)},
        {"statistics.wyckoff_counts": torch.zeros(1730, 6)},
        {"statistics.wyckoff_counts": torch.zeros(1731)},
        {"statistics.elements": torch.zeros(5)},
    ],
)
def test_other_tensors(saved: Path, tmp_path: Path, tensors: dict[str, Any]) -> None:
    assert "does not hold what its version promises" in refused(
        rewrite(saved, tmp_path / "m.safetensors", tensors)
    )


GOOD = {
    "network": {"scalars": 16, "vectors": 4, "edges": 4, "layers": 2, "form_factors": 2},
    "position": {"low": 0.01, "high": 0.4},
    "lattice": {"low": 0.02, "high": 3.0},
    "lattice_scale": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
    "max_atoms": 20,
}


def test_written_configuration_is_read(saved: Path, tmp_path: Path) -> None:
    assert load_model(rewrite(saved, tmp_path / "m.safetensors", config=GOOD)).max_atoms == 20


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 40) | st.floats() | st.text(max_size=5),
    lambda x: (
        st.lists(x, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "low", "scalars"]), x, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=100)
@given(st.sampled_from([None, *GOOD]), JSON)
def test_other_configurations(saved: Path, key: str | None, value: Any) -> None:
    """Any JSON in any place: read as it stands or refused, nothing else."""
    path = rewrite(
        saved, saved.parent / "config.safetensors", config=value if key is None else {**GOOD, key: value}
    )
    try:
        model = load_model(path)
    except CheckpointError as error:
        assert "\n" not in str(error)
    else:
        assert model.max_atoms > 0


@pytest.mark.parametrize("text", ["", "{", "[" * 5000, "null", '{"network": 3}', "\x00"])
def test_configuration_that_is_not_json(saved: Path, tmp_path: Path, text: str) -> None:
    refused(rewrite(saved, tmp_path / "m.safetensors", config=text))
