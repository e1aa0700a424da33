"""What the page of a run shows."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from crystalsmith.dft.jobs import ranked_names
from crystalsmith.discovery.candidate import Candidate
from crystalsmith.discovery.summary import RunSummary
from crystalsmith.hull import KJ_PER_MOL
from crystalsmith.reports import render
from crystalsmith.reports.drawings import crystal_svg, inline_figure, inline_png, pattern_svg
from crystalsmith.reports.viewers import Viewers
from crystalsmith.reports.words import NOTHING, duration, formula_html, group_html, lattice_html, number

ON_HULL = 1e-6
"""eV per atom: what lies no higher is on the hull or below it."""

STAGES = {
    "generated": "as generated",
    "symmetric": "relaxed in its free parameters",
    "free": "relaxed in all atoms and the cell",
    "given": "as given",
}


def to_html(folder: Path, run: RunSummary) -> str:
    """The page; ``folder`` is where its phonon pictures are looked for."""
    words = [f"crystalsmith {run.versions.get('crystalsmith', '')}".strip(), duration(run.seconds)]
    if run.potential:
        words.insert(0, f"energies of {run.potential}")
    names = ranked_names(run.shortlist)
    viewers = Viewers()
    return render(
        Path(__file__).with_name("page.html"),
        title=f"New crystals of {'-'.join(run.system)}",
        subtitle="; ".join(words),
        viewers=viewers,
        run=run,
        tiles=_tiles(run),
        most=max([1, *(s.came for s in run.stages)]),
        diagram=_diagram(run),
        phases=_stable_phases(run),
        with_dft=any(c.dft for c in run.shortlist),
        cards=[
            _card(folder, rank, c, name, viewers)
            for rank, (c, name) in enumerate(zip(run.shortlist, names, strict=True), start=1)
        ],
        kj=lambda value: value * KJ_PER_MOL,
        command=_command_line(run.arguments.get("command")),
        arguments=json.dumps(
            {k: v for k, v in run.arguments.items() if k != "command"},
            indent=1,
            ensure_ascii=False,
            default=str,
        ),
    )


def _tiles(run: RunSummary) -> list[tuple[str, str]]:
    known = [c.above_hull for c in run.shortlist if c.above_hull is not None]
    new = sum(c.novelty is not None and c.novelty.is_new for c in run.shortlist)
    tiles = [
        (f"{run.stages[0].came if run.stages else len(run.shortlist):,}", "candidates made"),
        (f"{len(run.shortlist)}", "on the short list"),
        (f"{new}", "of them not known"),
        (f"{sum(e <= ON_HULL for e in known)}", "on the hull or below it"),
    ]
    return tiles + ([(number(min(known), 3), "lowest above the hull, eV/atom")] if known else [])


def _diagram(run: RunSummary) -> Markup | None:
    from crystalsmith.hull.pictures import DRAWN, draw_phase_diagram

    if run.diagram is None or len(run.diagram.elements) not in DRAWN:
        return None
    found = ((c.crystal.formula, c.above_hull) for c in run.shortlist)
    points = [(formula, above, formula) for formula, above in found if above is not None]
    return inline_figure(draw_phase_diagram(run.diagram, points), "hull-")


def _stable_phases(run: RunSummary) -> list[tuple[str, float]]:
    from crystalsmith.discovery.shortlist import phase_label

    if run.diagram is None:
        return []
    stable = sorted(
        run.diagram.stable_entries, key=lambda e: (len(e.composition), e.composition.reduced_formula)
    )
    return [(phase_label(e), float(run.diagram.get_form_energy_per_atom(e))) for e in stable]


def _card(folder: Path, rank: int, c: Candidate, name: str, viewers: Viewers) -> dict[str, Any]:
    plot = folder / "phonons" / f"{c.name}.png"
    return {
        "rank": rank,
        "candidate": c,
        "name": name,
        "stage": STAGES.get(c.states[-1].stage, c.states[-1].stage),
        "small": crystal_svg(c.crystal, f"s{rank}-", legend=False),
        "picture": viewers.picture(c.crystal, f"c{rank}-"),
        "pattern": pattern_svg(c.crystal),
        "plot": inline_png(plot.read_bytes(), f"phonons of {c.crystal.formula}") if plot.is_file() else "",
        "phonons": _stability(c.phonons),
        "facts": list(_facts(c)),
    }


def _facts(c: Candidate) -> Iterable[tuple[str, Any]]:
    crystal, state = c.crystal, c.states[-1]
    yield "Lattice", Markup("{} (Å)").format(lattice_html(crystal))
    yield "Atoms", f"{crystal.n_atoms} (primitive cell), {crystal.n_atoms_conventional} (conventional)"
    yield "Above the hull", _both_units(c.above_hull)
    if c.decomposition:
        phases = sorted(c.decomposition.items(), key=lambda item: -item[1])
        word = "Would fall into" if (c.above_hull or 0) > 0 else "Competes with"
        words = Markup("{:.0f}&nbsp;% {}").format
        parts = Markup(" + ").join(words(100 * share, formula_html(phase)) for phase, share in phases)
        yield word, parts + " (share of atoms)"
    yield "Formation", _both_units(c.formation)
    if c.energy is not None:
        yield "Energy", f"{number(c.energy, 4)} eV/atom"
    if state.converged is not None:
        mood = "converged" if state.converged else _colored("bad", "not converged")
        yield "Relaxation", Markup("{}{}").format(mood, f" ({state.reason})" if state.reason else "")
    if len({s.crystal.space_group for s in c.states}) > 1:
        way = (group_html(s.crystal.space_group) for s in c.states)
        yield "Symmetry on its way", Markup(" → ").join(way)
    if c.phonons is not None:
        yield "Phonons", _stability(c.phonons)
    if c.elastic is not None:
        yield "Elastic (Born)", _stability({"stable": c.elastic.get("stable")})
    if c.novelty is not None:
        yield "Novelty", _novelty(c)
    yield from _dft_facts(c.dft or {})
    order = ", ".join(f"{k}: {v}" for k, v in c.order.items())
    yield "Made with", f"seed {c.seed}" + (f", order {order}" if order else "")


def _novelty(c: Candidate) -> Markup:
    found = c.novelty
    assert found is not None
    words = Markup("<b>{}</b>" if found.is_new else "{}").format(found.verdict)
    for name, value in (("nearest", found.nearest), ("type", found.prototype)):
        if value:
            words += Markup("; {}: {}").format(name, formula_html(value))
    if found.checked:
        words += Markup(" <small>(checked against {})</small>").format(found.checked)
    return words


def _dft_facts(dft: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    if not dft:
        return
    energy = dft.get("energy")
    words = "no energy" if energy is None else f"{number(energy, 4)} eV/atom"
    yield "DFT", f"{dft.get('code', '')}, {words}"
    if dft.get("above_hull") is not None:
        yield "Above, by DFT", _both_units(dft["above_hull"])
    if dft.get("formation") is not None:
        yield "Formation, by DFT", _both_units(dft["formation"])
    if dft.get("relative"):
        yield "Above its best", f"{_both_units(dft['relative'])} (same formula, DFT)"
    if dft.get("same") is not None:
        yield "After DFT", "the same structure" if dft["same"] else "another structure"
    if dft.get("space_group"):
        yield "Space group, DFT", group_html(int(dft["space_group"]))
    for problem in (*dft.get("problems", ()), *dft.get("missing", ())):
        yield "", _colored("bad", formula_html(str(problem)))


def _stability(found: Mapping[str, Any] | None) -> Markup | str:
    """Whether it is stable, in a word, and the lowest frequency of phonons."""
    if found is None:
        return NOTHING
    stable = found.get("stable")
    words: Markup | str = "undecided"
    if isinstance(stable, bool):
        words = _colored("good", "stable") if stable else _colored("bad", "unstable")
    lowest = found.get("min_frequency")
    if isinstance(lowest, int | float) and math.isfinite(lowest):
        # An imaginary frequency is given as a negative one.
        words = Markup("{} <small>lowest {}&nbsp;THz</small>").format(words, number(float(lowest), 2))
    return words


def _colored(mood: str, text: str) -> Markup:
    return Markup('<span class="{}">{}</span>').format(mood, text)


def _both_units(value: float | None) -> str:
    """eV per atom and kJ per mole of atoms on one line."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{number(value, 4)} eV/atom = {number(value * KJ_PER_MOL, 2)} kJ/mol of atoms"


def _command_line(command: Any) -> str:
    """The command that made the run, as text or as a list of words."""
    if isinstance(command, list | tuple):
        return shlex.join(str(word) for word in command)
    return command if isinstance(command, str) else ""
