"""Files of patterns and peaks in every format, and files that are none."""

from __future__ import annotations

import importlib.util
import random
import warnings
import zipfile

import numpy as np
import pytest

import pattern_files as files
from crystalsmith.diffraction import Pattern, PeakList
from crystalsmith.diffraction.readers import is_pattern_file, read_pattern
from crystalsmith.errors import PatternError

HAVE_RIETX = importlib.util.find_spec("rietx") is not None
NAMES = [
    *files.PLAIN,
    *(
        pytest.param(name, marks=pytest.mark.skipif(not HAVE_RIETX, reason="rietx is not installed"))
        for name in files.INSTRUMENTS
    ),
]


def written(folder, name):
    path = folder / name
    (files.PLAIN | files.INSTRUMENTS)[name](path)
    return path


@pytest.mark.parametrize("name", NAMES)
def test_every_format_gives_the_same_pattern(tmp_path, name):
    path = written(tmp_path, name)
    pattern = read_pattern(path, "CuKa1")
    assert isinstance(pattern, Pattern) and pattern.name == name
    assert pattern.two_theta == pytest.approx(files.X, abs=2e-3)
    assert pattern.intensity == pytest.approx(files.Y)
    rounded = {"a.cif": 0.08}.get(name, 0.002)  # one digit in parentheses
    assert pattern.sigma == pytest.approx(np.sqrt(files.Y), rel=rounded)
    assert pattern.radiation.name == "CuKa1"
    assert is_pattern_file(path)
    with pytest.raises(PatternError, match="Gpqr"):
        read_pattern(path, "Gpqr")


@pytest.mark.parametrize(
    ("name", "lines"),
    [("a.xye", "CuKa1"), ("a.dat", "CuKa"), ("a.cif", "CuKa1"), ("b.cif", "CuKa1")]
    + [
        pytest.param(n, lines, marks=pytest.mark.skipif(not HAVE_RIETX, reason="rietx is not installed"))
        for n, lines in [
            ("a.xrdml", "CuKa"),
            ("a.ras", "CuKa"),
            ("a.brml", "CuKa"),
            ("a.raw", "CuKa"),
            ("a.uxd", "CuKa"),
            ("a.udf", "CuKa"),
        ]
    ],
)
def test_the_wavelength_of_the_file_is_used(tmp_path, name, lines):
    assert read_pattern(written(tmp_path, name)).radiation.name == lines


@pytest.mark.parametrize("name", ["a.xy", "a.csv", "a.chi"])
def test_without_a_wavelength_one_must_be_given(tmp_path, name):
    with pytest.raises(PatternError, match="does not say its wavelength"):
        read_pattern(written(tmp_path, name))


def test_rows_may_be_reversed_repeated_commented_and_of_windows(tmp_path):
    rows = [f"{x}\t{y}" for x, y in zip(files.X[::-1], files.Y[::-1], strict=True)]
    rows[100:100] = [rows[99], "# a remark", "", "nan\t5"]
    path = tmp_path / "scan"
    path.write_text("\ufeffangle\tcounts\r\n" + "\r\n".join(rows))
    pattern = read_pattern(path, "CuKa")
    assert pattern.two_theta == pytest.approx(files.X) and pattern.intensity == pytest.approx(files.Y)


def test_a_calculated_third_column_is_no_uncertainty(tmp_path):
    path = tmp_path / "a.xy"
    path.write_text("".join(f"{x} {y} {1.01 * y}\n" for x, y in zip(files.X, files.Y, strict=True)))
    assert read_pattern(path, "CuKa").sigma == pytest.approx(np.sqrt(files.Y))


