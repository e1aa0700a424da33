"""Training the prior: it learns, goes on after interruptions, and ends up in a checkpoint."""

from __future__ import annotations

import csv
import json
import os
import signal
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from test_diffusion_model import small_model

from crystals import KNOWN
from crystalsmith.cli.main import main
from crystalsmith.data import Dataset, pack
from crystalsmith.diffusion import Model, load_model, save_model
from crystalsmith.errors import CheckpointError, ConfigError, DataError, OutputError
from crystalsmith.networks.assignment_network import AssignmentNetwork, AssignmentNetworkConfig
from crystalsmith.prior import AssignmentPrior, known_assignments
from crystalsmith.runs.manifest import read_manifest
from crystalsmith.runs.stop import Stopped
from crystalsmith.training import prior as module
from crystalsmith.training import train
from crystalsmith.training.prior import PriorConfig, train_prior
from crystalsmith.training.prior_examples import PriorExamples
from crystalsmith.training.prior_loss import log_likelihoods, validate_prior
from crystalsmith.training.state import RunState
from priors import TINY, known_occupations, small_network, small_prior

SMALL = AssignmentNetworkConfig(width=16, heads=2, layers=1, dropout=0.0)
CONFIG = PriorConfig(network=SMALL, epochs=4, batch=4, learning_rate=0.01, seed=3)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return pack(list(KNOWN.values()))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, data: Dataset) -> str:
    path = tmp_path_factory.mktemp("data") / "known.safetensors"
    data.save(path)
    return str(path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, data: Dataset) -> AssignmentNetwork:
    return train_prior(data, data, tmp_path_factory.mktemp("whole"), CONFIG)


def same(a: AssignmentNetwork, b: AssignmentNetwork) -> bool:
    other = b.state_dict()
    return all(torch.equal(v, other[k]) for k, v in a.state_dict().items())


