"""Training the prior over Wyckoff assignments: minutes on a CPU, resumable after every step."""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch

from crystalsmith.data import Dataset
from crystalsmith.data.wyckoff import occupations
from crystalsmith.diffusion import AnyModel, Model, save_model
from crystalsmith.errors import CheckpointError, ConfigError, DataError
from crystalsmith.networks.assignment_network import AssignmentNetwork, AssignmentNetworkConfig
from crystalsmith.prior.known import known_assignments
from crystalsmith.runs.folder import RunFolder, RunKind
from crystalsmith.runs.stop import Stop, deferred_stop
from crystalsmith.training.prior_examples import PriorExamples
from crystalsmith.training.prior_loss import log_likelihoods, validate_prior
from crystalsmith.training.state import RunState, new_state

SITES_SHARE = 0.4
"""Share of the crystals whose positions are learned from numbers of sites, not of atoms."""

SAVE_SECONDS = 600.0
"""Between two saved states at most."""

PRIOR = RunKind(
    "prior",
    "training of a prior",
    owned=("prior-state.safetensors", "prior-log.csv", "model.safetensors"),
    advice="choose another one with -o",
)


@dataclass(frozen=True)
class PriorConfig:
    """Settings of one run.

    Attributes:
        network: size of the network.
        epochs: times that every crystal is seen.
        batch: crystals a step.
        learning_rate: at the peak; it rises over the first 200 steps and falls to zero as a cosine.
        weight_decay: of AdamW.
        forget: share of the elements of a crystal that are told by their properties alone.
        max_atoms: leave out larger primitive cells.
        max_sites: leave out crystals with more inequivalent sites.
        ema: decay of the averaged weights.
        seed: of everything random.
    """

    network: AssignmentNetworkConfig = field(default_factory=AssignmentNetworkConfig)
    epochs: int = 20
    batch: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    forget: float = 0.1
    max_atoms: int = 240
    max_sites: int = 24
    ema: float = 0.998
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "max_atoms", "max_sites"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 < self.learning_rate < math.inf:
            raise ConfigError(f"learning_rate must be positive, not {self.learning_rate}")
        if not 0 <= self.forget <= 1:
            raise ConfigError(f"forget must lie in [0, 1], not {self.forget}")


def train_prior(
    train: Dataset,
    validation: Dataset,
    out: str | Path,
    c: PriorConfig | None = None,
    report: Callable[[int, int, dict[str, float]], None] | None = None,
    start: AssignmentNetwork | None = None,
) -> AssignmentNetwork:
    """Train, or go on with the training in a folder.

    Args:
        train, validation: crystals; positions and elements are all that is used of them.
        out: folder of the state (``prior-state.safetensors``) and the log (``prior-log.csv``).
        c: settings.
        report: told of every finished epoch: its number, how many there are, and the held-out
            log-likelihoods, nats a crystal; of the last one where all were finished before.
        start: whose weights to start from; random ones if None.

    Returns:
        The network with averaged weights.

    Raises:
        ConfigError: the network to start from is of another size.
        DataError: no crystals.
        OutputError: the folder cannot be written.
        CheckpointError: the state in it is damaged or of another network.
    """
    c = c or PriorConfig()
    examples, held = (
        PriorExamples(known_assignments(occupations(usable(d, c))), c.max_atoms) for d in (train, validation)
    )
    if not len(examples) or not len(held):
        raise DataError(
            "the data set holds no crystal that may be used; raise max_atoms or max_sites, or build it anew"
        )
    torch.manual_seed(c.seed)
    network = AssignmentNetwork(c.network) if start is None else start.grown(c.network)
    state = new_state(network, c.learning_rate, c.weight_decay, 0.98)
    identity = {"network": asdict(c.network), "seed": c.seed}
    with RunFolder.open(out, PRIOR, identity, arguments=asdict(c)) as run:
        path, log = run.path / "prior-state.safetensors", run.path / "prior-log.csv"
        if path.exists():
            state.load(path)
        steps = sum(1 for _ in examples.epoch(c.batch, np.random.default_rng(0)))
        done = state.step // steps
        for epoch in range(done, c.epochs):
            with deferred_stop() as stop:
                _learn(network, state, examples, c, epoch, steps, stop, path)
            own = {k: p.detach().clone() for k, p in network.named_parameters()}
            network.load_state_dict({**network.state_dict(), **state.average})
            scores = validate_prior(network, held)
            network.load_state_dict({**network.state_dict(), **own})
            loss, state.position_sum, state.summed = state.position_sum / state.summed, 0.0, 0
            state.save(path, {**asdict(c), "kind": "prior"})
            _write(log, {"epoch": epoch + 1, "seen": state.seen, "loss": loss, **scores})
            if report is not None:
                report(epoch + 1, c.epochs, scores)
        network.load_state_dict({**network.state_dict(), **state.average})
        if done >= c.epochs and report is not None:
            report(done, c.epochs, validate_prior(network, held))
        run.write_manifest("finished", epochs=c.epochs, seen=state.seen)
    return network.eval()


