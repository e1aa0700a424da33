"""``crystalsmith wyckoff``: every assignment of Wyckoff positions that makes a composition."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crystalsmith.cli import options
from crystalsmith.cli.output import emit
from crystalsmith.symmetry import SpaceGroup, space_group, strain_mask

if TYPE_CHECKING:
    from crystalsmith.assignments import Cell, Formula, Pairs

_EXAMPLES = """\
Assignments that differ by the choice of the origin or of the axes only are one and the same. They come in the
order of their letters, element after element, cations first; they are found while they are printed, so that
there may be any number of them, and are not sorted by free parameters for that reason.

examples:
  crystalsmith wyckoff --space-group 221 --formula BaTiO3 --z 1
  crystalsmith wyckoff --space-group Fd-3m --formula MgAl2O4 --atoms 14 --limit 0
  crystalsmith wyckoff --space-group 62 --formula CaTiO3 --max-atoms 40 --count
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "wyckoff",
        help="list the Wyckoff positions that make a composition",
        description="List every distinct way to give Wyckoff positions to the elements of a formula such that"
        " the cell holds exactly this composition; or refuse, with the reason and what is possible near it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--space-group", required=True, metavar="NUMBER|SYMBOL", help="1 to 230, or a symbol such as Fm-3m"
    )
    parser.add_argument("--formula", required=True, metavar="BaTiO3", help="what is in the cell")
    size = parser.add_argument_group("size of the cell")
    exact = size.add_mutually_exclusive_group()
    exact.add_argument(
        "--z", type=options.positive, metavar="N", help="formula units in the CONVENTIONAL cell"
    )
    exact.add_argument(
        "--atoms", type=options.positive, metavar="N", help="atoms in the primitive cell, exactly"
    )
    size.add_argument(
        "--max-atoms",
        type=options.positive,
        metavar="N",
        help="largest primitive cell; alone, all cells up to this size (default: 20 if neither --z nor"
        " --atoms is given)",
    )
    parser.add_argument(
        "--limit",
        type=_limit,
        default=50,
        metavar="N",
        help="assignments to list (default: 50); 0 lists them all",
    )
    parser.add_argument("--count", action="store_true", help="count only")
    parser.add_argument(
        "--lines",
        action="store_true",
        help="JSON lines as they are found, one assignment each, its wyckoff as orders take it; with --count"
        " one cell each (--json: all of them at the end)",
    )
    parser.set_defaults(run=run)


