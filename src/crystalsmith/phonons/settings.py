"""What is computed of a crystal's vibrations, and how; light, so that the command line can read it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from crystalsmith.errors import PhononError
from crystalsmith.runs.settings import check_settings, option, positive, positive_number


@dataclass(frozen=True)
class PhononSettings:
    """What is computed and how.

    Attributes:
        length: Angstrom between an atom and its image in the supercell at least.
        max_atoms: cap on the supercell.
        displacement: Angstrom.
        tolerance: THz below zero from which on a mode counts as imaginary.
        relax: relax the crystal first.
        elastic: elastic constants too.
        seconds: time limit of one crystal, looked at between calls of the potential; none if None.

    Raises:
        ConfigError: a value that the command line refuses too.
        PhononError: a number that makes no sense.
    """

    length: float = option(
        10.0,
        "Angstrom between an atom and its image in the supercell at least",
        check=positive_number,
        metavar="A",
    )
    max_atoms: int = option(200, "of the supercell", check=positive, metavar="N")
    displacement: float = option(0.03, "of an atom, Angstrom", check=positive_number, metavar="A")
    tolerance: float = option(
        0.1, "a mode counts as imaginary this far below zero", check=positive_number, metavar="THZ"
    )
    relax: bool = option(True, "relax first, space group kept (default)")
    elastic: bool = option(True, "elastic constants and Born criteria too (default)")
    seconds: float | None = option(None, "time limit of one crystal", check=positive_number, metavar="S")

    def __post_init__(self) -> None:
        check_settings(self)
        if not 0 < self.displacement <= 0.2:
            raise PhononError(f"a displacement of {self.displacement} A is not small; give 0.01 to 0.1 A")
        if not 0 <= self.tolerance < 10:
            raise PhononError(f"a tolerance of {self.tolerance} THz makes no sense; give 0 to 1 THz")

    def to_json(self) -> dict[str, Any]:
        """What results depend on, in plain data: not the time."""
        return {name: value for name, value in asdict(self).items() if name != "seconds"}
