#!/usr/bin/env python3
"""Draws the figures of the explanation with the package's own code: ``python docs/figures.py [NAME ...]``.

All of them take about a minute on one core. The pictures go to docs/images/method.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from PIL import Image

from crystalsmith import Crystal, load_model
from crystalsmith.crystal import Site
from crystalsmith.crystal.elements import NUMBERS
from crystalsmith.diffusion import Request
from crystalsmith.diffusion.fields import LATTICE_NOISE, POSITION_NOISE
from crystalsmith.generation.trajectory import record_like
from crystalsmith.graph import build_multigraph, find_coincidence, merge_edges, to_batch, torch_tables
from crystalsmith.graph.general import GeneralBatch
from crystalsmith.orders import parse_order
from crystalsmith.orders.sources import learned_source
from crystalsmith.pictures.ball_and_stick import element_color
from crystalsmith.pictures.contact_sheet import sheet_figure
from crystalsmith.prototypes import Library
from crystalsmith.symmetry import SpaceGroup, space_group

FOLDER = Path(__file__).parent / "images" / "method"
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#777777"

RUTILE = Crystal(136, (4.594, 4.594, 2.959, 90, 90, 90), (Site("Ti", "a"), Site("O", "f", (0.305,))))
"""TiO2, cell and parameter from the literature, rounded."""

PEROVSKITE = Crystal(
    62,
    (5.611, 7.669, 5.349, 90, 90, 90),
    (
        Site("Gd", "c", (0.063, 0.984)),
        Site("Fe", "b"),
        Site("O", "c", (0.467, 0.101)),
        Site("O", "d", (0.302, 0.051, 0.699)),
    ),
)
"""GdFeO3, rounded, in the standard setting."""

NEAR = 3.0
"""Angstrom: length of the edges that are drawn."""

mpl.rcParams.update(
    {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "legend.frameon": False,
    }
)


def sheet(columns: int, width: float, height: float, **more: object) -> tuple[Figure, list[Axes]]:
    """A figure with panels side by side."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(np.atleast_1d(figure.subplots(1, columns, **more)))


