"""Solve: a measured pattern and what is known of the sample, and then the answer and how sure it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui

from crystalsmith.serving.pages.fields import check_field, choice_field, select_field, text_field
from crystalsmith.serving.pages.figures import pattern_figure
from crystalsmith.serving.pages.job_form import JobForm
from crystalsmith.serving.pages.layout import frame
from crystalsmith.serving.pages.parts import element, text
from crystalsmith.serving.pages.plot import Plot
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
        self._form = JobForm(service, "solve", "/solve")
        self._add, self._value = self._form.add, self._form.value
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
                self._form.add_start("Solve", self._begin)
        self._changed()

    def _changed(self) -> None:
        """Show the fields that belong together."""
        fields = self._form.fields
        fields["wavelength"].set_visibility(self._value("radiation") == "other")
        fields["formula"].set_visibility(self._value("sample") == "formula")
        fields["elements"].set_visibility(self._value("sample") == "elements")

    def _took(self) -> None:
        """A pattern was uploaded: show it, and what the file says."""
        self._drawn.clear()
        found = self._upload.found
        if not found:
            return
        said = found.get("radiation")
        self._form.fields["radiation"].hint = (
            f"the file says {said}" if said else "the file does not say: choose"
        )
        with self._drawn:
            if found.get("x"):
                axis = str(found.get("axis") or "2theta")
                Plot(pattern_figure(found["x"], found["y"], axis), "The uploaded pattern")

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
        if self._form.fields["index"].value:
            options["index"] = True
        return options

    async def _begin(self) -> None:
        form = self._form
        form.clear()
        sample = form.value("sample")
        other = form.value("radiation") == "other"
        if not self._upload.upload:
            form.complain("Choose a measured pattern first.")
        elif not form.value(sample):
            form.refuse(sample, "say what the sample is made of")
        elif other and not form.value("wavelength"):
            form.refuse("wavelength", "a wavelength in Å, such as 0.4991")
        else:
            await form.submit(self._options(), others={"radiation": "wavelength"} if other else None)
