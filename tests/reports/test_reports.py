"""The base page, its parts, and the drawings that stand in it."""

from __future__ import annotations

import re

import jinja2
import numpy as np
import pytest
from matplotlib import rc_context

from crystals import KNOWN
from crystalsmith.crystal import Crystal, Site
from crystalsmith.pictures.plotting import STYLE, new_figure
from crystalsmith.reports import render
from crystalsmith.reports.drawings import crystal_svg, inline_figure, inline_png, pattern_svg
from crystalsmith.reports.words import NOTHING, chance, lattice_text, site_rows
from pages import Page

BODY = """{% extends "base.html" %}{% import "parts.html" as parts %}{% block body %}
{{ parts.tiles([(1, hostile)]) }}{{ parts.facts([(hostile, hostile)]) }}{{ parts.notes([hostile], hostile) }}
{{ parts.table([hostile, "b"], [[hostile, 2], ["Al2O3"|formula, 3]], cls=hostile) }}
{{ parts.figure(drawing, hostile) }}{{ hostile|formula }}<p title="{{ hostile }}">x</p>
{% endblock %}"""
HOSTILE = (
    "<script>alert(1)</script>",
    '" onload="x',
    "'><img src=x onerror=y>",
    "{{ 7 * 7 }}",
    "&lt;b&gt;",
    "\ud800",
)


def page_of(tmp_path, body=BODY, **context) -> Page:
    (tmp_path / "page.html").write_text(body)
    return Page(render(tmp_path / "page.html", **{"title": "T", "subtitle": "", **context}))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_whatever_is_put_in_stays_text(tmp_path, hostile):
    drawing = crystal_svg(KNOWN["rock salt"], "a-")
    page = page_of(tmp_path, title=hostile, subtitle=hostile, hostile=hostile, drawing=drawing)
    page.check_offline()
    assert "49" not in page.text
    shown = hostile.encode("utf-8", "replace").decode()
    assert page.text.count(" ".join(shown.split())) >= 8
    assert page.sources == [] and "Al2O3" in page.text
    page.raw.encode("utf-8")


def test_a_page_forbids_what_is_not_in_it(tmp_path):
    page = page_of(tmp_path, '{% extends "base.html" %}')
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page.raw)
    assert policy and "default-src 'none'" in policy[1] and "script" not in policy[1]
    assert "prefers-color-scheme: dark" in page.raw and "width=device-width" in page.raw


def test_a_name_that_the_template_lacks_is_an_error(tmp_path):
    with pytest.raises(jinja2.UndefinedError):
        page_of(tmp_path, '{% extends "base.html" %}{% block body %}{{ missing }}{% endblock %}')


@pytest.mark.parametrize("name", ["rock salt", "spinel", "quartz", "boric acid"])
def test_a_crystal_is_drawn_with_every_element_and_ids_of_its_own(tmp_path, name):
    crystal = KNOWN[name]
    body = '{% extends "base.html" %}{% block body %}{{ one }}{{ two }}{{ small }}{% endblock %}'
    drawings = {n: crystal_svg(crystal, f"{n}-", legend=n != "small") for n in ("one", "two", "small")}
    page = page_of(tmp_path, body, **drawings)
    page.check_offline()
    elements = {site.element for site in crystal.sites}
    assert {f"one-{e}" for e in elements} <= set(page.ids)
    assert all(page.words.count(e) == 2 for e in elements)  # legends of two
    numbers = [float(x) for x in re.findall(r'c[xy]="([-\d.]+)"', drawings["one"])]
    assert numbers and np.isfinite(numbers).all()


def test_rock_salt_shows_the_27_atoms_of_its_block():
    svg = crystal_svg(KNOWN["rock salt"], "a-", legend=False)
    assert svg.count("<circle") == 27
    assert svg.count("url(#a-Na)") == 14 and svg.count("url(#a-Cl)") == 13


def test_a_pattern_names_its_strongest_peaks_at_their_angles():
    svg = pattern_svg(KNOWN["rock salt"])
    peaks = {
        name: float(x)
        for x, name in re.findall(r'<text x="([\d.]+)" y="[\d.]+" text-anchor="middle">(\d{3})<', svg)
    }
    assert {"200", "220", "222"} <= peaks.keys()
    d = KNOWN["rock salt"].cell[0] / 2
    angle = 2 * np.degrees(np.arcsin(1.54184 / 2 / d))
    assert peaks["200"] == pytest.approx((angle - 10) / 80 * 520, abs=0.2)


@pytest.mark.parametrize(("a", "element"), [(0.7, "H"), (5.0, "Po"), (5.0, "Lr"), (5.0, "Rn")])
def test_no_crystal_is_without_a_pattern_or_an_empty_one(a, element):
    svg = pattern_svg(Crystal(221, (a, a, a, 90, 90, 90), (Site(element, "a"),)))
    assert not svg or (svg.startswith("<svg") and "nan" not in svg)


def test_figures_take_the_colours_of_the_page():
    with rc_context({**STYLE, "svg.fonttype": "path"}):
        figure, axes = new_figure(3, 2, "title", "words")
        axes.plot([0, 1], [1, 0])
        svg = inline_figure(figure, "f1-")
    assert "var(--ink)" in svg and "#22252b" not in svg and "matplotlib.org" not in svg
    assert all(name.startswith("f1-") for name in re.findall(r'\bid="([^"]+)"', svg))
    assert inline_png(b"\x89PNG", '"<').startswith('<img alt="&#34;&lt;" src="data:image/png;base64,')


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "< 1 %"), (0.004, "< 1 %"), (0.01, "1 %"), (0.468, "47 %"), (0.99, "99 %"), (0.9999, "> 99 %")],
)
def test_chances_are_never_none_and_never_certain(value: float, words: str) -> None:
    assert chance(value) == words
    assert chance(None) == chance(float("nan")) == NOTHING


def test_cells_and_sites_in_words():
    assert lattice_text(KNOWN["rock salt"]) == f"a {KNOWN['rock salt'].cell[0]:.3f}"
    assert lattice_text(KNOWN["quartz"]).split()[::2] == ["a", "c"]
    assert "β" in lattice_text(KNOWN["baddeleyite"])
    assert site_rows(KNOWN["rock salt"])[1][:3] == ("Cl", "4b", "0.5000")
