"""The two models: what a checkpoint says that it is, how one is put together, and what the wheel holds."""

from __future__ import annotations

import argparse
import json
import pickle
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from test_diffusion_model import small_model

from crystals import KNOWN
from crystalsmith.cli.main import main
from crystalsmith.crystal import Crystal, Site
from crystalsmith.data import pack
from crystalsmith.data.wyckoff import count_wyckoff
from crystalsmith.diffusion import Model, load_model, save_model
from crystalsmith.diffusion.checkpoint import SHIPPED, default_checkpoint
from crystalsmith.generation import generate_records
from crystalsmith.prototypes import PrototypeTable
from priors import small_network

ROOT = Path(__file__).parents[1]
REPOSITORY = pytest.mark.skipif(
    not (ROOT / "benchmarks").is_dir(), reason="benchmarks and tools are in the repository alone"
)


def script(folder: str, name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / folder))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return __import__(name)


def exchanged(crystal: Crystal, change: dict[str, str]) -> Crystal:
    """The crystal with other elements."""
    sites = tuple(Site(change.get(s.element, s.element), s.letter, s.free) for s in crystal.sites)
    return Crystal(crystal.space_group, crystal.cell, sites)


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Path]:
    """Weights, another checkpoint with a prior, two data sets, a table of prototypes."""
    model = small_model(torch.float32)
    save_model(model, tmp_path / "weights.safetensors", {"training_data": "weights.data", "model": "old"})
    model.prior = small_network()
    save_model(model, tmp_path / "prior.safetensors", {"prior_training": "{}"})
    pack([KNOWN["rutile"], KNOWN["anatase"]], ["mp-2", "mp-1"], [0.03, 0.0], [1, 0]).save(
        tmp_path / "a.safetensors"
    )
    pack([KNOWN["rutile"], KNOWN["rock salt"]], ["x", "mp-3"], [np.nan, 0.0]).save(tmp_path / "b.safetensors")
    salts = [KNOWN["rock salt"], exchanged(KNOWN["rock salt"], {"Na": "K"})]
    PrototypeTable.build(pack(salts)).save(tmp_path / "table.safetensors")
    return {p.stem: p for p in tmp_path.glob("*.safetensors")}


def arguments(parts: dict[str, Path], out: Path, *more: str) -> list[str]:
    data = [str(parts["a"]), str(parts["b"])]
    return [str(parts["weights"]), "-o", str(out), "--name", "benchmark", "--data", *data, *more]


@REPOSITORY
def test_a_model_is_put_together_and_says_what_it_is(parts, tmp_path, monkeypatch, capsys):
    tool = script("tools", "make_model", monkeypatch)
    out = tmp_path / "made.safetensors"
    more = ("--prior", str(parts["prior"]), "--prototypes", str(parts["table"]), "--full")
    assert tool.main(arguments(parts, out, *more)) == 0
    made, weights = load_model(out), load_model(parts["weights"])
    assert isinstance(made, Model) and isinstance(weights, Model) and made.prior is not None
    for name, tensor in weights.network.state_dict().items():
        assert torch.equal(made.network.state_dict()[name], tensor)
    known = made.occupations
    assert known.ids is not None and known.e_above_hull is not None
    assert known.ids.tolist() == ["mp-2", "mp-1", "mp-3"]
    np.testing.assert_allclose(known.e_above_hull, [0.03, 0.0, 0.0], atol=1e-4)
    assert known.observed is not None and known.observed.tolist() == [1, 0, -1]
    both = pack([KNOWN[n] for n in ("rutile", "anatase", "rutile", "rock salt")])
    np.testing.assert_array_equal(made.wyckoff_counts, count_wyckoff(both))
    assert (made.max_atoms, made.elements) == (weights.max_atoms, weights.elements)
    assert made.metadata["model"] == "benchmark" and made.metadata["training_data"] == "weights.data"
    table = PrototypeTable.open(parts["table"])
    assert len(table) == 1 and made.statistics.prototypes is not None
    for key, values in table.arrays.items():
        np.testing.assert_array_equal(made.statistics.prototypes.arrays[key], values)
    capsys.readouterr()
    assert main(["--json", "info", "--checkpoint", str(out)]) == 0
    facts = json.loads(capsys.readouterr().out)["result"]
    assert facts["model"] == "benchmark" and facts["prior_data"] == "prior.safetensors"
    files = {"a.safetensors": 2, "b.safetensors": 2}
    counts = {"crystals": 4, "distinct": 3, "observed": 1, "computed": 1}
    assert facts["known_phases"] == {**counts, "files": files}


