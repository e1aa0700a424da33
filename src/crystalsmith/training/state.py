"""The state of a run: weights, their running average, the optimizer, and where in the data it stands."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from crystalsmith.diffusion.checkpoint import reason, write_tensors
from crystalsmith.errors import CheckpointError
from crystalsmith.runs.sealed import check_seal

FORMAT = "crystalsmith-training-1"

ADDED = "guidance."
"""Parameters that a run may be given while it goes on: at first they say nothing (``networks.guidance``)."""


@dataclass
class RunState:
    """Everything that a step changes.

    Attributes:
        network: trained in place.
        average: name -> running average of each parameter.
        optimizer: AdamW over the network's parameters.
        step, seen, skipped: optimizer steps done, crystals seen, steps left out for not being finite.
        position_sum, lattice_sum, summed: training losses since the last row of the log, and their number.
    """

    network: nn.Module
    average: dict[str, Tensor]
    optimizer: torch.optim.AdamW
    step: int = 0
    seen: int = 0
    skipped: int = 0
    position_sum: float = 0.0
    lattice_sum: float = 0.0
    summed: int = 0

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        """Move the average towards the weights; faster early on, so that the start is forgotten."""
        now = min(decay, (1 + self.step) / (10 + self.step))
        own = dict(self.network.named_parameters())
        torch._foreach_lerp_(list(self.average.values()), [own[k] for k in self.average], 1 - now)

    def save(self, path: Path, config: dict[str, object]) -> None:
        """Write the state; the file is complete or the old one stays.

        Raises:
            OutputError: if it cannot be written.
        """
        tensors = {}
        for name, p in self.network.named_parameters():
            tensors["weight." + name] = p.detach()
            tensors["average." + name] = self.average[name]
            for key in ("exp_avg", "exp_avg_sq"):
                if key in self.optimizer.state[p]:
                    tensors[f"{key}.{name}"] = self.optimizer.state[p][key]
        metadata = {
            "format": FORMAT,
            "step": str(self.step),
            "seen": str(self.seen),
            "skipped": str(self.skipped),
            "losses": json.dumps([self.position_sum, self.lattice_sum, self.summed]),
            "config": json.dumps(config),
        }
        write_tensors(tensors, metadata, path)

    def load(self, path: Path) -> None:
        """Take up a saved state.

        Raises:
            CheckpointError: damaged, or of another network.
        """
        try:
            check_seal(path)
            with safe_open(path, framework="pt") as f:
                metadata = f.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise CheckpointError(
                        f"{path} is not the state of a training run; remove it or choose another folder"
                    )
                step, seen, skipped = (int(metadata[k]) for k in ("step", "seen", "skipped"))
                position_sum, lattice_sum, summed = json.loads(metadata.get("losses", "[0.0, 0.0, 0]"))
                with torch.no_grad():
                    held = set(f.keys())
                    for name, p in self.network.named_parameters():
                        if name.startswith(ADDED) and f"weight.{name}" not in held:
                            continue  # the network has grown by it since
                        saved = {k: f.get_tensor(f"{k}.{name}") for k in ("weight", "average")}
                        moved = step > 0 and f"exp_avg.{name}" in held
                        if step and not moved and not name.startswith(ADDED):
                            raise KeyError(f"exp_avg.{name}")
                        if moved:  # AdamW makes its averages in the first step that has a gradient
                            saved |= {k: f.get_tensor(f"{k}.{name}").to(p) for k in ("exp_avg", "exp_avg_sq")}
                        if any(v.shape != p.shape for v in saved.values()):
                            raise CheckpointError(
                                f"{path} is of a run with other network settings; choose another folder"
                            )
                        p.copy_(saved.pop("weight"))
                        self.average[name].copy_(saved.pop("average"))
                        self.optimizer.state[p] = (
                            {"step": torch.tensor(float(step)), **saved} if moved else {}
                        )
        except CheckpointError:
            raise
        except (SafetensorError, OSError, RuntimeError, KeyError, TypeError, ValueError, RecursionError) as e:
            raise CheckpointError(
                f"{path} cannot be resumed ({reason(e)}); remove it to start again"
            ) from None
        self.step, self.seen, self.skipped = step, seen, skipped
        self.position_sum, self.lattice_sum, self.summed = position_sum, lattice_sum, summed


def new_state(network: nn.Module, learning_rate: float, weight_decay: float, beta2: float) -> RunState:
    """A fresh state; embeddings, biases and norms are not decayed."""
    decayed = [
        p
        for n, p in network.named_parameters()
        if p.dim() == 2 and n.endswith("weight") and p.shape[0] not in (119, 231)
    ]
    ids = {id(p) for p in decayed}
    rest = [p for p in network.parameters() if id(p) not in ids]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, beta2), foreach=True)
    average = {k: p.detach().clone() for k, p in network.named_parameters()}
    return RunState(network, average, optimizer)
