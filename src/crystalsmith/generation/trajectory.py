"""How a crystal comes out of noise, step by step."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.assignments import Request
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.io.write import extxyz_frame
from crystalsmith.diffusion.model import Model
from crystalsmith.diffusion.sampler_choice import resolve_sampler, times_of
from crystalsmith.errors import ConfigError, CrystalsmithError, OutputError
from crystalsmith.graph import CrystalBatch, to_crystals
from crystalsmith.runs.atomic import write_whole, writing
from crystalsmith.viewing import Scene, film

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel
    from crystalsmith.reports.notebook import View

STRIPS = (".png", ".svg", ".pdf")
"""Endings of what ``plot_trajectory`` draws beside films."""

WRITTEN = (".extxyz", ".json")
"""Endings of what ``Trajectory.write`` writes."""

STEPS = 60
"""Steps of a recorded denoising: more than a crystal needs, so that the eye can follow."""


@dataclass(frozen=True)
class Trajectory:
    """A crystal's way out of noise.

    Attributes:
        frames: the crystal after each step, the last one finished; all have the same Wyckoff letters.
        sigmas: standard deviation in Angstrom of the noise that is left in the coordinates of each frame.
        seed: of its noise.
        matches: whether it ends in the crystal that it was to show; None where it was to show none.
    """

    frames: tuple[Crystal, ...]
    sigmas: tuple[float, ...]
    seed: int
    matches: bool | None = None

    @property
    def crystal(self) -> Crystal:
        """The crystal that it ends in."""
        return self.frames[-1]

    def __len__(self) -> int:
        return len(self.frames)

    def words(self, place: int) -> str:
        """What stands under a frame."""
        return "done" if place == len(self) - 1 else f"noise {self.sigmas[place]:.2f} Å"

    def film(self) -> list[Scene]:
        """Scenes for ``play`` of the viewer."""
        return film(self.frames, [self.words(k) for k in range(len(self))])

    def view(self, **options: Any) -> View:
        """A film that can be turned, in a notebook or, by its ``save``, as a page."""
        from crystalsmith.reports.notebook import View

        return View(self.film(), {"height": 460, "fps": 12, **options})

    def _repr_html_(self) -> str:
        return self.view()._repr_html_()

    def plot(self, path: str | Path, **options: Any) -> Path:
        """A film or a strip of pictures; see ``plot_trajectory``."""
        return plot_trajectory(self, path, **options)

    def write(self, path: str | Path) -> Path:
        """All frames as extended XYZ (primitive cells) or, for the viewer, as JSON.

        Raises:
            OutputError: another ending, or the file cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() not in WRITTEN:
            raise OutputError(f"cannot write {path}: its name must end in {' or '.join(WRITTEN)}")
        if path.suffix.lower() == ".json":
            text = json.dumps(self.film(), separators=(",", ":"), allow_nan=False) + "\n"
        else:
            told = ({"step": k, "noise": round(s, 4), "seed": self.seed} for k, s in enumerate(self.sigmas))
            text = "".join(extxyz_frame(c, info) for c, info in zip(self.frames, told, strict=True))
        write_whole(path, text)
        return path


def plot_trajectory(
    trajectory: Trajectory, path: str | Path, *, fps: float = 12.0, size: int = 420, columns: int = 6
) -> Path:
    """Draw a crystal's way out of noise.

    Args:
        trajectory: of ``record``.
        path: a film (.gif, or .mp4 where ffmpeg is installed), or some of its frames beside each other (.png,
            .svg, .pdf).
        fps: frames a second of a film.
        size: width of a film in pixels.
        columns: frames of a strip.

    Raises:
        OutputError: another ending, no ffmpeg, or the file cannot be written.
    """
    from crystalsmith.pictures.contact_sheet import contact_sheet
    from crystalsmith.pictures.film import FILMS, draw_film

    path = Path(path)
    if path.suffix.lower() not in (*FILMS, *STRIPS):
        raise OutputError(f"cannot draw {path}: its name must end in {', '.join(FILMS + STRIPS)}")
    atoms = [crystal.to_atoms(primitive=False) for crystal in trajectory.frames]
    words = [trajectory.words(k) for k in range(len(trajectory))]
    if path.suffix.lower() in FILMS:
        title = f"{trajectory.crystal.formula} {trajectory.crystal.group.symbol}"
        return draw_film(atoms, path, captions=words, title=title, fps=fps, size=size)
    shown = sorted({round(k * (len(atoms) - 1) / max(columns - 1, 1)) for k in range(columns)})
    with writing(path):
        picked = [atoms[k] for k in shown]
        return contact_sheet(picked, path, labels=[words[k] for k in shown], columns=columns)


def record(
    model: AnyModel,
    crystal: Crystal | Request,
    *,
    seed: int = 0,
    steps: int = STEPS,
    sampler: str | None = None,
) -> Trajectory:
    """Denoise one crystal and keep every step.

    Args:
        model: draws it.
        crystal: its space group, elements and Wyckoff letters are taken, its coordinates and cell are not:
            they come out of noise. A request may bring a start, which then is where it begins.
        seed: of the noise.
        steps: of the sampler.
        sampler: a name in ``SAMPLERS``.

    Raises:
        ConfigError: a model of the paper's method, whose steps are of another kind; unknown sampler.
        OrderError: letters that the model cannot draw.
    """
    if not isinstance(model, Model):
        raise ConfigError("only the default method's denoising can be recorded, not the paper's")
    request = crystal if isinstance(crystal, Request) else request_of(crystal)
    size = float(model.layout([request]).volume[0]) ** (1 / 3)
    name, steps = resolve_sampler(model.method, sampler, steps)
    time = 1.0 if request.start is None else request.start.time
    times = times_of(name, steps, time)
    sigma = [size * float(s) for s in model.position.schedule.sigma(times)]
    frames: list[tuple[Crystal, float]] = []

    def keep(step: int, batch: CrystalBatch) -> None:
        try:
            frames.append((to_crystals(batch)[0], sigma[min(step + 1, len(sigma) - 1)]))
        except CrystalsmithError:  # so noisy a cell that it has no volume
            pass

    made = model.sample([request], [seed], steps=steps, sampler=name, callback=keep)[0]
    frames.append((made, 0.0))
    return Trajectory(tuple(c for c, _ in frames), tuple(s for _, s in frames), seed)


def record_like(
    model: AnyModel, crystal: Crystal, *, tries: int = 4, seed: int = 0, steps: int = STEPS
) -> Trajectory:
    """Record how a crystal comes out of noise: of some tries the first that ends in it.

    The crystal may have been made in fewer steps, or from a known arrangement; its letters are what the tries
    are told, and ``matches`` says whether one found the rest.

    Args:
        model: draws it.
        crystal: the crystal to show.
        tries: at most.
        seed: of the first; the others count on.
        steps: of each.

    Returns:
        The first that ends in the crystal; the first one, if none does.

    Raises:
        ConfigError: as ``record``.
    """
    from pymatgen.analysis.structure_matcher import StructureMatcher

    matcher, aim = StructureMatcher(), crystal.to_structure(primitive=True)
    first: Trajectory | None = None
    for k in range(tries):
        made = record(model, crystal, seed=seed + k, steps=steps)
        if matcher.fit(made.crystal.to_structure(primitive=True), aim):
            return replace(made, matches=True)
        first = first or replace(made, matches=False)
    assert first is not None
    return first


def request_of(crystal: Crystal) -> Request:
    """What asks for a crystal of the same letters."""
    return Request(crystal.space_group, tuple((site.element, site.letter) for site in crystal.sites))
