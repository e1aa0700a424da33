"""What judges made of one candidate of an order."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Score:
    """Parts of a candidate's score; None for a judge that was not asked or had no answer.

    Attributes:
        formula: reduced formula; energies are compared between candidates of the same one only.
        likely: the model's own judgement of it alone, log-odds that it is right if its letters are.
        denoising: its denoising error, see ``denoising.denoising_error``.
        agreement: share of the drafts of its crystal that are like it, itself included.
        log_prior: log-likelihood of its assignment of Wyckoff positions.
        energy: single point of the potential, eV per atom.
        relaxed_energy: after a few steps of symmetric relaxation, eV per atom.
        energy_failure: why it has no energy.
        temperature: what an energy was worth in earlier versions; no longer used.
        kind: how it came about, one of ``assignments.KINDS``.
        weight: similarity of its elements to those of the known arrangement it began with, in (0, 1].
        members: known crystals that this arrangement stands for.
        free: free parameters of its sites.
        room: its shortest bond beside the limit of known crystals, see ``crystal.bonds.bond_room``.
        potential: name of the one that energies are of.
        compared: the crystals of its order have been compared, and their front-runners relaxed.
    """

    formula: str
    likely: float = 0.0
    denoising: float | None = None
    agreement: float | None = None
    log_prior: float | None = None
    energy: float | None = None
    relaxed_energy: float | None = None
    temperature: float | None = None
    energy_failure: str | None = None
    kind: str = "network"
    weight: float | None = None
    members: int | None = None
    free: int | None = None
    room: float | None = None
    potential: str | None = None
    compared: bool = False

    @property
    def p_given_letters(self) -> float:
        """Chance that cell and coordinates are right if the letters are, by the model's own judgement.

        Nothing is said of the letters: those of another polymorph may have 0.99. Fitted on held-out crystals
        whose letters were given (``calibration.json``). Files of before call it ``probability``.
        """
        return 1 / (1 + math.exp(-max(-700.0, min(700.0, self.likely))))

    @property
    def best_energy(self) -> float | None:
        """The lowest energy known, eV per atom."""
        return self.energy if self.relaxed_energy is None else self.relaxed_energy

    def with_(self, **parts: float | str | None) -> Score:
        """The same with other parts."""
        return replace(self, **parts)  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types; what is None or of every crystal of the network is left out."""
        usual = ("kind", "network"), ("compared", False)
        return {k: v for k, v in asdict(self).items() if v is not None and (k, v) not in usual}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Score:
        """The inverse of ``to_dict``.

        Raises:
            TypeError: other keys.
        """
        return Score(**data)
