"""Made-up reference phases, small enough to know their hulls by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crystalsmith.hull import Phase, References

# Formula unit, energy in eV per atom, space group. Formation energies are the differences from Li -2, P -5,
# O -4, Fe -8: hence Li2O lies at -2 below its elements, Li2O2 at -1.5, Li3P at -0.5 and Li3PO4 at -2.5.
ROWS: Sequence[tuple[str, Mapping[str, int], float, int]] = (
    ("li-1", {"Li": 1}, -2.0, 229),
    ("li-2", {"Li": 4}, -1.9, 225),
    ("p-1", {"P": 4}, -5.0, 64),
    ("o-1", {"O": 2}, -4.0, 12),
    ("fe-1", {"Fe": 1}, -8.0, 229),
    ("li2o", {"Li": 2, "O": 1}, -8 / 3 - 2.0, 225),
    ("li2o2", {"Li": 4, "O": 4}, -3.0 - 1.5, 194),
    ("li3p", {"Li": 3, "P": 1}, -11 / 4 - 0.5, 194),
    ("li3po4", {"Li": 3, "P": 1, "O": 4}, -27 / 8 - 2.5, 62),
    ("feo", {"Fe": 1, "O": 1}, -6.0 - 1.0, 0),
)


def phases() -> list[Phase]:
    return [Phase(name, counts, energy, group, 1) for name, counts, energy, group in ROWS]


def references(potential: str = "springs") -> References:
    return References.of(phases(), {"potential": potential})
