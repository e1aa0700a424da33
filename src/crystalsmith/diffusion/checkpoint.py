"""Checkpoints: one safetensors file with the weights and the statistics.

Its metadata hold the configuration and the training record.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from crystalsmith.data.wyckoff import Occupations, no_occupations
from crystalsmith.diffusion.fields import LatticeField, PositionField
from crystalsmith.diffusion.model import Model, Statistics
from crystalsmith.diffusion.paper import Levels, PaperModel
from crystalsmith.diffusion.schedules import LogSchedule
from crystalsmith.errors import CheckpointError, OutputError
from crystalsmith.networks import Denoiser, DenoiserConfig, DimeNet, DimeNetConfig
from crystalsmith.networks.assignment_network import SHARED, AssignmentNetwork, AssignmentNetworkConfig
from crystalsmith.prototypes.table import TENSORS, VERSION, PrototypeTable
from crystalsmith.runs.sealed import check_seal, write_sealed
from crystalsmith.symmetry import tables

FORMAT, PAPER_FORMAT = "crystalsmith-model-1", "crystalsmith-paper-1"
SHIPPED = ("default", "paper")
"""Names of the checkpoints that ship with the package, and of the methods that they are of."""
_NETWORK, _STATISTICS, _PRIOR, _PROTOTYPES = "network.", "statistics.", "prior.", "prototypes."
_NAMES, _ABOVE = f"{_STATISTICS}occupations.ids", f"{_STATISTICS}occupations.e_above_hull"
_OBSERVED = f"{_STATISTICS}occupations.observed"
_DAMAGED = (
    *(KeyError, TypeError, ValueError, AttributeError, IndexError),
    *(RuntimeError, ArithmeticError, MemoryError),
)
_OCCUPATIONS = {
    "space_group": torch.uint8,
    "start": torch.int32,
    "element": torch.uint8,
    "wyckoff": torch.int16,
}


def default_checkpoint(method: str = "default") -> Path:
    """Path of the checkpoint of a method that ships with the package."""
    return Path(str(resources.files("crystalsmith").joinpath("checkpoints", f"{method}.safetensors")))


def save_model(
    model: Model | PaperModel, path: str | Path, record: dict[str, str], half: bool = False
) -> Path:
    """Write a checkpoint, whole or not at all.

    Args:
        model: what to write.
        path: where.
        record: the training record: crystals seen, data, figures; strings.
        half: store the weights in half precision.

    Raises:
        OutputError: if it cannot be written.
    """
    path = Path(path)
    dtype = torch.float16 if half else torch.float32
    tensors = {
        _NETWORK + k: v.detach().to("cpu", dtype).contiguous() for k, v in model.network.state_dict().items()
    }
    if isinstance(model, PaperModel):
        form, config = PAPER_FORMAT, _paper_parts(model, tensors)
    else:
        form, config = FORMAT, _parts(model, tensors, dtype)
    metadata = {**record, "format": form, "config": json.dumps(config)}
    write_tensors(tensors, metadata, path)
    return path


def _parts(model: Model, tensors: dict[str, Tensor], dtype: torch.dtype) -> dict[str, object]:
    """The configuration of a model of the default method; adds its statistics and prior to the tensors."""
    s = model.statistics
    tensors[_STATISTICS + "atomic_volume"] = torch.tensor(s.atomic_volume, dtype=torch.float32)
    tensors[_STATISTICS + "wyckoff_counts"] = torch.tensor(s.wyckoff_counts, dtype=torch.int32)
    tensors[_STATISTICS + "elements"] = torch.tensor(s.elements, dtype=torch.int32)
    for name, kind in _OCCUPATIONS.items():
        tensors[f"{_STATISTICS}occupations.{name}"] = torch.tensor(getattr(s.occupations, name), dtype=kind)
    if len(s.occupations):
        tensors |= _names(s.occupations)
    if s.prototypes is not None:
        tensors |= _prototypes(s.prototypes)
    config: dict[str, object] = {
        "network": model.network.config_dict(),
        "position": asdict(model.position.schedule),
        "lattice": asdict(model.lattice.schedule),
        "lattice_scale": list(model.lattice.scale),
        "max_atoms": s.max_atoms,
    }
    if s.prototypes is not None:
        config["prototypes"] = _said_of(s.prototypes)
    if model.prior is not None:
        config["prior"] = model.prior.config_dict()
        for name, value in model.prior.state_dict().items():
            tensors[_PRIOR + name] = value.detach().to("cpu", dtype).contiguous()
    return config


def _prototypes(table: PrototypeTable) -> dict[str, Tensor]:
    """The tensors of a table, as a checkpoint has them."""
    return {_PROTOTYPES + name: torch.tensor(np.array(array)) for name, array in table.arrays.items()}


def _said_of(table: PrototypeTable) -> dict[str, str]:
    """What the configuration says of a table."""
    return {**table.metadata, "version": VERSION}


def put_prototypes(path: str | Path, table: PrototypeTable, out: str | Path) -> Path:
    """Write a checkpoint of the default method anew with another table of prototypes; the rest stays.

    Raises:
        CheckpointError: it cannot be read, or is of another method.
        OutputError: it cannot be written.
    """
    name = str(path)
    source = default_checkpoint(name) if name in SHIPPED else Path(name)
    if not isinstance(load_model(source), Model):
        raise CheckpointError(f"{source} is of the paper's method, which has no use for prototypes")
    with safe_open(source, framework="pt") as f:
        metadata = dict(f.metadata())
        tensors = {k: f.get_tensor(k) for k in f.keys() if not k.startswith(_PROTOTYPES)}
    metadata.pop("crc", None)
    config = {**json.loads(metadata["config"]), "prototypes": _said_of(table)}
    write_tensors(tensors | _prototypes(table), {**metadata, "config": json.dumps(config)}, Path(out))
    return Path(out)


def _names(o: Occupations) -> dict[str, Tensor]:
    """What is told of known crystals: ids, a line for each; distances to the hull, eV/atom in half precision;
    and whether they were observed."""
    result = {}
    if o.ids is not None:
        text = "\n".join(o.ids.tolist()).encode()
        result[_NAMES] = torch.tensor(np.frombuffer(text, np.uint8).copy())
    if o.e_above_hull is not None:
        result[_ABOVE] = torch.tensor(o.e_above_hull, dtype=torch.float16)
    if o.observed is not None:
        result[_OBSERVED] = torch.tensor(o.observed, dtype=torch.int8)
    return result


def _paper_parts(model: PaperModel, tensors: dict[str, Tensor]) -> dict[str, object]:
    """The same of a model of the paper's method."""
    tensors[_STATISTICS + "elements"] = torch.tensor(model.elements_seen, dtype=torch.int32)
    return {
        "network": model.network.config_dict(),
        "levels": asdict(model.levels),
        "joint": model.joint,
        "max_atoms": model.max_atoms,
    }


