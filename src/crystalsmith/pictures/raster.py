"""The scene of ``ball_and_stick`` in pixels, each with its depth: quick, for the many frames of a film."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from crystalsmith.pictures.ball_and_stick import BOND_RADIUS, Array, Scene, fill_scene

_FINER = 2  # pixels in each direction to one of the picture, which smooths the rims
_LIGHT = np.array([-0.42, 0.56, 0.72]) / np.linalg.norm([-0.42, 0.56, 0.72])
_EDGE = np.array([0.35, 0.37, 0.42])
_EDGE_WIDTH = 1.2  # pixels of the picture


def cell_pixels(atoms: Atoms, size: int, scale: float) -> NDArray[np.uint8]:
    """Paint a crystal's unit cell on white, its middle in the middle.

    Args:
        atoms: a crystal with at least one atom.
        size: width and height in pixels.
        scale: pixels to an Angstrom.

    Returns:
        RGB, shape (size, size, 3).

    Raises:
        StructureError: the cell has no volume. A ValueError.
    """
    scene = RasterScene(size * _FINER, scale * _FINER)
    fill_scene(scene, atoms)
    smooth = scene.colors.reshape(size, _FINER, size, _FINER, 3).mean(axis=(1, 3))
    return np.rint(255 * np.clip(smooth, 0, 1)).astype(np.uint8)


def reach(atoms: Atoms) -> float:
    """How far the picture of a cell goes from its middle to the sides, in Angstrom."""
    scene = _Measured()
    fill_scene(scene, atoms)
    return scene.reach


class _Measured(Scene):
    """Draws nothing."""

    reach = 0.0

    def add_ball(self, k: int, color: Array) -> None:
        centre, magnification = self.project(self.points[k])
        self.reach = max(self.reach, float(np.abs(centre).max() + self.radii[k] * magnification.item()))

    def add_stick(self, start: int, vector: Array, end_radius: float, color: Array) -> None:
        ends = self.stick_ends(start, vector, end_radius)
        if ends is not None:
            self.reach = max(self.reach, float(np.abs(self.project(ends)[0]).max()))

    def add_edge(self, start: Array, end: Array) -> None:
        self.reach = max(self.reach, float(np.abs(self.project(np.stack([start, end]))[0]).max()))


class RasterScene(Scene):
    """Paints piece by piece; what is nearer to the viewer stays.

    Args:
        size: pixels of a side.
        scale: pixels to an Angstrom.
    """

    def __init__(self, size: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.colors = np.ones((size, size, 3))
        self.depths = np.full((size, size), -np.inf)

    def _pixels(self, points: Array) -> tuple[Array, Array]:
        """Places (..., 2) in pixels, from the upper left, and magnifications (...)."""
        screen, magnification = self.project(points)
        return screen * np.array([self.scale, -self.scale]) + len(self.colors) / 2, magnification[..., 0]

    def _patch(self, low: Array, high: Array) -> tuple[slice, slice, Array] | None:
        """Rows, columns and centres (rows, columns, 2) of the pixels of a rectangle, as far as seen."""
        first = np.clip(np.floor(low).astype(int), 0, len(self.colors))
        last = np.clip(np.ceil(high).astype(int) + 1, 0, len(self.colors))
        if np.any(last <= first):
            return None
        x, y = np.meshgrid(np.arange(first[0], last[0]), np.arange(first[1], last[1]))
        return slice(first[1], last[1]), slice(first[0], last[0]), np.stack([x, y], axis=-1) + 0.5

    def _put(
        self, rows: slice, columns: slice, inside: NDArray[np.bool_], depth: Array, shade: Array
    ) -> None:
        seen = inside & (depth > self.depths[rows, columns])
        self.colors[rows, columns][seen] = np.broadcast_to(shade, (*seen.shape, 3))[seen]
        self.depths[rows, columns][seen] = np.broadcast_to(depth, seen.shape)[seen]

    def _lit(self, color: Array, normal: Array, haze: float) -> Array:
        """A colour under the light, where the surface looks towards ``normal`` (..., 3)."""
        facing = np.clip(normal @ _LIGHT, 0, 1)[..., None]
        shade = color * (0.5 + 0.16 * normal[..., 2:] + 0.42 * facing)
        shade = shade + (1 - shade) * 0.6 * facing**22
        return np.asarray(shade + (1 - shade) * haze)

    def add_ball(self, k: int, color: Array) -> None:
        """One ball."""
        centre, magnification = self._pixels(self.points[k])
        radius = self.radii[k] * float(magnification) * self.scale
        patch = self._patch(centre - radius, centre + radius)
        if patch is None:
            return
        rows, columns, places = patch
        flat = (places - centre) / radius
        up = 1 - (flat**2).sum(axis=-1)
        out = np.sqrt(np.clip(up, 0, 1))
        normal = np.stack([flat[..., 0], -flat[..., 1], out], axis=-1)
        depth = float(self.points[k, 2])
        shade = self._lit(color, normal, self.haze(depth))
        self._put(rows, columns, up > 0, depth + self.radii[k] * out, shade)

    def add_stick(self, start: int, vector: Array, end_radius: float, color: Array) -> None:
        """Half a bond."""
        ends = self.stick_ends(start, vector, end_radius)
        if ends is not None:
            self._bar(ends, BOND_RADIUS * self.scale, color, self.haze(float(ends[:, 2].mean())), BOND_RADIUS)

    def add_edge(self, start: Array, end: Array) -> None:
        """An edge of the cell, in pieces that fade with their depth."""
        nodes = start + np.linspace(0.0, 1.0, 9)[:, None] * (end - start)
        for piece in pairwise(nodes):
            ends = np.stack(piece)
            fade = 1.2 * self.haze(float(ends[:, 2].mean()))
            self._bar(ends, _EDGE_WIDTH * _FINER / 2, _EDGE, fade, 0.0)

    def _bar(self, ends: Array, width: float, color: Array, haze: float, thickness: float) -> None:
        """A round bar between two points (2, 3).

        Args:
            ends: its ends.
            width: half of it in pixels.
            color: RGB in [0, 1].
            haze: how far it fades.
            thickness: half of it in Angstrom, towards the viewer; 0 for a flat line.
        """
        (first, last), magnification = self._pixels(ends)
        width = width * (float(magnification.mean()) if thickness else 1.0)
        along = last - first
        length = float(np.hypot(*along))
        if length < 1e-6:
            return
        patch = self._patch(np.minimum(first, last) - width, np.maximum(first, last) + width)
        if patch is None:
            return
        rows, columns, places = patch
        along = along / length
        side = np.array([-along[1], along[0]])
        on, off = (places - first) @ along, (places - first) @ side / width
        out = np.sqrt(np.clip(1 - off**2, 0, 1))
        depth = ends[0, 2] + (ends[1, 2] - ends[0, 2]) * on / length + thickness * out
        if thickness:
            normal = np.stack([off * side[0], -off * side[1], out], axis=-1)
            shade = self._lit(color, normal, haze)
        else:
            shade = color + (1 - color) * min(haze, 1.0)
        self._put(rows, columns, (np.abs(off) <= 1) & (on >= 0) & (on <= length), depth, shade)
