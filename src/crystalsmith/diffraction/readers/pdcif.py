"""Powder CIF: the measured profile or the peaks of a file, and nothing that it says of the structure."""

from __future__ import annotations

import math
import re
from typing import Any

import gemmi
import numpy as np

from crystalsmith.diffraction.pattern import counting_sigma
from crystalsmith.diffraction.radiation import Radiation, radiation
from crystalsmith.diffraction.readers.raw import Axis, Raw
from crystalsmith.errors import PatternError

# Measured intensities, the best first, each with what may stand beside it as an abscissa.
_PROFILE = (
    "_pd_meas_counts_total",
    "_pd_meas_intensity_total",
    "_pd_proc_intensity_total",
    "_pd_meas_counts_net",
    "_pd_meas_intensity_net",
    "_pd_proc_intensity_net",
)
_ABSCISSAE: tuple[tuple[str, Axis], ...] = (
    ("_pd_proc_2theta_corrected", "2theta"),
    ("_pd_meas_2theta_corrected", "2theta"),
    ("_pd_meas_2theta_scan", "2theta"),
    ("_pd_meas_angle_2theta", "2theta"),
    ("_pd_proc_recip_len_q", "q"),
    ("_pd_proc_d_spacing", "d"),
)
_PEAK_PLACES: tuple[tuple[str, Axis], ...] = (
    ("_pd_peak_d_spacing", "d"),
    ("_pd_peak_2theta_maximum", "2theta"),
    ("_pd_peak_2theta_centroid", "2theta"),
)
_PEAK_HEIGHTS = ("_pd_peak_intensity", "_pd_peak_pk_height")
_PEAK_ANY = ("_pd_peak_2theta_centroid\\",)  # names with a slip of the pen that have been published
_RANGES = ("_pd_meas_2theta_range", "_pd_proc_2theta_range")
_EMPTY = ("?", ".", "")
_SIMULATED = re.compile(r"simulat|_calc(ulated)?$", re.IGNORECASE)


def read_pdcif(text: str, name: str) -> Raw:
    """Read a powder CIF.

    Of all blocks the one with the longest measured profile is taken, or, without any, that with the longest
    list of peaks. Only tags of the measurement are looked at: atoms, cells and symmetry are not.

    Raises:
        PatternError: it cannot be parsed, holds no profile, or was measured with neutrons.
    """
    try:
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        document = _parsed_leniently(text, name, error)
    blocks = [block for block in document if not _SIMULATED.search(block.name)]
    found = [(raw, block) for block in blocks if (raw := _profile(block) or _peaks(block)) is not None]
    if not found:
        raise PatternError(
            f"{name} is a CIF without a measured powder pattern: it has no _pd_meas_ or _pd_proc_ loop"
        )
    raw, block = max(found, key=lambda pair: (not pair[0].peaks, len(pair[0].x)))
    return Raw(raw.x, raw.y, raw.sigma, raw.axis, _radiation(block, list(blocks), name), raw.peaks)


def _parsed_leniently(text: str, name: str, error: Exception) -> Any:
    """A second try, block by block, without those that are not CIF.

    Raises:
        PatternError: nothing is left.
    """
    pieces = re.split(r"(?im)^(?=data_)", text)
    document = gemmi.cif.Document()
    for piece in pieces:
        try:
            for block in gemmi.cif.read_string(piece):
                document.add_copied_block(block, pos=-1)
        except (ValueError, RuntimeError):
            continue
    if not len(document):
        reason = " ".join(str(error).split())[-120:]
        raise PatternError(f"{name} cannot be read as a CIF: {reason}")
    return document


def _profile(block: Any) -> Raw | None:
    """The measured profile of a block; None if it has none."""
    for tag in _PROFILE:
        column = _column(block, tag)
        if column is None:
            continue
        y, written = column
        for abscissa, axis in _ABSCISSAE:
            other = _column(block, abscissa)
            if other is not None and len(other[0]) == len(y):
                return _weighed(block, tag, other[0], y, written, axis)
        even = _even_steps(block, len(y))
        if even is not None:
            return _weighed(block, tag, even, y, written, "2theta")
    return None


def _weighed(block: Any, tag: str, x: np.ndarray, y: np.ndarray, written: np.ndarray, axis: Axis) -> Raw:
    """A profile with its uncertainties: their own column, in parentheses, by weights, or none."""
    sigma = None
    for suffix in ("_su", "_esd"):
        if (column := _column(block, tag + suffix)) is not None and len(column[0]) == len(y):
            sigma = column[0]
    if sigma is None and np.isfinite(written).all():
        sigma = written
    weights = _column(block, "_pd_proc_ls_weight")
    kept = np.ones(len(y), bool)
    if weights is not None and len(weights[0]) == len(y):
        w = np.nan_to_num(weights[0])
        if (w > 0).sum() > 0.5 * len(y):
            kept = w > 0  # regions that the authors left out
            if sigma is None:
                with np.errstate(divide="ignore"):
                    sigma = _as_weights(np.where(kept, 1 / np.sqrt(w), np.nan), y, kept)
    return Raw(x[kept], y[kept], None if sigma is None else sigma[kept], axis, peaks=False)


