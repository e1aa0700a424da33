"""What is drawn of a crystal, answered by the process of ``desk``: scenes, pictures, powder patterns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.errors import PatternError
from crystalsmith.serving.errors import TooLarge

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel

MOST_ATOMS = 2000
"""In the conventional cell of a crystal that is drawn."""

FILMED = 300
"""In that of one whose denoising is filmed."""

FILM_STEPS, FILM_TRIES = 40, 4
"""Of a film: its steps, each a frame, and how often it is tried until it ends in the crystal."""

PICTURED = 400
"""In that of one whose small picture shows something."""

STEP = 0.05
"""Of a powder pattern, degrees of 2theta, where its lines are wide enough for that."""

WIDTH = 0.2
"""Of a line of a powder pattern, degrees of 2theta, of 90 degrees."""

_WEAKEST = 0.1  # per cent; weaker lines get no tick

_STYLE = "<style>.edge{stroke:#7b8292;stroke-linecap:round}</style>"


def scene(model: AnyModel, folder: str, n: int, row: dict[str, Any]) -> dict[str, Any]:
    """The scene of a crystal, as ``viewing.scene`` makes it."""
    from crystalsmith.serving.answers import crystal_of
    from crystalsmith.viewing import scene as scene_of

    crystal = crystal_of(Path(folder), n, row)
    if crystal.n_atoms_conventional > MOST_ATOMS:
        raise TooLarge(f"{crystal.n_atoms_conventional:,} atoms are too many to draw")
    return dict(scene_of(crystal))


def picture(model: AnyModel, folder: str, n: int, row: dict[str, Any]) -> str:
    """A small drawing, SVG that stands by itself."""
    from crystalsmith.pictures.cell_svg import cell_svg
    from crystalsmith.serving.answers import crystal_of

    crystal = crystal_of(Path(folder), n, row)
    if crystal.n_atoms_conventional > PICTURED:
        return '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"/>'
    drawn = cell_svg(crystal.to_atoms(primitive=False), "c", legend=False)
    head, _, rest = drawn.partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg">{_STYLE}{rest}'


def pattern(model: AnyModel, folder: str, n: int, row: dict[str, Any], radiation: str) -> dict[str, Any]:
    """A powder pattern: ``two_theta`` (degrees), ``intensity`` (highest 100) and ``peaks``.

    Raises:
        PatternError: there is no such radiation, or no line in its range.
    """
    import numpy as np

    from crystalsmith.diffraction.listing import reflections, usual_range
    from crystalsmith.diffraction.radiation import radiation as radiation_of
    from crystalsmith.diffraction.simulation import Optics, simulate
    from crystalsmith.serving.answers import crystal_of

    crystal = crystal_of(Path(folder), n, row)
    if crystal.n_atoms_conventional > MOST_ATOMS:
        raise TooLarge(f"{crystal.n_atoms_conventional:,} atoms are too many for a pattern at once")
    if len(radiation) > 40:
        raise PatternError("there is no such radiation")
    light = radiation_of(radiation)
    reach = usual_range(light)
    scale = (reach[1] - reach[0]) / 85
    curve = simulate(crystal, light, reach, STEP * scale, Optics(width=WIDTH * scale))
    lines = [line for line in reflections(crystal, light, reach) if line.intensity >= _WEAKEST]
    return {
        "two_theta": np.round(curve.two_theta, 4).tolist(),
        "intensity": np.round(curve.intensity, 3).tolist(),
        "peaks": [
            {
                "two_theta": round(line.two_theta, 4),
                "d": round(line.d, 5),
                "intensity": round(line.intensity, 2),
                "hkl": " ".join(map(str, line.index)) if line.index is not None else "",
            }
            for line in lines
        ],
        "radiation": radiation,
    }


def film(model: AnyModel, folder: str, n: int, row: dict[str, Any]) -> dict[str, Any]:
    """How the network makes a crystal out of noise: ``frames`` (scenes) and ``matches``.

    Raises:
        ConfigError: a model of the paper's method.
        TooLarge: it has too many atoms for this.
    """
    from crystalsmith.generation.trajectory import record_like
    from crystalsmith.serving.answers import crystal_of

    crystal = crystal_of(Path(folder), n, row)
    if crystal.n_atoms_conventional > FILMED:
        raise TooLarge(f"{crystal.n_atoms_conventional:,} atoms are too many for a film")
    found = record_like(model, crystal, tries=FILM_TRIES, steps=FILM_STEPS)
    return {"frames": found.film(), "matches": bool(found.matches)}


SHOWN: Mapping[str, Callable[..., Any]] = {
    "scene": scene,
    "picture": picture,
    "pattern": pattern,
    "film": film,
}
"""Answers of this module by their names."""
