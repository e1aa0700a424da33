"""Cells of a pattern by the indexers of rietx, those kept that the formula's volume allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crystalsmith.errors import CrystalsmithError
from crystalsmith.solving.cells import Cell
from crystalsmith.solving.rietveld import data_of, instrument_of, quietly

if TYPE_CHECKING:
    from crystalsmith.diffraction import Pattern

MOST_CELLS = 6
"""Cells of an indexer that candidates are brought onto."""

_FIGURES = ("indexed_fraction", "predicted_seen_fraction", "m_rev")
"""Figures of merit that are kept, by the indexers' names."""


def index(pattern: Pattern, width: float, seconds: float, formula: str | None = None) -> list[Cell] | str:
    """Look for the cell of a pattern.

    Args:
        pattern: as measured.
        width: full width at half maximum of the lines, degrees.
        seconds: that the search may take, about.
        formula: lets the indexers judge volumes.

    Returns:
        Cells, the best first by the indexers' own order; or why there are none.
    """
    import rietx

    instrument = instrument_of(pattern.radiation, width)
    data = data_of(pattern)
    try:
        with quietly(1.5 * seconds) as token:
            peaks = rietx.pick_peaks(data, instrument)
            found = rietx.index_pattern(
                peaks,
                data=data,
                instrument=instrument,
                formula=formula,
                cancel=token,
                spec=_spec(seconds),
            )
    except rietx.RefinementCancelled:
        return f"not finished after {seconds:.0f} s"
    except (ArithmeticError, LookupError, TypeError, ValueError, RuntimeError, CrystalsmithError) as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"
    cells = [_cell(candidate) for candidate in found.candidates[:MOST_CELLS]]
    if not cells:
        return f"no cell explains the {found.n_usable_lines} lines that were found"
    return cells


def _spec(seconds: float) -> Any:
    """What the search is held to: the time alone."""
    from rietx.indexing import engines

    return engines.SearchSpec(total_budget_seconds=seconds)


def _cell(candidate: Any) -> Cell:
    """A candidate of the indexers as one of ours."""
    found = {one.name: one.value for one in candidate.fom}
    if candidate.lebail is not None:
        found["rwp"] = candidate.lebail.rwp
    figures = tuple(
        (name, round(float(found[name]), 4))
        for name in (*_FIGURES, "rwp")
        if found.get(name) is not None and np.isfinite(found[name])
    )
    system = f"{candidate.system} {candidate.centring}".strip()
    return Cell(tuple(float(x) for x in candidate.cell), "indexed", system, figures)