def test_it_learns(data: Dataset, tmp_path: Path) -> None:
    scores: list[dict[str, float]] = []
    c = replace(CONFIG, epochs=50, learning_rate=0.02, forget=0.0, ema=0.9)
    network = train_prior(data, data, tmp_path, c, lambda _, __, s: scores.append(s))
    assert len(scores) == 50
    for name, least in {"units": -1.0, "group": -2.0, "atoms": -2.0, "sites": -2.5}.items():
        assert scores[-1][name] > max(least, scores[0][name])
    assert not network.training
    with (tmp_path / "prior-log.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    assert [int(r["epoch"]) for r in rows] == list(range(1, 51))
    assert float(rows[-1]["sites"]) == pytest.approx(scores[-1]["sites"])
    assert int(rows[-1]["seen"]) == 50 * len(known_occupations())
    assert float(rows[-1]["loss"]) < 0.5 * float(rows[0]["loss"])


@pytest.mark.parametrize("cut", [1, 3])
def test_an_interrupted_run_ends_with_the_weights_of_an_undisturbed_one(
    data: Dataset, tmp_path: Path, undisturbed: AssignmentNetwork, cut: int
) -> None:
    def stop(epoch: int, epochs: int, scores: dict[str, float]) -> None:
        if epoch == cut:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_prior(data, data, tmp_path, CONFIG, stop)
    told: list[int] = []
    network = train_prior(data, data, tmp_path, CONFIG, lambda epoch, _, __: told.append(epoch))
    assert told == list(range(cut + 1, 5))
    assert same(network, undisturbed)
    # Once more: nothing is left to do, and the scores are told again.
    again: list[tuple[int, dict[str, float]]] = []
    finished = train_prior(data, data, tmp_path, CONFIG, lambda epoch, _, s: again.append((epoch, s)))
    assert same(finished, undisturbed)
    assert [epoch for epoch, _ in again] == [4] and set(again[0][1]) == {"units", "group", "atoms", "sites"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_after_the_step_and_the_same_call_goes_on(
    data: Dataset,
    tmp_path: Path,
    undisturbed: AssignmentNetwork,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    calls = 0

    def struck(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 6:  # in the second epoch
            os.kill(os.getpid(), number)
        return log_likelihoods(*arguments)

    monkeypatch.setattr(module, "log_likelihoods", struck)
    with pytest.raises(Stopped):
        train_prior(data, data, tmp_path, CONFIG)
    before, told = calls, []
    assert same(train_prior(data, data, tmp_path, CONFIG, lambda *a: told.append(a[0])), undisturbed)
    assert before == 6 and told[-1] == 4
    rows = [list(csv.DictReader((tmp_path / "prior-log.csv").open(newline="")))]
    assert [int(r["epoch"]) for r in rows[0]] == [1, 2, 3, 4]
    manifest = read_manifest(tmp_path)
    assert manifest is not None and (manifest["kind"], manifest["status"]) == ("prior", "finished")


def test_it_is_saved_by_minutes_too(
    data: Dataset, tmp_path: Path, undisturbed: AssignmentNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAVE_SECONDS", -1.0)
    saved: list[int] = []
    save = RunState.save
    monkeypatch.setattr(RunState, "save", lambda s, *a: (saved.append(s.step), save(s, *a)))
    assert same(train_prior(data, data, tmp_path, CONFIG), undisturbed)
    assert set(saved) == set(range(1, saved[-1] + 1)) and len(saved) == saved[-1] + 4


def test_seeds_differ(data: Dataset, tmp_path: Path, undisturbed: AssignmentNetwork) -> None:
    assert not same(train_prior(data, data, tmp_path, replace(CONFIG, seed=4)), undisturbed)


def test_scores_are_the_likelihoods_of_the_prior() -> None:
    """Of the groups and units, as the prior answers; of the assignments, at most as high as the prior's,
    which adds up all equivalent ways."""
    prior, known = small_prior(), known_assignments(known_occupations())
    examples = PriorExamples(known, 52)
    for by_sites in (False, True):
        rows = np.arange(len(known))
        with torch.no_grad():
            found = log_likelihoods(prior.network, examples.batch(rows, np.full(len(rows), by_sites)))
        for i, k in enumerate(known):
            units = int(np.gcd.reduce(k.counts))
            ratio = tuple(n // units for n in k.counts)
            expected = prior.units(k.elements, ratio, max(1, 52 // sum(ratio)))[units - 1]
            assert float(found.units[i]) == pytest.approx(expected, abs=1e-4)
            assert float(found.group[i]) == pytest.approx(
                prior.groups(k.elements, k.counts)[k.space_group], abs=1e-4
            )
            numbers, most = (k.sites, 52) if by_sites else (k.counts, 0)
            cell = (k.space_group, k.assignment)
            (all_ways,) = prior.network_assignments(k.elements, numbers, [cell], most)
            assert float(found.positions[i]) <= all_ways + 1e-4
    scores = validate_prior(prior.network, examples, size=3)
    assert scores == pytest.approx(validate_prior(prior.network, examples, size=100), abs=1e-4)


def test_every_crystal_is_seen_once_an_epoch() -> None:
    examples = PriorExamples(known_assignments(known_occupations()), 52)
    for seed in (0, 1):
        batches = list(examples.epoch(4, np.random.default_rng(seed)))
        assert sorted(np.concatenate(batches).tolist()) == list(range(len(examples)))
        assert len(batches) == len(list(examples.epoch(4, np.random.default_rng(9))))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"batch": -1}, "batch must be at least 1, not -1"),
        ({"max_atoms": 0}, "max_atoms"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive"),
        ({"forget": 1.5}, "forget must lie"),
    ],
)
def test_impossible_settings(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        replace(CONFIG, **change)


@pytest.mark.parametrize("change", [{"heads": 3}, {"heads": 0}, {"width": 0}, {"layers": 0}])
def test_impossible_networks(change: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="multiple of heads"):
        replace(SMALL, **change)


def test_what_training_cannot_use_is_refused(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no crystal"):
        train_prior(data, data, tmp_path / "a", replace(CONFIG, max_atoms=1))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="choose another folder"):
        train_prior(data, data, tmp_path / "file" / "run", CONFIG)
    train_prior(data, data, tmp_path / "b", replace(CONFIG, epochs=1))
    other = replace(CONFIG, network=replace(SMALL, width=8))
    with pytest.raises(OutputError, match="another network; choose another one with -o"):
        train_prior(data, data, tmp_path / "b", other)
    for name in ("manifest.json", "run.log"):  # as earlier versions left it
        (tmp_path / "b" / name).unlink()
    with pytest.raises(CheckpointError, match=r"prior-state\.safetensors"):
        train_prior(data, data, tmp_path / "b", other)
    (tmp_path / "b" / "manifest.json").unlink()
    state = tmp_path / "b" / "prior-state.safetensors"
    state.write_bytes(state.read_bytes()[:500])
    with pytest.raises(CheckpointError, match="cannot be resumed"):
        train_prior(data, data, tmp_path / "b", CONFIG)


def test_training_goes_further_from_given_weights(
    data: Dataset, tmp_path: Path, undisturbed: AssignmentNetwork
) -> None:
    c = replace(CONFIG, epochs=1, learning_rate=1e-9)
    further = train_prior(data, data, tmp_path / "b", c, start=undisturbed)
    for name, tensor in undisturbed.state_dict().items():
        torch.testing.assert_close(further.state_dict()[name], tensor, rtol=1e-4, atol=1e-6)
    with pytest.raises(ConfigError, match="cannot go on"):
        train_prior(
            data, data, tmp_path / "c", replace(c, network=replace(SMALL, width=8)), start=undisturbed
        )


def test_crystals_of_many_sites_are_left_out(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="raise max_atoms or max_sites"):
        train_prior(
            data.subset(indices=np.flatnonzero(np.diff(data.arrays["start"]) > 1)),
            data,
            tmp_path,
            replace(CONFIG, max_sites=1),
        )


# In a checkpoint.


def model_with_prior() -> Model:
    model = small_model(torch.float32)
    model.prior = small_network()
    return model


def test_checkpoint_keeps_the_prior(tmp_path: Path) -> None:
    model = model_with_prior()
    back = load_model(save_model(model, tmp_path / "m.safetensors", {}))
    assert isinstance(back, Model) and back.prior is not None and model.prior is not None
    assert back.prior.config == TINY and not back.prior.training
    assert same(back.prior, model.prior)
    half = load_model(save_model(model, tmp_path / "half.safetensors", {}, half=True))
    assert isinstance(half, Model) and half.prior is not None
    other = half.prior.state_dict()
    assert not same(half.prior, model.prior)
    for name, tensor in model.prior.state_dict().items():
        assert other[name].dtype == torch.float32
        torch.testing.assert_close(other[name], tensor, rtol=1e-3, atol=1e-6)
    # Its answers hardly change.
    a, b = AssignmentPrior(model.prior), AssignmentPrior(half.prior)
    np.testing.assert_allclose(
        np.exp(a.groups((22, 8), (2, 4))), np.exp(b.groups((22, 8), (2, 4))), atol=2e-3
    )


def test_priors_of_the_first_kind_are_read(tmp_path: Path) -> None:
    model = small_model(torch.float32)
    model.prior = AssignmentNetwork(replace(TINY, most=64, figures=False)).eval()
    saved = save_model(model, tmp_path / "m.safetensors", {})
    before = {k: v for k, v in model.prior.config_dict().items() if k not in ("most", "figures")}
    back = load_model(rewrite(saved, tmp_path / "old.safetensors", before))
    assert isinstance(back, Model) and back.prior is not None
    assert same(back.prior, model.prior) and back.prior.config.most == 64


def rewrite(
    saved: Path, path: Path, prior: Any, tensors: dict[str, torch.Tensor | None] | None = None
) -> Path:
    from safetensors.torch import save_file

    with safe_open(saved, "pt") as f:
        metadata = {k: v for k, v in f.metadata().items() if k != "crc"}
        content = {k: f.get_tensor(k) for k in f.keys()} | (tensors or {})
    metadata["config"] = json.dumps({**json.loads(metadata["config"]), "prior": prior})
    save_file({k: v for k, v in content.items() if v is not None}, path, metadata)
    return path


GOOD = asdict(TINY)


@pytest.mark.parametrize(
    ("prior", "tensors"),
    [
        ({**GOOD, "width": 16}, {}),
        ({**GOOD, "heads": 3}, {}),
        ({**GOOD, "heads": 0}, {}),
        ({**GOOD, "heads": "two"}, {}),
        ({**GOOD, "layers": 2}, {}),
        ({**GOOD, "dropout": 3}, {}),
        ({**GOOD, "colour": 1}, {}),
        ([], {}),
        (None, {}),
        (GOOD, {"prior.group_bias": None}),
        (GOOD, {"prior.group_bias": torch.zeros(230)}),
        (GOOD, {"prior.group_bias": torch.full((231,), torch.nan)}),
        (GOOD, {"prior.more": torch.zeros(3)}),
    ],
)
def test_damaged_prior_is_refused_in_one_line(
    tmp_path: Path, prior: Any, tensors: dict[str, torch.Tensor | None]
) -> None:
    saved = save_model(model_with_prior(), tmp_path / "m.safetensors", {})
    assert load_model(rewrite(saved, tmp_path / "good.safetensors", GOOD)).method == "default"
    path = rewrite(saved, tmp_path / "bad.safetensors", prior, tensors)
    with pytest.raises(CheckpointError) as caught:
        load_model(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_further_training_of_the_denoiser_keeps_the_prior(tmp_path: Path, file: str) -> None:
    model = model_with_prior()
    first = save_model(model, tmp_path / "first.safetensors", {"prior_training": '{"epochs": 7}'})
    run = {"train": file, "validation": file, "out": str(tmp_path / "run"), "start_from": str(first)}
    network = model.network.config_dict()
    path = train({**run, "crystals": 16, "orbits": 20, "network": network}, quiet=True)
    back = load_model(path)
    assert isinstance(back, Model) and back.prior is not None and model.prior is not None
    assert same(back.prior, model.prior)
    assert back.metadata["prior_training"] == '{"epochs": 7}'
    changed = back.network.state_dict()
    assert any(not torch.equal(v, changed[k]) for k, v in model.network.state_dict().items())


# From the command line.


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    return save_model(small_model(torch.float32), path, {"crystals_seen": "17"})


def test_train_prior_end_to_end(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, file: str, checkpoint: Path
) -> None:
    before = checkpoint.read_bytes()
    run = tmp_path / "run"
    command = ["train-prior", "--train", file, "--validation", file, "--checkpoint", str(checkpoint)]
    command += ["-o", str(run), "--epochs", "2", "--seed", "5"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "epoch 1 of 2: log-likelihood of a held-out crystal, nats: units -" in out
    assert f"checkpoint with the prior: {run / 'model.safetensors'}" in out
    assert checkpoint.read_bytes() == before
    made = load_model(run / "model.safetensors")
    assert isinstance(made, Model) and made.prior is not None
    assert made.metadata["crystals_seen"] == "17"
    record = json.loads(made.metadata["prior_training"])
    assert (record["epochs"], record["seed"], record["max_atoms"]) == (2, 5, 240)
    assert set(record["validation"]) == {"units", "group", "atoms", "sites"}
    # The denoiser is what it was, to the last bit.
    old = load_model(checkpoint).network.state_dict()
    assert all(torch.equal(v, old[k]) for k, v in made.network.state_dict().items())
    # Again, quietly: the same file.
    first = (run / "model.safetensors").read_bytes()
    assert main([*command, "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert (run / "model.safetensors").read_bytes() == first
    # And it makes crystals of a formula.
    out_folder = str(tmp_path / "out")
    model = ["--checkpoint", str(run / "model.safetensors"), "--steps", "2", "--quiet"]
    assert main(["generate", "--formula", "NaCl", "--atoms", "2", "-o", out_folder, *model]) in (0, 1)
    assert main(["info", "--checkpoint", str(run / "model.safetensors")]) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--train": "no-such.safetensors"}, "no-such.safetensors"),
        ({"--validation": "no-such.safetensors"}, "no-such.safetensors"),
        ({"--checkpoint": "no-such.safetensors"}, "no-such.safetensors"),
        ({"--checkpoint": "paper"}, "is of the paper method, which has no prior"),
        ({"--epochs": "0"}, "'0' is not a whole number of at least 1"),
        ({"--max-atoms": "1"}, "raise max_atoms"),
        ({"--seed": "x"}, "whole number"),
    ],
)
def test_train_prior_refuses_in_one_line(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    file: str,
    checkpoint: Path,
    change: dict[str, str],
    words: str,
) -> None:
    options = {"--train": file, "--validation": file, "--checkpoint": str(checkpoint)}
    options |= {"-o": str(tmp_path / "run"), "--epochs": "1", **change}
    assert main(["train-prior", *(word for pair in options.items() for word in pair)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("crystalsmith: error: ") and captured.err.count("\n") == 1
    assert words in captured.err
