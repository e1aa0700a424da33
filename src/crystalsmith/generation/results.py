"""What a run made, for people: ranks, duplicates, what is known, a table and a page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from crystalsmith.crystal import Crystal
from crystalsmith.crystal.bonds import shortest_bonds
from crystalsmith.crystal.elements import formula_order
from crystalsmith.crystal.hidden import hidden_group
from crystalsmith.generation.alike import first_alike
from crystalsmith.generation.asked_for import chances
from crystalsmith.generation.known import KnownPhase, KnownPhases, Novelty, known_of
from crystalsmith.orders.formula import FormulaKind
from crystalsmith.reports.words import chance, lattice_text
from crystalsmith.runs.csv_text import csv_lines
from crystalsmith.symmetry import space_group

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from crystalsmith.diffusion import AnyModel
    from crystalsmith.generation.journal import Entry
    from crystalsmith.generation.settings import GenerateSettings
    from crystalsmith.orders import Order
    from crystalsmith.runs.folder import RunFolder

CSV, PAGE = "crystals.csv", "report.html"
OWNED = (CSV, PAGE)
"""Files that ``write_results`` writes, as patterns."""

SORTS = ("score", "energy")
"""By what the crystals of an order can be sorted."""

KNOWN_ROWS = 10
"""Known phases that are listed on the terminal."""

_ROWS = 40  # of the table on the terminal


@dataclass(frozen=True)
class Ranked:
    """A crystal with its rank, from 1 through the whole run, order after order.

    Attributes:
        rank: 1 for the first.
        order: that asked for it.
        entry: with the crystal and its score.
        figure: by which it was sorted within its order; None without judges.
        total: crystals of the run.
        duplicate_of: rank of a better crystal that is the same.
        hidden_group: space group of more symmetry that it has within 0.1 Angstrom.
        novelty: how it stands to what is known; None where nobody looked.
    """

    rank: int
    order: Order
    entry: Entry
    figure: float | None = None
    total: int = 0
    duplicate_of: int | None = None
    hidden_group: int | None = None
    novelty: Novelty | None = None

    @property
    def stem(self) -> str:
        """Of its file: rank, order and index."""
        return f"{self.rank:0{max(3, len(str(self.total)))}d}_{self.entry.name}"

    @property
    def crystal(self) -> Crystal:
        """The crystal itself."""
        assert self.entry.crystal is not None
        return self.entry.crystal

    @property
    def energy(self) -> float | None:
        """eV per atom by the potential that judged, after its relaxation if there was one."""
        return self.entry.score.best_energy if self.entry.score else None

    @property
    def is_exact(self) -> bool:
        """Whether it is a crystal of the user's own, as it is and with its own elements."""
        own = self.entry.origin
        return own.kind == "prototype" and own.source == "file" and own.weight is not None and own.weight >= 1

    @property
    def stands_behind(self) -> bool:
        """Whether a better crystal of its order says the same, or a simpler description of it would."""
        return self.duplicate_of is not None or self.hidden_group is not None

    @property
    def known_as(self) -> str:
        """The known crystal that it is; empty where it is none."""
        return self.novelty.nearest if self.novelty is not None and not self.novelty.is_new else ""

    @property
    def remark(self) -> str:
        """Why it stands behind."""
        words = [] if self.duplicate_of is None else [f"same as {self.duplicate_of}"]
        if self.hidden_group is not None:
            words.append(f"{space_group(self.hidden_group).symbol} within 0.1 Å")
        return ", ".join(words)


def rank_all(
    found: Sequence[tuple[Order, Sequence[tuple[Entry, float | None]]]],
    sort: str = SORTS[0],
    known: KnownPhases | None = None,
) -> list[Ranked]:
    """Rank what was made: orders in turn, best first, duplicates and hidden symmetry behind.

    Args:
        found: for each order its sound crystals with their figures, higher is better. Without figures they
            stay in their sequence.
        sort: "score", or "energy": lowest first among crystals of one formula.
        known: the known phases; sorted by score, an order for a formula with crystals that are known phases
            goes by ``asked_for.chances``, which take the place of their stated chances.
    """
    total = sum(len(entries) for _, entries in found)
    ranked: list[Ranked] = []
    for order, entries in found:
        own = [Ranked(0, order, entry, figure, total) for entry, figure in entries]
        own = _sorted(own, sort)
        if known is not None and sort == "score" and order.formula is not None:
            own = _by_chance(own, known)
        ranked += _ranked(own, len(ranked), exact_first=sort == "score")
    return ranked


