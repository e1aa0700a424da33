"""Requests that begin with a known arrangement, told apart from those that begin with noise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from crystalsmith.assignments import Request
from crystalsmith.crystal import Crystal
from crystalsmith.errors import OrderError


def given(requests: Sequence[Request]) -> dict[int, Crystal]:
    """Crystals, by place, of those requests that are answered by a known arrangement as it is.

    Raises:
        OrderError: a start, of any time, that is not of its request's group and sites.
    """
    for r in requests:
        if r.start is not None:
            _check(r, r.start.crystal)
    return {i: r.start.crystal for i, r in enumerate(requests) if r.start is not None and not r.start.time}


def by_time(requests: Sequence[Request]) -> list[tuple[float, list[int]]]:
    """Times at which the other requests begin, latest first, with their places; noise before starts."""
    ways: dict[tuple[float, bool], list[int]] = defaultdict(list)
    for i, r in enumerate(requests):
        if r.start is None:
            ways[1.0, True].append(i)
        elif r.start.time:
            ways[r.start.time, False].append(i)
    return [(time, ways[time, noise]) for time, noise in sorted(ways, reverse=True)]


def _check(request: Request, crystal: Crystal) -> None:
    sites = tuple((site.element, site.letter) for site in crystal.sites)
    if crystal.space_group != request.space_group or sites != tuple(request.sites):
        wanted = " ".join(f"{element}:{letter}" for element, letter in request.sites)
        raise OrderError(
            f"a start with {crystal.wyckoff} in space group {crystal.space_group} does not suit a request for"
            f" {wanted} in {request.space_group}"
        )
