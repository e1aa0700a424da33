"""How stable is a crystal against the phases that it could fall into: reference energies and convex hulls.

All energies of a hull are of one potential; those of two potentials never meet.
"""

from crystalsmith.hull.diagram import KJ_PER_MOL, MOST_ELEMENTS, Hull, Place
from crystalsmith.hull.entries import read_entries
from crystalsmith.hull.phases import Phase, References, shipped

__all__ = ["KJ_PER_MOL", "MOST_ELEMENTS", "Hull", "Phase", "Place", "References", "read_entries", "shipped"]
