"""Files that instruments write, and GSAS: read by rietx, where it is installed."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from crystalsmith.diffraction.radiation import Radiation, radiation
from crystalsmith.diffraction.readers.raw import Raw
from crystalsmith.errors import PatternError

MOST_UNPACKED = 1 << 30
"""Bytes of an archive (.brml, .rasx) when it is unpacked."""


def kind_of(head: bytes) -> str | None:
    """The format of a file by its first bytes; None if it is of no instrument that is known."""
    if head.startswith((b"RAW1.01", b"RAW2", b"RAW4.00", b"RAW ")):
        return "Bruker .raw"
    if head.startswith((b"V3RD", b"V5RD")):
        return "Philips .rd"
    if head.startswith(b"PK\x03\x04"):
        return "archive (.brml or .rasx)"
    text = head.decode("latin-1").lstrip("ï»¿ \t\r\n")
    if text.startswith("*RAS_DATA_START"):
        return "Rigaku .ras"
    if "<xrdMeasurements" in text:
        return "PANalytical .xrdml"
    if "_FILEVERSION" in text[:400] and "=" in text:
        return "Bruker .uxd"
    if "LabdaAlpha1" in text:
        return "Philips .udf"
    if any(line.startswith("BANK ") for line in text.splitlines()):
        return "GSAS"
    return None


def read_instrument(path: Path, kind: str, scan: int | None) -> Raw:
    """Read a file of an instrument.

    Args:
        path: the file.
        kind: its format, for messages.
        scan: which one, counted from 0, where the file holds several; of GSAS the number of a bank.

    Raises:
        PatternError: rietx is not installed, or cannot read it; several scans of which none was chosen.
    """
    from crystalsmith.runs.extras import need

    need(f"reading {path.name} ({kind})", "rietx", error=PatternError)
    if kind.startswith("archive"):
        _check_archive(path)
    from rietx.io.readers import list_scans, read_pattern

    try:
        data = read_pattern(path, **{"bank" if kind == "GSAS" else "scan": scan})
        count = int(data.metadata.get("scan_count", "1"))
        if count > 1 and scan is None:
            labels = "; ".join(f"{s.index}: {s.label}" for s in list_scans(path)[:6])
            raise PatternError(f"{path.name} holds {count} scans ({labels}); choose one with --scan (scan=)")
        if data.two_theta is None:
            raise PatternError(f"{path.name} was measured by time of flight; patterns of X-rays can be read")
        sigma = None if data.sigma is None else np.array(data.sigma, float)
        x, y = np.array(data.two_theta, float), np.array(data.intensity, float)
    except PatternError:
        raise
    except Exception as error:  # whatever a damaged file leads a parser into
        raise PatternError(f"{path.name} cannot be read as {kind}: {_first_sentence(error)}") from error
    return Raw(x, y, sigma, "2theta", _radiation(dict(data.metadata)), peaks=False)


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise PatternError(f"{path.name} is a damaged archive: {_first_sentence(error)}") from error
    if size > MOST_UNPACKED:
        raise PatternError(f"{path.name} is too large: it unpacks to {size:,} bytes")


def _radiation(facts: dict[str, str]) -> Radiation | None:
    """The tube, or the wavelength, that an instrument wrote; K-alpha 2 of 0 says that there was none."""
    first, second = _number(facts.get("wavelength")), _number(facts.get("wavelength_alpha2"))
    anode = (facts.get("anode") or "").strip()
    try:
        if anode:
            return radiation(f"{anode}Ka1" if second == 0 else f"{anode}Ka")
    except PatternError:
        pass
    try:
        if first and second and second > first:
            return radiation(f"{first},{second}")
        return radiation(first) if first else None
    except PatternError:
        return None


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _first_sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:240]
