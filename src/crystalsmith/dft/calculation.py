"""A finished calculation as read from a code's output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymatgen.core import Structure


@dataclass(frozen=True)
class Calculation:
    """What one output file says.

    Attributes:
        code: ``vasp`` or ``qe``.
        energy: eV per atom; None where there is none that can be used.
        structure: the last one, pymatgen's; None where there is none.
        electronic: whether the last self-consistent cycle converged.
        ionic: whether the relaxation converged; True for a single point.
        settings: what energies must share to be compared, such as ``{"cutoff": "520 eV", "potential of Na":
            "PAW_PBE Na_pv 19Sep2006"}``.
        problems: in words, empty if all is well.
    """

    code: str
    energy: float | None = None
    structure: Structure | None = None
    electronic: bool = False
    ionic: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether its energy may be used."""
        return self.energy is not None and self.structure is not None and self.electronic and self.ionic


def conflict(one: Calculation, other: Calculation) -> str:
    """Why the energies of two calculations cannot be compared, in words; empty if they can."""
    if one.code != other.code:
        return f"one is of {one.code}, the other of {other.code}"
    for key in sorted(one.settings.keys() & other.settings.keys()):
        if one.settings[key] != other.settings[key]:
            return f"{key}: {one.settings[key]} and {other.settings[key]}"
    return ""
