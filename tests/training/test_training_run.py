"""Small runs: they learn, survive being killed, and say so when they cannot go on."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import nn

from crystals import KNOWN
from crystalsmith.crystal import Crystal, Site
from crystalsmith.data import Dataset, pack
from crystalsmith.data.wyckoff import occupations
from crystalsmith.diffusion import Model, load_model
from crystalsmith.diffusion.schedules import focus
from crystalsmith.errors import CheckpointError, ConfigError, OutputError
from crystalsmith.networks import Denoiser, DenoiserConfig
from crystalsmith.runs.lock import LOCK, FolderLock
from crystalsmith.runs.manifest import read_manifest
from crystalsmith.runs.stop import Stopped
from crystalsmith.training import read_config, train
from crystalsmith.training.examples import Examples, equivalent
from crystalsmith.training.loss import Losses, denoising_losses
from crystalsmith.training.state import new_state

loop = import_module("crystalsmith.training.train")  # the package's own name for it is the function
methods = import_module("crystalsmith.training.methods")

TINY = {"scalars": 16, "vectors": 4, "edges": 4, "layers": 1, "form_factors": 1}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The known crystals, 40 orbits together."""
    path = tmp_path_factory.mktemp("data") / "known.safetensors"
    pack(list(KNOWN.values())).save(path)
    return str(path)


def settings(data: str, out: Path | str, **others: Any) -> dict[str, Any]:
    return {
        "train": data,
        "validation": data,
        "out": str(out),
        "network": TINY,
        "orbits": 20,
        "crystals": 160,
        "warm_up": 5,
        "forget": 0.0,
        "save_every": 1000,
        "validate_every": 1000,
        **others,
    }


def content(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    with safe_open(path, "pt") as f:
        return {k: f.get_tensor(k) for k in f.keys()}, dict(f.metadata())


def log_of(out: Path) -> list[dict[str, float]]:
    with (out / "log.csv").open(newline="") as f:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(f)]


