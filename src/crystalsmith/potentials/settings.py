"""How crystals are relaxed, and with what; light, so that the command line can read it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from crystalsmith.errors import ConfigError
from crystalsmith.runs.engines import ENGINE_HELP, Engine
from crystalsmith.runs.settings import FORMATS, check_settings, option, positive, positive_number

STAGES = ("symmetric", "free")


@dataclass(frozen=True)
class Resources:
    """Whose energies and forces, and where they are asked for.

    Attributes:
        potential: as for ``load_calculator``.
        workers: processes of this machine, or of each node; one for each core if None.
        engine: where they are, as for ``runs.engines.engine_of``.
    """

    potential: str = option(
        "chgnet", "chgnet (default), 7net-0, 7net-l3i5, mace:PATH, or module:factory", metavar="NAME"
    )
    workers: int | None = option(None, "processes (default: one for each core)", check=positive, metavar="N")
    engine: str | Engine = option("local", ENGINE_HELP, metavar="ENGINE")


@dataclass(frozen=True)
class RelaxSettings:
    """When a relaxation ends.

    Attributes:
        only: one of ``STAGES``, or None for both.
        fmax: converged below this force on an atom, eV/Angstrom, ...
        smax: ... and this component of the stress, eV/Angstrom^3.
        max_calls: evaluations of the potential at most, each stage.
        max_volume_change: the volume may grow or shrink by this fraction of the smaller one in a stage: with
            0.5 to 3/2 or to 2/3 of the start's; None for no limit but ``max_strain``.
        seconds: no evaluation begins later than this after the start of all stages; None for no limit.
        format: of the files that a run writes, one of ``FORMATS``.
        max_strain: largest stretch or squeeze of any direction, as a fraction, between start and end.
        max_shift: largest way of an atom in Angstrom, the strain apart.
        max_drop: eV per atom; an energy that falls by more is a hole of the potential. None for crystals that
            may begin anywhere.

    Raises:
        ConfigError: a limit that is not positive, or no such stage.
    """

    only: str | None = option(None, "one stage instead of both", choices=STAGES)
    fmax: float = option(0.05, "largest force on an atom, eV/Angstrom", check=positive_number, metavar="F")
    smax: float = option(
        0.005,
        "largest component of the stress, eV/Angstrom^3 (default: 0.005, that is 0.8 GPa)",
        check=positive_number,
        metavar="S",
    )
    max_calls: int = option(120, "calls of the potential in each stage at most", check=positive, metavar="N")
    max_volume_change: float | None = option(
        1.5,
        "a stage ends where the volume changes by more than this part of it",
        check=positive_number,
        metavar="X",
    )
    seconds: float | None = option(600.0, "time limit of one crystal", check=positive_number, metavar="S")
    format: str = option(
        "cif",
        "of the results: a CIF each and relaxed.extxyz, or shards of many in crystals.parquet",
        choices=FORMATS,
    )
    max_strain: float = 0.4
    max_shift: float = 2.0
    max_drop: float | None = None

    def __post_init__(self) -> None:
        check_settings(self)
        for name in ("max_strain", "max_shift", "max_drop"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"{name}: {value} is not a positive number")

    @property
    def stages(self) -> tuple[str, ...]:
        """What is done, in this order."""
        return STAGES if self.only is None else (self.only,)

    def to_json(self) -> dict[str, Any]:
        """What makes two runs the same, in plain JSON types: all but the format, and the inner limits only
        where they are others."""
        inner = {name: getattr(RelaxSettings, name) for name in ("max_strain", "max_shift", "max_drop")}
        return {k: v for k, v in asdict(self).items() if k != "format" and (k not in inner or v != inner[k])}
