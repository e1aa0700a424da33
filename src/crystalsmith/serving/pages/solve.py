"""Solve: a measured pattern and what is known of the sample, and then the answer and how sure it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui

from crystalsmith.errors import CrystalsmithError
from crystalsmith.serving.pages.fields import Field, check_field, choice_field, select_field, text_field
from crystalsmith.serving.pages.figures import pattern_figure
from crystalsmith.serving.pages.layout import frame
from crystalsmith.serving.pages.parts import answer, button, element, text
from crystalsmith.serving.pages.runs import show_run
from crystalsmith.serving.pages.uploads import upload_field

if TYPE_CHECKING:
    from crystalsmith.serving.service import Service

RADIATIONS = {
    "": "as the file says",
    "CuKa": "Cu Kα (most laboratories)",
    "CuKa1": "Cu Kα1 alone (with a monochromator)",
    "CoKa": "Co Kα",
    "MoKa": "Mo Kα",
    "CrKa": "Cr Kα",
    "FeKa": "Fe Kα",
    "AgKa": "Ag Kα",
    "other": "another wavelength",
}
"""Radiations in words; ``other`` asks for a number."""

AXES = {"": "as the file says, or 2θ", "2theta": "2θ in degrees", "q": "Q in 1/Å", "d": "d in Å"}
"""What the first column can be."""

SAMPLES = {"formula": "its formula", "elements": "its elements alone"}

EFFORTS = {"40": "quick look", "200": "usual", "600": "thorough"}
"""Candidates at most, in words."""


def register(service: Service) -> None:
    """Add the form and the page of a run."""

    @ui.page("/solve")
    def solve() -> None:
        lead = (
            "Drop a measured powder pattern, say what the sample is made of. You get structures ranked by how"
            " well they explain it, and how sure that is."
        )
        with frame("Solve a structure", active="solve", lead=lead):
            SolvePage(service)

    @ui.page("/solve/{run_id}")
    async def solved(run_id: str) -> None:
        await show_run(service, run_id, "solve")


class SolvePage:
    """The form.

    Args:
        service: that makes the job.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._fields: dict[str, Field] = {}
        with element("form", "stack", novalidate=True).on("submit", js_handler="(e) => e.preventDefault()"):
            with element("section", "panel stack", **{"aria-label": "The pattern"}):
                self._upload = upload_field("Measured pattern", "pattern", self._took)
                self._drawn = element("div", "stack tight", **{"aria-live": "polite"})
                with element("div", "grid"):
                    self._add("radiation", select_field("Radiation", RADIATIONS, on_change=self._changed))
                    self._add(
                        "wavelength",
                        text_field("Wavelength (Å)", placeholder="0.4991", keys="decimal", hint="or 20keV"),
                    )
                    self._add("axis", select_field("First column", AXES))
            with element("section", "panel stack", **{"aria-label": "The sample"}):
                self._add("sample", choice_field("Known of the sample", SAMPLES, on_change=self._changed))
                with element("div", "grid"):
                    self._add("formula", text_field("Formula", placeholder="CaCO3", on_enter=self._begin))
                    self._add(
                        "elements",
                        text_field("Elements", placeholder="Ca,C,O", hint="or with numbers: Ca=1,C=1,O=2-4"),
                    )
                with element("details"):
                    text("summary", "More that you know")
                    with element("div", "grid"):
                        self._add(
                            "space_group",
                            text_field("Space group", placeholder="167 or R-3c", hint="several with commas"),
                        )
                        self._add(
                            "cell",
                            text_field(
                                "Cell",
                                placeholder="4.99,4.99,17.06,90,90,120",
                                hint="a, b, c in Å, α, β, γ in degrees",
                            ),
                        )
                        self._add(
                            "z", text_field("Formula units in the cell", keys="numeric", placeholder="6")
                        )
                        self._add(
                            "max_atoms",
                            text_field("Atoms at most", keys="numeric", hint="in the primitive cell"),
                        )
                        self._add("two_theta", text_field("Part of the pattern (° 2θ)", placeholder="10-80"))
            with element("section", "panel stack", **{"aria-label": "How"}):
                self._add("candidates", choice_field("How hard to look", EFFORTS, value="200"))
                self._add(
                    "index",
                    check_field(
                        "Look for the cell by indexing too", hint="takes minutes; needs good, low lines"
                    ),
                )
                with element("div", "row"):
                    self._start = button("Solve", self._begin, "main")
                    self._said = text("span", "", "quiet", role="status")
                self._fault = text("p", "", "fault-note hidden", role="alert")
        self._changed()

    def _add(self, name: str, field: Field) -> None:
        self._fields[name] = field

    def _value(self, name: str) -> str:
        return str(self._fields[name].value or "").strip()

    def _changed(self) -> None:
        """Show the fields that belong together."""
        self._fields["wavelength"].set_visibility(self._value("radiation") == "other")
        self._fields["formula"].set_visibility(self._value("sample") == "formula")
        self._fields["elements"].set_visibility(self._value("sample") == "elements")

    def _took(self) -> None:
        """A pattern was uploaded: show it, and what the file says."""
        self._drawn.clear()
        found = self._upload.found
        if not found:
            return
        said = found.get("radiation")
        self._fields["radiation"].hint = f"the file says {said}" if said else "the file does not say: choose"
        with self._drawn:
            if found.get("x"):
                plot = ui.plotly(pattern_figure(found["x"], found["y"], str(found.get("axis") or "2theta")))
                plot.classes("plot").props.update({"role": "img", "aria-label": "The uploaded pattern"})

    def _options(self) -> dict[str, Any]:
        """What is asked for, of the fields that are shown and filled."""
        options: dict[str, Any] = {"upload": self._upload.upload}
        radiation = self._value("radiation")
        if radiation:
            options["radiation"] = self._value("wavelength") if radiation == "other" else radiation
        for name in (self._value("sample"), "axis", "space_group", "cell", "two_theta"):
            if self._value(name):
                options[name] = self._value(name)
        for name in ("z", "max_atoms", "candidates"):
            if value := self._value(name):
                options[name] = int(value) if value.isdecimal() and len(value) < 7 else value
        if self._fields["index"].value:
            options["index"] = True
        return options

    async def _begin(self) -> None:
        for field in self._fields.values():
            field.fault = ""
        self._fault.classes("hidden")
        sample = self._value("sample")
        if not self._upload.upload:
            self._complain("Choose a measured pattern first.")
            return
        if not self._value(sample):
            self._fields[sample].fault = "say what the sample is made of"
            self._fields[sample].focus()
            return
        if self._value("radiation") == "other" and not self._value("wavelength"):
            self._fields["wavelength"].fault = "a wavelength in Å, such as 0.4991"
            self._fields["wavelength"].focus()
            return
        self._start.props["disabled"] = True
        self._said.set_text("Checking …")
        try:
            job = await answer(self._service.submit, "solve", self._options())
        except CrystalsmithError as error:
            self._place_fault(str(error))
            return
        finally:
            self._start.props["disabled"] = False
            self._said.set_text("")
        ui.navigate.to(f"/solve/{job.id}")

    def _place_fault(self, words: str) -> None:
        """A refusal stands beside the field that it names."""
        name, colon, rest = words.partition(": ")
        name = {"radiation": "wavelength"}.get(name, name) if self._value("radiation") == "other" else name
        if colon and name in self._fields:
            self._fields[name].fault = rest
            self._fields[name].focus()
        else:
            self._complain(words)

    def _complain(self, words: str) -> None:
        self._fault.set_text(words)
        self._fault.classes(remove="hidden")