def test_it_learns(data: str, tmp_path: Path) -> None:
    """Sixteen crystals are soon known better than by saying nothing, whose position loss is 1."""
    network = {**TINY, "scalars": 32, "vectors": 8, "edges": 8, "layers": 2}
    how = {"crystals": 3000, "orbits": 60, "learning_rate": 6e-3, "validate_every": 20, "ema": 0.9}
    out = tmp_path / "run"
    path = train(settings(data, out, network=network, **how), quiet=True)
    assert path == out / "model.safetensors"
    rows = log_of(out)
    assert [r["step"] for r in rows] == list(range(20, 20 * len(rows) + 1, 20))
    assert rows[-1]["position@0.35"] < 0.85 < rows[0]["position@0.35"]
    assert rows[-1]["position"] < 0.8 * rows[0]["position"]
    assert rows[-1]["lattice"] < 0.85 * rows[0]["lattice"]
    assert rows[-1]["lattice@0.8"] < 0.6 * rows[0]["lattice@0.8"]
    assert rows[-1]["rate"] < rows[len(rows) // 2]["rate"]  # decay
    model = load_model(path)
    assert int(model.metadata["crystals_seen"]) >= 3000
    assert model.elements == {s.element for c in KNOWN.values() for s in c.sites}
    assert model.max_atoms == max(c.n_atoms for c in KNOWN.values())
    record = json.loads(model.metadata["training"])
    assert record["skipped"] == 0
    assert str(tmp_path) not in json.dumps(model.metadata)  # paths of this machine are nobody's business


RUNNER = """
import csv, json, os, signal, sys
import torch
import torch._dynamo  # which optimizers import in their first step, for a second
from crystalsmith.graph import torch_tables
from crystalsmith.training import train

config, whole, killed, moments = json.loads(sys.argv[1])
torch_tables(torch.device("cpu"), torch.float32)


def run(folder, moment=None):  # a process each time, but imports and tables only once
    child = os.fork()
    if child == 0:
        seen = 0

        def deadly(function):  # ends the process at the moment: before or after such a call
            def call(*arguments, **options):
                nonlocal seen
                for before in (True, False):
                    if seen == moment:
                        os.kill(os.getpid(), signal.SIGKILL)
                    seen += 1
                    if before:
                        result = function(*arguments, **options)
                return result
            return call

        os.fsync, os.replace = deadly(os.fsync), deadly(os.replace)
        torch.optim.AdamW.step = deadly(torch.optim.AdamW.step)
        csv.DictWriter.writerow = deadly(csv.DictWriter.writerow)
        os.makedirs(folder, exist_ok=True)
        os.chdir(folder)
        train(config, quiet=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) if moment is not None else os.WEXITSTATUS(status) == 0, (moment, status)


run(whole)
for moment in moments:
    run(killed, moment)
run(killed)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_moment_it_ends_the_same(data: str, tmp_path: Path) -> None:
    how = {"orbits": 40, "crystals": 500, "save_every": 4, "validate_every": 10, "validation_crystals": 4}
    folders = [str(tmp_path / "whole"), str(tmp_path / "killed")]
    job = json.dumps([settings(data, "run", **how), *folders, [9, 14, 21, 23, 26, 30, 17, 33, 28]])
    run = subprocess.run([sys.executable, "-c", RUNNER, job], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    whole, killed = tmp_path / "whole" / "run", tmp_path / "killed" / "run"
    for name in ("state.safetensors", "model.safetensors"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes()
    for a, b in zip(log_of(whole), log_of(killed), strict=True):
        assert {k: v for k, v in a.items() if k != "seconds"} == {
            k: v for k, v in b.items() if k != "seconds"
        }
    assert not list(killed.glob("*.partial"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_after_the_step_and_the_same_call_goes_on(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    train(settings(data, tmp_path / "whole"), quiet=True)
    real, calls = methods.denoising_losses, 0

    def struck(*arguments: Any) -> Losses:
        nonlocal calls
        calls += 1
        if calls == 3:
            os.kill(os.getpid(), number)
        return real(*arguments)

    monkeypatch.setattr(methods, "denoising_losses", struck)
    out = tmp_path / "run"
    with pytest.raises(Stopped) as stopped:
        train(settings(data, out), quiet=True)
    assert stopped.value.status == 128 + number
    assert content(out / "state.safetensors")[1]["step"] == "3"
    assert (out / "model.safetensors").exists()
    manifest = read_manifest(out)
    assert manifest is not None and (manifest["kind"], manifest["status"]) == ("training", "interrupted")
    train(settings(data, out), quiet=True)
    manifest = read_manifest(out)
    assert manifest is not None and manifest["status"] == "finished" and manifest["seen"] >= 160
    one, two = (content(tmp_path / name / "state.safetensors")[0] for name in ("whole", "run"))
    assert all(torch.equal(v, two[k]) for k, v in one.items())


@pytest.mark.parametrize("begun", [True, False])
def test_two_processes_stop_after_the_same_step(data: str, tmp_path: Path, begun: bool) -> None:
    out = tmp_path / "run"
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(settings(data, out, crystals=10**9, validate_every=1, processes=2)))
    command = [sys.executable, "-m", "crystalsmith", "train", "--config", str(config)]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not (out / ("log.csv" if begun else LOCK)).exists() and child.poll() is None:
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGTERM)  # as batch systems do
    _, err = child.communicate()
    assert child.returncode == 143, err
    assert "the same command goes on" in err.splitlines()[-1] and "Traceback" not in err
    manifest = read_manifest(out)
    assert manifest is not None and manifest["status"] == "interrupted"
    assert int(content(out / "state.safetensors")[1]["step"]) >= 1  # all of them have done it


def test_it_is_saved_by_minutes_too(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    monkeypatch.setattr(loop, "_save", lambda c, model, state, path: saved.append(state.step))
    train(settings(data, tmp_path / "a", save_minutes=1e-9), quiet=True)
    assert saved[:-1] == list(range(1, saved[-1] + 1)) and len(saved) > 4
    saved.clear()
    train(settings(data, tmp_path / "b"), quiet=True)
    assert len(saved) == 1
    with pytest.raises(ConfigError, match="save_minutes must be positive"):
        train(settings(data, tmp_path / "c", save_minutes=0.0), quiet=True)


def test_what_the_starting_weights_were_trained_on_is_not_forgotten(data: str, tmp_path: Path) -> None:
    """Fine-tuning on a few crystals adds to what the model has seen; the data set alone says less."""
    first = train(settings(data, tmp_path / "a", crystals=20), quiet=True)
    few = tmp_path / "few.safetensors"
    pack([KNOWN["diamond"], KNOWN["quartz"]]).save(few)
    config = settings(str(few), tmp_path / "b", crystals=2, start_from=str(first))
    a, b = load_model(first), load_model(train(config, quiet=True))
    assert isinstance(a, Model) and isinstance(b, Model)
    assert b.elements == a.elements > {"C", "Si", "O"} and b.max_atoms == a.max_atoms
    old, new = a.statistics, b.statistics
    assert new.elements.sum() == old.elements.sum() + 3
    assert new.wyckoff_counts.sum() == old.wyckoff_counts.sum() + 3
    for name in ("space_group", "start", "element", "wyckoff"):  # both are known already
        assert (getattr(new.occupations, name) == getattr(old.occupations, name)).all()
    other = Crystal(225, (6.0,) * 3 + (90.0,) * 3, (Site("Cs", "a"), Site("I", "b")))
    pack([other]).save(few)
    c = load_model(train({**config, "out": str(tmp_path / "c")}, quiet=True))
    assert isinstance(c, Model) and c.elements == a.elements | {"Cs", "I"}
    assert len(c.statistics.occupations) == len(old.occupations) + 1
    together = occupations(pack([*KNOWN.values(), other]))
    assert (c.statistics.occupations.wyckoff == together.wyckoff).all()


def test_a_finished_run_stays_as_it_is(data: str, tmp_path: Path) -> None:
    config = settings(data, tmp_path)
    before = train(config, quiet=True).read_bytes(), (tmp_path / "state.safetensors").read_bytes()
    assert (train(config, quiet=True).read_bytes(), (tmp_path / "state.safetensors").read_bytes()) == before


@pytest.mark.parametrize("bad", [(0,), (3,), (0, 1, 4)])
def test_steps_that_are_not_finite_are_skipped(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: tuple[int, ...]
) -> None:
    real, calls = methods.denoising_losses, 0

    def broken(*arguments: Any) -> Losses:
        nonlocal calls
        losses = real(*arguments)
        calls += 1
        return replace(losses, position=losses.position * math.nan) if calls - 1 in bad else losses

    monkeypatch.setattr(methods, "denoising_losses", broken)
    config = settings(data, tmp_path, orbits=40, save_every=1)
    train(config, quiet=True)
    tensors, metadata = content(tmp_path / "state.safetensors")
    assert all(torch.isfinite(v).all() for v in tensors.values())
    assert int(metadata["skipped"]) == len(bad)
    assert int(metadata["step"]) + len(bad) == calls
    assert int(metadata["seen"]) >= 160
    assert json.loads(load_model(tmp_path / "model.safetensors").metadata["training"])["skipped"] == len(bad)


def test_going_on_after_a_skipped_step(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run in two parts, with a step skipped in the first, sees the data that it would have seen in one."""
    real, ticks = methods.denoising_losses, 0

    def broken(*arguments: Any) -> Losses:
        nonlocal ticks
        losses, ticks = real(*arguments), ticks + 1
        return replace(losses, position=losses.position * math.nan) if ticks == 2 else losses

    monkeypatch.setattr(methods, "denoising_losses", broken)
    how = {"decay": 0.0, "warm_up": 1}  # so that the rate does not depend on the length of the run
    train(settings(data, tmp_path / "one", **how), quiet=True)
    ticks = 0
    train(settings(data, tmp_path / "two", crystals=60, **how), quiet=True)
    train(settings(data, tmp_path / "two", **how), quiet=True)
    (one, a), (two, b) = (content(tmp_path / name / "state.safetensors") for name in ("one", "two"))
    assert a["skipped"] == b["skipped"] == "1"
    assert (a["step"], a["seen"]) == (b["step"], b["seen"])
    assert all(torch.equal(v, two[k]) for k, v in one.items())


def test_a_run_that_was_never_finite_can_go_on(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = methods.denoising_losses

    def broken(*arguments: Any) -> Losses:
        losses = real(*arguments)
        return replace(losses, lattice=losses.lattice * math.nan)

    with monkeypatch.context() as patch:
        patch.setattr(methods, "denoising_losses", broken)
        train(settings(data, tmp_path, crystals=40), quiet=True)
    assert content(tmp_path / "state.safetensors")[1]["step"] == "0"
    train(settings(data, tmp_path, crystals=80), quiet=True)
    metadata = content(tmp_path / "state.safetensors")[1]
    assert int(metadata["step"]) > 0 < int(metadata["skipped"])


def parts_together(values: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights before and after a run whose every step adds up the gradients of all processes' parts."""
    c = read_config(values)
    dataset = Dataset.open(c.train)
    model = methods.METHODS[c.method].make_model(c, dataset)
    state = new_state(model.network, c.learning_rate, c.weight_decay, c.beta2)
    before = nn.utils.parameters_to_vector(model.network.parameters()).detach().clone()
    examples = Examples(dataset, model.statistics.atomic_volume)
    batches, seen = examples.epochs(c.orbits, c.seed), 0
    while seen < c.crystals:
        index = next(batches)
        for rank in range(c.processes):
            generator = torch.Generator().manual_seed(c.seed * 1_000_003 + state.step * 64 + rank)
            part = examples.share(index, rank, c.processes)
            clean = equivalent(examples.batch(part), generator)
            order = torch.randperm(len(part), generator=generator)
            spread = (order + torch.rand(len(part), generator=generator)) / len(part)
            losses = denoising_losses(model, clean, focus(spread, c.focus), generator)
            (sum(losses.mean()) * len(part) / len(index)).backward()
        nn.utils.clip_grad_norm_(model.network.parameters(), c.clip)
        for group in state.optimizer.param_groups:
            group["lr"] = loop.learning_rate(c, state.step, seen)
        state.optimizer.step()
        state.optimizer.zero_grad()
        state.step, seen = state.step + 1, seen + len(index)
    return before, nn.utils.parameters_to_vector(model.network.parameters()).detach()


def test_two_processes_learn_as_one(data: str, tmp_path: Path) -> None:
    how = {"crystals": 90, "orbits": 60, "learning_rate": 4e-3, "validate_every": 1, "ema": 0.5}
    scores = {}
    for processes in (1, 2):
        out = tmp_path / str(processes)
        train(settings(data, out, processes=processes, **how), quiet=True)
        scores[processes] = log_of(out)
        assert sorted(p.name for p in out.iterdir()) == [
            ".lock",
            "log.csv",
            "manifest.json",
            "model.safetensors",
            "run.log",
            "state.safetensors",
        ]
    assert len(scores[1]) > 4
    for one, two in zip(scores[1], scores[2], strict=True):  # the same crystals with other noise
        assert (one["step"], one["seen"]) == (two["step"], two["seen"])
        for name in ("position@0.2", "position@0.5", "lattice@0.5"):
            assert two[name] == pytest.approx(one[name], rel=0.25)
    before, after = parts_together(settings(data, "", processes=2, **how))
    state = content(tmp_path / "2" / "state.safetensors")[0]
    names = [name for name, _ in Denoiser(DenoiserConfig(**TINY)).named_parameters()]
    ours = torch.cat([state["weight." + name].flatten() for name in names])
    assert float((ours - after).norm()) < 0.01 * float((after - before).norm())


def test_start_from(data: str, tmp_path: Path) -> None:
    first = train(settings(data, tmp_path / "a"), quiet=True)
    how = {"crystals": 40, "learning_rate": 1e-9, "weight_decay": 0.0}
    config = settings(data, tmp_path / "b", start_from=str(first), **how)
    second = train(config, quiet=True)
    a, b = load_model(first), load_model(second)
    for name, tensor in a.network.state_dict().items():
        torch.testing.assert_close(b.network.state_dict()[name], tensor, rtol=1e-4, atol=1e-5)
    assert b.lattice == a.lattice
    seen = int(content(tmp_path / "b" / "state.safetensors")[1]["seen"])
    assert int(b.metadata["crystals_seen"]) == int(a.metadata["crystals_seen"]) + seen >= 200
    larger = {"start_from": str(first), "network": {**TINY, "layers": TINY["layers"] + 1, "feedforward": 8}}
    c = load_model(train(settings(data, tmp_path / "larger", **larger, **how), quiet=True))
    assert c.network.config.layers == a.network.config.layers + 1
    other = {"start_from": str(first), "network": {**TINY, "scalars": 8}}
    with pytest.raises(ConfigError, match="network"):
        train(settings(data, tmp_path / "c", **other), quiet=True)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        train(settings(data, tmp_path / "c", start_from=str(tmp_path / "none")), quiet=True)


def test_a_start_brings_its_network_along(data: str, tmp_path: Path) -> None:
    first = train(settings(data, tmp_path / "a", crystals=8), quiet=True)
    how = {k: v for k, v in settings(data, tmp_path / "b", crystals=8).items() if k != "network"}
    second = train({**how, "start_from": str(first)}, quiet=True)
    assert load_model(second).network.config == DenoiserConfig(**TINY) != DenoiserConfig()
    grown = {**how, "start_from": str(first), "network": {"feedforward": 8}}
    assert read_config(grown).network == DenoiserConfig(**TINY | {"feedforward": 8})


def test_the_shipped_models_can_be_trained_further(data: str) -> None:
    for method, name in (("default", "network"), ("paper", "dimenet")):
        config = read_config({"train": data, "validation": data, "method": method, "start_from": "default"})
        assert getattr(config, name) == load_model(method).network.config
    assert read_config("default", {"start_from": "default"}).network == load_model().network.config


def test_states_that_cannot_be_resumed(data: str, tmp_path: Path) -> None:
    train(settings(data, tmp_path), quiet=True)
    path = tmp_path / "state.safetensors"
    raw = path.read_bytes()

    def refused(match: str, **others: Any) -> None:
        with pytest.raises(CheckpointError, match=match) as caught:
            train(settings(data, tmp_path, **others), quiet=True)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)

    refused("other network settings", network={**TINY, "scalars": 8})
    refused("cannot be resumed", network={**TINY, "layers": 2})
    for length in (0, 7, 8, 100, len(raw) // 2, len(raw) - 1):
        path.write_bytes(raw[:length])
        refused("cannot be resumed", processes=1 + length % 2)
    path.write_bytes((tmp_path / "model.safetensors").read_bytes())
    refused("not the state of a training run")


def test_a_full_disk_leaves_the_last_state(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(settings(data, tmp_path), quiet=True)
    before = (tmp_path / "state.safetensors").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        train(settings(data, tmp_path, crystals=400), quiet=True)
    assert (tmp_path / "state.safetensors").read_bytes() == before
    assert not list(tmp_path.glob("*.partial"))


def test_rows_after_the_saved_state_are_dropped(data: str, tmp_path: Path) -> None:
    config = settings(data, tmp_path, validate_every=2)
    train(config, quiet=True)
    rows = (tmp_path / "log.csv").read_text()
    last = rows.splitlines()[-1]
    with (tmp_path / "log.csv").open("a") as f:
        f.write(last.replace(last.split(",")[0], "999", 1) + "\n1,2")  # beyond the state, and half a row
    train(config, quiet=True)
    assert (tmp_path / "log.csv").read_text().splitlines() == rows.splitlines()


def test_two_runs_do_not_share_a_folder(data: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    lock = FolderLock.take(out / LOCK)
    try:
        with pytest.raises(OutputError, match="another process is at work in folder"):
            train(settings(data, out), quiet=True)
    finally:
        lock.release()
    train(settings(data, out), quiet=True)
    assert (out / "model.safetensors").exists()
