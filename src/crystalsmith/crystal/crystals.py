"""Several crystals: a sequence with names and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from crystalsmith.crystal.crystal import Crystal
from crystalsmith.runs.pool import Failed

if TYPE_CHECKING:
    from pandas import DataFrame


class Crystals(Sequence[Crystal]):
    """Crystals with names, in order, and what could not be read.

    Args:
        named: crystals, or why there is none, by name.

    Attributes:
        names: of the crystals.
        failures: reasons, by name.
    """

    def __init__(self, named: Mapping[str, Crystal | Failed]) -> None:
        found = {name: c for name, c in named.items() if isinstance(c, Crystal)}
        self._crystals = tuple(found.values())
        self.names = tuple(found)
        self.failures = {name: c.reason for name, c in named.items() if isinstance(c, Failed)}

    def __len__(self) -> int:
        return len(self._crystals)

    @overload
    def __getitem__(self, place: int) -> Crystal: ...
    @overload
    def __getitem__(self, place: slice) -> Crystals: ...
    def __getitem__(self, place: int | slice) -> Crystal | Crystals:
        if isinstance(place, slice):
            return Crystals(dict(zip(self.names[place], self._crystals[place], strict=True)))
        return self._crystals[place]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Crystals) and self.to_dict() == other.to_dict()

    def __repr__(self) -> str:
        failed = f", {len(self.failures)} not read" if self.failures else ""
        return f"<{len(self)} crystals{failed}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: a table with small pictures."""
        from crystalsmith.reports.notebook import crystals_html

        return crystals_html(self.to_dict(), failed=len(self.failures))

    def to_dict(self) -> dict[str, Crystal]:
        """The crystals by name."""
        return dict(zip(self.names, self._crystals, strict=True))

    def to_dataframe(self) -> DataFrame:
        """A row for each crystal: name, formula, space group, atoms in the primitive cell, cell, volume."""
        from pandas import DataFrame

        rows = [{"name": name, **describe(c)} for name, c in self.to_dict().items()]
        return DataFrame(rows, columns=["name", *_COLUMNS])


_COLUMNS = (
    *("formula", "space_group", "symbol", "atoms"),
    *("a", "b", "c", "alpha", "beta", "gamma", "volume_per_atom"),
)


def describe(crystal: Crystal) -> dict[str, Any]:
    """What a table says of a crystal; lengths in Angstrom, angles in degrees, of the conventional cell."""
    facts = (crystal.formula, crystal.space_group, crystal.group.symbol, crystal.n_atoms)
    volume = crystal.volume / crystal.n_atoms_conventional
    return dict(zip(_COLUMNS, (*facts, *crystal.cell, volume), strict=True))
