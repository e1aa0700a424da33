"""Discover: a chemical system, and then a short list of new crystals near its hull."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nicegui import ui

from crystalsmith.errors import CrystalsmithError
from crystalsmith.serving.pages.fields import Field, choice_field, select_field, text_field
from crystalsmith.serving.pages.layout import frame
from crystalsmith.serving.pages.parts import answer, button, element, text
from crystalsmith.serving.pages.relax import POTENTIALS

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

_NUMBERS = {"crystals": 20000, "phonons": 100, "shortlist": 500, "max_atoms": 1000, "minutes": 10080}
"""Fields that hold whole numbers, and the most of each."""


def register(service: Service) -> None:
    """Add the form."""

    @ui.page("/discover")
    def discover() -> None:
        lead = (
            "Name elements. Crystals of many ratios are made, relaxed and compared with the known phases;"
            " you get a short list of what is new and near the hull."
        )
        with frame("Search a chemical system", active="discover", lead=lead):
            DiscoverPage(service)


class DiscoverPage:
    """The form.

    Args:
        service: that makes the job.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._fields: dict[str, Field] = {}
        with element("form", "stack", novalidate=True).on("submit", js_handler="(e) => e.preventDefault()"):
            with element("section", "panel stack", **{"aria-label": "The system"}):
                with element("div", "grid"):
                    self._add(
                        "system",
                        text_field(
                            "Elements", placeholder="Mg-Ti-O", hint="two to six", on_enter=self._begin
                        ),
                    )
                    self._add(
                        "formulas",
                        text_field("Formulas to try as well", placeholder="MgTiO3", hint="with commas"),
                    )
                with element("details"):
                    text("summary", "More that you want")
                    with element("div", "grid"):
                        self._add(
                            "crystals",
                            text_field(
                                "Crystals to make", keys="numeric", hint="in place of how hard to look"
                            ),
                        )
                        self._add(
                            "space_groups", text_field("Space groups", hint="only these, such as 195-230")
                        )
                        self._add(
                            "max_atoms",
                            text_field("Atoms at most", keys="numeric", hint="in the primitive cell"),
                        )
                        self._add("shortlist", text_field("Crystals on the short list", keys="numeric"))
                        self._add(
                            "phonons", text_field("Of these with phonons", keys="numeric", hint="0 for none")
                        )
            with element("section", "panel stack", **{"aria-label": "How"}):
                with element("div", "grid"):
                    self._add("potential", select_field("Potential", POTENTIALS))
                    self._add(
                        "minutes",
                        text_field("Minutes at most", keys="numeric", hint="shared out over the stages"),
                    )
                self._add("effort", choice_field("How hard to look", EFFORTS))
                with element("div", "row"):
                    self._start = button("Search", self._begin, "main")
                    self._said = text("span", "", "quiet", role="status")
                self._fault = text("p", "", "fault-note hidden", role="alert")

    def _add(self, name: str, field: Field) -> None:
        self._fields[name] = field

    def _value(self, name: str) -> str:
        return str(self._fields[name].value or "").strip()

    def _options(self) -> dict[str, Any] | None:
        """What is asked for; None where a number is none, which its field then says."""
        options: dict[str, Any] = {
            "system": re.sub(r"[\s,;–]+", "-", self._value("system")),
            "potential": self._value("potential"),
            **SIZES[self._value("effort")],
        }
        for name in ("formulas", "space_groups"):
            if self._value(name):
                options[name] = self._value(name)
        for name, most in _NUMBERS.items():
            value = self._value(name)
            if not value:
                continue
            if not value.isdecimal() or len(value) > 6 or int(value) > most:
                self._blame(name, f"a whole number up to {most}")
                return None
            options[name] = int(value)
        return options

    async def _begin(self) -> None:
        for field in self._fields.values():
            field.fault = ""
        self._fault.classes("hidden")
        if not self._value("system"):
            self._blame("system", "two elements or more, such as Mg-Ti-O")
            return
        options = self._options()
        if options is None:
            return
        self._start.props["disabled"] = True
        self._said.set_text("Checking …")
        try:
            job = await answer(self._service.submit, "discover", options)
        except CrystalsmithError as error:
            self._place_fault(str(error))
            return
        finally:
            self._start.props["disabled"] = False
            self._said.set_text("")
        ui.navigate.to(f"/runs/{job.id}")

    def _place_fault(self, words: str) -> None:
        """A refusal stands beside the field that it names."""
        name, colon, rest = words.partition(": ")
        if colon and name in self._fields:
            self._blame(name, rest)
        elif words.startswith("system "):
            self._blame("system", words)
        else:
            self._fault.set_text(words)
            self._fault.classes(remove="hidden")

    def _blame(self, name: str, words: str) -> None:
        self._fields[name].fault = words
        self._fields[name].focus()
