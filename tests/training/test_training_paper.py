"""Training by the paper's method: it learns, goes on where it stopped, has the published settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from crystals import KNOWN
from crystalsmith.data import Dataset, pack
from crystalsmith.diffusion import PaperModel, load_model
from crystalsmith.errors import ConfigError, DataError
from crystalsmith.training import read_config, train
from crystalsmith.training.examples import Examples
from crystalsmith.training.validate import validate_paper

TINY = {
    "embedding": 16,
    "output": 16,
    "triplet": 8,
    "basis": 4,
    "blocks": 1,
    "spherical": 3,
    "radial": 5,
    "crowd": 12,
}
TABLE = [c for c in KNOWN.values() if c.space_group >= 16]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The known crystals, those of lower symmetry among them."""
    path = tmp_path_factory.mktemp("data") / "known.safetensors"
    pack(list(KNOWN.values())).save(path)
    return str(path)


def settings(data: str, out: Path | str, **others: Any) -> dict[str, Any]:
    return {
        "method": "paper",
        "train": data,
        "validation": data,
        "out": str(out),
        "dimenet": TINY,
        "batch": 8,
        "crystals": 64,
        "warm_up": 1,
        "decay": 0.0,
        "save_every": 1000,
        "validate_every": 1000,
        **others,
    }


@pytest.mark.parametrize("joint", [False, True])
def test_it_learns(data: str, tmp_path: Path, joint: bool) -> None:
    """A dozen crystals are soon known better than by saying nothing, whose losses are 1."""
    how = {"crystals": 1600, "batch": 12, "learning_rate": 5e-3, "ema": 0.9, "joint": joint}
    model = load_model(train(settings(data, tmp_path, **how), quiet=True))
    assert isinstance(model, PaperModel) and model.joint == joint
    held = Dataset.open(data).subset(min_space_group=16)
    scores = validate_paper(model, Examples(held, np.full(119, 20.0)))
    assert scores["position@0"] < 0.7 and scores["position@3"] < 0.8
    assert scores["lattice"] < 0.95
    assert scores["position@9"] == pytest.approx(1.0, abs=0.2)  # noise that nothing can be said of


def test_two_parts_are_one_run(data: str, tmp_path: Path) -> None:
    def state(name: str) -> dict[str, torch.Tensor]:
        with safe_open(tmp_path / name / "state.safetensors", "pt") as f:
            return {k: f.get_tensor(k) for k in f.keys()}

    train(settings(data, tmp_path / "one"), quiet=True)
    train(settings(data, tmp_path / "two", crystals=24), quiet=True)
    train(settings(data, tmp_path / "two"), quiet=True)
    one, two = state("one"), state("two")
    assert one.keys() == two.keys() and all(torch.equal(v, two[k]) for k, v in one.items())


def test_elements_that_are_not_seen_get_stand_ins(data: str, tmp_path: Path) -> None:
    model = load_model(train(settings(data, tmp_path), quiet=True))
    assert isinstance(model, PaperModel)
    assert model.elements == {s.element for c in TABLE for s in c.sites}
    assert model.max_atoms == max(c.n_atoms for c in TABLE)
    weight = model.network.element.weight  # argon is not seen, chlorine is
    assert torch.equal(weight[18], weight[17])


def test_goes_on_from_a_checkpoint(data: str, tmp_path: Path) -> None:
    first = train(settings(data, tmp_path / "a"), quiet=True)
    second = train(settings(data, tmp_path / "b", start_from=str(first), crystals=8), quiet=True)
    seen = [int(load_model(path).metadata["crystals_seen"]) for path in (first, second)]
    assert seen[0] >= 64 and seen[1] == seen[0] + 8
    with pytest.raises(ConfigError, match="has the network"):
        train(
            settings(data, tmp_path / "c", start_from=str(first), dimenet={**TINY, "blocks": 2}), quiet=True
        )


def test_crystals_of_low_symmetry_alone_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "low.safetensors"
    pack([c for c in KNOWN.values() if c.space_group < 16]).save(path)
    with pytest.raises(DataError, match="in space groups from 16"):
        train(settings(str(path), tmp_path / "out"), quiet=True)
    assert not (tmp_path / "out").exists()


def test_published_settings_come_with_the_package() -> None:
    c = read_config("paper", {"train": "x", "validation": "y"})
    assert (c.method, c.batch, c.learning_rate, c.clip, c.ema, c.beta2) == (
        "paper",
        32,
        2e-4,
        1.0,
        0.999,
        0.999,
    )
    assert c.weight_decay == 0 and not c.joint and c.crystals >= 32 * 16_000
    d = c.dimenet
    assert (d.embedding, d.output, d.triplet, d.basis, d.blocks) == (64, 128, 64, 10, 4)
    assert (d.spherical, d.radial, d.cutoff, d.merge, d.levels) == (7, 10, 6.0, 0.4, 10)
    assert read_config("default").method == "default"


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"method": "papers"}, "method must be default or paper"),
        ({"batch": -1}, "batch must not be negative"),
        ({"beta2": 1.0}, "beta2 must lie in"),
        ({"dimenet": {"crowd": 0.0}}, "dimenet: crowd must be positive"),
        ({"dimenet": {"blocks": -1}}, "dimenet: blocks must not be negative"),
        ({"dimenet": {"block": 1}}, "did you mean 'blocks'"),
    ],
)
def test_bad_settings(setting: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read_config("paper", setting)