def test_columns_are_found_by_their_names(tmp_path):
    path = tmp_path / "a.csv"
    lines = ["point, weight, 2theta, background, intensity, esd"]
    lines += [
        f"{k},0,{x},5,{y},{2 * np.sqrt(y)}" for k, (x, y) in enumerate(zip(files.X, files.Y, strict=True))
    ]
    path.write_text("\n".join(lines))
    pattern = read_pattern(path, "CuKa")
    assert pattern.two_theta == pytest.approx(files.X) and pattern.intensity == pytest.approx(files.Y)
    assert pattern.sigma == pytest.approx(2 * np.sqrt(files.Y))


def test_an_axis_can_be_stated(tmp_path):
    d = 1.540593 / 2 / np.sin(np.radians(files.X) / 2)
    for axis, column in (("d", d), ("q", 2 * np.pi / d)):
        path = tmp_path / f"{axis}.xy"
        path.write_text("".join(f"{x:.7f} {y}\n" for x, y in zip(column, files.Y, strict=True)))
        with pytest.raises(PatternError, match="2theta, q or d"):
            read_pattern(path, "CuKa1")
        pattern = read_pattern(path, "CuKa1", axis=axis)
        assert pattern.two_theta == pytest.approx(files.X, abs=1e-4)
        assert pattern.intensity == pytest.approx(files.Y)
    with pytest.raises(PatternError, match="no axis 'x'"):
        read_pattern(path, "CuKa1", axis="x")


@pytest.mark.parametrize(
    "text",
    [
        "2theta I\n20.1 36\n33.3 100\n47.7 48\n68.0 16\n",
        "20.1 36\n33.3 100\n47.7 48\n68.0 16\n",
        "68,0;16,0\n20,1;36\n33,3;100\n47,7;48\n",
        "h k l d I\n1 0 0 {0} 36\n1 1 0 {1} 100\n1 1 1 {2} 48\n2 0 0 {3} 16\n",
        "20.1 {0} 36\n33.3 {1} 100\n47.7 {2} 48\n68.0 {3} 16\n",
        "d-spacing  rel. intensity\n{0} 36\n{1} 100\n{2} 48\n{3} 16\n",
        "data_x\nloop_\n_pd_peak_d_spacing\n_pd_peak_intensity\n{0} 36\n{1} 100\n{2} 48\n{3} 16\n",
        "data_x\nloop_\n_pd_peak_2theta_maximum\n_pd_peak_pk_height\n20.1 36\n33.3 100\n47.7 48\n68.0 16\n",
    ],
)
def test_lists_of_peaks(tmp_path, text):
    path = tmp_path / "peaks.txt"
    d = 1.540593 / 2 / np.sin(np.radians(files.PLACES) / 2)
    path.write_text(text.format(*(f"{x:.6f}" for x in d)))
    peaks = read_pattern(path, "CuKa1")
    assert isinstance(peaks, PeakList)
    assert peaks.two_theta == pytest.approx(files.PLACES, abs=1e-3)
    assert peaks.intensity == pytest.approx(files.HEIGHTS)


def test_a_list_of_d_needs_no_wavelength(tmp_path):
    path = tmp_path / "d.txt"
    path.write_text("d I\n3.03 100\n2.28 20\n2.09 15\n1.91 17\n")
    assert read_pattern(path).d.tolist() == [3.03, 2.28, 2.09, 1.91]


def test_what_a_pdcif_says_of_the_structure_changes_nothing(tmp_path):
    path = written(tmp_path, "a.cif")
    plain = read_pattern(path)
    structure = (
        "data_structure\n_cell_length_a 5.64\n_cell_angle_alpha 90\n"
        "_symmetry_space_group_name_H-M 'F m -3 m'\n"
        "_chemical_formula_sum 'Na Cl'\nloop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n"
        "_atom_site_fract_z\nNa 0 0 0\nCl 0.5 0.5 0.5\n"
        "loop_\n_refln_index_h\n_refln_index_k\n_refln_index_l\n"
        "_refln_d_spacing\n1 1 1 3.25\n2 0 0 2.82\n"
    )
    path.write_text(path.read_text() + structure)
    told = read_pattern(path)
    for key in ("two_theta", "intensity", "sigma"):
        assert (getattr(plain, key) == getattr(told, key)).all()
    assert vars(plain).keys() == vars(told).keys() == {"two_theta", "intensity", "sigma", "radiation", "name"}


