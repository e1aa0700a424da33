"""Inputs for refinement programs, read back by rietx's readers of those formats."""

import ast
import importlib.util
from fractions import Fraction

import numpy as np
import pytest

from crystals import KNOWN
from crystalsmith.crystal import Crystal, Site
from crystalsmith.diffraction import radiation
from crystalsmith.diffraction.background import prepared
from crystalsmith.diffraction.readers import read_pattern
from crystalsmith.diffraction.writers import Start, csv_of_pattern, refinement_inputs, write_inputs, xy_text
from crystalsmith.diffraction.writers.start import atoms_of, plain_name, tied_cell, widths_of_parts
from profiles import background, counted, profile

HAVE_RIETX = importlib.util.find_spec("rietx") is not None
needs_rietx = pytest.mark.skipif(not HAVE_RIETX, reason="rietx is not installed")
X = np.arange(10, 70, 0.04)
CRYSTALS = {
    **{name.replace(" ", "_"): crystal for name, crystal in KNOWN.items()},
    "tied": Crystal(164, (3.9, 3.9, 6.0, 90, 90, 120), (Site("Cd", "a"), Site("I", "d", (0.25,)))),
    "doubled": Crystal(194, (5.3, 5.3, 4.2, 90, 90, 120), (Site("Ni", "h", (0.16,)), Site("Sn", "c"))),
    "shifted": Crystal(141, (3.78, 3.78, 9.5, 90, 90, 90), (Site("Ti", "b"), Site("O", "e", (0.083,)))),
    "skew": Crystal(
        2, (5.1, 6.2, 7.3, 88, 94, 101), (Site("B", "i", (0.1, 0.2, 0.3)), Site("N", "i", (0.6, 0.4, 0.9)))
    ),
}


@pytest.fixture(scope="module", params=["CuKa", "0.7"])
def ready(request):
    lines = radiation(request.param)
    return prepared(counted(X, profile(X, lines, lambda _: 0.12) + background(X), lines))


@pytest.mark.parametrize("name", CRYSTALS)
@needs_rietx
def test_topas_and_fullprof_get_the_same_atoms(tmp_path, ready, name):
    from rietx.crystallography.symmetry import expand_positions, get_spacegroup
    from rietx.io.projects.fullprof import read_fullprof_pcr
    from rietx.io.projects.fullprof import to_structure as of_fullprof
    from rietx.io.projects.topas import read_topas_inp
    from rietx.io.projects.topas import to_structure as of_topas

    crystal = CRYSTALS[name]
    write_inputs(tmp_path, Start.of(crystal, ready, zero=0.03), name)
    readers = (
        of_topas(read_topas_inp(tmp_path / f"{name}.inp")),
        of_fullprof(read_fullprof_pcr(tmp_path / f"{name}.pcr")),
    )
    symbols, places = crystal.positions(primitive=False)
    for structure in readers:
        (phase,) = structure.phases
        cell = [getattr(phase.cell, k).value for k in ("a", "b", "c", "alpha", "beta", "gamma")]
        assert cell == pytest.approx(crystal.cell, abs=1e-5)
        group = get_spacegroup(phase.space_group)
        assert group.number == crystal.space_group
        found = [
            (atom.species, place)
            for atom in phase.atoms
            for place in expand_positions(group, np.array([atom.x.value, atom.y.value, atom.z.value]))
        ]
        assert sorted(s for s, _ in found) == sorted(symbols)
        for species, place in found:
            off = np.abs((places - np.asarray(place) + 0.5) % 1 - 0.5).max(1)
            assert symbols[int(off.argmin())] == species and off.min() < 1e-5


@needs_rietx
def test_fullprof_numbers_its_parameters_and_ties_the_cell(tmp_path, ready):
    from rietx.io.projects.fullprof import read_fullprof_pcr

    start = Start.of(CRYSTALS["tied"], ready, zero=0.03)
    write_inputs(tmp_path, start, "tied")
    model = read_fullprof_pcr(tmp_path / "tied.pcr")
    assert set(model.parameter_numbers) == set(range(1, model.refined_parameter_count + 1))
    assert model.zero_shift["zero"].value == pytest.approx(0.03)
    cell = model.phases[0].cell
    assert cell["a"].code == cell["b"].code != cell["c"].code and cell["gamma"].vary is False
    assert model.lambda1 == pytest.approx(ready.radiation.wavelength)
    assert model.pattern["ratio"] == pytest.approx(0.5 if len(ready.radiation.wavelengths) > 1 else 0)
    assert len(model.background) == 24
    iodine = model.phases[0].atoms[1].values
    assert iodine["x"].vary is False and iodine["z"].vary is True
    width = model.phases[0].profile
    assert width["w"].value == pytest.approx(ready.width.constant, abs=1e-6)