@REPOSITORY
@pytest.mark.parametrize("wrong", ["version", "kind", "weights"])
def test_what_a_model_cannot_be_made_of_is_refused_in_a_line(wrong, parts, tmp_path, monkeypatch, capsys):
    tool = script("tools", "make_model", monkeypatch)
    table = tmp_path / "wrong.safetensors"
    version = {"format": "crystalsmith.prototypes", "version": "7"}
    save_file({"x": torch.zeros(1)}, table, version if wrong == "version" else {})
    if wrong == "weights":
        parts["weights"].write_bytes(b"none")
    out = tmp_path / "made.safetensors"
    assert tool.main(arguments(parts, out, "--prototypes", str(table))) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1 and not out.exists()


@REPOSITORY
def test_benchmarks_say_which_model_they_measure(parts, monkeypatch, capsys, tmp_path):
    tool = script("tools", "make_model", monkeypatch)
    checkpoints = script("benchmarks", "checkpoints", monkeypatch)
    monkeypatch.setattr(checkpoints, "BENCHMARK", tmp_path / "benchmark.safetensors")
    parser = argparse.ArgumentParser()
    checkpoints.add_checkpoint(parser)
    with pytest.raises(SystemExit) as status:
        parser.parse_args([])
    assert status.value.code == 2 and "make it with tools/make_model.py" in capsys.readouterr().err
    assert tool.main(arguments(parts, tmp_path / "benchmark.safetensors")) == 0
    assert parser.parse_args([]).checkpoint == str(tmp_path / "benchmark.safetensors")
    assert "model: benchmark," in capsys.readouterr().err
    released = arguments(parts, tmp_path / "all.safetensors")
    assert tool.main([a if a != "benchmark" else "released" for a in released]) == 0
    parser.parse_args(["--checkpoint", str(tmp_path / "all.safetensors")])
    assert "has seen the rows of the benchmarks" in capsys.readouterr().err


@pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(), reason="not in an installed package")
def test_the_wheel_holds_no_model_of_the_benchmarks():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    assert build["wheel"] == {"packages": ["src/crystalsmith"]}
    assert "/benchmarks" not in build["sdist"]["include"]
    shipped = default_checkpoint().parent
    assert {p.stem for p in shipped.glob("*.safetensors")} == set(SHIPPED)
    models = [p for p in (ROOT / "src").rglob("*.safetensors") if p.parent != shipped and "src" in p.parts]
    assert all("benchmark" not in p.name for p in models)
    for name in SHIPPED:
        with safe_open(default_checkpoint(name), framework="pt") as file:
            assert (file.metadata() or {}).get("model") != "benchmark"


def test_the_shipped_model_goes_to_other_processes_after_it_was_asked() -> None:
    model = load_model()
    order = {"formula": "MgO", "count": 6}
    options: dict[str, Any] = {"seed": 2, "steps": 2, "batch_atoms": 6}
    alone = list(generate_records(model, [order], **options))
    assert {"prototype", "network"} <= {r.request.kind for r in alone}
    together = list(generate_records(model, [order], workers=2, **options))
    assert [r.crystal for r in together] == [r.crystal for r in alone]
    assert len(pickle.dumps(model.statistics.prototypes)) < 10_000_000