def save(figure: Figure, name: str) -> None:
    """Write a small picture: few colours are enough for drawings."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    raw = io.BytesIO()
    figure.savefig(
        raw, format="png", dpi=110 if figure.get_layout_engine() is None else 140, facecolor="white"
    )
    Image.open(raw).convert("RGB").quantize(96).save(FOLDER / f"{name}.png", optimize=True)


def color_of(symbol: str) -> np.ndarray:
    """The colour in which the package draws an element."""
    return element_color(NUMBERS[symbol])


def draw_square(axes: Axes, crystal: Crystal, size: float = 1.0) -> None:
    """The outline of the cell, seen along c."""
    a, b = crystal.cell[:2]
    axes.plot([0, a, a, 0, 0], [0, 0, b, b, 0], color=GREY, lw=0.8, zorder=0)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_xlim(-0.8 * size, a + 0.8 * size)
    axes.set_ylim(-0.8 * size, b + 0.8 * size)


def ball(axes: Axes, place: np.ndarray, symbol: str, *, faint: bool = False, ring: bool = False) -> None:
    """An atom, seen along c."""
    axes.scatter(
        *place[:2],
        s=230 if symbol == "Ti" else 150,
        color=color_of(symbol),
        edgecolor=RED if ring else "#333333",
        linewidth=2.2 if ring else 0.6,
        alpha=0.35 if faint else 1.0,
        zorder=3,
    )


def images_of(group: SpaceGroup, place: np.ndarray) -> np.ndarray:
    """(n, 3) a place under all operations of a group, fractional."""
    return np.asarray(group.rotations @ place + group.translations)


def atoms_seen(crystal: Crystal) -> list[tuple[str, int, np.ndarray]]:
    """Atoms in and on the conventional cell: element, number of the site, Cartesian place."""
    found = []
    group = crystal.group
    for number, site in enumerate(crystal.sites):
        position = group.position(site.letter)
        start = position.basis @ np.array(site.free) + position.origin if site.free else position.origin
        for image in sorted({tuple(place) for place in np.round(images_of(group, start) % 1.0, 6)}):
            for x, y in product((0, 1), repeat=2):
                place = np.array(image) + np.array([x, y, 0])
                if (place[:2] <= 1 + 1e-6).all():
                    found.append((site.element, number, place @ crystal.lattice))
    return found


def orbits() -> None:
    """A crystal as its representatives and their free parameters."""
    figure, (left, right) = sheet(2, 6.4, 3.1)
    for axes in (left, right):
        draw_square(axes, RUTILE)
    for symbol, _, place in atoms_seen(RUTILE):
        ball(left, place, symbol)
        ball(right, place, symbol, faint=True)
    left.set_title("six atoms in the cell, seen along c")
    right.set_title("two orbits, one free parameter")
    a = RUTILE.cell[0]
    right.plot([0, a], [0, a], color=BLUE, lw=1.5, ls=":", zorder=1)
    ball(right, np.zeros(2), "Ti", ring=True)
    oxygen = 0.305 * a * np.ones(2)
    ball(right, oxygen, "O", ring=True)
    right.annotate("Ti on a: no freedom", (0, 0), (-0.2, -0.75), fontsize=8, color=RED)
    right.annotate("O on f: (x, x, 0)", oxygen, (1.85, 1.0), fontsize=8, color=RED)
    right.text(2.65, 4.15, "x is free along here", fontsize=8, color=BLUE, ha="right")
    save(figure, "orbits")


def multigraph() -> None:
    """All edges of a crystal, those from representatives, and those that site symmetry leaves."""
    batch = to_batch([RUTILE], load_model().statistics.atomic_volume)
    graph = build_multigraph(batch, NEAR)
    merged = merge_edges(batch, graph)
    layout = batch.layout
    lattice = batch.lattice()[0].numpy()
    places = batch.atom_positions().numpy() @ lattice
    first = layout.first_atom.numpy()
    figure, panels = sheet(3, 9.6, 3.3)
    copies = [places[first[o]] for o in range(2)]
    for axes in panels:
        draw_square(axes, RUTILE, 2.6)
        for symbol, _, place in atoms_seen(RUTILE):
            ball(axes, place, symbol, faint=axes is not panels[0])
    seen = [place for _, _, place in atoms_seen(RUTILE)]
    for start, end, z in product(seen, seen, (-1, 0, 1)):
        vector = end + z * lattice[2] - start
        if 0 < np.linalg.norm(vector) < NEAR:
            panels[0].plot(*np.array([start, start + vector])[:, :2].T, color=BLUE, lw=0.8, zorder=1)
    per_site = np.bincount(graph.orbit.numpy(), minlength=2)
    size = [p.multiplicity_primitive for p in RUTILE.positions_of_sites]
    total = int((per_site * size).sum())
    for axes, edges in ((panels[1], graph), (panels[2], merged.graph)):
        for orbit, vector in zip(edges.orbit.numpy(), edges.vector.numpy(), strict=True):
            start = copies[orbit]
            axes.plot(*np.array([start, start + vector])[:, :2].T, color=BLUE, lw=1.2, zorder=1)
            axes.scatter(*(start + vector)[:2], s=14, color=BLUE, zorder=4)
        for symbol, place in zip(("Ti", "O"), copies, strict=True):
            ball(axes, place, symbol, ring=True)
    panels[0].set_title(f"all atoms: {total} edges")
    panels[1].set_title(f"from one atom of each orbit: {len(graph.orbit)}")
    panels[2].set_title(f"different under site symmetry: {len(merged.graph.orbit)}")
    save(figure, "multigraph")


def noise() -> None:
    """Both noise schedules, and what they do to a coordinate and to a length."""
    figure, (left, middle, right) = sheet(3, 9.6, 2.9)
    t = torch.linspace(0, 1, 101)
    for schedule, color, name in ((POSITION_NOISE, BLUE, "positions"), (LATTICE_NOISE, ORANGE, "lattice")):
        sigma = schedule.sigma(t).numpy()
        left.semilogy(t, sigma, color=color)
        left.text(0.93, sigma[90] * (1.6 if color == ORANGE else 0.5), name, color=color, ha="right")
    left.axvspan(0.2, 0.95, color="#eeeeee", zorder=0)
    left.text(0.575, 0.006, "sampled", ha="center", color=GREY)
    left.set(xlabel="time t", ylabel="noise level σ", title="schedules")
    x = np.linspace(0, 1, 401)
    shades = {0.3: 1.0, 0.6: 0.7, 0.8: 0.45, 0.95: 0.25}
    # Noise is in units of the cell's cube root; x runs once around the circle along the diagonal of a and b.
    unit = RUTILE.volume ** (1 / 3) / (2**0.5 * RUTILE.cell[0])
    for time, alpha in shades.items():
        sigma = unit * float(POSITION_NOISE.sigma(torch.tensor(time)))
        turns = [(start, k) for start in (0.305, 1 - 0.305) for k in range(-4, 5)]
        density = sum(np.exp(-(((x - start + k) / sigma) ** 2) / 2) for start, k in turns)
        middle.plot(x, density / density.mean(), color=BLUE, alpha=alpha, label=f"t = {time}")
    middle.set(ylim=(0, 6), xlabel="x of oxygen, on a circle", ylabel="density", title="a coordinate")
    middle.legend(fontsize=7)
    generator = np.random.default_rng(0)
    for k, time in enumerate(shades):
        sigma = float(LATTICE_NOISE.sigma(torch.tensor(time)))
        strain = generator.normal(0, 0.07 * sigma, 300)
        height = k + generator.uniform(-0.28, 0.28, 300)
        right.scatter(RUTILE.volume * np.exp(strain * 3**0.5), height, s=4, color=ORANGE, alpha=0.6)
    right.axvline(RUTILE.volume, color=GREY, lw=0.8)
    right.set_yticks(range(4), [f"t = {time}" for time in shades])
    right.set(xlabel="volume, Å³", title="a cell")
    save(figure, "noise")


def denoising() -> None:
    """Parameter and cell of several samples on their way, and where the network's own knowledge ends them."""
    model = load_model()
    requests = [Request(136, (("Ti", "a"), ("O", "f")))] * 16
    path: list[tuple[np.ndarray, np.ndarray]] = []

    def keep(step: int, batch: object) -> None:
        lengths = batch.lattice().norm(dim=2).numpy()  # type: ignore[attr-defined]
        path.append((batch.representative().numpy()[1::2, 0], lengths))  # type: ignore[attr-defined]

    model.sample(requests, seeds=range(16), guided=False, callback=keep)
    x = np.array([p for p, _ in path]) % 1.0
    # x and 1 - x are the same orbit.
    x = np.minimum(x, 1 - x)
    cells = np.array([c for _, c in path])
    figure, panels = sheet(2, 8.2, 2.9)
    calls = np.arange(1, len(x) + 1)
    panels[0].plot(calls, x, color=BLUE, alpha=0.45, lw=1)
    panels[0].axhline(0.305, color=GREY, lw=0.8, ls="--")
    panels[0].set(xlabel="network calls", ylabel="x of oxygen", title="positions", ylim=(0, 0.5))
    panels[1].plot(calls, cells[:, :, 0], color=ORANGE, alpha=0.45, lw=1)
    panels[1].plot(calls, cells[:, :, 2], color=GREEN, alpha=0.45, lw=1)
    for value, name, color in ((4.594, "a", ORANGE), (2.959, "c", GREEN)):
        panels[1].axhline(value, color=GREY, lw=0.8, ls="--")
        panels[1].text(len(x) + 0.2, value, name, color=color, va="center")
    panels[1].set(xlabel="network calls", ylabel="Å", title="lattice, in the same calls", ylim=(1.5, 9))
    save(figure, "denoising")