@needs_rietx
def test_the_data_of_fullprof_and_topas_are_the_pattern(tmp_path, ready):
    from rietx.io.readers import read_pattern as rietx_pattern

    write_inputs(tmp_path, Start.of(CRYSTALS["tied"], ready), "x")
    for file in ("x.dat", "x.xye"):
        data = rietx_pattern(tmp_path / file)
        assert np.array(data.two_theta) == pytest.approx(ready.pattern.two_theta, abs=1e-5)
        assert np.array(data.intensity) == pytest.approx(ready.pattern.intensity, rel=1e-5)
        assert np.array(data.sigma) == pytest.approx(ready.pattern.sigma, rel=1e-5)


@needs_rietx
def test_instrument_parameters_of_gsas2(tmp_path, ready):
    from rietx.io.instrument_profile import read_gsas2_instprm

    write_inputs(tmp_path, Start.of(CRYSTALS["tied"], ready, zero=0.03), "x")
    with (tmp_path / "x.instprm").open("a") as f:
        f.write("Gonio. radius:200.0\n")  # rietx, not GSAS-II, demands it of a tube
    instrument = read_gsas2_instprm(tmp_path / "x.instprm")
    assert instrument.zero_shift.value == pytest.approx(0.03)
    wavelengths = [line.wavelength.value for line in instrument.source.lines]
    assert wavelengths == pytest.approx(ready.radiation.wavelengths, abs=1e-5)


def test_the_script_of_gsas2_is_python_and_names_files_that_are_written(tmp_path, ready):
    crystal = CRYSTALS["tied"]
    files = refinement_inputs(Start.of(crystal, ready), "CdI2 (164)")
    text = files["CdI2_164_gsas2.py"]
    words = {n.value for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Constant)}
    assert {"CdI2_164.xye", "CdI2_164.instprm", "CdI2_164.cif"} <= words & {*files, *words}
    assert {"CdI2_164.xye", "CdI2_164.instprm", "CdI2_164.cif"} <= set(files)
    assert Crystal.from_cif(files["CdI2_164.cif"]).wyckoff == crystal.wyckoff


@pytest.mark.parametrize("name", CRYSTALS)
def test_coordinates_follow_their_parameters(name):
    crystal = CRYSTALS[name]
    for atom in atoms_of(crystal):
        again = np.array(atom.slopes) @ np.array(atom.free) + atom.offsets if atom.free else atom.offsets
        assert np.asarray(again) == pytest.approx(atom.place, abs=1e-9)
        for value in atom.offsets:
            assert abs(float(Fraction(value).limit_denominator(48)) - value) < 1e-9
    values: dict[int, float] = {}
    for free, value in zip(tied_cell(crystal), crystal.cell, strict=True):
        if free is not None:
            assert values.setdefault(free, value) == value


def test_widths_of_parts():
    assert widths_of_parts(0.1, 0.0) == pytest.approx((0.1, 0))
    assert widths_of_parts(0.1, 1.0) == pytest.approx((0, 0.1), abs=1e-3)


def test_names_are_made_plain():
    assert plain_name("a b/c: α") == "a_b_c" and plain_name("...") == "crystal"


def test_columns_are_read_back(tmp_path, ready):
    for text, file in ((xy_text(ready.pattern), "a.xy"), (csv_of_pattern(ready.pattern), "a.csv")):
        (tmp_path / file).write_text(text)
        again = read_pattern(tmp_path / file, ready.radiation)
        assert again.two_theta == pytest.approx(ready.pattern.two_theta, abs=1e-5)
        assert again.intensity == pytest.approx(ready.pattern.intensity, rel=1e-5)
