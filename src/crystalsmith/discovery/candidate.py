"""A candidate: one crystal on its way from an order to the short list, with all that is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from crystalsmith.crystal import Crystal
from crystalsmith.generation.known import Novelty


@dataclass(frozen=True)
class State:
    """The crystal at one point of its way.

    Attributes:
        stage: ``generated``, ``symmetric`` (relaxed in its free parameters) or ``free`` (all atoms and the
            whole cell).
        crystal: in the space group that it has here.
        energy: of the potential, eV per atom; None where it was not computed.
        converged: of a relaxation; None for one that was only generated.
        reason: why the relaxation ended.
        calls: evaluations of the potential for this step.
    """

    stage: str
    crystal: Crystal
    energy: float | None = None
    converged: bool | None = None
    reason: str | None = None
    calls: int = 0


@dataclass(frozen=True)
class Candidate:
    """One crystal and what is known of it.

    Attributes:
        name: unique in the run and fit for a file, such as ``Cu-K-Si-1-0042``.
        order: what it was made to, as an order file takes it.
        seed: of the try that made it.
        states: as it went, the last one is how it stands.
        score: the cheap score, higher is better.
        log_prior: log-likelihood of its assignment of Wyckoff positions, if the prior made it.
        above_hull: eV per atom above the reference hull (negative: below it, that is stable); None where it
            was not asked or references are missing.
        formation: formation energy from the elements, eV per atom.
        decomposition: what it would fall into: amount (fraction of atoms) of each reference phase, by its
            name such as ``KSi (mp-2445)``.
        novelty: None where it was not asked.
        phonons: of ``crystalsmith.phonons``, as plain JSON; None where not asked. Its keys ``stable`` (bool
            or None) and ``min_frequency`` (THz, imaginary ones negative) are what short lists show.
        elastic: elastic constants and Born criteria, as plain JSON; its key ``stable`` likewise.
        dropped: stage and reason where it left the funnel, else None.
        dft: energies read back from finished calculations, as plain JSON, else None.
    """

    name: str
    order: Mapping[str, Any]
    seed: int
    states: tuple[State, ...]
    score: float | None = None
    log_prior: float | None = None
    above_hull: float | None = None
    formation: float | None = None
    decomposition: Mapping[str, float] = field(default_factory=dict)
    novelty: Novelty | None = None
    phonons: Mapping[str, Any] | None = None
    elastic: Mapping[str, Any] | None = None
    dropped: tuple[str, str] | None = None
    dft: Mapping[str, Any] | None = None

    @property
    def crystal(self) -> Crystal:
        """As it stands."""
        return self.states[-1].crystal

    @property
    def energy(self) -> float | None:
        """The last energy computed, eV per atom."""
        return next((s.energy for s in reversed(self.states) if s.energy is not None), None)

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types."""
        data = asdict(self)
        data["states"] = [{**asdict(s), "crystal": s.crystal.to_dict()} for s in self.states]
        return data

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Candidate:
        """The inverse of ``to_dict``.

        Raises:
            StructureError: a crystal that is none.
            TypeError: other keys.
        """
        states = tuple(State(**{**s, "crystal": Crystal.from_dict(s["crystal"])}) for s in data["states"])
        novelty = Novelty(**data["novelty"]) if data.get("novelty") else None
        dropped = data.get("dropped")
        return Candidate(
            **{
                **data,
                "states": states,
                "novelty": novelty,
                "dropped": None if dropped is None else (str(dropped[0]), str(dropped[1])),
            }
        )
