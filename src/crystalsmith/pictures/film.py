"""A film of a crystal that changes: GIF, or MP4 where ffmpeg is."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from ase import Atoms
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.typing import NDArray

from crystalsmith.errors import OutputError, StructureError
from crystalsmith.pictures.ball_and_stick import Drawing, ball, element_color
from crystalsmith.pictures.contact_sheet import inch_page, paint, subscripted, typeset
from crystalsmith.pictures.plotting import INK, QUIET
from crystalsmith.pictures.raster import cell_pixels, reach
from crystalsmith.runs.atomic import replacing
from crystalsmith.runs.extras import install_command

Pixels = NDArray[np.uint8]

FILMS = (".gif", ".mp4")
"""Endings of films."""

_DOTS = 100  # an inch
_CAPTION = 0.34  # inches below the drawing, and above it for the title
_MARGIN = 0.12
_HOLD = 1.6  # seconds that the last frame stands
_COLORS = 96  # of a GIF: enough for shaded balls, and a small file


def draw_film(
    frames: Sequence[Atoms],
    path: str | Path,
    *,
    captions: Sequence[str],
    title: str = "",
    fps: float = 12.0,
    size: int = 420,
) -> Path:
    """Write a film. Frames are drawn to the scale of the last one, or smaller where they need more room.

    Args:
        frames: the crystal at each time, one cell each (Angstrom).
        path: ends in .gif or .mp4.
        captions: a line for each frame.
        title: stands above: a formula, and what else is to be said.
        fps: frames a second; the last one stands longer.
        size: width in pixels.

    Raises:
        StructureError: no frames, or one whose cell has no volume.
        OutputError: another ending, .mp4 without ffmpeg, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in FILMS:
        raise OutputError(f"cannot make the film {path}: its name must end in {' or '.join(FILMS)}")
    if not frames:
        raise StructureError("a film needs at least one frame")
    if path.suffix.lower() == ".mp4" and _ffmpeg() is None:
        how = install_command(["imageio_ffmpeg"])
        raise OutputError(f"cannot make the film {path}: MP4 needs ffmpeg ({how} brings one); or use .gif")
    pictures = _pictures(frames, captions, title, size)
    with replacing(path) as partial:
        if path.suffix.lower() == ".gif":
            _write_gif(list(pictures), partial, fps)
        else:
            _write_mp4(list(pictures), partial, fps)
    return path


def _pictures(frames: Sequence[Atoms], captions: Sequence[str], title: str, size: int) -> Iterator[Pixels]:
    size = 2 * round(size / 2)  # MP4 needs even numbers
    room = size / 2 - _DOTS * _MARGIN
    largest = room / reach(frames[-1])
    strip = round(_DOTS * _CAPTION)
    figure, axes = inch_page(size / _DOTS, (size + 2 * strip) / _DOTS)
    figure.set_dpi(_DOTS)
    width, height = size / _DOTS, (size + 2 * strip) / _DOTS
    _legend(axes, frames[0], height)
    words = " ".join(
        typeset(word) if k else subscripted(word) for k, word in enumerate(title.split(" ", maxsplit=1))
    )
    axes.text(width - _MARGIN, height - 0.2, words, ha="right", va="center", size=11, color=INK)
    line = axes.text(width / 2, 0.18, "", ha="center", va="center", size=10, color=QUIET)
    for atoms, caption in zip(frames, captions, strict=True):
        line.set_text(caption)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        picture = np.asarray(canvas.buffer_rgba())[..., :3].copy()
        cell = cell_pixels(atoms, size, min(largest, room / reach(atoms)))
        picture[strip : strip + size] = np.minimum(picture[strip : strip + size], cell)
        yield picture


def _legend(axes: Axes, atoms: Atoms, height: float) -> None:
    legend = Drawing()
    symbols = dict(zip(atoms.get_chemical_symbols(), atoms.numbers.tolist(), strict=True))
    for k, (symbol, number) in enumerate(symbols.items()):
        x = 0.2 + 0.46 * k
        ball(legend, np.array([x, height - 0.2]), 0.07, element_color(number))
        axes.text(x + 0.11, height - 0.205, symbol, ha="left", va="center", size=9.5, color=QUIET)
    paint(axes, legend)


def _write_gif(pictures: Sequence[Pixels], path: Path, fps: float) -> None:
    from PIL import Image

    # One palette for all frames: colours would flicker, and unchanged parts could not be left out.
    sample = np.concatenate([pictures[k] for k in {0, len(pictures) // 2, len(pictures) - 1}])
    palette = Image.fromarray(sample).quantize(_COLORS, method=Image.Quantize.MEDIANCUT)
    images = [Image.fromarray(p).quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures]
    pauses = [round(1000 / fps)] * (len(images) - 1) + [round(1000 * _HOLD)]
    images[0].save(
        path, format="GIF", save_all=True, append_images=images[1:], duration=pauses, loop=0, optimize=True
    )


def _ffmpeg() -> str | None:
    """The program: the machine's own, or the one of the package imageio-ffmpeg; None where neither is."""
    found = shutil.which("ffmpeg")
    if found is None:
        with suppress(ImportError, RuntimeError):
            from imageio_ffmpeg import get_ffmpeg_exe

            found = str(get_ffmpeg_exe())
    return found


def _write_mp4(pictures: Sequence[Pixels], path: Path, fps: float) -> None:
    height, width = pictures[0].shape[:2]
    command = [_ffmpeg() or "ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{width}x{height}", "-r", str(fps), "-i", "-", "-pix_fmt", "yuv420p"]
    command += ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-movflags", "+faststart", "-f", "mp4", str(path)]
    held = [*pictures, *[pictures[-1]] * round(_HOLD * fps)]
    done = subprocess.run(
        command, input=b"".join(p.tobytes() for p in held), capture_output=True, check=False
    )
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise OutputError(f"ffmpeg could not make the film: {words[-1] if words else 'no reason given'}")
