"""A known arrangement that a crystal begins with."""

from __future__ import annotations

from dataclasses import dataclass

from crystalsmith.crystal import Crystal
from crystalsmith.errors import OrderError

SOURCES = ("prototype", "file", "aflow")
"""Where known arrangements come from: statistics over many crystals, single crystals of a file, AFLOW's."""


@dataclass(frozen=True)
class Start:
    """A crystal to begin with, its elements those asked for.

    Attributes:
        crystal: of the request's space group, its sites those of the request in the same order.
        time: 0 takes the crystal as it is; any other up to 1 noises it to this time of the model's schedules
            and denoises it from there.
        source: one of ``SOURCES``.
        name: what it was taken from, in words, such as "MgAl2O4 (Fd-3m), 412 crystals" or "mp-1234".
        weight: similarity of its own elements to those asked for, in (0, 1], as in ``prior.prototypes``.
        members: known crystals that it stands for.
        spread: root mean square spread of their free coordinates, Angstrom; 0 for a single crystal.
        estimated_cell: its cell is a guess, because elements were exchanged; a model settles it first.

    Raises:
        OrderError: a time outside [0, 1].
    """

    crystal: Crystal
    time: float = 0.0
    source: str = "prototype"
    name: str = ""
    weight: float = 1.0
    members: int = 1
    spread: float = 0.0
    estimated_cell: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.time <= 1:
            raise OrderError(f"the time of a start must be from 0 to 1, not {self.time}")