def _by_chance(made: list[Ranked], known: KnownPhases) -> list[Ranked]:
    """By the chance to be the one asked for, where some are known phases; else as they are."""
    found = chances(made[0].order, [m.entry for m in made], [m.figure for m in made], known) if made else None
    if found is None:
        return made
    judged = [
        m if m.entry.p_right is None else replace(m, entry=replace(m.entry, p_right=float(p)))
        for m, p in zip(made, found, strict=True)
    ]
    return [judged[place] for place in sorted(range(len(made)), key=lambda k: -found[k])]


def _sorted(made: list[Ranked], sort: str) -> list[Ranked]:
    """Best first."""
    made = sorted(made, key=lambda m: -(m.figure or 0.0))
    if sort == "energy":
        formulas = {m.crystal.formula: place for place, m in reversed(list(enumerate(made)))}
        made.sort(key=lambda m: (formulas[m.crystal.formula], math.inf if m.energy is None else m.energy))
    return made


def _ranked(made: list[Ranked], before: int, exact_first: bool) -> list[Ranked]:
    """The crystals of one order with ranks after ``before``, marked, those that stand behind last.

    Args:
        made: best first.
        before: crystals with better ranks.
        exact_first: a crystal of the user's own stands for those that are the same, in their best place.
    """
    found = [hidden_group(m.crystal) for m in made]
    exact = [exact_first and m.is_exact for m in made]
    # Crystals that say what they are stand for those that do not.
    order = sorted(range(len(made)), key=lambda i: (found[i][1], not exact[i]))
    stands = first_alike([made[i].crystal for i in order], [found[i][0] for i in order])
    stands_for = {i: order[stands[place]] for place, i in enumerate(order)}
    place = list(range(len(made)))
    for i in range(len(made)):
        leader = stands_for[i]
        if exact[leader] and not found[i][1]:
            place[leader] = min(place[leader], i)
            made[leader] = _as_sure_as(made[leader], made[i])
    order.sort(key=lambda i: (found[i][1] or stands_for[i] != i, place[i], i))
    rank = {i: before + place for place, i in enumerate(order, start=1)}
    return [
        replace(
            made[i],
            rank=rank[i],
            duplicate_of=None if stands_for[i] == i else rank[stands_for[i]],
            hidden_group=found[i][0] if found[i][1] else None,
        )
        for i in order
    ]


def _as_sure_as(made: Ranked, other: Ranked) -> Ranked:
    """With the chance of another crystal that is the same, where that is higher."""
    own, theirs = made.entry.p_right, other.entry.p_right
    if own is None or theirs is None or theirs <= own:
        return made
    return replace(made, entry=replace(made.entry, p_right=theirs))


@dataclass(frozen=True)
class Results:
    """The crystals of a run as people see them."""

    rows: tuple[Ranked, ...]
    known_phases: tuple[KnownPhase, ...] = ()
    """Known phases of what was asked for, the most stable first, with the ranks of their crystals."""
    files: frozenset[int] | None = None
    """Ranks of crystals that have a CIF; None where all have."""

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Ranked]:
        return iter(self.rows)

    def text(self) -> Table:
        """The table that a run prints."""
        return results_table(self.rows)

    def to_dict(self) -> list[dict[str, Any]]:
        """A mapping for each crystal, by the names of ``COLUMNS``."""
        return [_row(ranked, self.has_cif(ranked)) for ranked in self.rows]

    def has_cif(self, made: Ranked) -> bool:
        """Whether the crystal has a file of its own."""
        return self.files is None or made.rank in self.files

    def to_dataframe(self) -> pd.DataFrame:
        """The same as a table."""
        import pandas as pd

        return pd.DataFrame(self.to_dict(), columns=list(COLUMNS))


