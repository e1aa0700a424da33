"""``crystalsmith generate``: from orders to a folder of crystals."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from crystalsmith.cli import options
from crystalsmith.cli.output import emit
from crystalsmith.errors import OrderError

if TYPE_CHECKING:
    from crystalsmith.generation.settings import GenerateSettings
    from crystalsmith.orders import Order

_EXAMPLES = """\
examples:
  crystalsmith generate --formula BaTiO3 -n 20 -o batio3
  crystalsmith generate --formula SiO2 --space-group 154 --z 3 -n 10 -o quartz
  crystalsmith generate --system Cu-K-Si -n 200 -o cuksi
  crystalsmith generate --space-group 225 --sites Na=1,Cl=1 -n 10 -o salt
  crystalsmith generate --space-group Pm-3m --wyckoff Sr:a,Ti:b,O:c -o perovskite --picture
  crystalsmith generate --formula GdFeO3 --cell 5.35,5.61,7.67,90,90,90 -n 10 -o given
  crystalsmith generate --host host.cif --add Li=4 -n 8 -o lithiated
  crystalsmith generate orders.yaml -o crystals

orders.yaml (or the same as JSON, one order a line, in orders.jsonl):
  - {id: titanate, formula: BaTiO3, max_atoms: 10, count: 20}
  - {id: quartz, formula: SiO2, space_group: 154, z: 3}
  - {id: search, system: Cu-K-Si, max_sites: 6, count: 200}
  - {id: salts, space_group: [221, 225], sites: {K: 1-2, Cl: 1-2}, count: 10}
  - {id: perovskite, space_group: Pm-3m, wyckoff: [[Sr, a], [Ti, b], [O, c]], count: 4}
  - {id: dense, formula: TiO2, density: 4.25, cell_tolerance: 0.03, min_distance: {O-O: 2.2}, count: 10}
  - {id: lithiated, host: host.cif, add: {Li: 4}, count: 8}
