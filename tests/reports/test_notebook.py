"""What a notebook shows of crystals and results."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser

import pandas as pd
import pytest
from PIL import Image

import crystalsmith
from crystalsmith.crystal.crystals import Crystals
from crystalsmith.errors import ConfigError
from crystalsmith.reports.notebook import SHOWN, frame_html
from crystalsmith.runs.pool import Failed
from pages import Page


def test_a_crystal_shows_picture_group_lattice_and_sites(known):
    page = Page(known["rutile"]._repr_html_())
    text = " ".join("".join(page.words).split())
    assert "TiO 2" in text.replace("TiO2", "TiO 2") and "(136)" in text
    assert page.rows[1:] == [
        ["Ti", "2a", "0.0000", "0.0000", "0.0000"],
        ["O", "4f", "0.3057", "0.3057", "0.0000"],
    ]
    assert "svg" in page.tags and "script" not in page.tags and not page.sources


def test_the_bars_of_a_symbol_need_no_style_sheet(known):
    assert '<span style="text-decoration:overline">3</span>' in known["perovskite"]._repr_html_()


def test_the_same_crystal_shows_the_same_text_again(known):
    assert known["quartz"]._repr_html_() == known["quartz"]._repr_html_()


def test_many_crystals_are_a_table_with_what_is_left_out(known):
    named = {f"<{k}>": known["diamond"] for k in range(SHOWN + 3)}
    page = Page(Crystals({**named, "bad": Failed("why")})._repr_html_())
    assert len(page.rows) == SHOWN + 1
    assert page.rows[1][1] == "<0>"
    assert page.tags.count("svg") < SHOWN
    words = "".join(page.words)
    assert "and 3 more; 1 not read" in words and f"{SHOWN + 3} crystals" in words


def test_a_table_of_results_is_short_and_escaped():
    rows = [{"name": "<b>", "energy": -1.23456789, "empty": None, "ok": True} for _ in range(SHOWN + 1)]
    page = Page(frame_html("what it is", pd.DataFrame(rows)))
    assert page.rows[0] == ["name", "energy", "ok"]
    assert page.rows[1] == ["<b>", "−1.235", "yes"]
    assert "and 1 more in to_dataframe()" in "".join(page.words)


class _Frames(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.frames = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "iframe":
            self.frames.append(dict(attrs))


def test_a_view_is_a_page_of_its_own_in_a_frame(known, tmp_path):
    pytest.importorskip("nicegui", reason="three.js comes with the extra web")
    shown = known["spinel"].view(polyhedra=True, supercell=(2, 1, 1), height=300)
    (frame,) = _Frames(shown._repr_html_()).frames
    assert frame["sandbox"] == "allow-scripts" and "height:300px" in frame["style"]
    page = shown.save(tmp_path / "page.html").read_text(encoding="utf-8")
    assert frame["srcdoc"] == page
    assert '"supercell": [2, 1, 1], "polyhedra": true' in unescape(page)
    assert "http://" not in page and "https://" not in page


def test_without_three_the_picture_stays_and_a_view_says_what_to_install(known, monkeypatch):
    from crystalsmith.reports.viewers import Viewers
    from crystalsmith.viewing import html

    monkeypatch.setitem(sys.modules, "nicegui", None)
    html.inline_viewer.cache_clear()
    with pytest.raises(ConfigError, match="nicegui"):
        known["quartz"].view()._repr_html_()
    viewers = Viewers()
    assert viewers.picture(known["quartz"], "p").startswith("<svg")
    assert "install" in viewers.note and viewers.markup == viewers.policy == ""
    assert known["quartz"]._repr_html_().count("<svg") == 1


def test_a_plot_is_a_figure(known, tmp_path):
    figure = known["corundum"].plot()
    figure.savefig(tmp_path / "corundum.png")
    assert (tmp_path / "corundum.png").stat().st_size > 5000
    assert any("Al" in text.get_text() for text in figure.axes[0].texts)


def test_a_plot_shows_itself_at_its_size_for_sharp_screens(known):
    figure = known["corundum"].plot()
    png, size = figure._repr_png_()
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.format == "PNG" and picture.width == pytest.approx(2 * size["width"], abs=2)
    assert size["width"] == round(figure.get_figwidth() * figure.dpi)


CELLS = """
from crystalsmith.crystal import Crystal, Site
salt = Crystal(225, (5.64, 5.64, 5.64, 90, 90, 90), (Site("Na", "a"), Site("Cl", "b")))
salt
# %%
salt.view(height=300)
# %%
salt.plot()
"""
"""Of a notebook."""

RUN = """
import json, sys
import nbformat
from nbclient import NotebookClient
cells = [nbformat.v4.new_code_cell(text) for text in json.load(sys.stdin)]
book = nbformat.v4.new_notebook(cells=cells)
NotebookClient(book, timeout=600, startup_timeout=600, kernel_name="python3").execute()
json.dump([dict(cell.outputs[-1].data) for cell in book.cells], sys.stdout)
"""
"""Runs cells in a kernel; apart, because it has an event loop of its own."""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """What a kernel of Jupyter shows of each cell, by type."""
    for name in ("nbclient", "nbformat", "ipykernel"):
        pytest.importorskip(name, reason="needs a kernel of Jupyter: pip install nbclient ipykernel")
    pytest.importorskip("nicegui", reason="three.js comes with the extra web")
    folder = tmp_path_factory.mktemp("jupyter")
    kernel = folder / "kernels" / "python3"
    kernel.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    words = {"argv": command, "display_name": "Python", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(words), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input=json.dumps(CELLS.split("# %%")),
        capture_output=True,
        text=True,
        timeout=900,
        cwd=folder,
        env={
            **os.environ,
            "JUPYTER_PATH": str(folder),
            "JUPYTER_RUNTIME_DIR": str(folder),
            "IPYTHONDIR": str(folder),
        },
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def test_a_kernel_of_jupyter_shows_crystals_drawings_and_plots(outputs):
    crystal, drawing, plot = outputs
    assert "<svg" in crystal["text/html"] and "(225)" in crystal["text/html"]
    assert "<iframe" in drawing["text/html"]
    with Image.open(io.BytesIO(base64.b64decode(plot["image/png"]))) as picture:
        assert picture.width > 300


def test_what_the_kernel_shows_turns_in_a_browser_and_asks_nothing_of_a_network(outputs, browser):
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(300_000)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_content(outputs[1]["text/html"])
    frame = page.frame_locator("iframe")
    frame.locator("canvas").wait_for()
    frame.get_by_text("Na", exact=True).first.wait_for()
    context.close()
    assert [url for url in asked if not url.startswith(("about:", "data:", "blob:"))] == []


def test_the_package_names_the_function_for_films():
    assert "trajectory" in crystalsmith.__all__ and callable(crystalsmith.trajectory)
