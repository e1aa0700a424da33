"""What is answered by the process of ``desk``: plain JSON in, plain JSON out.

Each function takes the model first. Folders are chosen by the server, never by a client.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.errors import CrystalsmithError
from crystalsmith.runs.plain import to_plain
from crystalsmith.serving.diagram import known_diagram, phase_diagram, places
from crystalsmith.serving.errors import NotFound
from crystalsmith.serving.exports import check_hull, export
from crystalsmith.serving.shown import SHOWN

if TYPE_CHECKING:
    from crystalsmith.crystal import Crystal
    from crystalsmith.crystal.io import Record
    from crystalsmith.diffusion import AnyModel
    from crystalsmith.orders import Order

LISTED = 30
"""Known phases that an answer lists."""

LIKELY = 12
"""Assignments that an answer lists."""

UNMADE = "not made: the run was interrupted"
"""What ``read_records`` says of crystals of a run that is not done."""


def check(model: AnyModel, orders: list[Any], letters: str | None, new_only: bool) -> list[str]:
    """Notes on orders, all of which the model can carry out.

    Raises:
        OrderError: one is wrong or impossible, with the reason.
    """
    from crystalsmith.orders import check_orders, parse_orders
    from crystalsmith.orders.settings import LETTERS

    return check_orders(parse_orders(orders), model, letters or LETTERS[0], new_only)


def about_order(model: AnyModel, order: dict[str, Any]) -> dict[str, Any]:
    """What an order means, finished or not, as far as that is told at once; or why it cannot be.

    Returns:
        ``possible`` (true or false), ``reason`` where false; else ``notes``, ``id``, ``kind``, ``elements``,
        ``atoms`` (least and most in the primitive cell) and ``known_phases``.
    """
    from crystalsmith.orders import check_orders
    from crystalsmith.orders.bounds import searched

    try:
        parsed = _parsed(order)
        notes = check_orders([parsed], model)
    except CrystalsmithError as error:
        reason = " ".join(str(error).split())
        for start in ("orders: ", "orders, order 1: "):
            reason = reason.removeprefix(start)
        return {"possible": False, "reason": reason}
    limit = searched(model.max_atoms)
    return {
        "possible": True,
        "notes": notes,
        "id": parsed.id,
        "kind": parsed.content.key,
        "elements": list(parsed.content.elements),
        "atoms": {"least": parsed.content.check(parsed.bounds, limit), "most": _most(parsed, limit)},
        "known_phases": _known_phases(model, parsed),
    }


def arrangements(model: AnyModel, order: dict[str, Any]) -> dict[str, Any]:
    """How atoms can be placed for an order, which may take seconds where it leaves much open.

    Returns:
        ``assignments`` (how many there are, None where too many to count) and ``likely`` (the likeliest of
        them: space group, sites, atoms, chance, known as).

    Raises:
        OrderError: the order is wrong or impossible.
    """
    from crystalsmith.orders.bounds import searched
    from crystalsmith.orders.sources import learned_source

    parsed = _parsed(order)
    limit = searched(model.max_atoms)
    source = learned_source(model)
    is_open = parsed.formula is not None or parsed.sites is not None
    likely = None
    if is_open and source is not None:
        likely = parsed.content.likely(parsed.bounds, source, limit, LIKELY)
    return {
        "assignments": _count(parsed, limit),
        "likely": [_recipe(request, source) for request in (likely or [])[:LIKELY]],
    }


def _parsed(order: dict[str, Any]) -> Order:
    from crystalsmith.orders import parse_orders

    (parsed,) = parse_orders([order])
    return parsed


def _most(order: Order, limit: int) -> int:
    looked_at = getattr(order.content, "looked_at", None)
    return int(looked_at(order.bounds, limit)) if looked_at else int(order.max_atoms or limit)


def _count(order: Order, limit: int) -> int | None:
    try:
        return order.content.choices(order.bounds, limit)
    except CrystalsmithError:
        return None


def _recipe(request: Any, source: Any) -> dict[str, Any]:
    import math

    from crystalsmith.symmetry import space_group

    group = space_group(request.space_group)
    sites = [f"{element} {group.wyckoff[letter].multiplicity}{letter}" for element, letter in request.sites]
    per_cell = sum(group.wyckoff[letter].multiplicity for _, letter in request.sites)
    chance = request.log_prior
    return {
        "space_group": group.number,
        "symbol": group.symbol,
        "sites": sites,
        "wyckoff": [list(site) for site in request.sites],
        "atoms": per_cell // len(group.centring),
        "free_coordinates": sum(group.wyckoff[letter].dof for _, letter in request.sites),
        "chance": None if chance is None else math.exp(min(chance, 0.0)),
        "known_as": source.known_as(request) if source is not None else "",
    }


def _known_phases(model: AnyModel, order: Order) -> list[dict[str, Any]]:
    from crystalsmith.crystal.elements import formula_order
    from crystalsmith.generation.known import model_known
    from crystalsmith.orders.formula import FormulaKind

    if order.formula is None and order.system is None:
        return []
    content = order.content
    ratio = content.formula.ratio if isinstance(content, FormulaKind) else None
    phases = model_known(model).phases(sorted(content.elements, key=formula_order), ratio)
    return [{**phase.to_dict(), "distance": phase.distance, "seen": phase.seen} for phase in phases[:LISTED]]


def rows(model: AnyModel, folder: str) -> list[dict[str, Any]]:
    """The crystals of a run that has no table (yet), each with its figures or why there is none.

    ``n`` is their place among all that the run was asked for.
    """
    from crystalsmith.crystal.io import read_records
    from crystalsmith.crystal.io.read import NothingReadable

    found = []
    try:
        for n, record in enumerate(read_records(folder), 1):
            if record.failure == UNMADE:
                continue
            row: dict[str, Any] = {"n": n, "name": record.id, "index": record.index}
            row["failure"] = record.failure or None
            if record.crystal is not None:
                row |= {
                    "formula": record.crystal.formula,
                    "space_group": record.crystal.space_group,
                    "symbol": record.crystal.group.symbol,
                    "atoms": record.crystal.n_atoms,
                    "energy": to_plain(record.energy),
                    "e_above_hull": to_plain(record.e_above_hull),
                }
            found.append(row)
    except NothingReadable:
        pass
    return found


def crystal(model: AnyModel, folder: str, n: int, row: dict[str, Any]) -> dict[str, Any]:
    """One crystal of a run: cell, sites, distances, bonds."""
    return described(crystal_of(Path(folder), n, row))


def crystals(model: AnyModel, folder: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Plain data of the crystals of rows, by their names; rows without one are left out."""
    found = {}
    for row in rows:
        with suppress(NotFound):
            found[str(row["name"])] = crystal_of(Path(folder), int(row["n"]), row).to_dict()
    return found


