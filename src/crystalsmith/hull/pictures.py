"""Phase diagrams: the reference phases with the new crystals, for two, three and four elements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from crystalsmith.errors import ConfigError
from crystalsmith.hull.picture_binary import draw_binary
from crystalsmith.hull.picture_marks import Mark, mark_of
from crystalsmith.hull.picture_simplex import draw_quaternary, draw_ternary
from crystalsmith.pictures.plotting import STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pymatgen.analysis.phase_diagram import PhaseDiagram
    from pymatgen.core import Composition

DRAWN = (2, 3, 4)
"""Numbers of elements that can be drawn."""


def draw_phase_diagram(
    diagram: PhaseDiagram, points: Sequence[tuple[str | Composition, float, str]] = ()
) -> Figure:
    """Draw a phase diagram of two, three or four elements.

    Two elements: formation energy against composition, with the hull as a line. Three: the triangle, with
    stable phases named and joined by tie lines. Four: the tetrahedron, seen in projection. New crystals are
    coloured by their energy above the hull; those on or below it are stars.

    Args:
        diagram: the reference phases, pymatgen's; energies in eV.
        points: of each new crystal its formula, its energy above the hull of the references (eV per atom)
            and a short label, which may be empty.

    Returns:
        A matplotlib figure without a window system; ``figure.savefig`` writes it.

    Raises:
        ConfigError: a diagram of another number of elements, a formula with an element that is not in it,
            or an energy that is not finite.
    """
    from matplotlib import rc_context

    elements = [e.symbol for e in diagram.elements]
    if len(elements) not in DRAWN:
        raise ConfigError(
            f"a phase diagram of {len(elements)} elements cannot be drawn; those of 2, 3 and 4 can"
        )
    marks = [_checked(mark_of(*point, elements), elements) for point in points]
    # SVG with outlines of letters: the page looks the same where the font is missing.
    with rc_context({**STYLE, "svg.fonttype": "path"}):
        if len(elements) == 2:
            return draw_binary(diagram, marks, elements)
        if len(elements) == 3:
            return draw_ternary(diagram, marks, elements)
        return draw_quaternary(diagram, marks, elements)


def _checked(mark: Mark, elements: Sequence[str]) -> Mark:
    if abs(sum(mark.fractions) - 1) > 1e-6:
        raise ConfigError(f"{mark.formula} has elements beside {', '.join(elements)}, those of the diagram")
    if not math.isfinite(mark.above_hull):
        raise ConfigError(f"{mark.formula} has an energy above the hull that is not finite")
    return mark
