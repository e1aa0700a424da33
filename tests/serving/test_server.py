"""The server as a user has it: from an order to a run folder that every command reads."""

from __future__ import annotations

import urllib.request

from served import SALT, Server

import crystalsmith
from crystals import KNOWN
from crystalsmith.diffraction import radiation
from crystalsmith.diffraction.simulation import simulate


def test_an_order_becomes_a_run_folder_that_python_reads(server: Server):
    job = server.submit("generate", {"orders": {**SALT, "count": 2}, "seed": 5})
    assert server.wait(job)["state"] == "done", server.job(job)
    status, rows = server.ask(f"/api/v1/runs/{job}/crystals")
    assert status == 200 and [row["formula"] for row in rows] == ["NaCl", "NaCl"]
    status, found = server.ask(f"/api/v1/runs/{job}/crystals/1")
    assert (found["symbol"], [site["letter"] for site in found["sites"]]) == ("Fm-3m", ["a", "b"])
    assert len(crystalsmith.read(server.runs / job)) == 2


def test_the_command_line_makes_the_same_crystals(server: Server, tmp_path):
    job = server.submit("generate", {"orders": {**SALT, "id": "salt"}, "seed": 6})
    server.wait(job)
    crystalsmith.generate({**SALT, "id": "salt"}, out=tmp_path / "same", seed=6)
    cifs = [folder / "cif" / "001_salt_0.cif" for folder in (server.runs / job, tmp_path / "same")]
    assert cifs[0].read_bytes() == cifs[1].read_bytes()


def test_impossible_orders_are_refused_before_they_wait(server: Server):
    status, answer = server.ask(
        "/api/v1/jobs/generate", {"orders": {"space_group": 225, "formula": "NaCl", "z": 3}}
    )
    assert status == 422 and "\n" not in answer["error"]
    assert server.ask("/api/v1/jobs/paint", {})[0] == 404


def test_help_says_what_an_order_means_or_why_not(server: Server):
    status, answer = server.ask("/api/v1/help", {"formula": "NaCl", "atoms": 2})
    assert status == 200 and answer["possible"] and answer["atoms"] == {"least": 2, "most": 2}
    assert "Fm-3m" in [one["symbol"] for one in answer["likely"]]
    status, answer = server.ask("/api/v1/help", {"formula": "NaC"})
    assert status == 200
    status, answer = server.ask("/api/v1/help", {"formula": "Na("})
    assert status == 200 and not answer["possible"] and answer["reason"]


def test_crystals_are_relaxed_and_stand_on_the_hull(server: Server):
    made = server.submit("generate", {"orders": {**SALT, "count": 1}, "seed": 7})
    server.wait(made)
    relaxed = server.submit("relax", {"run": made, "max_calls": 20, "only": "symmetric"})
    assert server.wait(relaxed)["state"] == "done", server.job(relaxed)
    (row,) = server.ask(f"/api/v1/runs/{relaxed}/crystals")[1]
    assert row["formula"] == "NaCl" and row["energy"] < -3
    hull = server.submit("hull", {"runs": [relaxed]})
    assert server.wait(hull)["state"] == "done", server.job(hull)
    status, found = server.ask(f"/api/v1/runs/{hull}/files/hull.json")
    assert status == 200 and found["elements"] == ["Na", "Cl"]
    assert 0 <= found["candidates"][0]["above_hull"] < 0.2
    entries = server.runs / hull / "entries.csv"
    phases = crystalsmith.hull("Na-Cl", entries=[entries]).to_dataframe()
    assert len(phases) == len(found["phases"]) + 1
    for folder in (made, relaxed, hull):
        assert len(crystalsmith.read(server.runs / folder)) == 1


def test_a_folder_of_the_command_line_opens_and_can_be_downloaded(server: Server):
    crystalsmith.generate({**SALT, "id": "mine"}, n=2, out=server.runs / "by hand" / "salt", seed=1)
    run = next(run for run in server.ask("/api/v1/runs")[1] if run["name"] == "by hand/salt")
    assert run["kind"] == "generation" and "report.html" in run["files"]
    rows = server.ask(f"/api/v1/runs/{run['id']}/crystals")[1]
    assert [row["n"] for row in rows] == [1, 2]
    for form, number in (("cif", 1), ("poscar", 1), ("extxyz", 2), ("zip", 2)):
        address = f"{server.url}/api/v1/runs/{run['id']}/download?format={form}"
        address += "&crystal=1" if form == "poscar" else ""
        address += "&crystal=2" if form == "cif" else ""
        with urllib.request.urlopen(address) as answer:
            ending = answer.headers.get_filename().rpartition(".")[2]
            file = server.runs.parent / f"got.{ending}"
            file.write_bytes(answer.read())
        assert len(crystalsmith.read(file)) == (number if form != "zip" else 6)
    assert server.ask(f"/api/v1/runs/{run['id']}/download?format=exe")[0] == 404
    assert server.ask(f"/api/v1/runs/{run['id']}/download?format=cif&crystal=9")[0] == 404


def test_an_upload_can_be_relaxed_and_be_a_host(server: Server):
    cif = KNOWN["rock salt"].to_cif()
    status, upload = server.send("/api/v1/uploads?kind=structure&name=salt.cif", cif.encode())
    assert status == 201 and upload["crystals"][0]["formula"] == "NaCl"
    order = {"host": {"upload": upload["id"]}, "add": {"Li": 1}}
    assert server.ask("/api/v1/help", order)[1]["possible"]
    relaxed = server.submit("relax", {"upload": upload["id"], "max_calls": 1, "only": "symmetric"})
    assert server.wait(relaxed)["state"] == "done", server.job(relaxed)


def test_a_pattern_that_is_uploaded_is_solved(server: Server):
    salt = KNOWN["rock salt"]
    pattern = simulate(salt, radiation("CuKa"), (10, 80))
    text = "".join(f"{x:.2f} {y:.3f}\n" for x, y in zip(pattern.two_theta, pattern.intensity, strict=True))
    status, upload = server.send("/api/v1/uploads?kind=pattern&name=salt.xy", text.encode())
    assert status == 201 and upload["radiation"] is None
    given = {"upload": upload["id"], "formula": "NaCl", "candidates": 5, "rietveld": 0}
    status, answer = server.ask("/api/v1/jobs/solve", given)
    assert status == 422 and "wavelength" in answer["error"]
    job = server.submit("solve", {**given, "radiation": "CuKa"})
    assert server.wait(job)["state"] == "done", server.job(job)
    assert server.ask(f"/api/v1/runs/{job}/crystals")[1][0]["formula"] == "NaCl"
