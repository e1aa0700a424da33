"""The settings of a training run: one dataclass, read from YAML, checked before anything starts."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from crystalsmith.errors import ConfigError
from crystalsmith.networks import DenoiserConfig, DimeNetConfig

SHIPPED = ("default", "paper")
"""Names of the settings that come with the package."""


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one run.

    Attributes:
        train, validation: data file made by ``crystalsmith data build``.
        out: folder of the run: state.safetensors (to resume), model.safetensors (averaged weights), log.csv.
        method: "default", or "paper" for the method of the 2023 paper.
        start_from: checkpoint whose weights to start from; "default" is the one that ships; none if empty.
            Its network is that of the run, but for settings of the network that are given.
        network: size of the default method's network; see below.
        dimenet: size of the network of the paper's method; see below.
        max_atoms: leave out larger primitive cells.
        max_sites: leave out crystals with more inequivalent sites: the cost grows with these, not with atoms.
        orbits: orbits a batch; a batch holds as many crystals as fit. ``PAIRS`` pairs of an orbit and an atom
            count as one more.
        even: crystals of more sites than this are seen less often, as this number over theirs; 0 for all
            alike.
        batch: crystals a batch, whatever their orbits; 0 to go by ``orbits``.
        crystals: length of the run, in crystals seen.
        learning_rate: the rate at its peak.
        warm_up: steps over which the rate rises linearly to its peak.
        decay: share of the run, at its end, over which the rate falls linearly to zero.
        weight_decay, beta2: of AdamW.
        clip: the norm at which gradients are clipped.
        ema: decay of the averaged weights.
        lattice_weight: weight of the lattice loss beside the position loss.
        focus: share of the noise times drawn from the decisive range, see ``diffusion.schedules.focus``.
        forget: share of the elements of a crystal that the network sees by their place in the periodic table
            and their properties alone, so that it learns to tell of rare elements by them.
        guides: file of ``crystalsmith data guides`` with known crystals for the training crystals to go by,
            so that the network learns to (``network: guide``).
        validation_guides: the same for validation.
        unguided: share of the crystals that are shown without their guide.
        wrapped_target: of the paper's method: positions are compared with the mean of the noise over all
            points of the orbit that the noised one may have come from; if not, as published, with the noise.
        joint: of the paper's method: both scores from one state with both noised; if not, as published, that
            of the positions in the clean lattice.
        seed: of everything random.
        save_every: steps between two saved states at most.
        save_minutes: minutes between two saved states at most.
        validate_every: steps between validations.
        validation_crystals: how many rows of the validation set are used.
        device: cpu or cuda; of several processes each takes a GPU of its own.
        bfloat16: messages in bfloat16, geometry and sums in float32.
        compile: compile the interaction layers with torch.compile: a third faster, needs a C++ compiler.
        processes: processes of this machine that share each batch; one a core is fastest on an idle machine,
            1 on a shared one. Left out under torchrun, which starts them itself.
        threads: CPU threads of each process.
    """

    train: str = ""
    validation: str = ""
    out: str = "run"
    method: str = "default"
    start_from: str = ""
    network: DenoiserConfig = field(default_factory=DenoiserConfig)
    dimenet: DimeNetConfig = field(default_factory=DimeNetConfig)
    max_atoms: int = 20
    max_sites: int = 24
    orbits: int = 320
    even: int = 0
    batch: int = 0
    crystals: int = 2_000_000
    learning_rate: float = 1.0e-3
    warm_up: int = 500
    decay: float = 0.3
    weight_decay: float = 0.01
    beta2: float = 0.99
    clip: float = 2.0
    ema: float = 0.999
    lattice_weight: float = 1.0
    focus: float = 0.55
    forget: float = 0.1
    guides: str = ""
    validation_guides: str = ""
    unguided: float = 0.5
    wrapped_target: bool = True
    joint: bool = False
    seed: int = 0
    save_every: int = 500
    save_minutes: float = 10.0
    validate_every: int = 1000
    validation_crystals: int = 1024
    device: str = "cpu"
    bfloat16: bool = False
    compile: bool = False
    processes: int = 1
    threads: int = 1

    def __post_init__(self) -> None:
        for name in (
            "max_atoms",
            "max_sites",
            "orbits",
            "crystals",
            "save_every",
            "validate_every",
            "validation_crystals",
            "processes",
            "threads",
            "warm_up",
        ):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("learning_rate", "clip", "save_minutes"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be positive, not {getattr(self, name)}")
        for name in ("weight_decay", "lattice_weight", "seed", "batch", "even"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must not be negative, but it is {getattr(self, name)}")
        if self.method not in ("default", "paper"):
            raise ConfigError(f"method must be default or paper, not {self.method!r}")
        if (self.guides or self.validation_guides) and not (self.method == "default" and self.network.guide):
            raise ConfigError(
                "guides need a network of the default method that knows them: network.guide=true"
            )
        if not re.fullmatch(r"cpu|cuda(:\d+)?", self.device):
            raise ConfigError(f"device must be cpu or cuda, not {self.device!r}")
        for name in ("scalars", "vectors", "edges", "layers", "form_factors"):
            if getattr(self.network, name) < 1:
                raise ConfigError(f"network: {name} must be at least 1, not {getattr(self.network, name)}")
        if not 0 < self.network.cutoff < math.inf:
            raise ConfigError(f"network: cutoff must be positive, not {self.network.cutoff}")
        d = self.dimenet
        for name, value in dataclasses.asdict(d).items():
            if name in ("before_skip", "after_skip", "dense", "blocks"):
                if value < 0:
                    raise ConfigError(f"dimenet: {name} must not be negative, but it is {value}")
            elif not 0 < value < math.inf:
                raise ConfigError(f"dimenet: {name} must be positive, not {value}")
        for name in ("ema", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must lie in [0, 1), not {getattr(self, name)}")
        for name in ("decay", "focus", "forget", "unguided"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must lie in [0, 1], not {getattr(self, name)}")


def _build(kind: type, values: Mapping[str, Any], where: str) -> Any:
    known = {f.name: f for f in dataclasses.fields(kind)}
    arguments: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            raise ConfigError(
                f"{where}: unknown setting {key!r}"
                + (f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}")
            )
        default = getattr(kind(), key)
        if dataclasses.is_dataclass(default):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{where}: {key} must hold settings of its own")
            arguments[key] = _build(type(default), value, f"{where}: {key}")
            continue
        if isinstance(default, float) and isinstance(value, (int, str)) and not isinstance(value, bool):
            with contextlib.suppress(ValueError, OverflowError):  # YAML takes 1e-3, without a point, for text
                value = float(value)
        if type(value) is not type(default):
            raise ConfigError(f"{where}: {key} must be {type(default).__name__}, not {value!r}")
        arguments[key] = value
    return kind(**arguments)


def _merged(values: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides on top of values, setting by setting, nested ones too."""
    result = dict(values)
    for key, value in overrides.items():
        inner = result.get(key)
        result[key] = (
            _merged(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
        )
    return result


def read_config(
    source: str | Path | Mapping[str, Any], overrides: Mapping[str, Any] | None = None
) -> TrainConfig:
    """Settings from a YAML file or a mapping, with overrides on top.

    Args:
        source: the settings, their file, or the name of settings that come with the package, one of
            ``SHIPPED``.
        overrides: settings that replace those of the source.

    Raises:
        ConfigError: unreadable file, unknown setting, wrong type or impossible value.
        CheckpointError: what the run is to start from cannot be loaded.
    """
    if isinstance(source, Mapping):
        values: Any = dict(source)
        where = "settings"
    else:
        where = str(source)
        path = Path(source)
        if where in SHIPPED:
            path = Path(str(resources.files("crystalsmith.training").joinpath("configs", f"{where}.yaml")))
        try:
            values = yaml.safe_load(path.read_text()) or {}
        except (OSError, UnicodeDecodeError) as e:
            raise ConfigError(
                f"cannot read settings from {source}: {getattr(e, 'strerror', None) or e}"
            ) from None
        except (yaml.YAMLError, ValueError, RecursionError) as e:
            raise ConfigError(f"{source} is not valid YAML: {str(e).splitlines()[0]}") from None
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: settings must be 'name: value' lines")
    return _build(TrainConfig, _with_network_of_start(_merged(values, overrides or {})), where)


def _with_network_of_start(values: dict[str, Any]) -> dict[str, Any]:
    """A run that starts from a checkpoint has its network, but for what the settings say of it themselves.

    Raises:
        CheckpointError: it cannot be loaded.
    """
    start, method = values.get("start_from"), values.get("method", "default")
    if not isinstance(start, str) or not start or method not in SHIPPED:
        return values
    from crystalsmith.diffusion import load_model

    found: Any = load_model(method if start == "default" else start).network.config
    name, kind = ("network", DenoiserConfig) if method == "default" else ("dimenet", DimeNetConfig)
    if not isinstance(found, kind):  # of the other method, which is refused where the run begins
        return values
    return _merged({name: dataclasses.asdict(found)}, values)
