"""A system searched from the form to its short list, and crystals of a file relaxed, in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from served import Server

import crystalsmith
from crystalsmith.crystal import Site
from crystalsmith.runs.extras import missing

pytestmark = pytest.mark.skipif(bool(missing(["chgnet"])), reason="CHGNet, of the extra relax, is not here")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("searching") / "runs")
    yield server
    server.stop()


def test_a_system_is_searched_and_what_cannot_be_is_told_beside_its_field(served, page):
    page.goto(f"{served.url}/discover")
    page.get_by_role("button", name="Search").click()
    page.get_by_text("two elements or more").wait_for()
    page.get_by_label("Elements").fill("Na, Xx")
    page.get_by_text("More that you want").click()
    page.get_by_label("Crystals to make").fill("many")
    page.get_by_role("button", name="Search").click()
    page.get_by_text("a whole number from 0 to 2000").wait_for()
    page.get_by_label("Crystals to make").fill("4")
    page.get_by_role("button", name="Search").click()
    page.get_by_text(re.compile("Xx")).last.wait_for()
    page.get_by_text("They are drawn here once").wait_for()
    page.get_by_label("Elements").fill("Na Cl")
    page.get_by_role("img", name=re.compile("Phase diagram of Na-Cl; stable known phases: .*NaCl")).wait_for()
    page.get_by_label("Crystals on the short list").fill("1")
    page.get_by_label("Of these with phonons").fill("0")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**/runs/discover-*")
    page.reload()
    page.get_by_text(re.compile(r"^Na-Cl: \d+ of \d+ candidates on the short list")).wait_for()
    page.get_by_role("img", name=re.compile("Phase diagram of Na-Cl")).wait_for()
    assert page.locator("table.run tbody tr").count() > 0
    job = next(job for job in served.ask("/api/v1/jobs")[1] if job["kind"] == "discover")
    assert job["state"] == "done" and (served.runs / job["id"] / "report.html").is_file()


def test_crystals_of_a_file_are_chosen_and_relaxed(served, page, tmp_path):
    path = tmp_path / "salt.cif"
    salt = crystalsmith.Crystal(225, (5.7, 5.7, 5.7, 90, 90, 90), (Site("Na", "a"), Site("Cl", "b")))
    path.write_text(salt.to_cif(), encoding="utf-8")
    page.goto(f"{served.url}/runs")
    page.get_by_role("link", name="Relax crystals of yours").click()
    page.get_by_label("File of crystals").set_input_files(path)
    page.get_by_text("1 crystal chosen").wait_for()
    page.get_by_label("Steps at most").fill("3")
    page.get_by_label("Relax", exact=True).select_option("symmetric")
    page.get_by_role("button", name="Relax", exact=True).click()
    page.wait_for_url("**/runs/relax-*")
    page.get_by_text(re.compile("^1 of 1 crystals relaxed")).wait_for()
