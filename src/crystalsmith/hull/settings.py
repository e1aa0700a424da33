"""What a hull is made of, and how its reference energies are computed; light, for the command line."""

from __future__ import annotations

from dataclasses import dataclass

from crystalsmith.potentials.settings import Resources
from crystalsmith.runs.settings import amount, check_settings, option, positive

ON_HULL = 1e-4
"""eV per atom above the data's own hull up to which a crystal counts as lying on it."""


@dataclass(frozen=True)
class HullSettings:
    """Whose energies a hull is of, and where they are.

    Attributes:
        potential: as for ``potentials.load_calculator``.
        references: a file of ``hull build``; those that come with the package if None.
        entries: files of more phases.
    """

    potential: str = option("chgnet", "whose energies (default: chgnet)", metavar="NAME")
    references: str | None = option(
        None,
        "reference phases, a file of hull build (default: those that come with the package)",
        metavar="FILE",
    )
    entries: tuple[str, ...] = option(
        (),
        "more phases, of the same potential: a file of hull build, pymatgen's entries as JSON, or a CSV with"
        " formula and energy_per_atom; may be given several times",
        metavar="FILE",
        many=True,
    )


@dataclass(frozen=True)
class BuildSettings(Resources):
    """How reference energies are computed.

    Attributes:
        max_above_hull: crystals farther above the data's own hull are left out (eV per atom); where the data
            do not say, they are taken.
        max_calls: evaluations for a relaxation; 1 leaves it at single points.
        minutes: time for relaxations; no limit if None.
    """

    max_above_hull: float = option(
        ON_HULL,
        "leave out what lies farther above the data's own hull, eV per atom",
        check=amount,
        flag="above-hull",
        metavar="EV",
    )
    max_calls: int = option(
        8, "calls of the potential for each relaxation; 1 for single points", check=positive, metavar="N"
    )
    minutes: float | None = option(
        None, "time for relaxations; the rest stay single points", check=amount, metavar="M"
    )

    def __post_init__(self) -> None:
        check_settings(self)
