"""A recorded denoising: every step, its noise, and the files made of it."""

from __future__ import annotations

import json

import ase.io
import numpy as np
import pytest
from PIL import Image

from crystalsmith.assignments import Request
from crystalsmith.cli.main import main
from crystalsmith.diffusion import load_model
from crystalsmith.errors import ConfigError, OutputError
from crystalsmith.generation.trajectory import plot_trajectory, record, record_like, request_of
from crystalsmith.pictures import film


@pytest.fixture(scope="module")
def model():
    return load_model()


@pytest.fixture(scope="module")
def made(model):
    from crystals import KNOWN

    return record(model, KNOWN["rutile"], seed=1, steps=5)


def test_every_step_is_a_crystal_of_the_same_letters(made, known):
    assert len(made) == 6  # five steps and the finished crystal
    assert {c.wyckoff for c in made.frames} == {known["rutile"].wyckoff}
    assert list(made.sigmas) == sorted(made.sigmas, reverse=True) and made.sigmas[-1] == 0
    # The noise is of the size of the cell at first.
    assert 0.1 < made.sigmas[0] / known["rutile"].volume ** (1 / 3) < 0.5
    assert made.words(0).startswith("noise ") and made.words(5) == "done"


def test_the_end_is_the_crystal_that_sampling_alone_makes(made, model, known):
    alone = model.sample([request_of(known["rutile"])], [1], steps=5, sampler="multistep")[0]
    assert np.allclose(alone.cell, made.crystal.cell, atol=1e-3)


def test_the_film_for_the_viewer_names_what_changes(made):
    first, *others = json.loads(json.dumps(made.film(), allow_nan=False))
    assert first["formula"] == "TiO2" and first["text"].startswith("noise")
    for frame in others:
        assert "elements" not in frame and "view" not in frame
        assert len(frame["atoms"]) == len(first["atoms"])
    assert others[-1]["text"] == "done"


def test_it_says_whether_it_ends_in_the_crystal(model, known):
    right = record_like(model, known["perovskite"], steps=12, tries=2)
    assert right.matches and np.isclose(right.crystal.cell[0], 3.905, rtol=0.03)


def test_frames_as_extxyz_and_json(made, tmp_path):
    frames = ase.io.read(made.write(tmp_path / "film.extxyz"), index=":")
    assert len(frames) == 6 and frames[2].info["step"] == 2
    assert np.isclose(frames[-1].cell.volume, made.crystal.volume)
    assert json.loads(made.write(tmp_path / "film.json").read_text()) == made.film()
    with pytest.raises(OutputError, match=r"\.extxyz or \.json"):
        made.write(tmp_path / "film.txt")


def test_a_gif_moves_and_holds_its_end(made, tmp_path):
    with Image.open(plot_trajectory(made, tmp_path / "film.gif", size=120)) as film:
        assert film.n_frames == 6 and film.width == 120
        first = np.asarray(film.convert("RGB")).astype(int)
        film.seek(5)
        last = np.asarray(film.convert("RGB")).astype(int)
        assert film.info["duration"] >= 1000
    assert (np.abs(first - last).max(axis=-1) > 60).mean() > 0.005
    r, g, b = np.moveaxis(last, -1, 0)
    assert ((r > 130) & (g < 100) & (b < 100)).sum() > 50  # oxygen


def test_a_strip_and_refusals(made, tmp_path, monkeypatch):
    assert plot_trajectory(made, tmp_path / "strip.png", columns=3).stat().st_size > 5000
    monkeypatch.setattr(film, "_ffmpeg", lambda: None)
    with pytest.raises(OutputError, match="needs ffmpeg"):
        plot_trajectory(made, tmp_path / "film.mp4")
    with pytest.raises(OutputError, match="must end in"):
        plot_trajectory(made, tmp_path / "film.avi")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["strip.png"]


def test_an_mp4_is_written_where_there_is_ffmpeg(made, tmp_path):
    if film._ffmpeg() is None:
        pytest.skip("neither ffmpeg nor imageio-ffmpeg, of the extra film, is installed")
    assert plot_trajectory(made, tmp_path / "film.mp4", size=120).read_bytes()[4:8] == b"ftyp"


def test_the_papers_method_is_refused(known):
    with pytest.raises(ConfigError, match="paper"):
        record(load_model("paper"), Request(221, (("Po", "a"),)))


def test_the_command(tmp_path, known, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sto.cif").write_text(known["perovskite"].to_cif(), encoding="utf-8")
    command = ["film", "sto.cif", "--steps", "6", "--size", "100", "-o", "a.gif", "-o", "a.json", "--json"]
    assert main(command) == 0
    told = json.loads(capsys.readouterr().out)["result"]
    assert told["formula"] == "SrTiO3" and told["frames"] == 7
    assert (tmp_path / "a.gif").is_file() and len(json.loads((tmp_path / "a.json").read_text())) == 7
    assert main(["film", "sto.cif", "-o", "a.avi"]) == 2
    assert main(["film", "no-such.cif", "-o", "b.gif"]) == 2
    assert not (tmp_path / "b.gif").exists()
