"""The page of one run of any kind, also while it goes on: facts, funnel, plots, rows, crystals."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from crystalsmith.errors import CrystalsmithError
from crystalsmith.serving import diagram
from crystalsmith.serving.opened import Opened
from crystalsmith.serving.opened.phonons import bands
from crystalsmith.serving.opened.reading import Reader
from crystalsmith.serving.opened.relaxation import with_above
from crystalsmith.serving.opening import opened_of, row_number
from crystalsmith.serving.pages import figures
from crystalsmith.serving.pages.crystal_panel import crystal_panel
from crystalsmith.serving.pages.fields import Field, select_field
from crystalsmith.serving.pages.parts import answer, button, element, facts, html, link, text
from crystalsmith.serving.pages.plot import Plot
from crystalsmith.serving.pages.profile import ProfilePanel
from crystalsmith.serving.pages.progress import JobPanel
from crystalsmith.serving.pages.row_panel import RowSource, facts_of_row
from crystalsmith.serving.pages.run_parts import (
    draw_diagram,
    files,
    funnel,
    kind_words,
    notes,
    status_tag,
    typeset,
)
from crystalsmith.serving.pages.run_table import RunTable
from crystalsmith.serving.runs import FILES

if TYPE_CHECKING:
    from crystalsmith.serving.jobs import Job
    from crystalsmith.serving.service import Service

SECONDS = 1.0
"""Between two looks at a run that goes on."""

_WITH_ENERGIES = ("relaxation", "discovery", "generation", "hull")


class RunPage:
    """The page, written where the caller stands.

    Args:
        service: that has the run.
        run_id: of the run or job.
        opened: the run as it stands.
        name: for people.
        job: that makes it, if one does.
    """

    def __init__(
        self, service: Service, run_id: str, opened: Opened, name: str, job: Job | None = None
    ) -> None:
        self._service, self._id, self._opened, self._name, self._job = service, run_id, opened, name, job
        self._table: RunTable | None = None
        self._shown = ""
        self._steps: object = None
        with element("div", "row ends"):
            with element("div", "stack tight"):
                text("h1", name)
                self._about = html("", tag="p", classes="quiet")
            self._links = element("div", "row tight")
        if job is not None and not job.is_over:
            JobPanel(service, job, on_over=self._over)
        self._summary = html("", tag="p", classes="summary")
        self._summary.props["role"] = "status"
        self._notes = element("div")
        self._profile = ProfilePanel(opened.folder) if opened.kind == "solution" else None
        with element("div", "split"):
            self._facts = element("section", "panel stack tight", **{"aria-label": "The run"})
            self._funnel = element("section", "panel stack tight", **{"aria-label": "Funnel"})
        self._plots = element("div", "stack")
        self._rows = element("div", "stack")
        self._raw, self._above, self._told = opened, dict[str, float](), list[str]()
        self._write()
        self._add_plots()
        if opened.kind == "relaxation":
            ui.timer(0.1, self._place, once=True)
        asked = ui.context.client.request.query_params.get("crystal", "")
        if asked in opened.crystals:
            ui.timer(0.1, partial(self.open, asked), once=True)
        else:
            ui.timer(0.1, self._answer, once=True)
        if self._goes_on:
            self._timer = ui.timer(SECONDS, self._look)

    @property
    def _goes_on(self) -> bool:
        return self._opened.status == "running" or (self._job is not None and not self._job.is_over)

    async def _look(self) -> None:
        """Show what is new of a run that goes on."""
        try:
            found = await answer(opened_of, self._service, self._id)
        except CrystalsmithError:
            return
        if found is self._raw:
            if not self._goes_on:
                self._timer.deactivate()
            return
        kind, self._raw, self._opened = self._raw.kind, found, found
        if found.kind != kind:  # it has only begun to write its folder
            ui.navigate.reload()
            return
        self._write()
        if self._profile is not None:
            await self._profile.look(found)

    async def _place(self) -> None:
        """Energies above the hull of known phases, which another process computes; then the lowest first."""
        try:
            found = await answer(self._places)
        except CrystalsmithError:
            return
        self._above = dict(found["above"])
        self._told = list(found["notes"])
        self._write()
        if self._table is not None and self._above:
            self._table.sort("above_hull")

    def _places(self) -> dict[str, Any]:
        return dict(self._service.ask("places", folder=str(self._opened.folder)))

    async def _over(self, job: Job) -> None:
        self._job = job
        await self._look()
        if self._opened.kind == "relaxation":
            await self._place()
        self._plots.clear()
        self._add_plots()
        await self._answer()

    def _write(self) -> None:
        """All that changes while a run goes on."""
        opened = self._opened
        self._about.set_content(f"{kind_words(opened.kind)} {status_tag(opened.status)}")
        self._summary.set_content(str(typeset(self._words)))
        self._links.clear()
        with self._links:
            files(opened, self._id, tuple(FILES))
            if opened.kind in ("generation", "relaxation", "solution") and opened.crystals:
                link("Cards", f"/look/{self._id}", "cs small")
            if opened.crystals and opened.kind != "relaxation":
                link("Relax and rank", f"/relax/{self._id}", "cs small")
        self._notes.clear()
        with self._notes:
            notes([*opened.notes, *self._told])
        self._facts.clear()
        with self._facts:
            facts([(name, value) for name, value in opened.facts if value])
        if opened.steps != self._steps:
            self._steps = opened.steps
            self._funnel.clear()
            with self._funnel:
                if opened.steps:
                    funnel(opened.steps)
        self._funnel.set_visibility(bool(opened.steps))
        self._write_rows()

    @property
    def _words(self) -> str:
        """What came of the run, or that it has yet to begin."""
        if self._opened.kind == "unknown" and self._job is not None:
            return "failed before it began" if self._job.is_over else "The run is about to begin."
        return self._opened.summary

    def _write_rows(self) -> None:
        opened = self._opened
        if self._above:
            opened = with_above(opened, self._above)
            self._opened = opened
        if self._table is not None:
            self._table.show(opened)
            return
        if not opened.rows:
            return
        with self._rows:
            text("h2", "Rows" if opened.kind in ("evaluation", "hull", "training", "prior") else "Crystals")
            self._table = RunTable(opened, f"Crystals of {self._name}", on_open=self.open)
            self._panel = element("section", "panel one", **{"aria-label": "The chosen crystal"})
        self._panel.set_visibility(False)

    async def _answer(self) -> None:
        """Show the likeliest answer to a pattern, once there is a last word."""
        opened = self._opened
        names = [str(row["name"]) for row in opened.rows if row["name"] in opened.crystals]
        if opened.kind == "solution" and opened.status == "finished" and names and not self._shown:
            await self.open(names[0], follow=False)

    async def open(self, name: str, *, follow: bool = True) -> None:
        """Show the crystal of a row.

        Args:
            name: of the row.
            follow: scroll to it, and keep it in the page's address.
        """
        opened = self._opened
        row = opened.row(name)
        if row is None or name not in opened.crystals:
            return
        if self._table is not None:
            self._table.mark_open(name)
        self._shown = name
        if follow:  # the page that is loaded again, or given to somebody, shows the same crystal
            address = f"'?crystal=' + encodeURIComponent({json.dumps(name)})"
            ui.run_javascript(f"history.replaceState(null, '', {address})")
        if self._profile is not None:
            await self._profile.show(opened, name)
        if name != self._shown:  # another row was opened meanwhile
            return
        self._panel.set_visibility(True)
        self._panel.clear()
        with self._panel:
            await self._add_crystal(name, row, before=False)
        if follow:
            self._panel.run_method("scrollIntoView", {"block": "nearest"})

    async def _add_crystal(self, name: str, row: Any, *, before: bool) -> None:
        opened = self._opened
        source: Any = RowSource(self._service, opened, name, before=before)
        words = f"/api/v1/runs/{self._id}/rows/{row_number(opened, name)}?" + (
            "before=true&" if before else ""
        )
        if name in opened.others:
            with element("div", "row tight"):
                for which, said in ((False, "As it ended"), (True, "Before")):
                    own = button(said, partial(self._again, name, row, which), "small")
                    own.props["aria-pressed"] = "true" if which == before else "false"
        more = [("Name", name), *facts_of_row(opened, row)]
        await crystal_panel(source, self._id, 1, more=more, address=f"{words}format=")
        if opened.kind == "phonons":
            await self._add_bands(name)

    async def _again(self, name: str, row: Any, before: bool) -> None:
        self._panel.clear()
        with self._panel:
            await self._add_crystal(name, row, before=before)

    async def _add_bands(self, name: str) -> None:
        lines = await answer(bands, Reader(self._opened.folder), name)
        if lines:
            text("h3", "Phonons")
            Plot(figures.bands_figure(lines), f"Bands of the phonons of {name}")

    def _add_plots(self) -> None:
        opened = self._opened
        with self._plots:
            if opened.series:
                with element("section", "panel", **{"aria-label": "Losses"}):
                    Plot(figures.series_figure(opened.series, opened.series_axes), "Losses against steps")
            systems = diagram.systems_of(opened) if opened.kind in _WITH_ENERGIES else []
            if systems:
                DiagramPanel(self._service, opened, systems, self.open)


class DiagramPanel:
    """The phase diagram of a run's crystals, drawn when it is asked for.

    Args:
        service: whose other process computes.
        opened: the run.
        systems: that can be drawn.
        on_open: called with the name of a crystal that is clicked.
    """

    def __init__(
        self, service: Service, opened: Opened, systems: list[tuple[str, ...]], on_open: Any
    ) -> None:
        self._service, self._opened, self._open = service, opened, on_open
        names = {"-".join(system): "–".join(system) for system in systems[:50]}
        with element("section", "panel stack tight", **{"aria-label": "Phase diagram"}):
            with element("div", "row ends low"):
                text("h2", "Phase diagram")
                self._choice: Field | None = None
                if len(names) > 1:
                    with element("div", "few wide"):
                        self._choice = select_field("System", names, on_change=self._draw)
            self._place = element("div", "stack tight", **{"aria-live": "polite"})
        self._system = next(iter(names))
        ui.timer(0.1, self._draw, once=True)

    async def _draw(self) -> None:
        system = self._system if self._choice is None else str(self._choice.value)
        self._place.clear()
        with self._place:
            text("p", "Placing the crystals among the known phases …", "quiet")
        words = {"folder": str(self._opened.folder), "elements": system.split("-")}
        try:
            found = await answer(self._ask, words)
        except CrystalsmithError as error:
            self._place.clear()
            with self._place:
                text("p", f"No phase diagram: {error}", "quiet")
            return
        self._place.clear()
        with self._place:
            draw_diagram(found).on("plotly_click", self._clicked, ["points"])

    def _ask(self, words: dict[str, Any]) -> dict[str, Any]:
        return dict(self._service.ask("phase_diagram", **words))

    async def _clicked(self, event: Any) -> None:
        for point in (event.args or {}).get("points") or []:
            name = str(point.get("id") or "")
            if name in self._opened.crystals:
                await self._open(name)
                return
