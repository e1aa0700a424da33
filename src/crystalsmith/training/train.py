"""The training loop: resumable after a kill at any moment, in one process or several."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from crystalsmith.allocator import keep_freed_memory
from crystalsmith.data import Dataset
from crystalsmith.diffusion import AnyModel, save_model
from crystalsmith.errors import ConfigError, DataError, TrainingError
from crystalsmith.runs.folder import RunFolder, RunKind, check_folder
from crystalsmith.runs.progress import Display
from crystalsmith.runs.stop import Stop, deferred_stop, masked
from crystalsmith.training.config import TrainConfig, read_config
from crystalsmith.training.examples import Examples
from crystalsmith.training.guides import Guides
from crystalsmith.training.log import Log
from crystalsmith.training.methods import METHODS
from crystalsmith.training.state import RunState, new_state
from crystalsmith.training.together import Place, met, place_of_torchrun, start_together, sum_over_all

TRAINING = RunKind(
    "training",
    "training run",
    owned=("state.safetensors", "model.safetensors", "log.csv", "tensorboard/"),
    advice="choose another one with 'out'",
)


def train(
    config: str | Path | Mapping[str, Any], overrides: Mapping[str, Any] | None = None, quiet: bool = False
) -> Path:
    """Train a model, or go on with the run in its folder.

    Args:
        config: YAML file or settings.
        overrides: settings that replace those of the file.
        quiet: no progress line.

    Returns:
        Path of the checkpoint with the averaged weights.

    Raises:
        ConfigError, DataError, CheckpointError, OutputError: settings, data, starting weights or folder that
            cannot be used.
    """
    c = read_config(config, overrides)
    if not c.train or not c.validation:
        raise ConfigError(
            "a run needs 'train' and 'validation' data files; make them with crystalsmith data build"
        )
    for path in (c.train, c.validation):  # here, so that bad data are refused before anything is written
        if not len(usable(c, path)):
            least = METHODS[c.method].least_group
            group = f" in space groups from {least}" if least > 1 else ""
            raise DataError(
                f"{path} holds no crystal of at most {c.max_atoms} atoms and {c.max_sites} sites{group};"
                " raise max_atoms or max_sites"
            )
    for path in (c.guides, c.validation_guides):
        if path:
            Guides.open(path)
    if c.device != "cpu" and not torch.cuda.is_available():
        raise ConfigError("torch finds no GPU here; set device to cpu")
    out = Path(c.out)
    place = place_of_torchrun()
    if place is not None and c.processes not in (1, place.size):
        raise ConfigError(
            f"torchrun started {place.size} processes, not {c.processes}; leave out 'processes'"
        )
    if place is None or place.rank == 0:
        check_folder(out, TRAINING, _identity(c))
    if place is not None:
        _run(place, replace(c, processes=place.size), quiet)
    elif c.processes == 1:
        _run(Place(), c, quiet)
    else:
        _begin(c)  # what cannot be gone on with is refused here, in place of in all processes
        start_together(_run_one_of, (c, quiet), c.processes)
    return out / "model.safetensors"


def _identity(c: TrainConfig) -> dict[str, Any]:
    """What no run may change while it goes on; its length and rates may, and the network shows by itself."""
    return {"method": c.method}


def usable(c: TrainConfig, path: str) -> Dataset:
    """The crystals of a data file that a run may use."""
    return Dataset.open(path).subset(
        max_atoms=c.max_atoms, max_sites=c.max_sites, min_space_group=METHODS[c.method].least_group
    )


def learning_rate(c: TrainConfig, step: int, seen: int) -> float:
    """Warm-up by steps, then constant, then linear to zero over the last ``decay`` of the run's crystals."""
    left = max(0.0, 1 - seen / c.crystals)
    return (
        c.learning_rate
        * min(1.0, (step + 1) / c.warm_up)
        * (min(1.0, left / c.decay) if c.decay > 0 else 1.0)
    )


def _begin(c: TrainConfig) -> tuple[Dataset, AnyModel, RunState]:
    """The training data, and the model and the state that a run begins or goes on with."""
    data = usable(c, c.train)
    model = METHODS[c.method].make_model(c, data)
    state = new_state(model.network, c.learning_rate, c.weight_decay, c.beta2)
    saved = Path(c.out) / "state.safetensors"
    if saved.exists():
        state.load(saved)
    return data, model, state


def _run_one_of(rank: int, c: TrainConfig, quiet: bool, store: str) -> None:
    _run(Place(rank, c.processes, rank, store), c, quiet)


def _run(place: Place, c: TrainConfig, quiet: bool) -> None:
    if place.rank:
        _train(place, c, quiet, None)
        return
    # Held by the process that writes, so that one which outlives its parent still keeps others out.
    with RunFolder.open(c.out, TRAINING, _identity(c), arguments=asdict(c)) as run:
        state = _train(place, c, quiet, run)
        run.write_manifest("finished", steps=state.step, seen=state.seen, skipped=state.skipped)


def _train(place: Place, c: TrainConfig, quiet: bool, run: RunFolder | None) -> RunState:
    torch.set_num_threads(c.threads)
    keep_freed_memory()
    c = replace(c, device=place.device(c.device))
    with met(place, c.device):
        return _train_with_others(place, c, quiet, run)


