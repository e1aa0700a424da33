"""Discover: a chemical system, and then a short list of new crystals near its hull."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from nicegui import ui

from crystalsmith.crystal import NUMBERS
from crystalsmith.errors import CrystalsmithError
from crystalsmith.serving.diagram import DRAWN
from crystalsmith.serving.kinds import LARGEST
from crystalsmith.serving.pages.fields import choice_field, text_field
from crystalsmith.serving.pages.job_form import JobForm
from crystalsmith.serving.pages.layout import frame
from crystalsmith.serving.pages.parts import answer, element, text
from crystalsmith.serving.pages.run_parts import draw_diagram

if TYPE_CHECKING:
    from crystalsmith.serving.service import Service

EFFORTS = {"quick": "quick look", "usual": "usual", "thorough": "thorough"}
"""How much is looked at, in words."""

SIZES: dict[str, dict[str, int]] = {
    "quick": {"crystals": 100, "competitors": 10, "keep_scored": 80, "keep_energies": 24, "keep_relaxed": 12},
    "usual": {"crystals": 800, "competitors": 60, "keep_scored": 600, "keep_energies": 120},
    "thorough": {"crystals": 2000},
}
"""Settings of a search that say how much; the others are those of the command."""

_NUMBERS = ("crystals", "phonons", "shortlist", "max_atoms", "minutes")
"""Fields that hold whole numbers."""

PAUSE = 0.6
"""Seconds without a key after which the known phases are drawn."""

_NOTHING = "They are drawn here once two to four elements are named."


def register(service: Service) -> None:
    """Add the form."""

    @ui.page("/discover")
    def discover() -> None:
        lead = (
            "Name elements. Crystals of many ratios are made, relaxed with CHGNet and compared with the known"
            " phases; you get a short list of what is new and near the hull."
        )
        with frame("Search a chemical system", active="discover", lead=lead):
            DiscoverPage(service)


class DiscoverPage:
    """The form, with the known phases of the elements that stand in it.

    Args:
        service: that answers and makes the job.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._form = JobForm(service, "discover", "/runs")
        self._asked: asyncio.Task[None] | None = None
        self._drawn: list[str] = []
        with element("form", "make", novalidate=True).on("submit", js_handler="(e) => e.preventDefault()"):
            with element("div", "stack what"):
                self._add_main()
            with element("section", "panel flat stack meaning", **{"aria-label": "Known phases"}):
                text("h2", "Known phases")
                self._phases = element("div", "stack tight", **{"aria-live": "polite"})
            with element("div", "stack more"), element("details"):
                text("summary", "More that you want")
                self._add_more()
        self._say(_NOTHING)

    def _add_main(self) -> None:
        form = self._form
        form.add(
            "system",
            text_field(
                "Elements",
                placeholder="Mg-Ti-O",
                hint="two to six",
                on_change=self._changed,
                on_enter=self._begin,
            ),
        )
        form.add("effort", choice_field("How hard to look", EFFORTS))
        form.add_start("Search", self._begin)

    def _add_more(self) -> None:
        form = self._form
        with element("div", "grid"):
            form.add(
                "formulas", text_field("Formulas to try as well", placeholder="MgTiO3", hint="with commas")
            )
            form.add("space_groups", text_field("Space groups", hint="only these, such as 195-230"))
            form.add(
                "crystals",
                text_field("Crystals to make", keys="numeric", hint="in place of how hard to look"),
            )
            form.add("max_atoms", text_field("Atoms at most", keys="numeric", hint="in the primitive cell"))
            form.add("shortlist", text_field("Crystals on the short list", keys="numeric"))
            form.add("phonons", text_field("Of these with phonons", keys="numeric", hint="0 for none"))
            form.add(
                "minutes", text_field("Minutes at most", keys="numeric", hint="shared out over the stages")
            )

    # The known phases.

    def _changed(self) -> None:
        """Draw them, once nothing is typed for a moment."""
        if self._asked is not None:
            self._asked.cancel()
        self._asked = asyncio.get_running_loop().create_task(self._draw())

    async def _draw(self) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(PAUSE)
            elements = self._elements()
            if elements == self._drawn:
                return
            self._drawn = []
            if not drawable(elements):
                self._say(_NOTHING)
                return
            try:
                found = await answer(self._ask, elements)
            except CrystalsmithError as error:
                self._say(str(error))
                return
            if not self._phases.is_deleted:
                self._drawn = elements
                self._phases.clear()
                with self._phases:
                    draw_diagram(found, height=420)

    def _elements(self) -> list[str]:
        return [part for part in re.split(r"[\s,;–-]+", self._form.value("system")) if part]

    def _ask(self, elements: list[str]) -> dict[str, Any]:
        return dict(self._service.ask("known_diagram", elements=elements))

    def _say(self, words: str) -> None:
        if not self._phases.is_deleted:
            self._phases.clear()
            with self._phases:
                text("p", words, "quiet")

    # The job.

    async def _begin(self) -> None:
        form = self._form
        form.clear()
        if not form.value("system"):
            form.refuse("system", "two elements or more, such as Mg-Ti-O")
            return
        options: dict[str, Any] = {
            "system": "-".join(self._elements()),
            **SIZES[form.value("effort")],
        }
        for name in ("formulas", "space_groups"):
            if form.value(name):
                options[name] = form.value(name)
        most = {**LARGEST, "crystals": self._service.settings.most}
        for name in _NUMBERS:
            if (number := form.number(name, most[name])) is not None:
                options[name] = number
        if not form.refused:
            await form.submit(options, others={"formula": "formulas"})


def drawable(elements: list[str]) -> bool:
    """Whether these are elements whose phase diagram can be drawn."""
    distinct = set(elements)
    return len(elements) == len(distinct) in DRAWN and distinct <= set(NUMBERS)
