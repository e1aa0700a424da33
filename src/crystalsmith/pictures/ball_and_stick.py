"""Ball-and-stick drawing of one unit cell as flat, shaded polygons.

The drawing is a list of polygons ordered from back to front, so that any
two-dimensional canvas (raster or vector) can show it.
Screen coordinates: x to the right, y up, z towards the viewer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import numpy as np
from ase import Atoms
from ase.data.colors import jmol_colors
from ase.utils import rotate
from numpy.typing import NDArray

from crystalsmith.pictures.cell_contents import ball_radii, cell_filled, half_bonds

Array = NDArray[np.float64]

VIEW = rotate("-68z,-76x")
"""From the crystal to the screen: a points to the viewer and slightly left, b right, c up, from above."""
_EYE_DISTANCE = 7.0  # in half diagonals of the cell: a mild perspective
_LIGHT = np.array([-0.36, 0.42])  # where the highlight sits on a ball of radius 1
BOND_RADIUS = 0.10  # Å
_HAZE = 0.5  # how far the rearmost colours fade into the white page
_EDGE_COLOR = np.array([0.35, 0.37, 0.42])
_EDGE_PIECES = 48
_SHADES = 24  # discs that make one ball
_TURN = np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)
_UNIT_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)
_CORNERS = np.array(list(product((0.0, 1.0), repeat=3)))


@dataclass
class Drawing:
    """Polygons in painting order, with one face colour, line colour and line width each."""

    polygons: list[Array] = field(default_factory=list)
    """Corners of each polygon, shape (corners, 2)."""
    faces: list[tuple[float, ...]] = field(default_factory=list)
    """RGBA of each inside; alpha 0 leaves it empty."""
    lines: list[tuple[float, ...]] = field(default_factory=list)
    """RGBA of each outline."""
    widths: list[float] = field(default_factory=list)
    """Width of each outline in points."""
    axis_names: list[tuple[str, Array]] = field(default_factory=list)
    """Names of the cell vectors and where to write them, shape (2,)."""

    def add(self, polygon: Array, face: Array | None, line: Array | None = None, width: float = 0.0) -> None:
        """Put a polygon on top of those added before; colours are RGB in [0, 1]."""
        self.polygons.append(polygon)
        self.faces.append((0.0, 0.0, 0.0, 0.0) if face is None else (*face.tolist(), 1.0))
        self.lines.append((0.0, 0.0, 0.0, 0.0) if line is None else (*line.tolist(), 1.0))
        self.widths.append(width)

    def move(self, scale: float, offset: Array) -> None:
        """Scale all positions, then shift them by `offset`, shape (2,)."""
        self.polygons = [polygon * scale + offset for polygon in self.polygons]
        self.axis_names = [(name, place * scale + offset) for name, place in self.axis_names]


def element_color(number: int) -> Array:
    """RGB in [0, 1], shape (3,), of the element with this atomic number: Jmol's colour, muted."""
    color = np.asarray(jmol_colors[min(number, len(jmol_colors) - 1)], dtype=float)
    gray = float(color @ np.array([0.3, 0.59, 0.11]))
    return 0.74 * color + 0.18 * gray + 0.06


def ball(drawing: Drawing, centre: Array, radius: float, color: Array, haze: float = 0.0) -> None:
    """Add a shaded ball.

    Args:
        drawing: what to add it to.
        centre: shape (2,), in the drawing's unit of length.
        radius: in the same unit.
        color: RGB in [0, 1], shape (3,).
        haze: how far the ball fades into the white page, 0 to 1.
    """
    for step in np.linspace(0.0, 1.0, _SHADES):
        # From a dark rim over the full colour to a white glint.
        shade = color * (0.72 + 0.40 * np.sin(0.5 * np.pi * min(step / 0.7, 1.0)))
        shade = shade + (1.0 - shade) * 0.85 * max(0.0, step - 0.35) ** 1.6
        disc = centre + radius * (_LIGHT * step + (1.0 - 0.95 * step) * _UNIT_CIRCLE)
        if step == 0.0:
            drawing.add(disc, _faded(shade, haze), _faded(0.42 * color, haze), 0.5)
        else:
            drawing.add(disc, _faded(shade, haze))


