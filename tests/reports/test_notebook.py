"""What a notebook shows of crystals and results."""

from __future__ import annotations

import sys
from html import unescape
from html.parser import HTMLParser

import pandas as pd
import pytest

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


def test_the_package_names_the_function_for_films():
    assert "trajectory" in crystalsmith.__all__ and callable(crystalsmith.trajectory)