def test_a_pdcif_leaves_out_what_its_authors_did_and_what_they_simulated(tmp_path):
    rows = [f"{x} {y} {0 if 40 <= x <= 45 else 1 / y}" for x, y in zip(files.X, files.Y, strict=True)]
    tags = "loop_\n_pd_proc_2theta_corrected\n_pd_proc_intensity_total\n_pd_proc_ls_weight\n"
    longer = "".join(f"{0.01 * k + 5} 1 1\n" for k in range(5000))
    path = tmp_path / "x.cif"
    path.write_text(f"data_a\n{tags}" + "\n".join(rows) + f"\ndata_a_simulated_1.54\n{tags}{longer}")
    pattern = read_pattern(path, "CuKa")
    kept = (files.X < 40) | (files.X > 45)
    assert pattern.two_theta == pytest.approx(files.X[kept])
    assert pattern.sigma == pytest.approx(np.sqrt(files.Y[kept]))


def test_neutrons_are_refused(tmp_path):
    path = written(tmp_path, "a.cif")
    path.write_text(path.read_text().replace("'Cu K\\a~1~'", "neutron"))
    with pytest.raises(PatternError, match="neutrons"):
        read_pattern(path)


ROWS = "".join(f"{x} {y}\n" for x, y in zip(files.X, files.Y, strict=True))
BAD = {
    "nothing": ("", "empty"),
    "prose": ("This is no pattern.\n" * 50, "no two columns"),
    "one column": ("1\n2\n3\n" * 60, "no two columns"),
    "json": ('{"a": [1, 2, 3]}', "no two columns"),
    "structure": ("data_x\n_cell_length_a 5\nloop_\n_atom_site_label\nNa\n", "without a measured"),
    "broken cif": ("data_x\nloop_\n_pd_meas_counts_total\n1 2 'a\n;\n", "CIF"),
    "negative": (ROWS.replace("33.3 2560.0", "33.3 -2560.0"), "negative intensities"),
    "all zero": ("".join(f"{x} 0\n" for x in files.X), "negative intensities"),
    "flat": ("".join(f"{x} 7\n" for x in files.X), "the same"),
    "short": ("".join(f"{20 + 0.01 * k} {100 + k}\n" for k in range(90)), "covers"),
    "few": ("20 5\n30 6\n", "2 rows"),
    "hundredths": ("".join(f"{100 * x} {y}\n" for x, y in zip(files.X, files.Y, strict=True)), "hundredths"),
    "two scans": (ROWS + ROWS, "up and down"),
    "not finite": ("".join(f"{x} nan\n" for x in files.X), "no powder pattern"),
    "infinite": ("".join(f"{x} inf\n" for x in files.X), "no powder pattern"),
    "huge": ("".join(f"{x} 1e400\n" for x in files.X), "no powder pattern"),
    "q unsaid": ("".join(f"{0.5 + 0.005 * k} {100 + k % 7}\n" for k in range(1500)), "2theta, q or d"),
    "binary": ("\0\1\2" * 500, "binary"),
    "xrdml": ("<xrdMeasurements><nothing/></xrdMeasurements>", "cannot be read as PANalytical"),
    "half an xrdml": ("<xrdMeasurements><scan>", "cannot be read as PANalytical"),
    "ras": ("*RAS_DATA_START\n*RAS_INT_START\n1 2 3\n", "cannot be read as Rigaku"),
    "gsas": ("title\nBANK 1 10 10 CONS 100 1 0 0 FXYE\n1 2\n", "cannot be read as GSAS"),
    "bruker": ("RAW1.01\0" + "\0" * 20, "cannot be read as Bruker"),
    "archive": ("PK\x03\x04 and no more", "damaged archive"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.skipif(not HAVE_RIETX, reason="rietx is not installed")
def test_bad_files_are_refused_in_one_line(tmp_path, case):
    text, word = BAD[case]
    path = tmp_path / "bad.xy"
    path.write_text(text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PatternError, match=word) as caught:
            read_pattern(path, "CuKa")
    assert "bad.xy" in str(caught.value) and len(str(caught.value)) < 600


def test_no_file_and_a_folder(tmp_path):
    for path in (tmp_path / "none.xy", tmp_path):
        with pytest.raises(PatternError, match=r"does not exist|is a folder"):
            read_pattern(path)
        assert not is_pattern_file(path)


@pytest.mark.skipif(not HAVE_RIETX, reason="rietx is not installed")
def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    from crystalsmith.diffraction.readers import instruments

    monkeypatch.setattr(instruments, "MOST_UNPACKED", 1000)
    path = tmp_path / "a.brml"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Experiment0/RawData0.xml", "0" * 100_000)
    with pytest.raises(PatternError, match="unpacks to"):
        read_pattern(path)


@pytest.mark.skipif(not HAVE_RIETX, reason="rietx is not installed")
def test_one_of_several_scans_must_be_chosen(tmp_path):
    path = written(tmp_path, "a.ras")
    other = path.read_text().replace(" 1.0000\n", "0 1.0000\n")  # another digit: ten thousandths
    body = other.split("*RAS_DATA_START\n")[1].split("*RAS_DATA_END")[0]
    path.write_text(path.read_text().replace("*RAS_DATA_END", body + "*RAS_DATA_END"))
    with pytest.raises(PatternError, match=r"2 scans \(0: .*1: "):
        read_pattern(path)
    for scan in (0, 1):
        assert read_pattern(path, scan=scan).intensity == pytest.approx(files.Y)
    with pytest.raises(PatternError, match="scan=2"):
        read_pattern(path, scan=2)


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_are_read_or_refused_but_never_more(tmp_path, name):
    data = written(tmp_path, name).read_bytes()
    rng = random.Random(name)
    path = tmp_path / f"damaged_{name}"
    for k in range(8):
        broken = bytearray(data)
        at = rng.randrange(len(broken))
        if k % 4 == 0:
            del broken[at:]
        elif k % 4 == 1:
            del broken[:at]
        elif k % 4 == 2:
            broken[at:at] = rng.choice([b"9e999 ", b"\x00", b"\nloop_\n", b"<x>", b"1" * 500, b"-1e300 "])
        else:
            for _ in range(12):
                broken[rng.randrange(len(broken))] = rng.randrange(256)
        path.write_bytes(bytes(broken))
        is_pattern_file(path)
        try:
            found = read_pattern(path, "CuKa")
        except PatternError as error:
            assert len(str(error)) < 700
        else:
            assert np.isfinite(found.intensity).all() and len(found.intensity) >= 3


def test_without_rietx_its_formats_are_refused_and_the_plain_ones_are_read(tmp_path, monkeypatch):
    from crystalsmith.runs import extras

    monkeypatch.setattr(extras, "_is_installed", lambda module: False)
    with pytest.raises(PatternError, match="rietx"):
        read_pattern(written(tmp_path, "a.xrdml"))
    assert len(read_pattern(written(tmp_path, "a.xye")).intensity) == len(files.Y)


def test_files_of_crystals_are_no_pattern_files(tmp_path):
    path = tmp_path / "a.cif"
    path.write_text("data_x\n_cell_length_a 5\n")
    poscar = tmp_path / "POSCAR"
    poscar.write_text("NaCl\n1.0\n5 0 0\n0 5 0\n0 0 5\nNa Cl\n1 1\nDirect\n0 0 0\n.5 .5 .5\n")
    many = tmp_path / "many.vasp"
    many.write_text(poscar.read_text().replace("1 1", "1 99") + ".5 .5 .5\n" * 98)
    assert not any(map(is_pattern_file, (path, poscar, many)))