def draw_cell(atoms: Atoms) -> Drawing:
    """Draw a crystal's unit cell: balls, two-coloured sticks and the cell's edges.

    Args:
        atoms: a crystal with at least one atom.

    Returns:
        The drawing, in Å at the depth of the cell's centre; the origin is that centre.

    Raises:
        StructureError: the cell has no volume. A ValueError.
    """
    scene = Scene()
    corners = fill_scene(scene, atoms)
    drawing = scene.painted()
    drawing.axis_names = scene.axis_names(corners)
    return drawing


def fill_scene(scene: Scene, atoms: Atoms) -> Array:
    """Put balls, sticks and edges of a cell into a scene.

    Returns:
        The corners of the cell in the scene, shape (8, 3).

    Raises:
        StructureError: the cell has no volume. A ValueError.
    """
    upright = atoms.copy()
    upright.set_constraint()
    upright.set_cell(atoms.cell.standard_form()[0], scale_atoms=True)
    filled = cell_filled(upright)
    cell = np.asarray(upright.cell)
    middle = cell.sum(axis=0) / 2
    corners = (_CORNERS @ cell - middle) @ VIEW
    scene.numbers = filled.numbers
    scene.points = (filled.positions - middle) @ VIEW
    scene.radii = ball_radii(filled.numbers)
    scene.size = float(np.linalg.norm(corners, axis=1).max())
    colors = [element_color(number) for number in filled.numbers]
    for k, color in enumerate(colors):
        scene.add_ball(k, color)
    bonds = half_bonds(upright, filled)
    for start, vector, radius in zip(
        bonds.starts, bonds.vectors @ VIEW, ball_radii(bonds.numbers), strict=True
    ):
        scene.add_stick(start, vector, radius, colors[start])
    for i, j in product(range(8), repeat=2):
        if i < j and np.abs(_CORNERS[i] - _CORNERS[j]).sum() == 1:
            scene.add_edge(corners[i], corners[j])
    return corners


def _faded(color: Array, haze: float) -> Array:
    return np.clip(color + (1.0 - color) * haze, 0.0, 1.0)