An order that no crystal can satisfy is named and left out; the others run, and the exit status is 1.
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    commands.add_parser(
        "generate",
        help="make crystals to order",
        description="Make crystals to order: of a formula, a chemical system, or a space group and its sites."
        " Interrupted, the same command goes on where it stopped.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        fill=add_options,
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options, from the settings as far as they stand there."""
    from crystalsmith.generation.settings import GenerateSettings

    order = parser.add_argument_group("what to make: a file of orders, or one order")
    order.add_argument("orders", nargs="?", metavar="ORDERS", help="YAML, JSON, JSON lines or CSV")
    order.add_argument(
        "--space-group",
        metavar="NUMBER|SYMBOL",
        help="1 to 230, or a symbol such as Fm-3m; several with commas, ranges such as 195-230; may be left"
        " out with --formula and --system",
    )
    which = order.add_mutually_exclusive_group()
    which.add_argument("--formula", metavar="BaTiO3", help="exactly this composition")
    which.add_argument("--system", metavar="Cu-K-Si", help="all of these elements, in ratios that are drawn")
    which.add_argument(
        "--sites",
        metavar="Na=1,Cl=1",
        help="elements and inequivalent sites of each, or ranges such as K=1-2; Wyckoff letters are open",
    )
    which.add_argument("--wyckoff", metavar="Na:a,Cl:b", help="elements and Wyckoff letters, site by site")
    which.add_argument(
        "--host",
        metavar="FILE",
        help="a crystal whose atoms stay as they are; --add says what it takes up",
    )
    order.add_argument(
        "--add", metavar="Li=4,H=any", help="atoms that are added to the host's primitive cell (--host)"
    )
    size = order.add_mutually_exclusive_group()
    size.add_argument(
        "--z", type=options.positive, metavar="Z", help="formula units in the conventional cell (--formula)"
    )
    size.add_argument(
        "--atoms", type=options.positive, metavar="N", help="atoms in the primitive cell (--formula)"
    )
    order.add_argument(
        "--max-atoms",
        type=options.positive,
        metavar="N",
        help="largest primitive cell (default: the largest that the model was trained on)",
    )
    order.add_argument(
        "--max-sites", type=options.positive, metavar="N", help="most inequivalent sites (--system)"
    )
    known = parser.add_argument_group("what is known of the crystals of one order")
    of_cell = known.add_mutually_exclusive_group()
    of_cell.add_argument(
        "--cell",
        metavar="a,b,c,alpha,beta,gamma",
        help="the conventional cell, Angstrom and degrees, axes in any order",
    )
    of_cell.add_argument(
        "--primitive-cell", metavar="a,b,c,alpha,beta,gamma", help="a primitive cell, in any choice"
    )
    of_cell.add_argument("--volume", metavar="A^3", help="volume of the conventional cell")
    of_cell.add_argument("--density", metavar="g/cm^3", help="density")
    known.add_argument(
        "--cell-tolerance",
        metavar="SHARE",
        help="standard deviation of cell, volume or density, relative, such as 0.02 (default: known exactly)",
    )
    known.add_argument(
        "--min-distance",
        metavar="A|Li-O=1.8,O-O=2.2",
        help="shortest distance between atoms, or by pair of elements",
    )
    known.add_argument(
        "--coordination", metavar="Ti-O=6", help="neighbours wanted around each atom of the first element"
    )
    order.add_argument(
        "-n", "--count", type=options.positive, metavar="N", help="crystals of this order (default: 1)"
    )
    options.add_folder(parser, words="folder for CIFs, extxyz and manifest")
    shown = ["seed", "sort", "picture"]
    options.add_settings(parser, GenerateSettings, only=shown)
    known = parser.add_mutually_exclusive_group()
    known.add_argument(
        "--known-too",
        dest="new_only",
        action="store_false",
        default=False,
        help="orders for a formula make its known phases too, the likeliest one first (the default)",
    )
    options.add_settings(known, GenerateSettings, only=["new_only"])
    ranking = ["best_of", "judges", "potential"]
    sampling = parser.add_argument_group("sampling")
    options.add_settings(sampling, GenerateSettings, skip=[*shown, *ranking, "new_only"])
    options.add_settings(parser.add_argument_group("ranking"), GenerateSettings, only=ranking)
    options.add_model_options(parser)
    parser.set_defaults(run=run, resumes=True)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status."""
    from crystalsmith.generation.settings import GenerateSettings

    orders = _orders(args)  # refused before the model is loaded
    return make(args, orders, options.settings_from(args, GenerateSettings), _arguments(args))


def make(
    args: argparse.Namespace, orders: Sequence[Order], settings: GenerateSettings, arguments: dict[str, Any]
) -> int:
    """Make crystals and say which; exit status."""
    model = options.load(args)
    from crystalsmith.generation.results import known_table
    from crystalsmith.generation.run import generate_into
    from crystalsmith.generation.summary import last_line, order_table
    from crystalsmith.runs.progress import Display

    quiet = getattr(args, "quiet", False)
    with Display(quiet=quiet) as progress:
        result = generate_into(
            orders,
            args.output,
            settings,
            model=model,
            arguments=arguments,
            overwrite=args.overwrite,
            progress=progress,
        )
    if quiet:
        emit(result)
    else:
        from rich.console import Group
        from rich.text import Text

        parts = (
            order_table(result, model),
            result.results.text(),
            known_table(result.results),
            Text(last_line(result)),
        )
        emit(result, Group(*(part for part in parts if part)))
    return 0 if result.complete else 1


_ORDER_OPTIONS = (
    "space_group",
    "formula",
    "system",
    "sites",
    "wyckoff",
    "host",
    "add",
    "z",
    "atoms",
    "max_atoms",
    "max_sites",
    "cell",
    "primitive_cell",
    "volume",
    "density",
    "cell_tolerance",
    "min_distance",
    "coordination",
    "count",
)


def _orders(args: argparse.Namespace) -> list[Order]:
    from crystalsmith.orders import parse_orders, read_orders, words

    given = {key: getattr(args, key) for key in _ORDER_OPTIONS if getattr(args, key) is not None}
    if args.orders is not None:
        if given:
            option = "--" + next(iter(given)).replace("_", "-")
            raise OrderError(
                f"{option} and a file of orders exclude each other; write it into {args.orders} instead"
            )
        return read_orders(args.orders)
    if not given.keys() & {"formula", "system", "sites", "wyckoff", "host"}:
        if "space_group" in given:
            raise OrderError(
                "--space-group needs --formula, --system, --sites, such as Na=1,Cl=1, or --wyckoff, such as"
                " Na:a,Cl:b"
            )
        raise OrderError(
            "nothing to make: give a file of orders, --formula, --system, --sites, --wyckoff or --host"
        )
    order: dict[str, Any] = {"count": 1, **given}
    if "space_group" in order:
        order["space_group"] = words.parse_space_groups(order["space_group"])
    if "sites" in order:
        order["sites"] = words.parse_sites(order["sites"], "--sites")
    if "add" in order:
        order["add"] = words.parse_sites(order["add"], "--add")
    if "wyckoff" in order:
        order["wyckoff"] = words.parse_wyckoff(order["wyckoff"], "--wyckoff")
    return parse_orders([order | words.parse_terms(order, "--")], "command line")


def _arguments(args: argparse.Namespace) -> dict[str, Any]:
    """What the manifest records: everything but where the output went."""
    hidden = ("run", "resumes", "command", "output", "overwrite", "quiet", "json", "verbose")
    return {key: value for key, value in vars(args).items() if key not in hidden}