def _as_weights(sigma: np.ndarray, y: np.ndarray, kept: np.ndarray) -> np.ndarray | None:
    """Uncertainties by weights, unless they are far from what the scatter says: some write others."""
    expected = counting_sigma(y[kept])
    ratio = float(np.median(sigma[kept] / expected))
    return sigma if 0.1 < ratio < 10 else None


def _even_steps(block: Any, count: int) -> np.ndarray | None:
    """Angles by first, last and step; None if the block does not give them for so many points."""
    for stem in _RANGES:
        values = [_value(block, f"{stem}_{end}") for end in ("min", "max", "inc")]
        low, high, step = (_number(v) if v else math.nan for v in values)
        if math.isfinite(low) and math.isfinite(high) and low < high:
            # Steps are rounded in many files; first and last are better.
            if math.isfinite(step) and step > 0 and abs((high - low) / step + 1 - count) > 0.02 * count + 2:
                continue
            return np.linspace(low, high, count)
    return None


def _peaks(block: Any) -> Raw | None:
    """The list of peaks of a block; None if it has none."""
    for tag in _PEAK_HEIGHTS:
        heights = _column(block, tag)
        if heights is None:
            continue
        for place, axis in (*_PEAK_PLACES, *((slip, "2theta") for slip in _PEAK_ANY)):
            column = _column(block, place)
            if column is not None and len(column[0]) == len(heights[0]):
                return Raw(column[0], heights[0], None, axis, peaks=True)
    return None


def _radiation(block: Any, blocks: list[Any], name: str) -> Radiation | None:
    """X-rays of the measurement, from its block or any other that states them.

    Raises:
        PatternError: it was neutrons.
    """
    for place in [block, *(b for b in blocks if b is not block)]:
        probe = _value(place, "_diffrn_radiation_probe") or _value(place, "_diffrn_radiation_type") or ""
        if "neutron" in probe.lower():
            raise PatternError(f"{name} was measured with neutrons; patterns of X-rays can be read")
        if lines := _tube(_value(place, "_diffrn_radiation_type")) or _wavelengths(place):
            return lines
    return None


def _tube(text: str | None) -> Radiation | None:
    """A tube by the words of a CIF, such as ``CuK\\a~1~``; both lines where they name none."""
    try:
        return radiation(text) if text and re.search("[A-Za-z]", text) else None
    except PatternError:
        return None


def _wavelengths(block: Any) -> Radiation | None:
    """Wavelengths of a block with their weights; None if there are none that are possible."""
    for tag in (
        "_diffrn_radiation_wavelength",
        "_diffrn_radiation_wavelength_wavelength",
        "_pd_proc_wavelength",
    ):
        column = _column(block, tag)
        values = (
            column[0][np.isfinite(column[0])] if column else np.array([_number(_value(block, tag) or "?")])
        )
        values = values[(values > 0.05) & (values < 5)]
        if not len(values):
            continue
        weights = _column(block, "_diffrn_radiation_wavelength_wt")
        if len(values) == 1:
            return radiation(f"{values[0]:.6g}")
        if weights is not None and len(weights[0]) == len(values) and (weights[0] > 0).all():
            pairs = sorted(zip(weights[0], values, strict=True), reverse=True)
            return radiation(",".join(f"{v:.6g}:{w:.4g}" for w, v in pairs))
        try:
            return radiation(",".join(f"{v:.6g}" for v in values[:2]))
        except PatternError:
            return radiation(f"{values[0]:.6g}")
    return None


def _column(block: Any, tag: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Numbers of a loop, and uncertainties in parentheses (NaN without); None if there is no such loop."""
    values = block.find_loop(tag)
    if not len(values):
        return None
    words = list(values)
    return np.array([_number(w) for w in words]), np.array([_uncertainty(w) for w in words])


def _value(block: Any, tag: str) -> str | None:
    """A value that stands alone or first in a loop; None if it is missing or unknown."""
    found = block.find_value(tag)
    if found is None:
        loop = block.find_loop(tag)
        found = loop[0] if len(loop) else None
    if found is None or (text := gemmi.cif.as_string(found).strip()) in _EMPTY:
        return None
    return text


def _number(word: str) -> float:
    return float(gemmi.cif.as_number(word))


def _uncertainty(word: str) -> float:
    """0.3 of ``12.5(3)``; NaN without parentheses."""
    found = re.fullmatch(r"[-+]?\d*(?:\.(\d*))?\((\d+)\)", word)
    return int(found[2]) * 10.0 ** -len(found[1] or "") if found else math.nan
