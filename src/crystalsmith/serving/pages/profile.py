"""The pattern of a run of ``solve`` beside what is calculated, moving while candidates are refined."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nicegui import ui

from crystalsmith.reports.words import number
from crystalsmith.serving.opened import Curves, Opened, solution_in
from crystalsmith.serving.pages.figures import profile_figure, spoken_profile
from crystalsmith.serving.pages.parts import answer, element, html, text
from crystalsmith.serving.pages.plot import Plot
from crystalsmith.serving.pages.run_parts import typeset

if TYPE_CHECKING:
    from crystalsmith.serving.opened import Verdict

TONES = {"one answer": "good", "several fit equally": "now", "none fits": "bad"}
"""Classes of the verdicts."""


class ProfilePanel:
    """The plot, with how sure the run is.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._name = folder, ""
        self._turn = False
        with element("section", "panel stack tight", **{"aria-label": "Pattern"}):
            with element("div", "row ends"):
                with element("h2"):
                    self._title = html("Pattern", tag="span")
                self._sure = text("span", "", "tag")
            self._plot = Plot({"data": [], "layout": {}})
            self._words = text("p", "", "quiet small")
        ui.timer(0.05, self._first, once=True)

    async def _first(self) -> None:
        await self._draw(await answer(curves_of, self._folder, self._name, False))

    async def look(self, opened: Opened) -> None:
        """What is new of a run that goes on: by turns the candidate refined last, and the best so far."""
        if self._name and opened.row(self._name) is not None:
            return
        self._name, self._turn = "", not self._turn
        await self._draw(await answer(curves_of, self._folder, "", self._turn))

    async def show(self, opened: Opened, name: str) -> None:
        """The profile of one answer."""
        self._name = name
        found = await answer(curves_of, self._folder, name, False)
        if name == self._name:  # no other one was asked for meanwhile
            await self._draw(found)

    async def _draw(self, found: tuple[Curves, Verdict, str]) -> None:
        curves, verdict, words = found
        self._title.set_content(str(typeset(f"Pattern: {words}" if words else "Pattern")))
        self._sure.set_text(verdict.words + ("" if verdict.final or not verdict.words else ", so far"))
        # How sure it is says nothing before there is a curve to hold it against.
        told = verdict.final or curves.calculated is not None
        self._sure.classes(replace=f"tag {TONES.get(verdict.words, 'hidden') if told else 'hidden'}")
        self._plot.set_visibility(bool(len(curves.two_theta)))
        self._plot.say(spoken_profile(curves))
        if not len(curves.two_theta):
            self._words.set_text("The pattern is shown as soon as the run has read it.")
            return
        self._plot.update_figure(profile_figure(curves))
        misfit = "" if curves.misfit is None else f", misfit {number(curves.misfit, 2)}"
        by = (
            f"calculated by {curves.by}{misfit}"
            if curves.calculated is not None
            else "nothing calculated yet"
        )
        tried = f"; {verdict.tried:,} candidates fitted" if verdict.tried else ""
        self._words.set_text(f"{by}{tried}. Drag to zoom, double click to see all.")


def curves_of(folder: Path, name: str, newest: bool) -> tuple[Curves, Verdict, str]:
    """The profile to show, how sure the run is, and what the profile is of.

    Args:
        folder: of the run.
        name: of an answer; the best one if empty.
        newest: the candidate that was refined last, where the run goes on.
    """
    from crystalsmith.serving.opened import Verdict as Said

    solution = solution_in(folder)
    if solution is None:
        import numpy as np

        return Curves(np.zeros(0), np.zeros(0), np.zeros(0)), Said(), ""
    found = solution.newest if newest else None
    which = "" if solution.verdict.final else ("refined last, " if found is not None else "best so far, ")
    curves = found or solution.curves(name)
    return curves, solution.verdict, f"{'' if name else which}{curves.label}" if curves.label else ""
