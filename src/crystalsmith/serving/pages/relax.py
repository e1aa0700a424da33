"""Relax: crystals of a run or of a file, chosen and relaxed with a potential in the background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nicegui import ui

from crystalsmith.errors import CrystalsmithError
from crystalsmith.serving.kinds import LARGEST
from crystalsmith.serving.opened import Column, Opened
from crystalsmith.serving.opening import opened_of
from crystalsmith.serving.pages.fields import select_field, text_field
from crystalsmith.serving.pages.job_form import JobForm
from crystalsmith.serving.pages.layout import frame
from crystalsmith.serving.pages.parts import answer, element, link, text
from crystalsmith.serving.pages.run_table import RunTable
from crystalsmith.serving.pages.runs import named
from crystalsmith.serving.pages.uploads import upload_field

if TYPE_CHECKING:
    from crystalsmith.serving.service import Service

FIRST = 10
"""Crystals that are chosen at first: the best."""

POTENTIALS = {
    "chgnet": "CHGNet: quick, with a hull of 30,000 known phases",
    "7net-0": "SevenNet-0: slower, nearer to DFT",
    "7net-l3i5": "SevenNet-l3i5: slowest, nearest to DFT",
}
"""Potentials in words."""

ONLY = {
    "": "under its symmetry, then free of it",
    "symmetric": "under its symmetry alone",
    "free": "free of it",
}
"""Stages in words."""

UPLOADED = (
    Column("name", "name"),
    Column("formula", "formula", "formula"),
    Column("space_group", "space group", "group"),
    Column("atoms", "atoms", "number", 0),
)
"""Columns of crystals that were uploaded."""

LEAD = "Let a potential move atoms and cell to rest, then rank by energy above the known phases."


def register(service: Service) -> None:
    """Add the pages: for crystals of a run, and for those of a file."""

    @ui.page("/relax")
    def relax_upload() -> None:
        with frame("Relax crystals of yours", active="runs", lead=LEAD):
            UploadPage(service)

    @ui.page("/relax/{run_id}")
    async def relax(run_id: str) -> None:
        try:
            opened = await answer(opened_of, service, run_id)
            name, _ = await answer(named, service, run_id, opened)
        except CrystalsmithError:
            with frame("No such run", active="runs", lead="It was removed, or its address is wrong."):
                link("To all runs", "/runs")
            return
        with frame(f"Relax crystals of {name}", active="runs", lead=LEAD):
            if opened.crystals:
                RelaxPage(service, {"run": run_id}, opened)
            else:
                text("p", "This run has no crystals yet.", "empty")
                link("To the run", f"/runs/{run_id}")


class UploadPage:
    """A field for a file of crystals, and the form once there is one.

    Args:
        service: that makes the job.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        hint = "CIF, POSCAR, extended XYZ, JSON, or a zip of them"
        with element("section", "panel stack", **{"aria-label": "The crystals"}):
            self._upload = upload_field("File of crystals", "structure", self._took, hint=hint)
        self._place = element("div", "stack", **{"aria-live": "polite"})

    def _took(self) -> None:
        self._place.clear()
        if not self._upload.upload:
            return
        found = self._upload.found
        with self._place:
            for name, reason in list((found.get("failures") or {}).items())[:5]:
                text("p", f"{name}: {reason}", "fault-note")
            if found.get("crystals"):
                RelaxPage(self._service, {"upload": self._upload.upload}, uploaded(found["crystals"]))
            else:
                text("p", "There is no crystal in it.", "empty")


def uploaded(crystals: Sequence[Mapping[str, Any]]) -> Opened:
    """Crystals of an upload, as ``Service.upload`` tells of them, laid out like a run's."""
    names: dict[str, Mapping[str, Any]] = {str(row["name"]): {} for row in crystals}
    return Opened(Path(), "upload", columns=UPLOADED, rows=tuple(crystals), crystals=names)


class RelaxPage:
    """The form.

    Args:
        service: that makes the job.
        source: whose crystals are relaxed: ``run`` or ``upload``, and its id.
        opened: that run, or the upload laid out like one.
    """

    def __init__(self, service: Service, source: Mapping[str, str], opened: Opened) -> None:
        self._source = source
        self._form = form = JobForm(service, "relax", "/runs")
        with element("section", "panel flat stack", **{"aria-label": "How"}):
            with element("div", "grid"):
                form.add("potential", select_field("Potential", POTENTIALS))
                form.add("only", select_field("Relax", ONLY))
                hint = "of each stage; fewer are quicker"
                form.add("max_calls", text_field("Steps at most", value="120", keys="numeric", hint=hint))
            form.add_start("Relax", self._begin)
        text("h2", "Crystals")
        self._table = RunTable(
            opened, "Crystals to choose from", on_open=self._toggle, ticks=True, on_tick=self._tell
        )
        able = [str(row["name"]) for row in opened.rows if row["name"] in opened.crystals]
        own = [str(row["name"]) for row in opened.rows if not row.get("remark") and not row.get("left_at")]
        self._table.choose([name for name in able if name in own][:FIRST] or able[:FIRST])
        self._tell()

    def _toggle(self, name: str) -> None:
        """A row that is clicked is chosen, or no longer."""
        ticked = [one for one in self._table.ticked if one != name]
        self._table.choose(ticked if name in self._table.ticked else [*ticked, name])
        self._table.mark_open("")
        self._tell()

    def _tell(self) -> None:
        n = len(self._table.ticked)
        self._form.said.set_text(f"{n:,} crystal{'' if n == 1 else 's'} chosen")
        self._form.start.props["disabled"] = n == 0

    async def _begin(self) -> None:
        form = self._form
        form.clear()
        options: dict[str, Any] = {
            **self._source,
            "names": list(self._table.ticked),
            "potential": form.value("potential"),
        }
        if form.value("only"):
            options["only"] = form.value("only")
        if (calls := form.number("max_calls", LARGEST["max_calls"], 1)) is not None:
            options["max_calls"] = calls
        if not form.refused:
            await form.submit(options)
