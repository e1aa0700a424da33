"""Runs: all run folders below the server's, and the page of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui

from crystalsmith.errors import CrystalsmithError
from crystalsmith.serving.errors import NotFound
from crystalsmith.serving.jobs import Job
from crystalsmith.serving.opened import Column, Opened
from crystalsmith.serving.opened.kinds import about
from crystalsmith.serving.opening import opened_of
from crystalsmith.serving.pages.layout import frame
from crystalsmith.serving.pages.parts import answer, element, link, text
from crystalsmith.serving.pages.progress import JobPanel
from crystalsmith.serving.pages.run_page import RunPage
from crystalsmith.serving.pages.run_parts import kind_words
from crystalsmith.serving.pages.run_table import RunTable

if TYPE_CHECKING:
    from crystalsmith.serving.service import Service

COLUMNS = (
    Column("run", "run"),
    Column("kind", "command"),
    Column("about", "of what", "formula"),
    Column("status", "status"),
    Column("changed", "last written", "time"),
)

SECONDS = 3.0
"""Between two looks at the list."""


def register(service: Service) -> None:
    """Add the list and the page of a run."""

    @ui.page("/runs")
    async def runs() -> None:
        with frame(
            "Runs", active="runs", lead="All run folders that this server was given, and its own jobs."
        ):
            with element("div", "row"):
                link("Relax crystals of yours", "/relax", "cs small")
            place = element("div", "stack")
        await ui.context.client.connected()
        rows = await answer(listed, service)
        with place:
            RunList(service, rows)

    @ui.page("/runs/{run_id}")
    async def one(run_id: str) -> None:
        await show_run(service, run_id, "runs")


async def show_run(service: Service, run_id: str, section: str) -> None:
    """Write the page of a run.

    Args:
        service: that has it.
        run_id: of the run or job.
        section: of the navigation.
    """
    try:
        opened = await answer(opened_of, service, run_id)
        name, job = await answer(named, service, run_id, opened)
    except CrystalsmithError:
        with frame("No such run", active=section, lead="It was removed, or its address is wrong."):
            link("To all runs", "/runs")
        return
    with frame(name, active=section, heading=False):
        RunPage(service, run_id, opened, name, job)


def named(service: Service, run_id: str, opened: Opened) -> tuple[str, Job | None]:
    """What a run is called, and its job."""
    job = None
    try:
        job = service.jobs.get(run_id)
    except NotFound:
        pass
    try:
        found = service.run(run_id)
        words = about(found.manifest.get("run") or {})
        name = found.name
    except NotFound:
        words, name = "", run_id
    kind = kind_words(opened.kind) if opened.kind != "unknown" or job is None else job.kind
    if job is None:
        return name, None
    words = job.name or words
    return f"{kind.capitalize()} {words}".strip(), job


def listed(service: Service) -> Opened:
    """All runs as rows."""
    rows: list[dict[str, Any]] = []
    jobs = {job.id: job for job in service.jobs.all()}
    for found in service.runs():
        status = jobs[found.id].state if found.id in jobs else found.status
        rows.append(
            {
                "name": found.id,
                "run": found.name,
                "kind": kind_words(found.kind),
                "about": jobs[found.id].name if found.id in jobs else about(found.manifest.get("run") or {}),
                "status": status,
                "changed": found.changed,
            }
        )
    there = {row["name"] for row in rows}
    rows = [
        *(
            {
                "name": j.id,
                "run": j.id,
                "kind": j.kind,
                "about": j.name,
                "status": j.state,
                "changed": j.created,
            }
            for j in jobs.values()
            if j.id not in there
        ),
        *rows,
    ]
    return Opened(service.jobs.runs, "runs", columns=COLUMNS, rows=tuple(rows))


class RunList:
    """The list, which follows what happens.

    Args:
        service: whose runs.
        opened: as they stand.
    """

    def __init__(self, service: Service, opened: Opened) -> None:
        self._service, self._opened = service, opened
        at_work = [job for job in service.jobs.all() if not job.is_over]
        if at_work:
            with element("section", "stack tight", **{"aria-label": "Jobs"}):
                for job in reversed(at_work):
                    with element("div", "stack tight"):
                        link(f"{job.kind} {job.name}", f"/runs/{job.id}", "")
                        JobPanel(service, job)
        if not opened.rows:
            with element("div", "empty"):
                text("p", "No runs yet.")
                link("Make crystals", "/", "")
                text("span", " or ")
                link("solve a pattern", "/solve", "")
            return
        names = {str(row["name"]) for row in opened.rows}
        self._table = RunTable(opened, "Runs", on_open=self._go, able=names, example="such as solve TiO2")
        ui.timer(SECONDS, self._look)

    def _go(self, name: str) -> None:
        ui.navigate.to(f"/runs/{name}")

    async def _look(self) -> None:
        try:
            found = await answer(listed, self._service)
        except CrystalsmithError:
            return
        if found.rows != self._opened.rows:
            self._opened = found
            self._table.show(found)
