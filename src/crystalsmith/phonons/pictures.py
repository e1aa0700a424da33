"""Band structure and density of states side by side."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from crystalsmith.pictures.plotting import BAR, INK, LINE, QUIET, SERIES, STYLE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from crystalsmith.phonons.result import Phonons

IMAGINARY = SERIES[4]


def draw_phonons(phonons: Phonons, note: str = "") -> bytes:
    """A PNG of the bands and the density of states; imaginary frequencies are negative and red.

    Args:
        phonons: what to draw.
        note: added to the second line, such as the name of the potential.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure, bands = new_figure(8.6, 4.6, _title(phonons), _subtitle(phonons, note))
        grid = figure.add_gridspec(1, 2, width_ratios=(4.2, 1))
        bands.set_subplotspec(grid[0])
        states = figure.add_subplot(grid[1], sharey=bands)
        low = min(float(phonons.bands.min()), float(phonons.dos_frequency[phonons.dos > 1e-3].min()), 0.0)
        high = float(phonons.bands.max())
        bottom = low - 0.06 * (high - low) if low < -phonons.tolerance else -0.02 * high
        bands.set_ylim(bottom, high * 1.04)
        for axes in (bands, states):
            axes.axhline(0, color=QUIET, linewidth=0.8, zorder=1)
            if low < -phonons.tolerance:
                axes.axhspan(bottom, 0, color=IMAGINARY, alpha=0.06, linewidth=0, zorder=0)
                axes.axhline(-phonons.tolerance, color=IMAGINARY, linewidth=0.7, linestyle=(0, (4, 3)))
            for side in ("top", "right", "left"):
                axes.spines[side].set_visible(False)
            axes.tick_params(length=0)
        _draw_bands(bands, phonons)
        _draw_states(states, phonons)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=130, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def _title(phonons: Phonons) -> str:
    crystal = phonons.crystal
    return f"{crystal.formula}   {crystal.group.symbol} ({crystal.space_group})"


def _subtitle(phonons: Phonons, note: str) -> str:
    stability = phonons.stability
    q = " ".join(f"{x:.3g}" for x in stability.lowest_q)
    where = stability.lowest_name or f"q = ({q})"
    parts = [f"supercell of {phonons.supercell.n_atoms} atoms"]
    if stability.imaginary:
        modes = f"{stability.imaginary} of {3 * phonons.supercell.n_atoms} modes imaginary"
        parts.append(f"{modes}, lowest {stability.lowest:.2f} THz at {where}".replace("-", "−"))
    else:
        parts.append({"stable": "no imaginary modes"}.get(stability.verdict, "imaginary in between only"))
    return ", ".join([*parts, *([note] if note else [])])


def _draw_bands(axes: Axes, phonons: Phonons) -> None:
    path = phonons.path
    for first, end in path.segments:
        x = path.distance[first:end]
        for band in phonons.bands[first:end].T:
            axes.plot(x, band, color=BAR, linewidth=1.1, zorder=3, solid_capstyle="round")
            below = np.where(band < -phonons.tolerance, band, np.nan)
            axes.plot(x, below, color=IMAGINARY, linewidth=1.6, zorder=4)
    ticks = path.ticks
    for place, _ in ticks:
        axes.axvline(place, color=LINE, linewidth=0.8, zorder=1)
    axes.set_xticks([place for place, _ in ticks], [name for _, name in ticks], color=INK)
    axes.set_xlim(path.distance[0], path.distance[-1])
    axes.set_ylabel("frequency (THz)")


def _draw_states(axes: Axes, phonons: Phonons) -> None:
    y, states = phonons.dos_frequency, phonons.dos
    axes.fill_betweenx(y, 0, states, color=BAR, alpha=0.25, linewidth=0)
    axes.plot(states, y, color=BAR, linewidth=1.1)
    below = y < -phonons.tolerance
    axes.fill_betweenx(y[below], 0, states[below], color=IMAGINARY, alpha=0.35, linewidth=0)
    # One sharp peak must not flatten the rest.
    top = float(states.max())
    axes.set_xlim(0, top * 1.05 if top > 0 else 1)
    axes.set_xticks([])
    axes.set_xlabel("density of states")
    axes.tick_params(labelleft=False)
