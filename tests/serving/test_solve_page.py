"""From a measured pattern to the relaxed answer in a real browser, with errors and a reload on the way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import run_folders
from served import Server

from crystalsmith.runs.extras import missing


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("solving") / "runs")
    yield server
    server.stop()


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """The pattern of rutile as a file of two columns."""
    pattern = run_folders.pattern()
    path = tmp_path / "sample.xy"
    np.savetxt(path, np.column_stack([pattern.two_theta, pattern.intensity]), fmt="%.4f")
    return path


def test_a_dropped_pattern_is_solved_and_its_answer_relaxed(served, page, sample):
    page.goto(f"{served.url}/solve")
    page.get_by_role("button", name="Solve").click()
    page.get_by_text("Choose a measured pattern first.").wait_for()
    page.get_by_label("Measured pattern").set_input_files(sample)
    page.get_by_role("img", name="The uploaded pattern").wait_for()
    page.get_by_text("the file does not say: choose").wait_for()
    page.get_by_label("Radiation").select_option("CuKa")
    page.get_by_label("Formula", exact=True).fill("TiO2")
    page.get_by_text("More that you know").click()
    page.get_by_label("Space group").fill("P4_2/mnx")
    page.get_by_role("radio", name="quick look").check()
    page.get_by_role("button", name="Solve").click()
    page.get_by_text(re.compile("P4_2/mnx")).last.wait_for()
    page.get_by_label("Space group").fill("136")
    page.get_by_role("button", name="Solve").click()
    page.wait_for_url("**/solve/solve-*")
    page.get_by_role("heading", name="Solve TiO2").wait_for()
    page.reload()
    page.get_by_text(re.compile("^One answer: TiO2 in")).wait_for()
    page.get_by_role("img", name=re.compile("the one calculated for TiO2 in P4_2.mnm")).wait_for()
    panel = page.get_by_role("region", name="The chosen crystal")
    panel.get_by_role("heading", name=re.compile("TiO2")).wait_for()

    page.get_by_role("link", name="Relax and rank").click()
    page.get_by_role("heading", name=re.compile("^Relax crystals of")).wait_for()
    if missing(["chgnet"]):
        return
    page.get_by_role("checkbox", name="Choose all that are listed").uncheck()
    page.get_by_text("0 crystals chosen").wait_for()
    page.get_by_role("checkbox", name=re.compile("^Choose 001_")).check()
    page.get_by_label("Steps at most").fill("4")
    page.get_by_label("Relax", exact=True).select_option("symmetric")
    page.get_by_role("button", name="Relax", exact=True).click()
    page.wait_for_url("**/runs/relax-*")
    page.get_by_text(re.compile("^1 of 1 crystals relaxed")).wait_for()
    page.locator("th[aria-sort=ascending]").get_by_text("above hull").wait_for()
    page.get_by_role("img", name=re.compile("Phase diagram of Ti-O")).wait_for()


def test_what_is_no_pattern_is_told_beside_the_field(served, page, tmp_path):
    path = tmp_path / "<b>notes.txt"
    path.write_text("no numbers at all\n" * 5, encoding="utf-8")
    page.goto(f"{served.url}/solve")
    page.get_by_label("Measured pattern").set_input_files(path)
    page.locator(".field .fault").first.wait_for()
    page.get_by_role("button", name="Solve").click()
    page.get_by_text("Choose a measured pattern first.").wait_for()