def usable(data: Dataset, c: PriorConfig) -> Dataset:
    """The crystals that a run may use."""
    return data.subset(max_atoms=c.max_atoms, max_sites=c.max_sites)


def _learn(
    network: AssignmentNetwork,
    state: RunState,
    examples: PriorExamples,
    c: PriorConfig,
    epoch: int,
    steps: int,
    stop: Stop,
    path: Path,
) -> None:
    """The steps of an epoch that are not done yet; stopped, they are saved up to the last one."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    rng, saved = np.random.default_rng([c.seed, epoch]), time.monotonic()
    network.train()
    for tick, rows in enumerate(examples.epoch(c.batch, rng), start=epoch * steps):
        by_sites = rng.random(len(rows)) < SITES_SHARE
        if tick < state.step:
            continue
        torch.manual_seed(c.seed * 1_000_003 + tick)
        known = (torch.rand(len(rows), 119) >= c.forget).float()
        found = log_likelihoods(network, examples.batch(rows, by_sites, known))
        loss = -(found.units.mean() + found.group.mean() + found.positions.mean())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        share = state.step / (c.epochs * steps)
        rate = min(1.0, (state.step + 1) / 200) * 0.5 * (1 + math.cos(math.pi * share))
        for group in state.optimizer.param_groups:
            group["lr"] = c.learning_rate * rate
        state.optimizer.step()
        state.optimizer.zero_grad(set_to_none=True)
        state.step += 1
        state.seen += len(rows)
        state.update_average(c.ema)
        state.position_sum += loss.item()
        state.summed += 1
        if stop or time.monotonic() - saved > SAVE_SECONDS:
            state.save(path, {**asdict(c), "kind": "prior"})
            saved = time.monotonic()
            stop.check()


def _write(log: Path, row: dict[str, float]) -> None:
    new = not log.exists()
    with log.open("a", newline="") as f:
        writer = csv.DictWriter(f, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def train_prior_into(
    model: AnyModel,
    train: str | Path,
    validation: str | Path,
    out: str | Path,
    c: PriorConfig | None = None,
    report: Callable[[int, int, dict[str, float]], None] | None = None,
    further: bool = False,
) -> tuple[Path, dict[str, float]]:
    """Train a prior, or go on with the training in a folder, and write the model with it.

    Args:
        model: what gets the prior.
        train, validation: files of ``data build``.
        out: folder of the run; ``model.safetensors`` in it is the checkpoint.
        c: settings.
        report: as for ``train_prior``.
        further: start from the weights of the model's own prior.

    Returns:
        The checkpoint, and the held-out log-likelihoods after the last epoch, nats a crystal.

    Raises:
        CheckpointError: the model's method has no prior, or it has none to start from.
        DataError, OutputError: as for ``train_prior``.
    """
    if not isinstance(model, Model):
        raise CheckpointError(
            f"the checkpoint is of the {model.method} method, which has no prior; give another one"
        )
    if further and model.prior is None:
        raise CheckpointError("the checkpoint has no prior to start from; leave --further out")
    c, scores = c or PriorConfig(), dict[str, float]()

    def tell(epoch: int, epochs: int, found: dict[str, float]) -> None:
        scores.update(found)
        if report is not None:
            report(epoch, epochs, found)

    start = model.prior if further else None
    model.prior = train_prior(Dataset.open(train), Dataset.open(validation), out, c, tell, start)
    record = {k: v for k, v in model.metadata.items() if k not in ("format", "config")}
    record["prior_training"] = json.dumps({**asdict(c), "validation": scores})
    # The denoiser keeps the precision that its checkpoint has.
    half = all(bool((v == v.half()).all()) for v in model.network.state_dict().values())
    return save_model(model, Path(out) / "model.safetensors", record, half), scores