def _train_with_others(place: Place, c: TrainConfig, quiet: bool, run: RunFolder | None) -> RunState:
    data, model, state = _begin(c)
    method = METHODS[c.method]
    volume = method.atomic_volume(model)
    examples = Examples(data, volume, c.device, Guides.open(c.guides) if c.guides else None)
    held = usable(c, c.validation)
    chosen = np.random.default_rng(0).permutation(len(held))[: c.validation_crystals]
    known = Guides.open(c.validation_guides) if c.validation_guides else None
    validation = Examples(held.subset(indices=chosen), volume, c.device, known)
    model.network.mixed_precision = c.bfloat16
    if c.compile:
        method.compile(model)
    log = Log(Path(c.out) / "log.csv", state.step) if place.rank == 0 else None
    # Together, all are told of a signal several times over: by the terminal, and by their parent.
    with (
        deferred_stop(patient=c.processes > 1) as stop,
        masked("SIG_UNBLOCK"),
        Display(quiet=quiet or place.rank > 0) as progress,
    ):
        lost = None
        try:
            _loop(c, place.rank, model, examples, validation, state, log, progress, stop)
        except TrainingError as error:  # the step in hand has changed nothing yet
            lost = error
        if run is not None:
            _save(c, model, state, Path(c.out) / "state.safetensors")
        if lost is not None:
            raise lost
        if run is not None and stop:
            run.log.info("stopped after step %d; the state is saved", state.step)
    return state


def _loop(
    c: TrainConfig,
    rank: int,
    model: AnyModel,
    examples: Examples,
    validation: Examples,
    state: RunState,
    log: Log | None,
    progress: Display,
    stop: Stop,
) -> None:
    method = METHODS[c.method]
    batches = examples.epochs(c.orbits, c.seed, c.batch, c.even)
    for _ in range(state.step + state.skipped):
        next(batches)
    parameters = [p for p in model.network.parameters() if p.requires_grad]
    recent: list[tuple[float, float]] = []
    saved, ends = time.monotonic(), False
    progress("training", state.seen, c.crystals)
    while state.seen < c.crystals and not ends:
        tick = state.step + state.skipped
        index = next(batches)
        generator = torch.Generator().manual_seed(c.seed * 1_000_003 + tick * max(64, c.processes) + rank)
        part = examples.share(index, rank, c.processes)
        share = len(part) * c.processes / len(index)
        if len(part):  # a batch may have fewer crystals than there are processes; the first has always one
            clean = examples.batch(part)
            guide = None if examples.guides is None else examples.guides.draw(part, generator, c.unguided)
            position, lattice = method.losses(c, model, clean, generator, guide)
            loss = (position + c.lattice_weight * lattice) * share
            loss.backward()
        else:
            position = lattice = torch.zeros(())
        if c.processes > 1:
            gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
            # With the gradients goes whether to stop, so that all do after the same step.
            flat = torch.cat(
                [*(g.flatten() for g in gradients), gradients[0].new_tensor([float(bool(stop))])]
            )
            sum_over_all(flat)
            ends, flat = bool(flat[-1] > 0), flat[:-1] / c.processes
            for p, g in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
                p.grad = g.view_as(p)
        norm = torch.nn.utils.clip_grad_norm_(parameters, c.clip)
        if torch.isfinite(norm):
            for group in state.optimizer.param_groups:
                group["lr"] = learning_rate(c, state.step, state.seen)
            state.optimizer.step()
            state.step += 1
            state.update_average(c.ema)
            recent.append((position.item(), lattice.item()))
            del recent[:-100]
            state.position_sum += recent[-1][0]
            state.lattice_sum += recent[-1][1]
            state.summed += 1
        else:
            state.skipped += 1
        state.optimizer.zero_grad(set_to_none=True)
        state.seen += len(index)
        if recent:
            progress.note("losses: position {:.3f}, lattice {:.3f}".format(*np.mean(recent, 0)))
        progress("training", state.seen, c.crystals)
        if state.step % c.validate_every == 0 and torch.isfinite(norm) and rank == 0 and log is not None:
            with _averaged(model, state):
                scores = method.validate(model, validation)
            position_mean, lattice_mean = (x / state.summed for x in (state.position_sum, state.lattice_sum))
            log.write(state, position_mean, lattice_mean, learning_rate(c, state.step, state.seen), scores)
            state.position_sum, state.lattice_sum, state.summed = 0.0, 0.0, 0
        late = time.monotonic() - saved > 60 * c.save_minutes
        if rank == 0 and (late or state.step % c.save_every == 0):
            _save(c, model, state, Path(c.out) / "state.safetensors")
            saved = time.monotonic()
        ends = ends or (c.processes == 1 and bool(stop))


@contextlib.contextmanager
def _averaged(model: AnyModel, state: RunState) -> Iterator[None]:
    """Within, the network has the averaged weights."""
    own = {k: p.detach().clone() for k, p in model.network.named_parameters()}
    with torch.no_grad():
        for k, p in model.network.named_parameters():
            p.copy_(state.average[k])
    model.network.eval()
    try:
        yield
    finally:
        with torch.no_grad():
            for k, p in model.network.named_parameters():
                p.copy_(own[k])
        model.network.train()


def _save(c: TrainConfig, model: AnyModel, state: RunState, path: Path) -> None:
    state.save(path, asdict(c))
    before = int(model.metadata.get("crystals_seen", "0"))
    kept = {k: v for k, v in model.metadata.items() if k == "prior_training"}
    record = {
        **kept,
        "crystals_seen": str(before + state.seen),
        "training": json.dumps(
            {
                **{
                    k: v
                    for k, v in asdict(c).items()
                    if k not in ("out", "train", "validation", "start_from", "guides", "validation_guides")
                },
                "steps": state.step,
                "skipped": state.skipped,
            }
        ),
        "training_data": Path(c.train).name,
    }
    averaged = METHODS[c.method].averaged(model, state.average)
    save_model(averaged, path.with_name("model.safetensors"), record)
