"""The short list on the page: a table of it, and a card for each crystal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from crystalsmith.dft.names import ranked_names
from crystalsmith.discovery.candidate import Candidate
from crystalsmith.discovery.report.plots import crystal_png, figure_svg, pattern_figure, png_uri
from crystalsmith.discovery.report.words import (
    both_units,
    formula_html,
    group_html,
    lattice_html,
    novelty_html,
    number,
    one_line,
    stability_html,
)

STAGES = {
    "generated": "as generated",
    "symmetric": "relaxed in its free parameters",
    "free": "relaxed in all atoms and the cell",
    "given": "as given",
}


def short_list(candidates: Sequence[Candidate]) -> str:
    """The table, one row for each crystal, linked to its card and its CIF."""
    if not candidates:
        return (
            '<h2>Short list</h2><p class="empty">The short list is empty: no candidate passed every stage.'
            " The funnel above says where they left and why; more candidates, or a wider limit above the"
            " hull, may change that.</p>"
        )
    with_dft = any(c.dft for c in candidates)
    rows = [
        _row(rank, c, name, with_dft)
        for rank, (c, name) in enumerate(zip(candidates, ranked_names(candidates), strict=True), start=1)
    ]
    unit = "<br><small>eV/atom</small>"
    head = [
        "<th></th>",
        '<th class="text"></th>',
        '<th class="text">formula</th>',
        '<th class="text">space group</th>',
        '<th class="text">lattice<br><small>Å</small></th>',
        f"<th>above hull{unit}</th>",
        *([f"<th>above hull, DFT{unit}</th>"] if with_dft else []),
        f"<th>formation{unit}</th>",
        "<th>phonons</th>",
        '<th class="text">novelty</th>',
        '<th class="text">file</th>',
    ]
    return (
        f'<h2>Short list</h2><div class="scroll"><table class="short"><thead><tr>{"".join(head)}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _row(rank: int, c: Candidate, name: str, with_dft: bool) -> str:
    crystal = c.crystal
    picture = crystal_png(crystal, 56, legend=False)
    cells = [
        f'<td class="number">{rank}</td>',
        f'<td><img alt="{escape(crystal.formula)}" src="{picture}"></td>',
        f'<td class="text"><a href="#{escape(c.name)}"><b>{formula_html(crystal.formula)}</b></a>'
        f"<small>{escape(c.name)}</small></td>",
        f'<td class="text">{group_html(crystal.space_group)}</td>',
        f'<td class="text">{lattice_html(crystal)}</td>',
        f'<td class="number">{both_units(c.above_hull)}</td>',
    ]
    if with_dft:
        cells.append(f'<td class="number">{both_units((c.dft or {}).get("above_hull"))}</td>')
    cells += [
        f'<td class="number">{both_units(c.formation)}</td>',
        f"<td>{stability_html(c.phonons, phonons=True)}</td>",
        f'<td class="text">{novelty_html(c)}</td>',
        f'<td class="text"><a href="cif/{escape(name)}.cif">CIF</a></td>',
    ]
    return "<tr>" + "".join(cells) + "</tr>"


def cards(folder: Path, candidates: Sequence[Candidate]) -> str:
    """A card for each crystal: picture, facts, sites, powder pattern, phonons."""
    names = ranked_names(candidates)
    return "".join(
        _card(folder, rank, c, name) for rank, (c, name) in enumerate(zip(candidates, names, strict=True), 1)
    )


def _card(folder: Path, rank: int, c: Candidate, name: str) -> str:
    crystal = c.crystal
    caption = STAGES.get(c.states[-1].stage, c.states[-1].stage)
    pattern = (
        f"<figure>{figure_svg(pattern_figure(crystal), f'p{rank}-')}"
        "<figcaption>Simulated powder pattern; indices of the strongest peaks</figcaption></figure>"
    )
    phonons = folder / "phonons" / f"{c.name}.png"
    plots = ""
    if phonons.is_file():
        plots = (
            f'<figure class="wide"><img alt="phonons of {escape(crystal.formula)}"'
            f' src="{png_uri(phonons.read_bytes())}"><figcaption>Phonons</figcaption></figure>'
        )
    return (
        f'<section class="card" id="{escape(c.name)}"><header><span class="rank">{rank}</span>'
        f"<h3>{formula_html(crystal.formula)}</h3><span>{group_html(crystal.space_group)}</span>"
        f'<span class="quiet">{escape(c.name)}</span><a href="cif/{escape(name)}.cif">CIF</a>'
        f'<a href="poscar/{escape(name)}.vasp">POSCAR</a></header>'
        f'<div class="parts"><figure><img alt="{escape(crystal.formula)}" src="{crystal_png(crystal, 110)}">'
        f"<figcaption>Conventional cell, {escape(caption)}</figcaption></figure>"
        f"<div>{_facts(c)}</div><div>{pattern}{_sites(c)}</div></div>{plots}</section>"
    )


def _facts(c: Candidate) -> str:
    crystal = c.crystal
    state = c.states[-1]
    facts: list[tuple[str, str]] = [
        ("Lattice", f"{lattice_html(crystal)} (Å)"),
        ("Atoms", f"{crystal.n_atoms} in the primitive cell, {crystal.n_atoms_conventional} in the other"),
        ("Above the hull", one_line(c.above_hull)),
    ]
    if c.decomposition:
        phases = sorted(c.decomposition.items(), key=lambda item: -item[1])
        word = "Would fall into" if (c.above_hull or 0) > 0 else "Competes with"
        text = " + ".join(f"{100 * share:.0f}&nbsp;% {formula_html(phase)}" for phase, share in phases)
        facts.append((word, f"{text} <small>(share of atoms)</small>"))
    facts.append(("Formation", one_line(c.formation)))
    if c.energy is not None:
        facts.append(("Energy", f"{number(c.energy, 4)} eV/atom"))
    if state.converged is not None:
        mood = "converged" if state.converged else '<span class="bad">not converged</span>'
        facts.append(("Relaxation", f"{mood}{f' ({escape(state.reason)})' if state.reason else ''}"))
    if len({s.crystal.space_group for s in c.states}) > 1:
        way = " → ".join(group_html(s.crystal.space_group) for s in c.states)
        facts.append(("Symmetry on its way", way))
    if c.phonons is not None:
        facts.append(("Phonons", stability_html(c.phonons, phonons=True)))
    if c.elastic is not None:
        facts.append(("Elastic (Born)", stability_html(c.elastic, phonons=False)))
    if c.novelty is not None:
        checked = (
            f" <small>(checked against {escape(c.novelty.checked)})</small>" if c.novelty.checked else ""
        )
        facts.append(("Novelty", novelty_html(c).replace("<small", "; <small") + checked))
    facts += _dft_facts(c.dft)
    facts.append(("Made with", f"seed {c.seed}" + (f", order {_order(c.order)}" if c.order else "")))
    return "<dl>" + "".join(f"<dt>{k}</dt><dd>{v}</dd>" for k, v in facts) + "</dl>"


def _order(order: Mapping[str, Any]) -> str:
    return escape(", ".join(f"{k}: {v}" for k, v in order.items()))


def _dft_facts(dft: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if not dft:
        return []
    energy = dft.get("energy")
    words = "no energy" if energy is None else f"{number(energy, 4)} eV/atom"
    facts = [("DFT", f"{escape(str(dft.get('code', '')))}, {words}")]
    if dft.get("above_hull") is not None:
        facts.append(("Above, by DFT", one_line(dft["above_hull"])))
    if dft.get("formation") is not None:
        facts.append(("Formation, by DFT", one_line(dft["formation"])))
    if dft.get("relative"):
        facts.append(("Above its best", f"{one_line(dft['relative'])} <small>(same formula, DFT)</small>"))
    if dft.get("same") is not None:
        facts.append(("After DFT", "the same structure" if dft["same"] else "another structure"))
    if dft.get("space_group"):
        facts.append(("Space group, DFT", group_html(int(dft["space_group"]))))
    for problem in (*dft.get("problems", ()), *dft.get("missing", ())):
        facts.append(("", f'<span class="bad">{formula_html(str(problem))}</span>'))
    return facts


def _sites(c: Candidate) -> str:
    rows = ""
    for site, position in zip(c.crystal.sites, c.crystal.positions_of_sites, strict=True):
        x = position.position(np.array(site.free)) % 1.0
        place = "".join(f'<td class="number">{value:.4f}</td>' for value in x)
        rows += (
            f'<tr><td class="text">{escape(site.element)}</td>'
            f'<td class="text">{position.multiplicity}{escape(site.letter)}</td>{place}</tr>'
        )
    head = '<th class="text">site</th><th class="text">Wyckoff</th><th>x</th><th>y</th><th>z</th>'
    return (
        f'<details open><summary>Sites</summary><table class="sites"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></details>"
    )
