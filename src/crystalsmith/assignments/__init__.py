"""Assignments of Wyckoff positions to elements: what makes an exact composition, counted, listed, completed.

Words used throughout:

* The **composition** of a crystal is the number of atoms of each element in its PRIMITIVE cell; ``z`` alone
  counts formula units in the CONVENTIONAL cell.
* An **assignment** gives every element a multiset of Wyckoff positions of one space group: for each element a
  tuple of positions in ascending order, counted within the group from 0 (letter a). A position without
  freedom is one set of points and is taken at most once.
* Two assignments are **equivalent** when an element of the Euclidean normaliser of the group takes one into
  the other: they describe the same crystals from another origin or setting. The smallest of them, as tuples
  compare, is the canonical one.
"""

from crystalsmith.assignments.cells import Cell, Cells, possible_cells
from crystalsmith.assignments.counting import count_assignments
from crystalsmith.assignments.equivalence import Assignment, canonical, images
from crystalsmith.assignments.formula import Formula, parse_formula
from crystalsmith.assignments.listing import list_assignments
from crystalsmith.assignments.nearest import Possible, nearest_possible
from crystalsmith.assignments.open_sites import CompositionPlan, Plan, SitePlan, Unfinished
from crystalsmith.assignments.pairs import Pairs, from_pairs, to_pairs
from crystalsmith.assignments.positions import Positions, positions_of
from crystalsmith.assignments.request import KINDS, Request
from crystalsmith.assignments.start import Start

__all__ = [
    "KINDS",
    "Assignment",
    "Cell",
    "Cells",
    "CompositionPlan",
    "Formula",
    "Pairs",
    "Plan",
    "Positions",
    "Possible",
    "Request",
    "SitePlan",
    "Start",
    "Unfinished",
    "canonical",
    "count_assignments",
    "from_pairs",
    "images",
    "list_assignments",
    "nearest_possible",
    "parse_formula",
    "positions_of",
    "possible_cells",
    "to_pairs",
]