def out_of_noise() -> None:
    """One crystal on its way, as pictures."""
    way = record_like(load_model(), PEROVSKITE, seed=1)
    raw = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        raw.write(way.plot(Path(folder) / "strip.png", columns=5).read_bytes())
    picture = Image.open(raw).convert("RGB")
    picture.thumbnail((1100, 1100))
    picture.quantize(96).save(FOLDER / "out_of_noise.png", optimize=True)


def merging() -> None:
    """Images of a point in general position, on their way to a special position of P4mm's kind."""
    tables = torch_tables("cpu", torch.float64)
    group = space_group(123)
    figure, panels = sheet(3, 8.0, 2.9)
    points = ((0.30, 0.13), (0.155, 0.13), (0.05, 0.03))
    for axes, (x, y) in zip(panels, points, strict=True):
        batch = GeneralBatch(
            torch.tensor([123]),
            torch.tensor([0]),
            torch.tensor([22]),
            torch.tensor([[x, y, 0.0]], dtype=torch.float64),
            torch.tensor([[6.0, 6.0, 6.0]], dtype=torch.float64),
            tables,
        )
        found = find_coincidence(batch, 0.6)
        images = images_of(group, np.array([x, y, 0.0]))
        atoms = np.unique(np.round(images_of(group, found.centre[0].numpy())[:, :2], 6), axis=0)
        axes.scatter(*images[:, :2].T, s=26, color="white", edgecolor=BLUE, zorder=3)
        axes.scatter(*atoms.T, s=60, color=ORANGE, alpha=0.9, zorder=2)
        axes.scatter(x, y, s=26, color=BLUE, zorder=4)
        for end in ((0.5, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, -0.5)):
            axes.plot((-end[0], end[0]), (-end[1], end[1]), color=GREY, lw=0.6, ls=":", zorder=0)
        axes.set_aspect("equal")
        axes.set(xlim=(-0.45, 0.45), ylim=(-0.45, 0.45), xticks=[], yticks=[])
        number = len(np.unique(np.round(images[:, :2], 6), axis=0))
        axes.set_title(f"{number} images, {len(atoms)} atom{'s' * (len(atoms) > 1)}")
    save(figure, "merging")