def write_results(
    folder: RunFolder,
    ranked: Sequence[Ranked],
    *,
    orders: Sequence[Order],
    model: AnyModel | None,
    settings: GenerateSettings,
) -> Results:
    """Write ``crystals.csv`` and ``report.html``; called whenever a run ends.

    Args:
        folder: of the run.
        ranked: from ``rank_all``.
        orders: that were carried out.
        model: that made them: its training set's crystals count as known.
        settings: of the run; crystals of its ``known`` files count as known.

    Raises:
        OutputError: a file cannot be written.
        DataError: a file of known crystals cannot be read.
    """
    from crystalsmith.generation.results_page import results_page, shown_in_full

    known = known_of(model, {e for r in ranked for e in r.crystal.counts}, settings.known)
    rows = tuple(replace(r, novelty=known.judge(r.crystal)) for r in ranked)
    files = None if settings.format == "cif" else frozenset(r.rank for r in shown_in_full(rows))
    results = Results(rows, tuple(known_phases(orders, rows, known)), files)
    facts = {
        "Asked for": f"{sum(order.count for order in orders)} crystals in {len(orders)} orders",
        "Model": "" if model is None else model.method,
        "Seed": settings.seed,
        "Letters": settings.letters,
        "Potential": settings.potential or "none",
        "Known phases": "left out" if settings.new_only else "made too",
    }
    folder.write(CSV, "".join(csv_lines(results.to_dict(), COLUMNS)))
    folder.write(PAGE, results_page(results, facts=facts))
    return results


COLUMNS = (
    *("rank", "order", "index", "formula", "space_group", "symbol", "a", "b", "c", "alpha", "beta", "gamma"),
    *("atoms", "volume_per_atom", "wyckoff", "origin", "score", "p_right", "p_given_letters"),
    *("energy_ev_atom", "novelty", "known_as", "e_above_hull_of_known", "nearest_known"),
    *("duplicate_of", "symmetry_within_0.1A"),
    *("shortest_bond", "shortest_bond_angstrom", "seed", "cif"),
)
"""Of ``crystals.csv``; lengths in Angstrom, angles in degrees, atoms in the primitive cell."""


def _row(made: Ranked, has_cif: bool) -> dict[str, Any]:
    crystal, score = made.crystal, made.entry.score
    cell = zip(("a", "b", "c", "alpha", "beta", "gamma"), crystal.cell, strict=True)
    bonds = shortest_bonds(crystal)
    return {
        "rank": made.rank,
        "order": made.order.id,
        "index": made.entry.index,
        "formula": crystal.formula,
        "space_group": crystal.space_group,
        "symbol": crystal.group.symbol,
        **{key: round(value, 5) for key, value in cell},
        "atoms": crystal.n_atoms,
        "volume_per_atom": round(crystal.volume / crystal.n_atoms_conventional, 4),
        "wyckoff": crystal.wyckoff,
        "origin": made.entry.origin.words,
        "score": None if made.figure is None else round(made.figure, 4),
        "p_right": None if made.entry.p_right is None else round(made.entry.p_right, 4),
        "p_given_letters": None if score is None else round(score.p_given_letters, 4),
        "energy_ev_atom": None if made.energy is None else round(made.energy, 6),
        "novelty": made.novelty.verdict if made.novelty else None,
        "known_as": made.known_as,
        "e_above_hull_of_known": made.novelty.e_above_hull if made.novelty else None,
        "nearest_known": made.novelty.nearest if made.novelty else None,
        "duplicate_of": made.duplicate_of,
        "symmetry_within_0.1A": made.hidden_group,
        "shortest_bond": f"{bonds[0].first}-{bonds[0].second}" if bonds else None,
        "shortest_bond_angstrom": round(bonds[0].length, 3) if bonds else None,
        "seed": made.entry.seed,
        "cif": f"cif/{made.stem}.cif" if has_cif else None,
    }


