"""The server as a user has it: from an order to a run folder that every command reads."""

from __future__ import annotations

from served import SALT, Server

import crystalsmith


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
