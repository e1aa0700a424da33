"""Files of users: what they hold is kept, and a hostile one costs only itself."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from crystals import KNOWN
from crystalsmith.crystal import Crystal
from crystalsmith.errors import CrystalsmithError
from crystalsmith.serving import uploads
from crystalsmith.serving.errors import NotFound, TooLarge
from crystalsmith.serving.plain_patterns import pattern_of
from crystalsmith.serving.uploads import Uploads, about_upload, safe_name, shown_name
from crystalsmith.solving import SolveSettings
from crystalsmith.solving.fitting import Observation

XY = "".join(f"{10 + 0.1 * k:.1f} {5 + 50 * (k % 40 == 0)}\n" for k in range(400)).encode()
NAME, CRYSTAL = next(iter(KNOWN.items()))


@pytest.fixture
def kept(tmp_path: Path) -> Uploads:
    """An empty folder of uploads of up to 1 MB."""
    return Uploads(tmp_path / "uploads", 1 << 20)


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_cif", ".cif"), content)
    return stream.getvalue()


def left(kept: Uploads) -> list[str]:
    """Files that are no upload."""
    return [p.name for p in kept._folder.iterdir() if not p.name.startswith("upload-")]


def test_a_structure_is_kept_without_loss(kept: Uploads):
    found = kept.take("a.cif", CRYSTAL.to_cif().encode(), "structure")
    ((_, data),) = kept.get(found["id"])["crystals"].items()
    assert Crystal.from_dict(data).wyckoff == CRYSTAL.wyckoff
    about = about_upload(found)
    assert about["crystals"][0]["formula"] == CRYSTAL.formula and about["name"] == "a.cif"
    assert left(kept) == []


def test_archives_and_what_in_them_cannot_be_read(kept: Uploads):
    data = zipped(good_cif=CRYSTAL.to_cif().encode(), bad_cif=b"data_x\n_cell_length_a what\n")
    found = kept.take("some.zip", data, "structure")
    assert len(found["crystals"]) == 1 and len(found["failures"]) == 1


def test_a_pattern_is_kept_whatever_it_does_not_say(kept: Uploads):
    found = kept.take("a.xy", XY, "pattern")
    pattern = pattern_of(kept.get(found["id"])["pattern"], "a.xy", "CuKa")
    assert len(pattern.intensity) == 400 and pattern.radiation.name == "CuKa"
    about = about_upload(found)
    assert (about["radiation"], about["points"], len(about["x"])) == (None, 400, 400)


@pytest.mark.parametrize("axis", ["q", "d"])
def test_the_command_goes_on_with_a_job_whose_columns_were_no_angles(
    kept: Uploads, tmp_path: Path, axis: Literal["q", "d"]
):
    angles = 10 + 0.1 * np.arange(400)
    q = 4 * np.pi * np.sin(np.radians(angles / 2)) / 1.5406
    x = q if axis == "q" else 2 * np.pi / q
    text = "".join(f"{v:.6f} {100 + 900 * (k % 50 == 0)}\n" for k, v in enumerate(x)).encode()
    found = kept.take("a.xy", text, "pattern")
    of_job = pattern_of(kept.get(found["id"])["pattern"], "a.xy", "CuKa1", axis)
    (tmp_path / "a.xy").write_bytes(text)
    job = SolveSettings(formula="NaCl", radiation="CuKa1")
    command = replace(job, axis=axis)
    assert command.identity() == job.identity()
    read = [Observation.read(of_job, job), Observation.read(tmp_path / "a.xy", command)]
    assert read[0].hash == read[1].hash


def test_long_patterns_are_drawn_by_their_highest_points(kept: Uploads):
    many = "".join(f"{5 + 0.01 * k:.2f} {100 + 900 * (k == 7001)}\n" for k in range(9000)).encode()
    about = about_upload(kept.take("long.xy", many, "pattern"))
    assert len(about["x"]) <= 2000 and max(about["y"]) == 1000 and about["points"] == 9000


@pytest.mark.parametrize("what", ["pattern", "structure"])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 5000,
        b"<script>alert(1)</script>",
        b"{" * 100_000,
        b"data_x\n" + b"loop_\n" * 20_000,
        b"PK\x03\x04 broken",
        bytes(range(256)) * 64,
        gzip.compress(b"\0" * (50 << 20)),
        zipped(a_cif=b"0" * (200 << 20)),
        zipped(**{f"m{k}_cif": b"data_x" for k in range(6000)}),
        zipped(____etc__evil_cif=b"data_x"),
    ],
    ids=["empty", "zeros", "script", "deep", "loops", "broken", "bytes", "gzip", "bomb", "members", "path"],
)
def test_hostile_files_are_refused_in_a_line_and_leave_nothing(kept: Uploads, what: str, data: bytes):
    with pytest.raises(CrystalsmithError) as caught:
        kept.take("x.cif.gz", data, what)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    assert str(kept._folder) not in str(caught.value)
    assert list(kept._folder.iterdir()) == []


def test_too_many_bytes_are_not_even_read(kept: Uploads):
    with pytest.raises(TooLarge):
        kept.take("x", b" " * ((1 << 20) + 1), "structure")


def test_a_reader_that_never_ends_is_ended(kept: Uploads, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(uploads, "SECONDS", 0.01)
    with pytest.raises(CrystalsmithError, match="too much time"):
        kept.take("x.cif", CRYSTAL.to_cif().encode(), "structure")
    assert list(kept._folder.iterdir()) == []


@pytest.mark.parametrize(
    "upload_id",
    ["", "x", "../../etc/passwd", "upload-" + "0" * 24, "upload-/../" + "0" * 19, "upload-" + "A" * 24],
)
def test_no_other_file_can_be_asked_for(kept: Uploads, upload_id: str, tmp_path: Path):
    (tmp_path / "secret.json").write_text("{}")
    with pytest.raises(NotFound):
        kept.get(upload_id)


def test_the_oldest_go(kept: Uploads, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(uploads, "KEPT", 2)
    for k in range(4):
        (kept._folder / f"upload-{k:024x}.json").write_text(json.dumps({"id": k}))
    kept.take("a.xy", XY, "pattern")
    assert len(list(kept._folder.iterdir())) == 2


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a.cif", "a.cif"),
        ("../../etc/passwd", "passwd"),
        (r"C:\Users\me\b.xy", "b.xy"),
        ("\x00\n<b>.cif", "<b>.cif"),
        ("", "upload"),
        ("x" * 999, "x" * 100),
    ],
)
def test_names_are_for_people(given: str, shown: str):
    assert shown_name(given) == shown


@pytest.mark.parametrize("name", ["../../x", 'a";b', "<script>", "", ".", "ü\n"])
def test_names_of_downloads_hold_nothing_but_letters(name: str):
    assert set(safe_name(name)) <= set("abcdefghijklmnopqrstuvwxyz._+-0123456789")
    assert not safe_name(name).startswith(".")
