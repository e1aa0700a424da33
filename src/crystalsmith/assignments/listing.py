"""Listing assignments lazily, each equivalence class once."""

from __future__ import annotations

from collections.abc import Iterator

from crystalsmith.assignments.equivalence import Assignment
from crystalsmith.assignments.open_sites import CompositionPlan, Plan, walk_distinct


def list_assignments(space_group: int, counts: tuple[int, ...]) -> Iterator[Assignment]:
    """Distinct assignments that make a composition, canonical ones, in ascending order.

    Args:
        space_group: 1 to 230.
        counts: atoms of each element in the primitive cell.
    """
    return list_plan(CompositionPlan(space_group, counts))


def list_plan(plan: Plan) -> Iterator[Assignment]:
    """Distinct assignments of a plan, canonical ones, in ascending order."""
    if not plan.is_possible():
        return iter(())
    return walk_distinct(plan)