def _limit(text: str) -> int:
    value = options.whole(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return value


@dataclass(frozen=True)
class _Answer:
    """What was asked, and the cells that it allows."""

    group: SpaceGroup
    formula: Formula
    cells: list[Cell]
    z: int | None
    atoms: int | None
    max_atoms: int | None

    def count(self, cell: Cell, distinct: bool = True) -> int:
        from crystalsmith.assignments import count_assignments

        return count_assignments(self.group.number, cell.counts, distinct)

    def listed(self, limit: int) -> Iterator[tuple[Cell, Pairs]]:
        """The first assignments, all of them if the limit is 0."""
        from itertools import islice

        from crystalsmith.assignments import list_assignments, to_pairs

        found = (
            (cell, to_pairs(self.group.number, self.formula.elements, assignment))
            for cell in self.cells
            for assignment in list_assignments(self.group.number, cell.counts)
        )
        return islice(found, limit) if limit else found

    def facts(self, cell: Cell) -> dict[str, Any]:
        """What every line of JSON begins with."""
        return {
            "space_group": self.group.number,
            "formula": str(self.formula),
            "z": cell.z,
            "atoms": cell.atoms,
            "max_atoms": self.max_atoms,
        }


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status."""
    group = space_group(args.space_group, letters=True)
    from crystalsmith.assignments import parse_formula, possible_cells
    from crystalsmith.assignments.cells import DEFAULT_MAX_ATOMS

    formula = parse_formula(args.formula)
    if args.z is None and args.atoms is None and args.max_atoms is None:
        args.max_atoms = DEFAULT_MAX_ATOMS
    cells = possible_cells(formula, group.number, args.z, args.atoms, args.max_atoms)
    answer = _Answer(group, formula, cells, args.z, args.atoms, args.max_atoms)
    if args.json:
        emit(list(_lines(answer, args.count, args.limit)))
    elif args.lines:
        for line in _lines(answer, args.count, args.limit):
            print(json.dumps(line), flush=True)
    else:
        _print_cells(answer)
        if not args.count:
            _print_list(answer, args.limit)
    return 0


def _lines(answer: _Answer, count: bool, limit: int) -> Iterator[dict[str, Any]]:
    if count:
        for cell in answer.cells:
            numbers = {
                "assignments": answer.count(cell),
                "with_equivalent_ones": answer.count(cell, distinct=False),
            }
            yield answer.facts(cell) | numbers
        return
    for cell, pairs in answer.listed(limit):
        more = {
            "wyckoff": [list(pair) for pair in pairs],
            "free_parameters": _free(answer.group, pairs),
            "lattice_parameters": int(strain_mask(answer.group.number).sum()),
        }
        yield answer.facts(cell) | more


def _print_cells(answer: _Answer) -> None:
    asked = ", ".join(
        f"{name} {'not given' if value is None else value}"
        for name, value in (("z", answer.z), ("atoms", answer.atoms), ("max_atoms", answer.max_atoms))
    )
    print(f"space group  {answer.group.symbol} ({answer.group.number})")
    print(f"formula      {answer.formula}")
    print(f"asked for    {asked}")
    rows: list[tuple[str, ...]] = [
        ("z", "primitive cell", "conventional cell", "assignments", "with equivalent ones")
    ]
    totals = [0, 0]
    for cell in answer.cells:
        numbers = [answer.count(cell, distinct) for distinct in (True, False)]
        totals = [a + b for a, b in zip(totals, numbers, strict=True)]
        atoms = cell.atoms, cell.atoms * len(answer.group.centring)
        rows.append((str(cell.z), *(f"{n} atoms" for n in atoms), *(f"{n:,}" for n in numbers)))
    if len(answer.cells) > 1:
        rows.append(("all", "", "", *(f"{n:,}" for n in totals)))
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    print()
    for row in rows:
        print("  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)), flush=True)


def _print_list(answer: _Answer, limit: int) -> None:
    total = sum(map(answer.count, answer.cells))
    shown = min(limit, total) if limit else total
    number_width = max(3, min(len(f"{shown:,}"), 11))  # nobody reads on to more
    z_width = max(1, len(str(answer.cells[-1].z)))
    lattice = int(strain_mask(answer.group.number).sum())
    print(f"\n{'no.':>{number_width}}  {'z':>{z_width}}  free coordinates  free lattice  assignment")
    for number, (cell, pairs) in enumerate(answer.listed(limit), start=1):
        print(
            f"{number:>{number_width},}  {cell.z:>{z_width}}  {_free(answer.group, pairs):>16}"
            f"  {lattice:>12}  {_written(answer.group, pairs)}",
            flush=True,
        )
    if shown < total:
        print(f"{shown:,} of {total:,} listed; --limit 0 lists all")


def _free(group: SpaceGroup, pairs: Pairs) -> int:
    """Free parameters of the positions."""
    return sum(group.wyckoff[letter].dof for _, letter in pairs)


def _written(group: SpaceGroup, pairs: Pairs) -> str:
    """Such as ``Ba 1a (m-3m); Ti 1b (m-3m); O 3c (4/mm.m)``."""
    elements = []
    for element in dict.fromkeys(element for element, _ in pairs):
        sites = []
        for letter, times in Counter(own for other, own in pairs if other == element).items():
            position = group.wyckoff[letter]
            site = f"{position.multiplicity}{letter} ({position.site_symmetry})"
            sites.append(site if times == 1 else f"{times} x {site}")
        elements.append(f"{element} {', '.join(sites)}")
    return "; ".join(elements)
