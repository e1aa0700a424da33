"""Files of powder patterns in every format that is read, written from one pattern."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

X = np.round(np.arange(15, 75.0001, 0.05), 4)
Y = np.round(
    60
    + sum(
        h * np.exp(-(((X - c) / 0.12) ** 2)) for c, h in ((20.1, 900), (33.3, 2500), (47.7, 1200), (68, 400))
    )
)
"""Counts at 2 theta, copper; whole numbers, so that their roots are their uncertainties."""

PLACES, HEIGHTS = np.array([20.1, 33.3, 47.7, 68.0]), np.array([36.0, 100.0, 48.0, 16.0])


def xy(path: Path) -> None:
    path.write_text("".join(f"{x:.4f} {y:.1f}\n" for x, y in zip(X, Y, strict=True)))


def xye(path: Path) -> None:
    rows = (f"{x:.4f}   {y:.1f}  {np.sqrt(y):.4f}\n" for x, y in zip(X, Y, strict=True))
    path.write_text("# Wavelength = 1.54059 A\n" + "".join(rows))


def csv(path: Path) -> None:
    rows = (f"{x:.4f},{y:.1f},{np.sqrt(y):.4f}\n" for x, y in zip(X, Y, strict=True))
    path.write_text('"2Theta (deg)","Counts","Sigma"\n' + "".join(rows))


def european(path: Path) -> None:
    rows = (f"{x:.4f};{y:.1f}\n".replace(".", ",") for x, y in zip(X, Y, strict=True))
    path.write_text("Winkel;Intensität\n" + "".join(rows), encoding="utf-16")


def dat(path: Path) -> None:
    """Start, step, end, and ten counts in a line."""
    lines = [" ".join(f"{y:8.0f}" for y in Y[k : k + 10]) for k in range(0, len(Y), 10)]
    path.write_text(f"  {X[0]}  0.05  {X[-1]}  A title: Cu Kalpha\n" + "\n".join(lines) + "\n")


def chi(path: Path) -> None:
    rows = "".join(f"  {x:.5e}  {y:.5e}\n" for x, y in zip(X, Y, strict=True))
    path.write_text(f"image.tif\n 2-Theta Angle (Degrees)\nIntensity\n  {len(X)}\n{rows}")


def chi_of_q(path: Path) -> None:
    q = 4 * np.pi * np.sin(np.radians(X) / 2) / 1.540593 * 10
    rows = "".join(f"  {x:.6e}  {y:.5e}\n" for x, y in zip(q, Y, strict=True))
    path.write_text(f"image.tif\nq (nm^-1)\nIntensity\n  {len(X)}  1\n{rows}")


def columns_of_d(path: Path) -> None:
    d = 1.540593 / 2 / np.sin(np.radians(X) / 2)
    path.write_text("d_spacing  intensity\n" + "".join(f"{a:.6f} {y}\n" for a, y in zip(d, Y, strict=True)))


def pdcif(path: Path) -> None:
    rows = "".join(f"{x:.4f} {y:.0f}({round(np.sqrt(y))})\n" for x, y in zip(X, Y, strict=True))
    path.write_text(
        "data_sample\n_diffrn_radiation_type 'Cu K\\a~1~'\n_diffrn_radiation_wavelength 1.54059\n"
        "loop_\n_pd_meas_2theta_scan\n_pd_meas_intensity_total\n" + rows
    )


def pdcif_even(path: Path) -> None:
    rows = "".join(f"{y:.0f} {1 / y:.6f} 5.0\n" for y in Y)
    path.write_text(
        f"data_a\n_diffrn_radiation_wavelength 1.54059\ndata_b\n_pd_meas_2theta_range_min {X[0]}\n"
        f"_pd_meas_2theta_range_max {X[-1]}\n_pd_meas_2theta_range_inc 0.05\n"
        "loop_\n_pd_meas_counts_total\n_pd_proc_ls_weight\n_pd_calc_intensity_total\n" + rows
    )


def xrdml(path: Path) -> None:
    path.write_text(
        '<?xml version="1.0"?><xrdMeasurements xmlns="http://www.xrdml.com/XRDMeasurement/1.5"'
        ' status="Completed"><xrdMeasurement measurementType="Scan" status="Completed">'
        '<usedWavelength intended="K-Alpha 1"><kAlpha1 unit="Angstrom">1.5405980</kAlpha1>'
        '<kAlpha2 unit="Angstrom">1.5444260</kAlpha2></usedWavelength><incidentBeamPath><xRayTube>'
        "<anodeMaterial>Cu</anodeMaterial></xRayTube></incidentBeamPath>"
        '<scan appendNumber="0" mode="Continuous" scanAxis="Gonio" status="Completed"><dataPoints>'
        f'<positions axis="2Theta" unit="deg"><startPosition>{X[0]}</startPosition>'
        f"<endPosition>{X[-1]}</endPosition></positions>"
        '<commonCountingTime unit="seconds">1.0</commonCountingTime>'
        f'<intensities unit="counts">{" ".join(f"{y:.0f}" for y in Y)}</intensities>'
        "</dataPoints></scan></xrdMeasurement></xrdMeasurements>"
    )


def ras(path: Path) -> None:
    rows = "".join(f"{x:.4f} {y:.4f} 1.0000\n" for x, y in zip(X, Y, strict=True))
    path.write_text(
        '*RAS_DATA_START\n*RAS_HEADER_START\n*HW_XG_TARGET_NAME "Cu"\n*HW_XG_WAVE_LENGTH_ALPHA1 "1.540593"\n'
        '*HW_XG_WAVE_LENGTH_ALPHA2 "1.544414"\n*MEAS_SCAN_AXIS_X "TwoThetaTheta"\n'
        '*MEAS_SCAN_UNIT_Y "counts"\n'
        f"*RAS_HEADER_END\n*RAS_INT_START\n{rows}*RAS_INT_END\n*RAS_DATA_END\n"
    )


def uxd(path: Path) -> None:
    rows = "".join(f"  {x:.4f}  {y:.0f}\n" for x, y in zip(X, Y, strict=True))
    path.write_text(
        "; a comment\n_FILEVERSION=2\n_ANODE='Cu'\n_WL1=1.540600\n_WL2=1.544390\n"
        f"_DRIVE='COUPLED'\n_STEPTIME=1.0\n_STEPSIZE=0.05\n_START={X[0]}\n_2THETACOUNTS\n{rows}"
    )


def udf(path: Path) -> None:
    lines = [", ".join(f"{y:7.0f}" for y in Y[k : k + 8]) for k in range(0, len(Y), 8)]
    keys = {"SampleIdent": "x", "Anode": "Cu", "LabdaAlpha1": 1.5406, "LabdaAlpha2": 1.54439}
    keys |= {"DataAngleRange": f"{X[0]:.4f}, {X[-1]:.4f}", "ScanStepSize": "0.0500"}
    head = "".join(f"{key},{value},/\n" for key, value in keys.items())
    path.write_text(head + "RawScan\n" + ",\n".join(lines) + ",/\n")


def gsas_fxye(path: Path) -> None:
    rows = "".join(f"{100 * x:12.4f} {y:12.4f} {np.sqrt(y):10.4f}\n" for x, y in zip(X, Y, strict=True))
    path.write_text(
        f"A title\nBANK 1 {len(X)} {len(X)} CONS {100 * X[0]:.2f} 5.00 0 0 FXYE\n".ljust(80) + "\n" + rows
    )


def gsas_std(path: Path) -> None:
    counts = [f"  {y:6.0f}" for y in Y]
    lines = ["".join(counts[k : k + 10]).ljust(80) for k in range(0, len(counts), 10)]
    head = f"BANK 1 {len(X)} {len(lines)} CONST {100 * X[0]:.1f} 5.0 0 0 STD"
    path.write_text("\n".join(["A title".ljust(80), head.ljust(80), *lines]) + "\n")


def brml(path: Path) -> None:
    data = "".join(f"<Datum>1,1,{x:.4f},{x / 2:.4f},{y:.0f}</Datum>" for x, y in zip(X, Y, strict=True))
    raw = (
        '<RawData xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><TubeMaterial>Cu</TubeMaterial>'
        '<WaveLength Unit="Å" Value="1.540598" /><DataRoutes><DataRoute RouteFlag="Measured">'
        '<ScanInformation ScanName="Locked Coupled"><ScanAxes><ScanAxisInfo AxisId="TwoTheta" />'
        f"</ScanAxes></ScanInformation>{data}<DataViews>"
        '<RawDataView xsi:type="FixedRawDataView" Start="0" Length="1" LogicName="MeasuredTime" />'
        '<RawDataView xsi:type="FixedRawDataView" Start="1" Length="1" LogicName="AbsorptionFactor" />'
        '<RawDataView xsi:type="VaryingRawDataView" Start="2" Length="2"><Varying>'
        '<FieldDefinitions FieldName="TwoTheta" AxisId="TwoTheta" />'
        '<FieldDefinitions FieldName="Theta" AxisId="Theta" /></Varying></RawDataView>'
        '<RawDataView xsi:type="RecordedRawDataView" Start="4" Length="1"><Recording>'
        '<Unit Base="Counts" /></Recording></RawDataView></DataViews></DataRoute></DataRoutes></RawData>'
    )
    container = (
        "<DataContainer><RawDataReferenceList><string>Experiment0/RawData0.xml</string>"
        "</RawDataReferenceList></DataContainer>"
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Experiment0/DataContainer.xml", container)
        archive.writestr("Experiment0/RawData0.xml", raw)


def bruker_raw(path: Path) -> None:
    """Version 3: a header of the file (712 bytes), one of the range (304), and a float32 for each point."""
    file_header = bytearray(712)
    file_header[:8] = b"RAW1.01\0"
    struct.pack_into("<I", file_header, 8, 1)
    struct.pack_into("<I", file_header, 12, 1)  # ranges
    file_header[608:610] = b"Cu"
    struct.pack_into("<d", file_header, 616, 1.541838)
    struct.pack_into("<d", file_header, 624, 1.540598)
    struct.pack_into("<d", file_header, 632, 1.544426)
    head = bytearray(304)
    struct.pack_into("<I", head, 0, 304)
    struct.pack_into("<I", head, 4, len(X))
    struct.pack_into("<d", head, 8, X[0] / 2)
    struct.pack_into("<d", head, 16, X[0])
    struct.pack_into("<d", head, 176, 0.05)
    struct.pack_into("<I", head, 184, 0)
    struct.pack_into("<f", head, 192, 1.0)
    struct.pack_into("<d", head, 240, 1.540598)
    struct.pack_into("<I", head, 252, 4)
    path.write_bytes(bytes(file_header) + bytes(head) + Y.astype("<f4").tobytes())


PLAIN: dict[str, Callable[[Path], None]] = {
    "a.xy": xy,
    "a.xye": xye,
    "a.csv": csv,
    "b.csv": european,
    "a.dat": dat,
    "a.chi": chi,
    "b.chi": chi_of_q,
    "a.txt": columns_of_d,
    "a.cif": pdcif,
    "b.cif": pdcif_even,
}
"""Formats that are read without other libraries, by a name of a file."""

INSTRUMENTS: dict[str, Callable[[Path], None]] = {
    "a.xrdml": xrdml,
    "a.ras": ras,
    "a.uxd": uxd,
    "a.udf": udf,
    "a.fxye": gsas_fxye,
    "a.gsa": gsas_std,
    "a.brml": brml,
    "a.raw": bruker_raw,
}
"""Formats that are read with rietx."""