def known_phases(orders: Sequence[Order], rows: Sequence[Ranked], known: KnownPhases) -> list[KnownPhase]:
    """Known phases of orders for a formula or a system, with the best crystal that is each of them."""
    result = []
    for order in orders:
        if order.formula is None and order.system is None:
            continue
        ranks: dict[tuple[str, str], int] = {}
        for r in rows:
            if r.order.id == order.id and not r.stands_behind:
                for key in known.same_as(r.crystal):
                    ranks.setdefault(key, r.rank)
        content = order.content
        ratio = content.formula.ratio if isinstance(content, FormulaKind) else None
        result += [
            replace(phase, order=order.id, rank=ranks.get(phase.key))
            for phase in known.phases(sorted(content.elements, key=formula_order), ratio)
        ]
    return result


def known_table(results: Results) -> Table | None:
    """The known phases as a run prints them; None where there are none."""
    from rich.table import Table

    phases = results.known_phases
    if not phases:
        return None
    several = len({p.order for p in phases}) > 1
    table = Table(box=None, pad_edge=False, title="known phases", title_justify="left", title_style="")
    columns = {
        "order": (several, lambda p: p.order),
        "phase": (True, lambda p: p.formula),
        "id": (True, lambda p: p.id or "-"),
        "space group": (True, lambda p: f"{p.symbol} ({p.space_group})" if p.space_group else "-"),
        "atoms": (True, lambda p: str(p.atoms or "-")),
        "eV/atom above hull": (True, lambda p: p.distance),
        "seen": (any(p.observed is not None for p in phases), lambda p: p.seen),
        "crystal": (True, lambda p: "-" if p.rank is None else str(p.rank)),
    }
    used = {name: text for name, (wanted, text) in columns.items() if wanted}
    for name in used:
        right = name in ("atoms", "eV/atom above hull", "crystal")
        table.add_column(name, justify="right" if right else "left", overflow="fold", no_wrap=right)
    for phase in phases[:KNOWN_ROWS]:
        table.add_row(*(_plain(text(phase)) for text in used.values()))
    if len(phases) > KNOWN_ROWS:
        table.caption = f"... and {len(phases) - KNOWN_ROWS} more, see {PAGE}"
        table.caption_justify = "left"
    return table


def results_table(results: Sequence[Ranked]) -> Table:
    """The table that a run prints."""
    from rich.table import Table

    several = len({m.order.id for m in results}) > 1
    energies = any(m.energy is not None for m in results)
    looked = any(m.novelty is not None for m in results)
    shown = results[:_ROWS]
    remarks = any(m.remark for m in shown)
    origins = any(m.entry.kind != "network" for m in shown)
    table = Table(box=None, pad_edge=False)
    columns = {
        "rank": (True, lambda m: str(m.rank)),
        "order": (several, lambda m: m.order.id),
        "formula": (True, lambda m: m.crystal.formula),
        "space group": (True, lambda m: f"{m.crystal.group.symbol} ({m.crystal.space_group})"),
        "cell (Å)": (True, lambda m: lattice_text(m.crystal)),
        "atoms": (True, lambda m: str(m.crystal.n_atoms)),
        "score": (any(m.figure is not None for m in results), lambda m: _number(m.figure, 2)),
        "right": (any(m.entry.p_right is not None for m in results), lambda m: chance(m.entry.p_right)),
        "eV/atom": (energies, lambda m: _number(m.energy, 3)),
        "known as": (looked, lambda m: m.known_as or "-"),
        "origin": (origins, lambda m: m.entry.origin.words),
        "remark": (remarks, lambda m: m.remark),
    }
    used = {name: text for name, (wanted, text) in columns.items() if wanted}
    for name in used:
        right = name in ("rank", "atoms", "score", "right", "eV/atom")
        table.add_column(name, justify="right" if right else "left", overflow="fold", no_wrap=right)
    for made in shown:
        cells = (_plain(text(made)) for text in used.values())
        table.add_row(*cells, style="dim" if made.stands_behind else None)
    if len(results) > _ROWS:
        table.caption = f"... and {len(results) - _ROWS} more in {CSV}"
        table.caption_justify = "left"
    return table


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
