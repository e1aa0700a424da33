"""Checkpoints: one safetensors file with the weights, the statistics and, as metadata, the configuration and the training record."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from crystalsmith.diffusion.fields import LatticeField, PositionField
from crystalsmith.diffusion.model import Model, Statistics
from crystalsmith.diffusion.schedules import LogSchedule
from crystalsmith.errors import CheckpointError
from crystalsmith.networks import Denoiser, DenoiserConfig

FORMAT = "crystalsmith-model-1"
_NETWORK, _STATISTICS = "network.", "statistics."


def default_checkpoint() -> Path:
    """Path of the checkpoint that ships with the package."""
    return Path(str(resources.files("crystalsmith").joinpath("checkpoints", "default.safetensors")))


def save_model(model: Model, path: str | Path, record: dict[str, str], half: bool = False) -> Path:
    """Write a checkpoint, whole or not at all.

    Args:
        model: what to write.
        path: where.
        record: the training record: crystals seen, data, figures; strings.
        half: store the weights in half precision.
    """
    path = Path(path)
    dtype = torch.float16 if half else torch.float32
    tensors = {_NETWORK + k: v.detach().to("cpu", dtype).contiguous() for k, v in model.network.state_dict().items()}
    s = model.statistics
    tensors[_STATISTICS + "atomic_volume"] = torch.tensor(s.atomic_volume, dtype=torch.float32)
    tensors[_STATISTICS + "wyckoff_counts"] = torch.tensor(s.wyckoff_counts, dtype=torch.int32)
    tensors[_STATISTICS + "elements"] = torch.tensor(s.elements, dtype=torch.int32)
    config = {
        "network": model.network.config_dict(),
        "position": asdict(model.position.schedule),
        "lattice": asdict(model.lattice.schedule),
        "lattice_scale": list(model.lattice.scale),
        "max_atoms": s.max_atoms,
    }
    metadata = {**record, "format": FORMAT, "config": json.dumps(config)}
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial, metadata=metadata)
    os.replace(partial, path)
    return path


def load_model(path: str | Path | None = None, device: str | torch.device = "cpu") -> Model:
    """Load a checkpoint.

    Args:
        path: the file; the checkpoint that ships with the package if not given.
        device: where the network goes.

    Raises:
        CheckpointError: missing, truncated, damaged, or of another format or version.
    """
    path = default_checkpoint() if path is None else Path(path)
    try:
        raw = path.read_bytes()
        with safe_open(path, framework="pt") as f:
            metadata = f.metadata() or {}
            tensors = {k: f.get_tensor(k) for k in f.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise CheckpointError(f"no checkpoint at {path}; give the path of a .safetensors file made by crystalsmith train") from None
    except (OSError, SafetensorError) as e:
        raise CheckpointError(f"checkpoint {path} cannot be read ({str(e).splitlines()[0]}); it may be truncated: copy it again") from None
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of this version ({FORMAT}) but {metadata.get('format', 'something else')!r}; use a matching version")
    try:
        config = json.loads(metadata["config"])
        network = Denoiser(DenoiserConfig(**config["network"]))
        weights = {k.removeprefix(_NETWORK): v.float() for k, v in tensors.items() if k.startswith(_NETWORK)}
        network.load_state_dict(weights)
        statistics = Statistics(
            atomic_volume=tensors[_STATISTICS + "atomic_volume"].numpy().astype(np.float64),
            wyckoff_counts=tensors[_STATISTICS + "wyckoff_counts"].numpy(),
            elements=tensors[_STATISTICS + "elements"].numpy(),
            max_atoms=int(config["max_atoms"]),
        )
        position = PositionField(LogSchedule(**config["position"]))
        lattice = LatticeField(tuple(config["lattice_scale"]), LogSchedule(**config["lattice"]))
    except (KeyError, TypeError, ValueError, RuntimeError) as e:
        raise CheckpointError(f"checkpoint {path} does not hold what its version promises ({str(e).splitlines()[0][:120]}); copy it again") from None
    if not all(bool(torch.isfinite(v).all()) for v in weights.values()):
        raise CheckpointError(f"checkpoint {path} holds weights that are not finite; use another one")
    network.to(device).eval()
    return Model(network, position, lattice, statistics, metadata, hashlib.sha256(raw).hexdigest())
