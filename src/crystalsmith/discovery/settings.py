"""What a run of the funnel is asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from crystalsmith.errors import DiscoveryError

FEWEST_ELEMENTS, MOST_ELEMENTS = 2, 6
"""Of a system; the hull could be made of seven, the prior draws six."""


@dataclass(frozen=True)
class DiscoverySettings:
    """All that the outcome of a run depends on, beside the network and the reference phases.

    Attributes:
        system: elements.
        space_groups: only these; any if empty.
        common: in place of compositions that the prior draws, the paper's grid: the most common space groups
            times numbers of sites (section 5.4).
        formulas: formulas to try as well, with ``samples`` crystals each.
        crystals: that the prior draws, or that the grid makes at most; None: 2000, or the whole grid.
        samples: crystals for each space group and numbers of sites of the grid, and for each formula.
        competitors: crystals for each system of some of the elements (two at least), whose energies make the
            hull more complete; they never come onto the short list.
        sites: fewest and most inequivalent sites of an element in the grid.
        max_sites: most sites of a crystal.
        max_atoms: largest primitive cell; the network's own limit if None.
        minutes: time for the run, shared out over the stages; no limit if None.
        potential: as for ``relaxation.load_calculator``.
        keep_scored, keep_energies, keep_relaxed: candidates that go on after the cheap score, the single
            points and the symmetric relaxation.
        per_formula: most candidates of one composition that are relaxed.
        shortlist: most candidates of the short list.
        phonons: how many of the short list have their phonons and elastic constants computed.
        max_above_hull: eV per atom above the reference hull up to which a crystal can be on the short list.
        max_calls: evaluations of the potential for a symmetric and for a free relaxation.
        fmax, smax: converged below this force (eV/Angstrom) and stress (eV/Angstrom^3).
        seconds: time for one relaxation.
        known: files of structures that are known to the user.
        keep_known: let known crystals onto the short list.
        seed: of the generator.
    """

    system: tuple[str, ...]
    space_groups: tuple[int, ...] = ()
    common: bool = False
    formulas: tuple[str, ...] = ()
    crystals: int | None = None
    samples: int = 60
    competitors: int = 100
    sites: tuple[int, int] = (1, 2)
    max_sites: int | None = None
    max_atoms: int | None = None
    minutes: float | None = None
    potential: str = "chgnet"
    keep_scored: int = 1500
    keep_energies: int = 240
    keep_relaxed: int = 60
    per_formula: int = 12
    shortlist: int = 20
    phonons: int = 8
    max_above_hull: float = 0.15
    max_calls: tuple[int, int] = (40, 80)
    fmax: float = 0.05
    smax: float = 0.005
    seconds: float = 120.0
    known: tuple[str, ...] = field(default=())
    keep_known: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not FEWEST_ELEMENTS <= len(self.system) <= MOST_ELEMENTS:
            raise DiscoveryError(
                f"system {'-'.join(self.system)} has {len(self.system)} elements; give {FEWEST_ELEMENTS} to"
                f" {MOST_ELEMENTS}, such as Cu-K-Si"
            )

    @property
    def name(self) -> str:
        """The system, such as ``Cu-K-Si``."""
        return "-".join(self.system)

    def identity(self) -> dict[str, Any]:
        """Of plain JSON types."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
