"""The viewer in a real browser, WebGL by software: what it draws, and that it asks nothing of a network."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from crystalsmith.viewing import inline_viewer, scene, viewer_element, viewer_page

pytest.importorskip("nicegui", reason="three.js comes with the extra web")


class Shown:
    """A page of a string, its picture and what went wrong in it."""

    def __init__(self, browser, tmp_path, text, **context):
        self.path = tmp_path / "page.html"
        self.path.write_text(text, encoding="utf-8")
        self.page = browser.new_context(viewport={"width": 480, "height": 360}, **context).new_page()
        self.faults: list[str] = []
        self.asked: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda line: self.faults.append(line.text) if line.type == "error" else None)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(self.path.as_uri())

    def painted(self, times=1):
        self.page.wait_for_function(
            "n => [...document.querySelectorAll('[data-crystal] > div')].length > 0 &&"
            " [...document.querySelectorAll('[data-crystal] > div')].every(d => d.dataset.painted >= n)",
            arg=times,
        )
        return self

    def still(self):
        """Wait until what was asked for is drawn, and sharply: it is coarser while it moves."""
        self.painted().page.wait_for_function(
            "() => [...document.querySelectorAll('[data-crystal] > div')].every(({ view }) => !view.waiting"
            " && view.canvas.width === Math.round(view.canvas.clientWidth * Math.min(devicePixelRatio, 2)))"
        )
        return self

    def pixels(self, place=0):
        """The canvas alone, (height, width, 4)."""
        url = self.page.evaluate(
            "k => document.querySelectorAll('[data-crystal] > div')[k]"
            ".shadowRoot.querySelector('canvas').toDataURL()",
            place,
        )
        data = base64.b64decode(url.partition(",")[2])
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")).astype(int)

    def close(self):
        self.page.context.close()


@pytest.fixture
def shown(browser, tmp_path):
    pages: list[Shown] = []

    def open_page(text, **context):
        pages.append(Shown(browser, tmp_path, text, **context))
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()


def reds(pixels):
    r, g, b, a = np.moveaxis(pixels, -1, 0)
    return int(((r > 120) & (g < 0.5 * r) & (b < 0.5 * r) & (a > 200)).sum())


def test_a_page_shows_the_crystal_and_asks_for_nothing(shown, known):
    page = shown(viewer_page(scene(known["perovskite"]))).still()
    pixels = page.pixels()
    assert reds(pixels) > 500  # oxygen
    assert (pixels[..., 3] == 0).mean() > 0.2  # the page's own background around it
    canvas = page.page.locator("canvas")
    assert canvas.get_attribute("aria-label").startswith("Crystal structure of SrTiO3, Pm-3m (221)")
    assert page.page.locator("li").all_inner_texts() == ["Sr", "Ti", "O"]
    assert page.faults == []
    assert all(url.startswith(("file:", "blob:", "data:")) for url in page.asked)


def test_keys_and_mouse_turn_it_and_zero_brings_it_back(shown, known):
    page = shown(viewer_page(scene(known["quartz"]))).still()
    first = page.pixels()
    canvas = page.page.locator("canvas")
    canvas.focus()
    page.page.keyboard.press("ArrowRight")
    page.still()
    turned = page.pixels()
    assert (np.abs(turned - first).max(axis=-1) > 60).mean() > 0.01
    page.page.keyboard.press("0")
    page.still()
    assert np.abs(page.pixels() - first).max() <= 2
    page.page.mouse.move(240, 180)
    page.page.mouse.down()
    page.page.mouse.move(300, 160)
    page.page.mouse.up()
    page.still()
    assert (np.abs(page.pixels() - first).max(axis=-1) > 60).mean() > 0.01


def test_clicks_measure_distances_and_angles(shown, known):
    page = shown(viewer_page(scene(known["perovskite"]))).still()
    spots = page.page.evaluate(
        """() => {
        const view = document.querySelector('[data-crystal] > div').view;
        const [wide, high] = [view.canvas.clientWidth, view.canvas.clientHeight];
        const seen = view.drawing.atoms.map((a) => [a.element, ...view.drawing.project(a.at, wide, high)]);
        const oxygen = seen.filter(([name]) => name === 'O').sort((p, q) => p[3] - q[3]);
        return [oxygen[1], seen.find(([name]) => name === 'Ti'), oxygen[0]];
    }"""
    )
    measure = page.page.locator("output.measure")
    page.page.mouse.click(*spots[0][1:3])
    assert measure.inner_text() == "O 3c"
    page.page.mouse.click(*spots[1][1:3])
    assert measure.inner_text() in ("O 3c – Ti 1b 1.952 Å", "O 3c – Ti 1b 1.953 Å")
    page.page.mouse.click(*spots[2][1:3])
    assert measure.inner_text() == "O 3c – Ti 1b – O 3c 90.0°"
    page.page.mouse.click(3, 3)
    assert measure.inner_text() == ""
    assert page.faults == []


def test_the_supercell_and_the_polyhedra_are_made_in_the_page(shown, known):
    page = shown(viewer_page(scene(known["perovskite"]), style={"labels": True})).still()
    first = page.pixels()
    page.page.get_by_role("button", name="Supercell").click()
    page.still()
    assert page.page.get_by_role("button", name="Supercell").inner_text() == "2×2×2"
    assert (np.abs(page.pixels() - first).max(axis=-1) > 60).mean() > 0.05
    button = page.page.get_by_role("button", name="Polyhedra")
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    page.still()
    assert button.get_attribute("aria-pressed") == "true"
    alphas = page.pixels()[..., 3]
    assert ((alphas > 60) & (alphas < 230)).mean() > 0.02  # one looks through them
    assert page.faults == []


def test_how_many_atoms_a_cell_shows(shown, known):
    """Rock salt: 8 atoms a cell become the block of 27, two cells along a 45."""
    page = shown(viewer_page(scene(known["rock salt"])))
    page.still()
    count = """async ([scene, style]) => {
        const block = document.querySelector('script[data-module="contents.js"]');
        const bytes = Uint8Array.from(atob(block.textContent), c => c.charCodeAt(0));
        const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
        const text = await new Response(stream).text();
        const { contents } = await import(URL.createObjectURL(new Blob([text], {type: 'text/javascript'})));
        const { atoms, halves, polyhedra } = contents(scene, style);
        return [atoms.length, halves.length, polyhedra.length];
    }"""

    def drawn(name, **style):
        return page.page.evaluate(count, [scene(known[name]), style])

    assert drawn("rock salt") == [27, 2 * 54, 0]
    assert drawn("rock salt", supercell=[2, 1, 1])[0] == 45
    assert drawn("rock salt", supercell=[2, 2, 2])[0] == 125
    assert drawn("rock salt", bonds=False)[1] == 0
    # Eight Sr, one Ti, six O; the octahedron has its six corners already.
    assert drawn("perovskite", polyhedra=True) == [15, 12, 1]
    # Titanium at the corners and in the middle of rutile: nine octahedra, whose corners lie outside too.
    inside, more = drawn("rutile"), drawn("rutile", polyhedra=True)
    assert inside[0] == 15 and more[0] > 30 and more[2] == 9


def test_many_viewers_share_one_context(shown, known):
    cards = "".join(viewer_element(scene(c), height=90) for c in list(known.values())[:24])
    policy = inline_viewer().policy
    head = f"<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; script-src {policy}\">"
    page = shown(f"<!doctype html>{head}<div>{cards}</div>{inline_viewer().markup}")
    page.page.wait_for_function("() => document.querySelectorAll('[data-painted]').length >= 3")
    page.page.locator("[data-crystal]").last.scroll_into_view_if_needed()
    page.page.wait_for_selector("[data-crystal]:last-of-type [data-painted]", state="attached")
    assert page.faults == []


def test_a_formula_cannot_break_out_of_its_data(shown, known):
    bad = scene(known["diamond"])
    bad["formula"] = "</script><img src=x onerror=alert(1)>"
    bad["atoms"] = [{**atom, "label": "<b>C</b>"} for atom in bad["atoms"]]
    page = shown(viewer_page(bad, title="</title><script>alert(2)</script>")).still()
    assert page.page.locator("img").count() == 0
    assert page.faults == []
    assert page.page.title() == "</title><script>alert(2)</script>"


def test_a_film_plays_stops_and_goes_back(shown, known):
    frames = []
    for a in (3.6, 3.9, 4.2):
        frame = scene(known["perovskite"], polyhedra=a > 4)
        frames.append({**frame, "lattice": (np.eye(3) * a).tolist(), "text": f"{a} A"})
    page = shown(viewer_page(frames, fps=30)).painted(3)
    page.page.get_by_role("button", name="Pause").click()
    slider = page.page.get_by_role("slider", name="Step")
    slider.fill("2")
    assert slider.get_attribute("aria-valuetext") == "4.2 A"
    slider.fill("0")
    assert page.page.locator(".film output").inner_text() == "3.6 A"
    assert page.page.get_by_role("button", name="Play").is_visible()
    assert page.page.get_by_role("button", name="Polyhedra").is_visible()
    assert page.faults == []


def test_colours_follow_the_dark(shown, known):
    light = shown(viewer_page(scene(known["diamond"]))).still()
    dark = shown(viewer_page(scene(known["diamond"])), color_scheme="dark").still()
    ink = (
        "() => getComputedStyle(document.querySelector('[data-crystal] > div'))"
        ".getPropertyValue('--viewer-ink')"
    )
    assert light.page.evaluate(ink) != dark.page.evaluate(ink)


def test_it_works_at_320_pixels(shown, known):
    page = shown(viewer_page(scene(known["corundum"])))
    page.page.set_viewport_size({"width": 320, "height": 300})
    page.painted(1)
    wide = page.page.evaluate("() => document.documentElement.scrollWidth")
    assert wide <= 320
    for button in page.page.get_by_role("button").all():
        box = button.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 320


def test_the_data_of_a_page_reads_back(known):
    text = viewer_element(scene(known["spinel"]))
    start = text.index('<script type="application/json">') + len('<script type="application/json">')
    assert json.loads(text[start : text.index("</script>")]) == scene(known["spinel"])
