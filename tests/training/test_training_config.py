"""Settings of a run: what is read, and what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystals import KNOWN
from crystalsmith.data import pack
from crystalsmith.errors import ConfigError, CrystalsmithError, DataError, OutputError
from crystalsmith.networks import DenoiserConfig
from crystalsmith.training import TrainConfig, read_config, train


def test_file_and_overrides(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "train: a.safetensors\nnetwork: {layers: 2, cutoff: 3}\nlearning_rate: 1e-4\ncrystals: 500\n"
    )
    config = read_config(path, {"crystals": 7, "out": "there"})
    assert config == TrainConfig(
        train="a.safetensors",
        network=DenoiserConfig(layers=2, cutoff=3.0),
        learning_rate=1e-4,
        crystals=7,
        out="there",
    )
    assert isinstance(config.network.cutoff, float)
    path.write_text("# nothing\n")
    assert read_config(path) == TrainConfig()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rat": 1e-3}, "unknown setting 'learning_rat'; did you mean 'learning_rate'?"),
        ({"xyzzy": 1}, "unknown setting 'xyzzy'; known are train, validation"),
        ({"network": {"layer": 3}}, "network: unknown setting 'layer'; did you mean 'layers'?"),
        ({"network": 3}, "network must hold settings of its own"),
        ({3: 4}, "unknown setting 3"),
        ({"crystals": "many"}, "crystals must be int, not 'many'"),
        ({"crystals": 1.5}, "crystals must be int, not 1.5"),
        ({"crystals": True}, "crystals must be int, not True"),
        ({"learning_rate": "fast"}, "learning_rate must be float, not 'fast'"),
        ({"learning_rate": True}, "learning_rate must be float, not True"),
        ({"learning_rate": 0}, "learning_rate must be positive"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive"),
        ({"clip": float("inf")}, "clip must be positive"),
        ({"train": None}, "train must be str, not None"),
        ({"out": 3}, "out must be str, not 3"),
        ({"compile": 1}, "compile must be bool, not 1"),
        ({"crystals": 0}, "crystals must be at least 1, not 0"),
        ({"processes": -1}, "processes must be at least 1"),
        ({"ema": 1.0}, r"ema must lie in \[0, 1\)"),
        ({"decay": 1.1}, r"decay must lie in \[0, 1\]"),
        ({"focus": -0.1}, r"focus must lie in \[0, 1\]"),
        ({"seed": -1}, "seed must not be negative"),
        ({"weight_decay": -0.1}, "weight_decay must not be negative"),
        ({"device": "gpu"}, "device must be cpu or cuda, not 'gpu'"),
        ({"network": {"layers": 0}}, "network: layers must be at least 1"),
        ({"network": {"cutoff": -2}}, "network: cutoff must be positive"),
    ],
)
def test_impossible_settings(settings: dict[Any, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read_config(settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["- a\n- b\n", "just words", "a: b: c", "{", "\x00", "train: 2001-99-99", "[" * 400]
)
def test_files_that_are_no_settings(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"out: \xff\xfe")
    for path in (tmp_path / "a.yaml", tmp_path / "none.yaml", tmp_path):
        with pytest.raises(ConfigError, match="cannot read settings from"):
            read_config(path)


NAMES = st.sampled_from([*TrainConfig.__dataclass_fields__, "network", "nonsense"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda x: (
        st.lists(x, max_size=2) | st.dictionaries(st.sampled_from(["layers", "cutoff", "a"]), x, max_size=2)
    ),
    max_leaves=4,
)


@given(st.dictionaries(NAMES, VALUES, max_size=3))
def test_any_settings_are_read_or_refused(settings: dict[str, Any]) -> None:
    try:
        config = read_config(settings)
    except ConfigError as error:
        assert "\n" not in str(error)
    else:
        assert all(type(getattr(config, k)) is type(getattr(TrainConfig(), k)) for k in settings)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        read_config(path)
    except ConfigError as error:
        assert "\n" not in str(error)


def test_bad_data_and_folders_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    data, empty, out = tmp_path / "d.safetensors", tmp_path / "e.safetensors", tmp_path / "run"
    pack(list(KNOWN.values())).save(data)
    pack([]).save(empty)
    (tmp_path / "text").write_text("no data set")

    def refused(kind: type[CrystalsmithError], match: str, **settings: Any) -> None:
        values = {"train": str(data), "validation": str(data), "out": str(out), **settings}
        with pytest.raises(kind, match=match):
            train(values, quiet=True)
        assert not out.exists()

    refused(ConfigError, "needs 'train' and 'validation'", train="")
    refused(DataError, "none.safetensors", train=str(tmp_path / "none.safetensors"))
    refused(DataError, "not a data set", validation=str(tmp_path / "text"))
    refused(DataError, "holds no crystal", train=str(empty))
    refused(DataError, "holds no crystal of at most 1 atoms", max_atoms=1)
    refused(OutputError, "is a file", out=str(tmp_path / "text"))
    refused(OutputError, "cannot write", out=str(tmp_path / "text" / "run"))
