"""The pages of runs in a real browser: lists, tables, funnels, plots, crystals, and what is at work."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import run_folders
from served import Server

from crystalsmith.serving.pages import layout

SLOW = 180_000
"""Milliseconds to wait for what another process computes on a busy machine."""

NOTED = "window.rejected = []; addEventListener('unhandledrejection', e => rejected.push(String(e.reason)))"
"""Keeps what promises of a page were rejected with."""

REJECTED = """new Promise((done) =>
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(rejected)))))"""
"""The same, once observers have been told of what changed."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[Server]:
    """A server over a folder with runs of several kinds."""
    runs = tmp_path_factory.mktemp("paged") / "runs"
    runs.mkdir()
    for kind in ("generation", "relaxation", "solution", "discovery", "evaluation", "hull", "training"):
        run_folders.MAKERS[kind](runs / kind)
    run_folders.solution(runs / "at_work", ended=False)
    server = Server(runs)
    yield server
    server.stop()


@pytest.fixture
def page(served: Server, browser: Any) -> Iterator[Any]:
    """A page of a browser that complains of scripts that fail and of requests that leave the machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(SLOW)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: faults.append(request.url) if _leaves(request.url, served) else None)
    yield page
    context.close()
    assert faults == []


def _leaves(url: str, served: Server) -> bool:
    return not url.startswith((served.url, served.url.replace("http", "ws"), "data:", "blob:"))


def id_of(served: Server, name: str) -> str:
    return next(str(run["id"]) for run in served.ask("/api/v1/runs")[1] if run["name"] == name)


def test_all_runs_are_listed_filtered_and_opened(served, page):
    page.goto(f"{served.url}/runs")
    page.get_by_role("heading", name="Runs").wait_for()
    rows = page.locator("table.run tbody tr")
    rows.nth(7).wait_for()
    assert rows.count() == 8
    page.get_by_label("Filter").fill("solve running")
    page.wait_for_function("document.querySelectorAll('table.run tbody tr').length === 1")
    assert (
        "at_work" in rows.first.inner_text()
        and "1 of 8 rows" in page.get_by_role("status").first.inner_text()
    )
    page.get_by_role("button", name=re.compile("^Show")).click()
    page.get_by_role("heading", name="at_work").wait_for()
    assert "So far: one answer" in page.locator(".summary").inner_text()


def test_a_table_sorts_by_its_headings_and_refuses_what_makes_no_sense(served, page):
    page.goto(f"{served.url}/runs/{id_of(served, 'discovery')}")
    heading = page.get_by_role("button", name="formula", exact=True)
    heading.click()
    first = page.locator("table.run tbody tr").first
    page.wait_for_selector("th[aria-sort=ascending]")
    assert "MgAl2O4" in first.inner_text().replace("\n", "")
    heading.click()
    page.wait_for_selector("th[aria-sort=descending]")
    assert "MgO" in first.inner_text().replace("\n", "")
    page.get_by_label("Filter").fill("weight<3")
    page.get_by_text("there is no column 'weight' to compare").wait_for()
    page.get_by_label("Filter").fill("above hull<0")
    page.wait_for_function("document.querySelectorAll('table.run tbody tr').length === 1")


def test_the_crystal_of_a_row_is_shown_with_its_facts_and_files(served, page):
    page.goto(f"{served.url}/runs/{id_of(served, 'discovery')}")
    funnel = page.locator("ol.funnel")
    assert "1,830 of 2,000" in funnel.inner_text() and "120 atoms <too> close" in funnel.inner_text()
    page.get_by_role("button", name="Show Mg-Al-O-1-0042").click()
    panel = page.get_by_role("region", name="The chosen crystal")
    panel.get_by_role("heading", name=re.compile("MgAl2O4")).wait_for()
    panel.locator("canvas").first.wait_for()
    words = panel.inner_text()
    assert "−0.012" in words and "Mg-Al-O-1-0042" in words and "Shortest distances" in words
    with page.expect_download() as download:
        panel.get_by_role("link", name="CIF").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert "_space_group_IT_number" in text and download.value.suggested_filename.endswith(".cif")


def test_the_phase_diagram_opens_the_crystal_that_is_clicked(served, page):
    page.goto(f"{served.url}/runs/{id_of(served, 'discovery')}")
    diagram = page.get_by_role("region", name="Phase diagram")
    diagram.get_by_role("img", name=re.compile("Phase diagram of Mg-Al-O; stable known phases")).wait_for()
    star = diagram.locator(".scatterlayer .trace").last.locator("path.point").last
    star.wait_for()
    box = star.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.get_by_role("heading", name=re.compile("MgAl2O4")).wait_for()


def test_a_solved_pattern_shows_the_profile_of_each_answer(served, page):
    page.goto(f"{served.url}/solve/{id_of(served, 'solution')}")
    page.get_by_role("img", name="calculated for TiO2 in P4_2/mnm").wait_for()
    assert "over 99 %" in page.locator(".summary").inner_text()
    traces = page.get_by_role("region", name="Pattern", exact=True).locator(".scatterlayer .trace")
    assert traces.count() == 4
    page.locator("table.run tbody tr").nth(1).click()
    page.get_by_role("img", name="calculated for TiO2 in I4_1/amd").wait_for()


def test_a_run_that_goes_on_is_followed_to_its_end(served, page):
    """The folder of a solve that works, and then the files of its end."""
    folder = served.runs / "followed"
    run_folders.solution(folder, ended=False)
    page.goto(f"{served.url}/solve/{id_of(served, 'followed')}")
    page.get_by_text("one answer, so far").wait_for()
    page.get_by_role("img", name=re.compile("the one calculated for TiO2")).wait_for()
    for name in ("results.json", "pdcif", "cif", "report.html", "manifest.json"):
        source = served.runs / "solution" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    page.get_by_text("finished", exact=True).wait_for()
    assert page.locator(".summary").inner_text().startswith("One answer")
    shutil.rmtree(folder)


def test_relaxed_crystals_are_compared_with_those_of_before(served, page):
    page.goto(f"{served.url}/runs/{id_of(served, 'relaxation')}")
    page.get_by_role("button", name="Show cu").click()
    panel = page.get_by_role("region", name="The chosen crystal")
    panel.get_by_text("a 3.5").first.wait_for()
    panel.get_by_role("button", name="Before").click()
    panel.get_by_text("a 3.700").first.wait_for()
    assert "no reference phases come with the package for ase.calculators.emt:EMT" in page.inner_text(
        "main, body"
    )


def test_a_plot_that_is_replaced_while_its_script_comes_asks_for_nothing(served, page):
    held: list[Any] = []
    page.add_init_script(NOTED)
    page.route(re.compile(r"/esm/\w+/index\.js"), lambda route: held.append(route))
    page.goto(f"{served.url}/runs/{id_of(served, 'relaxation')}")
    page.get_by_role("button", name="Show cu").click()
    panel = page.get_by_role("region", name="The chosen crystal")
    first = panel.locator(".js-plotly-plot")
    first.wait_for(state="attached")
    name = first.get_attribute("id")
    panel.get_by_role("button", name="Before").click()
    panel.get_by_text("a 3.700").first.wait_for()
    panel.locator(f".js-plotly-plot:not(#{name})").wait_for(state="attached")
    assert page.locator(f"#{name}").count() == 0
    for _ in range(SLOW // 50):
        if held:
            break
        page.wait_for_timeout(50)
    held[0].continue_()
    panel.locator(".scatterlayer").wait_for()
    assert page.evaluate(REJECTED) == []


def test_plots_keep_to_the_width_of_the_window_and_to_peace_while_hidden(served, page):
    page.add_init_script(NOTED)
    page.goto(f"{served.url}/runs/{id_of(served, 'training')}")
    page.locator(".js-plotly-plot .scatterlayer").wait_for()
    style = "document.querySelector('.js-plotly-plot').style.display"
    for width in (700, 1100):
        page.evaluate(f"{style} = 'none'")
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(REJECTED) == []
        page.evaluate(f"{style} = ''")
        page.wait_for_function(
            """(most) => {
              const wide = (name) => document.querySelector(name).getBoundingClientRect().width;
              const place = wide(".js-plotly-plot");
              return place > most - 150 && place < most && Math.abs(wide(".main-svg") - place) < 2;
            }""",
            arg=width,
        )
    page.set_viewport_size({"width": 900, "height": 900})
    page.wait_for_function("document.querySelector('.main-svg').getBoundingClientRect().width < 900")
    page.evaluate("document.querySelector('.js-plotly-plot').remove()")
    assert page.evaluate(REJECTED) == []


def test_all_plots_of_pages_are_of_one_element():
    pages = Path(layout.__file__).parent
    users = [path.name for path in sorted(pages.glob("*.py")) if "ui.plotly" in path.read_text("utf-8")]
    assert users == ["plot.py"]


@pytest.mark.parametrize("name", ["generation", "evaluation", "hull", "training"])
def test_other_kinds_open(served, page, name):
    page.goto(f"{served.url}/runs/{id_of(served, name)}")
    page.get_by_role("heading", level=1, name=name).wait_for()
    page.locator("table.run tbody tr").first.wait_for()
    assert page.locator(".summary").inner_text()


def test_crystals_are_chosen_and_relaxed_in_the_background(served, page):
    page.goto(f"{served.url}/relax/{id_of(served, 'generation')}")
    page.get_by_text(re.compile(r"[1-3] crystals? chosen")).wait_for()
    page.get_by_role("checkbox", name="Choose all that are listed").check()
    page.get_by_role("checkbox", name="Choose all that are listed").uncheck()
    page.get_by_text("0 crystals chosen").wait_for()
    assert page.get_by_role("button", name="Relax", exact=True).is_disabled()
    page.get_by_role("checkbox", name=re.compile("^Choose salt_")).first.check()
    page.get_by_text("1 crystal chosen").wait_for()
    page.get_by_label("Steps at most").fill("many")
    page.get_by_role("button", name="Relax", exact=True).click()
    page.get_by_text("a whole number from 1 to 2000").wait_for()


@pytest.mark.parametrize(
    "address", ["/runs/run-0000000000000000", "/solve/no", "/relax/run-1", "/runs/%3Cb%3E"]
)
def test_a_run_that_there_is_not_is_told(served, page, address):
    page.goto(f"{served.url}{address}")
    page.get_by_role("heading", name="No such run").wait_for()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("where", ["/runs", "/solve", "solution", "discovery", "relax"])
def test_pages_fit_a_phone_and_have_no_faults_of_accessibility(served, browser, where, dark):
    """At 400 pixels nothing scrolls sideways but tables, and axe finds nothing, in light and dark."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    scheme = "dark" if dark else "light"
    context = browser.new_context(viewport={"width": 400, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(SLOW)
    if where.startswith("/"):
        page.goto(f"{served.url}{where}")
    elif where == "relax":
        page.goto(f"{served.url}/relax/{id_of(served, 'generation')}")
    else:
        page.goto(f"{served.url}/runs/{id_of(served, where)}")
    page.locator("table.run tbody tr, form").first.wait_for()
    if where in ("solution", "discovery"):
        page.locator(".js-plotly-plot .scatterlayer").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    found = axe.run(page)
    assert found.violations_count == 0, found.generate_report()
    context.close()


def test_rows_of_any_run_are_given_over_http(served):
    run_id = id_of(served, "discovery")
    status, found = served.ask(f"/api/v1/runs/{run_id}/opened")
    assert status == 200 and found["funnel"][0]["came"] == 2000 and len(found["rows"]) == 3
    assert "MgAl2O4" in served.ask(f"/api/v1/runs/{run_id}/rows/0?format=cif")[1]
    assert served.ask(f"/api/v1/runs/{run_id}/rows/0?format=poscar")[1].startswith("MgAl2O4")
    assert "Lattice=" in served.ask(f"/api/v1/runs/{run_id}/rows/0?format=extxyz")[1]
    relaxed = id_of(served, "relaxation")
    after, before = (served.ask(f"/api/v1/runs/{relaxed}/rows/0{more}")[1] for more in ("", "?before=true"))
    assert "3.7" in before and before != after
    for path in ("rows/99", "rows/-1", "rows/0?format=exe", "rows/x"):
        assert served.ask(f"/api/v1/runs/{run_id}/{path}")[0] in (404, 422)
