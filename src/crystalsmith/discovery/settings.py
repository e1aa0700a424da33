"""What a run of the funnel is asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from crystalsmith.errors import DiscoveryError
from crystalsmith.runs.settings import (
    FORMATS,
    BadValue,
    amount,
    check_settings,
    option,
    positive,
    positive_number,
    whole,
)

FEWEST_ELEMENTS, MOST_ELEMENTS = 2, 6
"""Of a system; the hull could be made of seven, the prior draws six."""


def space_groups(text: str) -> tuple[int, ...]:
    """Space groups with commas, by number or name, with ranges of numbers.

    Raises:
        OrderError: an unknown one.
    """
    from crystalsmith.orders.values import parse_groups

    groups: list[str | int] = []
    for part in (part.strip() for part in text.split(",") if part.strip()):
        low, _, high = part.partition("-")
        is_range = low.isdecimal() and high.isdecimal() and max(len(low), len(high)) < 6
        groups += range(int(low), int(high) + 1) if is_range else [part]
    return parse_groups(groups)


def names(text: str) -> tuple[str, ...]:
    """Words with commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def site_range(text: str) -> tuple[int, int]:
    """Numbers of sites: ``1-2``, or one alone."""
    low, _, high = text.partition("-")
    if not (low.isdecimal() and (high or low).isdecimal() and 1 <= int(low) <= int(high or low) <= 20):
        raise BadValue(f"{text!r} is not a range of sites such as 1-2")
    return int(low), int(high or low)


def two_calls(text: str) -> tuple[int, int]:
    """Calls of two relaxations: ``40,80``."""
    parts = text.split(",")
    if len(parts) != 2 or not all(p.strip().isdecimal() and int(p) > 0 for p in parts):
        raise BadValue(f"{text!r} is not two numbers of calls such as 40,80")
    return int(parts[0]), int(parts[1])


def _count(default: int | None, text: str, check: Any = positive, **more: Any) -> Any:
    return option(default, text, check=check, metavar="N", **more)


@dataclass(frozen=True)
class DiscoverySettings:
    """All that the outcome of a run depends on, beside the network and the reference phases.

    Attributes:
        system: elements.
        potential: as for ``potentials.load_calculator``; that of the hull.
        known: files of structures that are known to the user.
    """

    system: tuple[str, ...]
    space_groups: tuple[int, ...] = option(
        (), "only these: with commas, ranges like 195-230", check=space_groups, metavar="LIST"
    )
    common: bool = option(
        False,
        "in place of compositions that the prior draws: the 32 most common space groups times numbers of"
        " sites, as in the paper (section 5.4)",
    )
    formulas: tuple[str, ...] = option(
        (), "formulas to try as well, with commas", check=names, metavar="LIST"
    )
    crystals: int | None = _count(
        None, "crystals that the prior draws, or the grid makes at most (default: 2000)", whole, short="n"
    )
    samples: int = _count(
        60, "crystals for each space group and numbers of sites (--common) and each formula"
    )
    competitors: int = _count(
        100, "crystals of each system of some of the elements, to make the hull more complete", whole
    )
    sites: tuple[int, int] = option(
        (1, 2), "sites of an element, --common (default: 1-2)", check=site_range, metavar="1-2"
    )
    max_sites: int | None = _count(None, "most sites of a crystal")
    max_atoms: int | None = _count(None, "largest primitive cell")
    minutes: float | None = option(
        None, "time for the run, shared out over its stages", check=positive_number, metavar="M"
    )
    potential: str = "chgnet"
    keep_scored: int = _count(1500, "to single points, by the network's own judgement")
    keep_energies: int = _count(240, "to symmetric relaxation, by energy above the hull")
    keep_relaxed: int = _count(60, "to free relaxation")
    per_formula: int = _count(12, "of one composition at most")
    shortlist: int = _count(20, "onto the short list")
    phonons: int = _count(8, "of the short list with phonons and elastic constants; 0 for none", whole)
    max_above_hull: float = option(
        0.15, "eV per atom above the hull up to which a crystal is listed", check=amount, metavar="EV"
    )
    max_calls: tuple[int, int] = option(
        (40, 80),
        "calls of the potential for a symmetric and a free relaxation (default: 40,80)",
        check=two_calls,
        metavar="SYM,FREE",
    )
    fmax: float = option(0.05, "eV/Angstrom", check=amount, metavar="F")
    smax: float = option(0.005, "eV/Angstrom^3", check=amount, metavar="S")
    seconds: float = option(120.0, "time for one relaxation", check=positive_number, metavar="T")
    known: tuple[str, ...] = ()
    keep_known: bool = option(False, "list known crystals too")
    seed: int = _count(0, "of the generator", whole)
    format: str = option(
        "cif",
        "of the candidates beside the database: CIFs of the short list alone, or all in crystals.parquet too",
        choices=FORMATS,
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if not FEWEST_ELEMENTS <= len(self.system) <= MOST_ELEMENTS:
            raise DiscoveryError(
                f"system {'-'.join(self.system)} has {len(self.system)} elements; give {FEWEST_ELEMENTS} to"
                f" {MOST_ELEMENTS}, such as Cu-K-Si"
            )

    @property
    def name(self) -> str:
        """The system, such as ``Cu-K-Si``."""
        return "-".join(self.system)

    def check_formulas(self) -> None:
        """Refuse formulas beyond the system.

        Raises:
            DiscoveryError: an element that the system lacks.
            OrderError: no formula.
        """
        from crystalsmith.assignments import parse_formula

        for formula in self.formulas:
            others = set(parse_formula(formula).elements) - set(self.system)
            if others:
                raise DiscoveryError(
                    f"formula {formula} holds {', '.join(sorted(others))}, which the system lacks"
                )

    def identity(self) -> dict[str, Any]:
        """What makes two runs the same, in plain JSON types: all but the format."""
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {k: v for k, v in plain.items() if k != "format"}
