"""A run of the funnel in numbers: what its report is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crystalsmith.crystal import Crystal
from crystalsmith.discovery.candidate import Candidate

if TYPE_CHECKING:
    from pymatgen.analysis.phase_diagram import PhaseDiagram


@dataclass(frozen=True)
class StageCount:
    """One stage of the funnel.

    Attributes:
        name: such as ``symmetric relaxation``.
        came: candidates that came to it.
        went: those that went on.
        seconds: time that it took.
        reasons: why the others left, and how many for each reason.
    """

    name: str
    came: int
    went: int
    seconds: float
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RunSummary:
    """A finished run.

    Attributes:
        system: elements, such as ``("Cu", "K", "Si")``.
        potential: whose energies all of these are.
        stages: the funnel from top to bottom.
        shortlist: candidates by rank, the best first.
        diagram: the reference phases alone, pymatgen's; energies are of the potential.
        reference: what the hull rests on, in words (how many phases, of what, by what relaxation).
        notes: what the reader must know, such as missing references.
        arguments: of the command, to reproduce it.
        versions: of packages, and the hash of the checkpoint.
        seconds: of the whole run.
        references: structures of competing phases, for calculations; name and crystal.
    """

    system: tuple[str, ...]
    potential: str
    stages: tuple[StageCount, ...]
    shortlist: tuple[Candidate, ...]
    diagram: PhaseDiagram | None
    reference: str
    notes: tuple[str, ...]
    arguments: Mapping[str, Any]
    versions: Mapping[str, str]
    seconds: float
    references: tuple[tuple[str, Crystal], ...] = ()