@dataclass
class Scene:
    """Collects shaded pieces with their depth, then paints them back to front."""

    points: Array = field(default_factory=lambda: np.zeros((0, 3)))  # (atoms, 3), Å
    radii: Array = field(default_factory=lambda: np.zeros(0))  # (atoms,), Å
    numbers: NDArray[np.int_] = field(default_factory=lambda: np.zeros(0, dtype=int))  # (atoms,)
    size: float = 1.0  # Å, half the cell's longest diagonal
    pieces: list[tuple[float, Drawing]] = field(default_factory=list)

    def project(self, points: Array) -> tuple[Array, Array]:
        """Screen positions (..., 2) and magnifications (..., 1) of points (..., 3)."""
        eye = _EYE_DISTANCE * self.size
        magnification = eye / (eye - points[..., 2:])
        return points[..., :2] * magnification, magnification

    def haze(self, depth: float) -> float:
        return _HAZE * float(np.clip(0.5 - 0.5 * depth / self.size, 0.0, 1.0))

    def add_ball(self, k: int, color: Array) -> None:
        centre, magnification = self.project(self.points[k])
        depth = float(self.points[k, 2])
        piece = Drawing()
        ball(piece, centre, self.radii[k] * magnification.item(), color, self.haze(depth))
        self.pieces.append((depth, piece))

    def stick_ends(self, start: int, vector: Array, end_radius: float) -> Array | None:
        """From the surface of ball `start` to the middle of the free stretch, (2, 3), if there is any."""
        length = float(np.linalg.norm(vector))
        near, far = (float(np.sqrt(radius**2 - BOND_RADIUS**2)) for radius in (self.radii[start], end_radius))
        if length <= near + far:
            return None
        return self.points[start] + np.outer([near, (length + near - far) / 2], vector / length)

    def add_stick(self, start: int, vector: Array, end_radius: float, color: Array) -> None:
        """Half a bond in shaded stripes."""
        ends = self.stick_ends(start, vector, end_radius)
        if ends is None:
            return
        axis = vector / float(np.linalg.norm(vector))
        across = np.array([-axis[1], axis[0]]) / max(float(np.hypot(axis[0], axis[1])), 1e-9)
        along = np.array([across[1], -across[0]]) * abs(axis[2])  # round ends look elliptic
        lit = across if across @ _LIGHT > 0 else -across
        screen, magnification = self.project(ends)
        half_turn = np.linspace(0.5 * np.pi, 1.5 * np.pi, 13)
        depth = float(ends[:, 2].mean())
        haze = self.haze(depth)
        piece = Drawing()
        # A dark outside and ever narrower, brighter stripes nearer to the light.
        for width, offset, shade in (
            (1.0, 0.0, 0.64),
            (0.82, 0.1, 0.84),
            (0.5, 0.24, 1.0),
            (0.2, 0.34, 1.14),
        ):
            rims = []
            for point, scale, turn in zip(screen, magnification, (half_turn, half_turn + np.pi), strict=True):
                rim = width * (np.outer(np.sin(turn), lit) + np.outer(np.cos(turn), along)) + offset * lit
                rims.append(point + BOND_RADIUS * scale * rim)
            outline = _faded(0.42 * color, haze) if width == 1.0 else None
            piece.add(
                np.concatenate(rims), _faded(color * shade, haze), outline, 0.4 if width == 1.0 else 0.0
            )
        if axis[2] > 0:  # the cut end faces the viewer, unless the other half covers it
            cap = screen[1] + BOND_RADIUS * magnification[1] * (_UNIT_CIRCLE @ np.array([lit, along]))
            piece.add(cap, _faded(0.9 * color, haze), _faded(0.42 * color, haze), 0.4)
        self.pieces.append((depth, piece))

    def add_edge(self, start: Array, end: Array) -> None:
        """A cell edge in short pieces, so that balls and sticks can cover parts of it."""
        nodes = start + np.linspace(0.0, 1.0, _EDGE_PIECES + 1)[:, None] * (end - start)
        screen, _ = self.project(nodes)
        for k, middle in enumerate((nodes[1:] + nodes[:-1]) / 2):
            if np.any(np.linalg.norm(self.points - middle, axis=1) < self.radii):
                continue
            depth = float(middle[2])
            piece = Drawing()
            piece.add(screen[k : k + 2], None, _faded(_EDGE_COLOR, 1.2 * self.haze(depth)), 0.8)
            self.pieces.append((depth, piece))

    def axis_names(self, corners: Array) -> list[tuple[str, Array]]:
        """Each cell vector's letter, outside of the cell beside one of its edges."""
        centres, magnification = self.project(self.points)
        radii = self.radii * magnification[:, 0]
        screen, _ = self.project(corners)
        names = []
        for axis, (name, side) in enumerate({"a": (-1.0, -1.0), "b": (0.3, -1.0), "c": (-1.0, 0.0)}.items()):
            starts = np.flatnonzero(_CORNERS[:, axis] == 0)
            ends = starts + (4, 2, 1)[axis]
            middles = (screen[starts] + screen[ends]) / 2
            best = int(np.argmax(middles @ np.array(side)))
            edge = screen[ends[best]] - screen[starts[best]]
            outward = np.array([edge[1], -edge[0]]) / np.linalg.norm(edge)
            outward *= np.sign(outward @ middles[best])
            place = middles[best]
            room = 0.09 * self.size + BOND_RADIUS
            while np.any(np.linalg.norm(centres - place - room * outward, axis=1) < radii + 0.09 * self.size):
                room += 0.03 * self.size
            names.append((name, place + room * outward))
        return names

    def painted(self) -> Drawing:
        whole = Drawing()
        for _, piece in sorted(self.pieces, key=lambda item: item[0]):
            whole.polygons += piece.polygons
            whole.faces += piece.faces
            whole.lines += piece.lines
            whole.widths += piece.widths
        return whole
