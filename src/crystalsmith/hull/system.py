"""The phases of a chemical system by one potential, and where they lie, as a table."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crystalsmith.crystal import NUMBERS
from crystalsmith.errors import HullError
from crystalsmith.hull.diagram import KJ_PER_MOL, MOST_ELEMENTS, Hull, Place
from crystalsmith.hull.entries import read_entries
from crystalsmith.hull.phases import Phase, References, shipped
from crystalsmith.symmetry import space_group

if TYPE_CHECKING:
    from pandas import DataFrame

ON_HULL = 1e-6
"""eV per atom; what lies closer is on the hull."""


def parse_system(text: str, most: int = MOST_ELEMENTS, fewest: int = 1) -> tuple[str, ...]:
    """Elements of a chemical system, in the order given.

    Raises:
        HullError: no elements, one twice, or too few or many.
    """
    symbols = [part for part in re.split(r"[\s,-]+", text.strip()) if part]
    for symbol in symbols:
        if symbol not in NUMBERS:
            raise HullError(f"system {text!r}: {symbol!r} is no element; write it like Cu-K-Si")
    if len(set(symbols)) < len(symbols):
        raise HullError(f"system {text!r} names an element twice")
    if not fewest <= len(symbols) <= most:
        number = f"{len(symbols)} element{'' if len(symbols) == 1 else 's'}"
        raise HullError(f"system {text!r} has {number}; give {fewest} to {most}, such as Cu-K-Si")
    return tuple(symbols)


def load_hull(
    potential: str = "chgnet",
    references: str | os.PathLike[str] | None = None,
    entries: Sequence[str | os.PathLike[str]] = (),
) -> Hull:
    """The hull of a potential.

    Args:
        potential: whose energies.
        references: file of ``hull build``; the references that ship if None.
        entries: files of more phases, as ``read_entries`` takes them.

    Raises:
        HullError: no references for the potential, or files that cannot be used.
    """
    known = shipped(potential) if references is None else References.open(references)
    if references is not None and known is not None and known.potential != potential:
        raise HullError(
            f"{references} holds energies of {known.potential}; add --potential {known.potential}"
        )
    more = [phase for path in entries for phase in read_entries(path, potential)]
    if known is None and not more:
        raise HullError(
            f"no reference phases come with the package for {potential}; compute them with `crystalsmith"
            f" hull build SOURCE --potential {potential} -o FILE` and give --references FILE"
        )
    return Hull(known, more)


@dataclass(frozen=True, eq=False)
class PhaseTable:
    """The phases of a system and where they lie.

    Attributes:
        elements: of the system.
        hull: that they make; ``hull.place(counts, energy)`` says where another crystal would lie.
        phases: with their places; elements first, then by subsystem and formula, the lowest in front.
    """

    elements: tuple[str, ...]
    hull: Hull
    phases: tuple[tuple[Phase, Place], ...]

    @classmethod
    def of(cls, elements: Sequence[str], hull: Hull) -> PhaseTable:
        """The table of a system.

        Raises:
            HullError: an element without a reference phase.
        """
        hull.diagram(elements)
        order = {e: k for k, e in enumerate(elements)}

        def key(row: tuple[Phase, Place]) -> tuple[Any, ...]:
            phase, at = row
            own = sorted(order[e] for e in phase.elements)
            share = phase.counts[elements[own[0]]] / phase.n_atoms
            return len(own), own, -share, phase.formula, at.above_hull, phase.id

        rows = [(phase, hull.place(phase.counts, phase.energy)) for phase in hull.phases(elements)]
        return cls(tuple(elements), hull, tuple(sorted(rows, key=key)))

    def rows(self) -> list[dict[str, Any]]:
        """A mapping for each phase; energies in eV per atom."""
        return [
            {
                "id": phase.id,
                "formula": phase.formula,
                "space_group": phase.space_group or None,
                "energy_per_atom": round(phase.energy, 6),
                "formation": _rounded(place.formation, 6),
                "above_hull": _rounded(place.above_hull, 6),
            }
            for phase, place in self.phases
        ]

    def _repr_html_(self) -> str:
        """What a notebook shows: the phases, the most stable first."""
        from crystalsmith.reports.notebook import frame_html

        return frame_html(f"{len(self.phases)} phases of {'-'.join(self.elements)}", self.to_dataframe())

    def to_dataframe(self) -> DataFrame:
        """``rows`` as a pandas DataFrame."""
        from pandas import DataFrame

        return DataFrame(self.rows())

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types."""
        return {"system": "-".join(self.elements), "phases": self.rows(), "notes": self._notes()}

    def _notes(self) -> list[str]:
        return self.hull.notes(self.elements)

    def __str__(self) -> str:
        """A table no wider than what stands in it; kJ are per mole of atoms."""
        lines = [
            ("", "", "", "formation", "", "above hull", ""),
            ("phase", "id", "space group", "eV/atom", "kJ/mol", "eV/atom", "kJ/mol"),
        ]
        for phase, place in self.phases:
            stable = abs(place.above_hull) < ON_HULL
            lines.append(
                (
                    phase.formula,
                    phase.id,
                    space_group(phase.space_group).symbol if phase.space_group else "",
                    f"{_rounded(place.formation, 3):.3f}",
                    f"{_rounded(place.formation * KJ_PER_MOL, 2):.2f}",
                    "on it" if stable else f"{_rounded(place.above_hull, 3):.3f}",
                    "" if stable else f"{_rounded(place.above_hull * KJ_PER_MOL, 2):.2f}",
                )
            )
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        adjust = [str.ljust] * 3 + [str.rjust] * 4
        shown = [
            "  ".join(f(text, w) for f, text, w in zip(adjust, line, widths, strict=True)).rstrip()
            for line in lines
        ]
        note = [] if self.hull.references is None else [self.hull.references.note]
        return "\n".join([*shown, *note, *(f"note: {text}" for text in self._notes())])


def _rounded(value: float, digits: int) -> float:
    """Without a minus before zero."""
    return round(value, digits) + 0.0