def crystal_of(folder: Path, n: int, row: Mapping[str, Any]) -> Crystal:
    """The crystal of a row.

    Raises:
        NotFound: it has none.
    """
    import re

    from crystalsmith.crystal import Crystal
    from crystalsmith.crystal.io import read_records

    if "crystal" in row:
        return Crystal.from_dict(row["crystal"])
    name = row.get("cif") or row.get("file") or (f"cif/{row['name']}.cif" if "reason" in row else None)
    if name is not None:
        path = folder / str(name)
        if not re.fullmatch(r"cif/[^/\\\0]{1,200}\.cif", str(name)) or path.is_symlink():
            raise NotFound("there is no such crystal")
        if path.is_file():
            return _from_cif(path, path.stat().st_mtime_ns)
    # Of a run whose crystals have no files of their own, or not yet.
    for number, record in enumerate(read_records(folder), 1):
        if record.crystal is not None and _is_of(record, number, n, row):
            return record.crystal
    raise NotFound("there is no such crystal")


def _is_of(record: Record, number: int, n: int, row: Mapping[str, Any]) -> bool:
    """Whether a record is that of row n: by order and index or by name, as far as the row tells them."""
    if "order" in row and "index" in row:
        return (record.id, str(record.index)) == (str(row["order"]), str(row["index"]))
    return record.id == row["name"] if "reason" in row else number == n


@lru_cache(maxsize=64)
def _from_cif(path: Path, changed: int) -> Crystal:
    """One that was asked for is asked for again: its cell, then its scene, then its pattern."""
    from crystalsmith.crystal import Crystal

    return Crystal.from_cif(path.read_bytes())


def described(crystal: Crystal) -> dict[str, Any]:
    """A crystal in words and numbers, Angstrom and degrees."""
    import numpy as np

    from crystalsmith.crystal.bonds import shortest_bonds
    from crystalsmith.crystal.hidden import hidden_group

    group = crystal.group
    hidden, more = hidden_group(crystal)
    sites = [
        {
            "element": site.element,
            "letter": site.letter,
            "multiplicity": position.multiplicity,
            "site_symmetry": position.site_symmetry,
            "free": list(site.free),
            "position": (position.position(np.array(site.free)) % 1.0).tolist(),
        }
        for site, position in zip(crystal.sites, crystal.positions_of_sites, strict=True)
    ]
    return {
        "formula": crystal.formula,
        "space_group": group.number,
        "symbol": group.symbol,
        "found_space_group": hidden if more else group.number,
        "cell": list(crystal.cell),
        "volume": crystal.volume,
        "density": float(crystal.to_structure(primitive=True).density),
        "atoms": crystal.n_atoms,
        "atoms_conventional": crystal.n_atoms_conventional,
        "wyckoff": crystal.wyckoff,
        "sites": sites,
        "shortest_distance": to_plain(crystal.shortest_distance()),
        "bonds": [to_plain(bond) for bond in shortest_bonds(crystal)],
        "crystal": crystal.to_dict(),
        "cif": crystal.to_cif(),
    }


ANSWERS: Mapping[str, Callable[..., Any]] = {
    "check_hull": check_hull,
    "crystals": crystals,
    "export": export,
    "check": check,
    "about_order": about_order,
    "arrangements": arrangements,
    "rows": rows,
    "crystal": crystal,
    **SHOWN,
    "phase_diagram": phase_diagram,
    "known_diagram": known_diagram,
    "places": places,
}