def prior() -> None:
    """What the learned prior, with the known crystals beside it, makes of a formula."""
    source = learned_source(load_model())
    assert source is not None
    order = parse_order({"formula": "BaTiO3", "max_atoms": 20})
    elements, ratio = tuple(NUMBERS[s] for s in ("Ba", "Ti", "O")), (1, 1, 3)
    figure, (left, middle, right) = sheet(3, 9.6, 2.8, gridspec_kw={"width_ratios": [1, 1.2, 2.4]})
    units = np.exp(source.prior.units(elements, ratio, 6))
    left.bar(range(1, 7), units, color=BLUE)
    left.set_xticks(range(1, 7))
    left.set(xlabel="formula units in the cell", ylabel="probability", title="cell")
    best = int(np.argmax(units)) + 1
    groups = np.exp(source.prior.groups(elements, tuple(n * best for n in ratio)))
    top = np.argsort(-groups)[:6][::-1]
    middle.barh([space_group(int(g)).symbol for g in top], groups[top], color=BLUE)
    middle.set(xlabel="probability", title=f"space group, {best} unit{'s' * (best > 1)}")
    found = (order.content.likely(order.bounds, source, 20, 40) or [])[:6][::-1]
    sites = [" ".join(f"{element}-{letter}" for element, letter in r.sites) for r in found]
    names = [f"{space_group(r.space_group).symbol}: {text}" for r, text in zip(found, sites, strict=True)]
    right.barh(names, [np.exp(r.log_prior) for r in found], color=BLUE)
    right.set(xlabel="probability", title="cell, group and Wyckoff letters")
    save(figure, "prior")


def prototypes() -> None:
    """Known arrangements that lend themselves to a formula."""
    statistics = load_model().statistics
    library = Library.of(statistics.prototypes, atomic_volume=statistics.atomic_volume)
    elements = tuple(NUMBERS[s] for s in ("Mg", "Tm", "S"))
    found = library.by_atoms(elements, (2, 4, 8), most=3)
    labels = [f"{one.name}\nweight {one.weight:.2f}" for one in found]
    figure = sheet_figure([one.crystal.to_atoms(primitive=False) for one in found], labels=labels, columns=3)
    save(figure, "prototypes")


def road() -> None:
    """From an order to a ranked list."""
    figure, (axes,) = sheet(1, 9.6, 2.7)
    axes.set_axis_off()
    axes.set(xlim=(0, 96), ylim=(0, 27))

    def box(x: float, y: float, width: float, text: str, color: str) -> None:
        patch = FancyBboxPatch((x, y), width, 5.4, boxstyle="round,pad=0.4", fc="white", ec=color, lw=1.4)
        axes.add_patch(patch)
        axes.text(x + width / 2, y + 2.7, text, ha="center", va="center", fontsize=8.5)

    def arrow(x: float, y: float, to: float, height: float) -> None:
        style = FancyArrowPatch((x, y), (to, height), arrowstyle="-|>", mutation_scale=9, color=GREY, lw=1)
        axes.add_patch(style)

    box(1, 10.8, 13, "order\nMgCr2O4", GREY)
    box(20, 10.8, 17, "prior: cell, group,\nWyckoff letters", BLUE)
    box(44, 19.5, 22, "network, from noise", ORANGE)
    box(44, 10.8, 22, "known arrangement,\ndenoised a little", ORANGE)
    box(44, 2.1, 22, "known arrangement,\nas it is", ORANGE)
    box(72, 10.8, 10, "judges", GREEN)
    box(87, 10.8, 8, "ranked\nlist", GREY)
    arrow(14.6, 13.5, 19.3, 13.5)
    for y in (22.2, 13.5, 4.8):
        arrow(37.6, 13.5, 43.3, y)
        arrow(66.6, y, 71.4, 13.5)
    arrow(82.6, 13.5, 86.4, 13.5)
    save(figure, "road")


_ALL = (road, orbits, multigraph, noise, denoising, out_of_noise, merging, prior, prototypes)
FIGURES: dict[str, Callable[[], None]] = {figure.__name__: figure for figure in _ALL}


def main(names: list[str]) -> int:
    """Draw the figures of these names, or all."""
    torch.set_num_threads(1)
    for name in names or list(FIGURES):
        FIGURES[name]()
        print(FOLDER / f"{name}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
