"""A unit cell as a small SVG for pages: the scene of ``ball_and_stick`` in circles and lines."""

from __future__ import annotations

from html import escape

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from crystalsmith.pictures.ball_and_stick import BOND_RADIUS, Array, Scene, element_color, fill_scene

_SIDE = 260.0
"""Side of the drawing; a legend stands below it."""

_EDGE_PIECES = 16
_QUIET = "#7d8594"  # where no style sheet says otherwise, as in a notebook, light or dark
_TEXT = f'fill="{_QUIET}" font-size="11"'
_UNIT = 100  # coordinates are whole numbers of 0.01 Å


def cell_svg(atoms: Atoms, prefix: str, *, title: str = "", legend: bool = True) -> str:
    """Draw a crystal's unit cell.

    Args:
        atoms: a crystal with at least one atom.
        prefix: of the ids in it, which must be unique on a page.
        title: what a screen reader says.
        legend: with the names of the axes, and below them the colours of the elements.

    Raises:
        StructureError: the cell has no volume. A ValueError.
    """
    scene = SvgScene(prefix)
    corners = fill_scene(scene, atoms)
    numbers = list(dict.fromkeys(atoms.numbers.tolist()))
    margin = 0.06 if legend else 0.02
    spans = [scene.circles, scene.project(corners)[0]]
    low = np.min([s.min(axis=0) for s in spans], axis=0) - margin * scene.size
    high = np.max([s.max(axis=0) for s in spans], axis=0) + margin * scene.size
    if legend:
        names = scene.axis_names(corners)
        low = np.minimum(low, np.min([p for _, p in names], axis=0) - 0.1 * scene.size)
        high = np.maximum(high, np.max([p for _, p in names], axis=0) + 0.1 * scene.size)
    scale = _SIDE / float((high - low).max())
    zoom = scale / _UNIT
    shift = np.array([_SIDE / 2, _SIDE / 2]) - scale * (low + high) / 2 * np.array([1, -1])
    height = _SIDE + (24 if legend else 0)
    parts = [
        f'<svg viewBox="0 0 {_SIDE:.0f} {height:.0f}" role="img" aria-label="{escape(title)}"><defs>',
        *(_gradient(f"{prefix}{chemical_symbols[z]}", element_color(z)) for z in numbers),
        f'</defs><g transform="translate({shift[0]:.2f} {shift[1]:.2f}) scale({zoom:.4f} {-zoom:.4f})">',
        *(piece for _, piece in sorted(scene.drawn, key=lambda item: item[0])),
        "</g>",
    ]
    if legend:
        for name, place in names:
            x, y = place * scale * np.array([1, -1]) + shift
            parts.append(
                f'<text x="{x:.1f}" y="{y + 4:.1f}" {_TEXT} text-anchor="middle" font-style="italic">'
                f"{name}</text>"
            )
        step = min(46.0, _SIDE / len(numbers))
        for k, z in enumerate(numbers):
            x = _SIDE / 2 + step * (k - len(numbers) / 2) + 6
            parts.append(
                f'<circle cx="{x:.1f}" cy="{height - 8}" r="6" fill="url(#{prefix}{chemical_symbols[z]})"/>'
                f'<text x="{x + 10:.1f}" y="{height - 4}" {_TEXT}>{chemical_symbols[z]}</text>'
            )
    return "".join([*parts, "</svg>"])


def _gradient(name: str, color: Array) -> str:
    glint = color + (1 - color) * 0.75
    return (
        f'<radialGradient id="{name}" cx=".34" cy=".66" r=".72"><stop offset="0" stop-color="{_hex(glint)}"/>'
        f'<stop offset=".35" stop-color="{_hex(color)}"/><stop offset="1" stop-color="{_hex(0.62 * color)}"/>'
        "</radialGradient>"
    )


def _hex(color: Array) -> str:
    return "#" + "".join(f"{round(255 * x):02x}" for x in np.clip(color, 0, 1))


class SvgScene(Scene):
    """Pieces as SVG, with their depth."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self.prefix = prefix
        self.drawn: list[tuple[float, str]] = []

    @property
    def circles(self) -> Array:
        """(2 n, 2) opposite corners of the squares around the balls."""
        centres, magnification = self.project(self.points)
        reach = self.radii[:, None] * magnification
        return np.concatenate([centres - reach, centres + reach])

    def add_ball(self, k: int, color: Array) -> None:
        """One ball."""
        (x, y), magnification = self.project(self.points[k])
        name = chemical_symbols[self.numbers[k]]
        radius = self.radii[k] * magnification.item()
        self.drawn.append(
            (
                float(self.points[k, 2]),
                f'<circle cx="{x * _UNIT:.0f}" cy="{y * _UNIT:.0f}" r="{radius * _UNIT:.0f}"'
                f' fill="url(#{self.prefix}{name})"/>',
            )
        )

    def add_stick(self, start: int, vector: Array, end_radius: float, color: Array) -> None:
        """Half a bond: a dark line and a brighter one on it."""
        ends = self.stick_ends(start, vector, end_radius)
        if ends is None:
            return
        (a, b), magnification = self.project(ends)
        width = 2 * BOND_RADIUS * float(magnification.mean())
        strokes = (
            f'<path d="{_line(a, b)}" stroke="{_hex(shade * color)}"'
            f' stroke-width="{share * width * _UNIT:.0f}"/>'
            for shade, share in ((0.6, 1.0), (1.0, 0.6))
        )
        self.drawn.append((float(ends[:, 2].mean()), "".join(strokes)))

    def add_edge(self, start: Array, end: Array) -> None:
        """A cell edge in short pieces, so that balls can cover parts of it."""
        nodes = start + np.linspace(0.0, 1.0, _EDGE_PIECES + 1)[:, None] * (end - start)
        screen, _ = self.project(nodes)
        for k, middle in enumerate((nodes[1:] + nodes[:-1]) / 2):
            if np.any(np.linalg.norm(self.points - middle, axis=1) < self.radii):
                continue
            (a, b), depth = screen[k : k + 2], float(middle[2])
            look = f'stroke-width="{1.1 * self.size:.0f}" stroke-opacity="{1 - 1.3 * self.haze(depth):.2f}"'
            self.drawn.append((depth, f'<path class="edge" stroke="{_QUIET}" d="{_line(a, b)}" {look}/>'))


def _line(start: Array, end: Array) -> str:
    (a, b), (c, d) = np.rint(start * _UNIT).astype(int), np.rint((end - start) * _UNIT).astype(int)
    return f"M{a} {b}l{c} {d}"