def write_tensors(tensors: Mapping[str, Tensor], metadata: dict[str, str], path: Path) -> None:
    """Write a safetensors file, whole or not at all, and see it onto the disk.

    Raises:
        OutputError: if it cannot be written.
    """
    try:
        raw = save({k: v.detach().cpu().contiguous() for k, v in tensors.items()})
        begin = 8 + int.from_bytes(raw[:8], "little")
        write_sealed(path, json.loads(raw[8:begin]), metadata, [memoryview(raw)[begin:]])
    except (OSError, SafetensorError) as e:
        raise OutputError(
            f"cannot write {path} ({reason(e)}); free the disk or choose another folder"
        ) from None


def reason(error: Exception) -> str:
    """First line of an error's text, short enough for a message."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def load_model(path: str | Path | None = None, device: str | torch.device = "cpu") -> Model | PaperModel:
    """Load a checkpoint.

    Args:
        path: the file, or the name of one that ships with the package: "default", the one if not given, or
            "paper".
        device: where the network goes.

    Returns:
        A ``Model`` or a ``PaperModel``, whichever the file holds.

    Raises:
        CheckpointError: missing, truncated, damaged, or of another format or version.
    """
    name = "default" if path is None else str(path)
    path = default_checkpoint(name) if name in SHIPPED else Path(name)
    try:
        check_seal(path)
        raw = path.read_bytes()
        with safe_open(path, framework="pt") as f:
            metadata = f.metadata() or {}
            tensors = {k: f.get_tensor(k) for k in f.keys()}
    except FileNotFoundError:
        raise CheckpointError(
            f"no checkpoint at {path}; give the path of a .safetensors file made by crystalsmith train"
        ) from None
    except (OSError, SafetensorError, ValueError, RecursionError) as e:
        raise CheckpointError(
            f"checkpoint {path} cannot be read ({reason(e)}); it may be truncated: copy it again"
        ) from None
    metadata.pop("crc", None)
    form = metadata.get("format", "something else")
    if form not in (FORMAT, PAPER_FORMAT):
        raise CheckpointError(
            f"{path} is not a checkpoint of this version ({FORMAT} or {PAPER_FORMAT}) but {form!r}; use a"
            " matching version"
        )
    weights = {k.removeprefix(_NETWORK): v.float() for k, v in tensors.items() if k.startswith(_NETWORK)}
    model: Model | PaperModel
    try:
        config = json.loads(metadata["config"])
        make = _read_model if form == FORMAT else _read_paper
        model = make(config, weights, tensors)
    except _DAMAGED as e:
        raise CheckpointError(
            f"checkpoint {path} does not hold what its version promises ({reason(e)}); copy it again"
        ) from None
    # The distance of a known crystal to the hull may be unknown, which is written as NaN.
    numbers = (v for k, v in tensors.items() if v.is_floating_point() and k != _ABOVE)
    if not all(bool(torch.isfinite(v).all()) for v in numbers):
        raise CheckpointError(f"checkpoint {path} holds weights that are not finite; use another one")
    model.network.to(device).eval()
    model.metadata, model.hash = metadata, hashlib.sha256(raw).hexdigest()
    return model


def _read_model(
    config: dict[str, Any], weights: Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> Model:
    network = Denoiser(DenoiserConfig(**config["network"]))
    if network.properties is not None and "properties" not in config["network"]:
        # A network from before it saw the elements' properties: they say nothing to it.
        weights = {**weights, "properties.weight": torch.zeros_like(network.properties.weight)}
    network.load_state_dict(weights)
    statistics = Statistics(
        atomic_volume=tensors[_STATISTICS + "atomic_volume"].numpy().astype(np.float64),
        wyckoff_counts=tensors[_STATISTICS + "wyckoff_counts"].numpy(),
        elements=tensors[_STATISTICS + "elements"].numpy(),
        max_atoms=int(config["max_atoms"]),
        occupations=_read_occupations(tensors),
        prototypes=_read_prototypes(config, tensors),
    )
    position = PositionField(LogSchedule(**config["position"]))
    lattice = LatticeField(tuple(config["lattice_scale"]), LogSchedule(**config["lattice"]))
    _check(statistics, lattice)
    prior = None
    if "prior" in config:
        # Priors of the first kind know nothing of these.
        size = {"most": SHARED, "figures": False, **config["prior"]}
        prior = AssignmentNetwork(AssignmentNetworkConfig(**size))
        kept = {k.removeprefix(_PRIOR): v.float() for k, v in tensors.items() if k.startswith(_PRIOR)}
        prior.load_state_dict(kept)
        prior.eval()
    return Model(network, position, lattice, statistics, prior)


def _read_paper(
    config: dict[str, Any], weights: Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> PaperModel:
    network = DimeNet(DimeNetConfig(**config["network"]))
    network.load_state_dict(weights)
    kept = config["levels"]
    levels = Levels(int(kept["number"]), tuple(kept["position"]), tuple(kept["lattice"]))
    if levels.number != network.config.levels or not 0 < levels.position[0] < levels.position[1]:
        raise ValueError("its noise levels do not fit its network")
    if not 0 < levels.lattice[0] < levels.lattice[1]:
        raise ValueError("its noise levels of the lattice do not ascend")
    elements = tensors[_STATISTICS + "elements"].numpy()
    if elements.shape != (119,) or int(config["max_atoms"]) < 1:
        raise ValueError("its record of the training set is incomplete")
    return PaperModel(network, levels, bool(config["joint"]), elements, int(config["max_atoms"]))


def _read_prototypes(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> PrototypeTable | None:
    """The table of prototypes, None in checkpoints that lack it."""
    if "prototypes" not in config:
        return None
    kept = dict(config["prototypes"])
    version = kept.pop("version")
    if version != VERSION:
        raise ValueError(f"its prototypes are of version {version}, this program reads {VERSION}")
    return PrototypeTable({name: tensors[_PROTOTYPES + name].numpy() for name in TENSORS}, kept)


def _read_occupations(tensors: Mapping[str, Tensor]) -> Occupations:
    """What the checkpoint holds of them, nothing in the first ones of this format."""
    prefix = f"{_STATISTICS}occupations."
    if not any(name.startswith(prefix) for name in tensors):
        return no_occupations()
    names = tensors[_NAMES].numpy().tobytes().decode().split("\n") if _NAMES in tensors else None
    above = tensors[_ABOVE].float().numpy() if _ABOVE in tensors else None
    o = Occupations(
        **{name: tensors[prefix + name].numpy() for name in _OCCUPATIONS},
        ids=None if names is None else np.array(names, dtype=np.str_),
        e_above_hull=above,
        observed=tensors[_OBSERVED].numpy() if _OBSERVED in tensors else None,
    )
    length = np.diff(o.start)
    if (
        len(o.start) != len(o) + 1
        or (int(o.start[0]), int(o.start[-1])) != (0, len(o.element))
        or len(o.wyckoff) != len(o.element)
        or (length < 1).any()
        or any(x is not None and len(x) != len(o) for x in (o.ids, o.e_above_hull, o.observed))
        or not np.isin(o.seen, (-1, 0, 1)).all()
        or (o.wyckoff < 0).any()
        or (o.element < 1).any()
        or (o.element > 118).any()
        or not np.array_equal(
            np.repeat(o.space_group, length), tables().wyckoff_group[o.wyckoff.astype(np.int64)]
        )
    ):
        raise ValueError("its occupied positions do not fit together")
    return o


def _check(statistics: Statistics, lattice: LatticeField) -> None:
    volume, counts = statistics.atomic_volume, statistics.wyckoff_counts
    if volume.shape != (119,) or not (np.isfinite(volume).all() and (volume[1:] > 0).all()):
        raise ValueError("its atomic volumes are not 119 positive numbers")
    if statistics.elements.shape != (119,) or counts.ndim != 2 or len(counts) != len(tables().dof):
        raise ValueError("its frequencies have another shape")
    if statistics.max_atoms < 1:
        raise ValueError("its largest crystal has no atoms")
    if len(lattice.scale) != 6 or not all(0 < x < math.inf for x in lattice.scale):
        raise ValueError("its lattice scale is not six positive numbers")
