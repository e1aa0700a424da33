"""The pages in a real browser: make, look, compare, reload, errors; accessible, and nothing leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("nicegui")

from served import Server

import crystalsmith
from crystalsmith.crystal import Crystal, Site

DRAWN = "document.querySelector('.crystal > div')?.shadowRoot"


@pytest.fixture(scope="module")
def made(server: Server) -> str:
    """A run of two formulas, made once for all tests that look at it."""
    orders = [
        {"space_group": 225, "wyckoff": [["Na", "a"], ["Cl", "b"]], "count": 2},
        {"space_group": 221, "wyckoff": [["Sr", "a"], ["Ti", "b"], ["O", "c"]], "count": 1},
    ]
    job = server.submit("generate", {"orders": orders})
    assert server.wait(job)["state"] == "done"
    return job


class Visit:
    """A page of the server, and all that went wrong on it.

    Attributes:
        page: of playwright.
        server: that it is of.
        faults: errors of the console, requests that failed, requests to anywhere else.
    """

    def __init__(self, page: Any, server: Server) -> None:
        self.page, self.server = page, server
        self.faults: list[str] = []
        page.set_default_timeout(150_000)  # machines of tests are slow and busy
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", self._asked)

    def open(self, path: str) -> Any:
        """Go there; the page."""
        self.page.goto(self.server.url + path)
        self.page.wait_for_selector("h1")
        return self.page

    def check(self) -> None:
        """Accessible, no wider than the window, and without faults."""
        axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
        found = axe.Axe().run(self.page).response["violations"]
        assert [(v["id"], [node["html"][:120] for node in v["nodes"]]) for v in found] == []
        assert self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert self.faults == []

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self.faults.append(message.text)

    def _asked(self, request: Any) -> None:
        place = urlsplit(request.url)
        if (
            place.scheme in ("http", "https", "ws", "wss")
            and place.netloc != urlsplit(self.server.url).netloc
        ):
            self.faults.append(f"asked {request.url}")


@pytest.fixture
def visit(browser: Any, server: Server) -> Iterator[Callable[..., Visit]]:
    """Opens windows: ``visit(width=400, dark=True)``."""
    contexts = []

    def begin(width: int = 1200, dark: bool = False) -> Visit:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
        )
        contexts.append(context)
        return Visit(context.new_page(), server)

    yield begin
    for context in contexts:
        context.close()


def box(page: Any, label: str) -> Any:
    """A field of text by its label."""
    return page.get_by_role("textbox", name=label, exact=True)


@pytest.mark.parametrize(("width", "dark"), [(400, False), (1200, True)])
def test_the_first_page_is_accessible_and_fits(visit: Callable[..., Visit], width: int, dark: bool) -> None:
    seen = visit(width, dark)
    page = seen.open("/")
    page.get_by_text("What else do you know?").click()
    page.get_by_text("How to make them").click()
    assert page.evaluate("document.body.classList.contains('body--dark')") is dark
    seen.check()


def test_a_formula_says_at_once_what_is_known_and_a_wrong_one_why(visit: Callable[..., Visit]) -> None:
    seen = visit()
    page = seen.open("/")
    box(page, "Formula").fill("NaCl")
    page.get_by_role("heading", name="Possible").wait_for()
    page.get_by_role("cell", name="(225)").first.wait_for()
    page.get_by_role("heading", name="Likeliest arrangements").wait_for()
    seen.check()
    box(page, "Formula").fill("NaXx")
    fault = page.locator(".field .fault")
    fault.wait_for()
    assert "Xx" in fault.inner_text()
    assert box(page, "Formula").get_attribute("aria-invalid") == "true"
    described = box(page, "Formula").get_attribute("aria-describedby")
    assert fault.get_attribute("id") == described
    seen.check()


def test_script_in_a_field_stays_text(visit: Callable[..., Visit]) -> None:
    seen = visit()
    page = seen.open("/")
    box(page, "Formula").fill("<img src=x onerror=document.title='gone'>")
    page.locator(".field .fault").wait_for()
    page.reload()
    page.locator(".field .fault").wait_for()
    assert "<img" in page.locator(".field .fault").inner_text()
    assert "crystalsmith" in page.title() and page.locator("main img").count() == 0


def test_make_by_keyboard_watch_reload_and_look(visit: Callable[..., Visit]) -> None:
    seen = visit(400)
    page = seen.open("/?kind=wyckoff&space_group=Fm-3m&wyckoff=Na:a,+Cl:b&count=1&seed=11")
    box(page, "Elements and letters").press("Enter")
    page.wait_for_url("**/look/generate-*")
    page.reload()  # in the middle of it, or just after
    page.wait_for_selector("h1")
    page.locator("h2", has_text="NaCl").wait_for()
    page.get_by_role("status").filter(has_text="1 crystal").wait_for()  # it is ranked
    page.locator("h2", has_text="NaCl").wait_for()
    page.wait_for_function(f"!!{DRAWN}")
    page.locator(".plot svg").first.wait_for()
    seen.check()


def test_crystals_appear_while_they_are_made(visit: Callable[..., Visit], server: Server) -> None:
    olivine = [["Li", "a"], ["Fe", "c"], ["P", "c"], ["O", "c"], ["O", "c"], ["O", "d"]]
    job = server.submit("generate", {"orders": {"space_group": 62, "wyckoff": olivine, "count": 500}})
    page = visit().open(f"/look/{job}")
    page.get_by_text("The first ones; they are ranked in the end.").wait_for()
    page.locator("button.card").first.wait_for()
    page.locator("h2", has_text="LiFePO4").wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Go on").wait_for()
    page.get_by_role("status").filter(has_text=" crystals").wait_for()
    assert server.job(job)["state"] == "cancelled"


def test_crystals_are_chosen_and_compared(visit: Callable[..., Visit], made: str) -> None:
    seen = visit(1200, True)
    page = seen.open(f"/look/{made}")
    page.locator(".plot svg").first.wait_for()
    seen.check()
    cards = page.locator("button.card")
    page.get_by_label("Show", exact=True).select_option("all")
    page.wait_for_function("document.querySelectorAll('button.card').length === 3")
    cards.first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.locator("h2", has_text="SrTiO3").wait_for()
    assert cards.nth(2).get_attribute("aria-current") == "true"
    page.locator(".plot svg").first.wait_for()
    page.reload()
    page.locator("h2", has_text="SrTiO3").wait_for()
    page.get_by_role("button", name="Watch it form").click()
    page.wait_for_function(f"{DRAWN}?.querySelector('.film')?.isConnected === true")
    page.get_by_role("button", name="Side by side").click()
    page.wait_for_url("**/compare/**")
    page.get_by_role("heading", name="What differs").wait_for()
    page.locator(".plot svg").first.wait_for()
    assert page.locator(".crystal").count() == 2
    seen.check()


def test_a_run_that_is_not_there_is_said_so(visit: Callable[..., Visit]) -> None:
    seen = visit()
    page = seen.open("/look/generate-aaaaaaaaaaaa")
    assert "No such run" in page.locator("h1").inner_text()


def test_light_and_dark_are_remembered(visit: Callable[..., Visit]) -> None:
    seen = visit()
    page = seen.open("/")
    for _ in range(2):
        page.locator("button.theme").click()
    page.wait_for_selector("body.body--dark")
    page.reload()
    page.wait_for_selector("body.body--dark")
    seen.check()


def test_crystals_are_taken_home(visit: Callable[..., Visit], made: str, tmp_path: Path) -> None:
    seen = visit()
    page = seen.open(f"/look/{made}")
    page.locator("h2.name").wait_for()
    with page.expect_download() as one:
        page.locator(".panel.one").get_by_role("link", name="CIF").click()
    one.value.save_as(tmp_path / "one.cif")
    (crystal,) = crystalsmith.read(tmp_path / "one.cif")
    assert crystal.formula in ("NaCl", "SrTiO3")
    with page.expect_download() as table:
        page.get_by_role("link", name="Table").click()
    table.value.save_as(tmp_path / "all.csv")
    assert (tmp_path / "all.csv").read_text().startswith("rank,")
    assert seen.faults == []


def test_a_host_is_uploaded_and_filled(visit: Callable[..., Visit], tmp_path: Path) -> None:
    salt = Crystal(225, (5.64, 5.64, 5.64, 90, 90, 90), (Site("Na", "a"), Site("Cl", "b")))
    (tmp_path / "salt.cif").write_text(salt.to_cif())
    (tmp_path / "notes.cif").write_text("no crystal at all")
    seen = visit(400)
    page = seen.open("/?kind=host&add=Li%3D1")
    page.locator("input[type=file]").set_input_files(tmp_path / "notes.cif")
    page.locator(".field .fault").wait_for()
    page.locator("input[type=file]").set_input_files(tmp_path / "salt.cif")
    page.get_by_role("heading", name="Possible").wait_for()
    assert [fault for fault in seen.faults if "422" not in fault] == []  # the refusal of the notes


def test_a_job_is_cancelled_and_can_go_on(visit: Callable[..., Visit]) -> None:
    seen = visit(400, True)
    page = seen.open("/?formula=TiO2&count=200")
    page.get_by_role("button", name="Make crystals").click()
    page.wait_for_url("**/look/generate-*")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("status").filter(has_text="Cancelled").wait_for()
    page.get_by_role("button", name="Go on").wait_for()
    seen.check()
