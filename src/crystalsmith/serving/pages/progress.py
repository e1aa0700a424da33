"""A job on a page: how far it is, its end, and a button that ends it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from nicegui import ui

from crystalsmith.errors import CrystalsmithError
from crystalsmith.serving.pages.parts import answer, button, element, text

if TYPE_CHECKING:
    from crystalsmith.serving.jobs import Job
    from crystalsmith.serving.service import Service

SECONDS = 0.5
"""Between two looks at a job."""

STATES = {
    "queued": "Waiting for its turn",
    "running": "Running",
    "done": "Done",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
"""States of a job in words."""


class JobPanel:
    """Shows a job until it is over.

    Args:
        service: that has it.
        job: as it stands.
        on_progress: called with the job whenever it has come further.
        on_over: called with it once, when nothing more will come.
    """

    def __init__(
        self,
        service: Service,
        job: Job,
        *,
        on_progress: Callable[[Job], Awaitable[object] | object] | None = None,
        on_over: Callable[[Job], Awaitable[object] | object] | None = None,
    ) -> None:
        self._service, self._job = service, job
        self._on_progress, self._on_over = on_progress, on_over
        self._seen: tuple[object, ...] = ()
        with element("section", "panel flat stack tight", **{"aria-label": "Progress"}) as self.panel:
            with element("div", "row ends"):
                with element("span"):
                    self._words = text("span", "", role="status")
                    # Not told aloud, because it changes all the time.
                    self._count = text("span", "", "number quiet")
                self._cancel = button("Cancel", self._end, "small")
                self._again = button("Go on", self._resume, "small")
            self._bar = element("progress", "cs", max=1, **{"aria-label": "How far it is"})
            self._fault = text("p", "", "fault-note hidden", role="alert")
        self._show(job)
        self._timer = ui.timer(SECONDS, self._look, active=not job.is_over)

    async def _look(self) -> None:
        try:
            job = self._service.jobs.get(self._job.id)
        except CrystalsmithError as error:
            self._timer.deactivate()
            self._complain(str(error))
            return
        self._job = job
        self._show(job)
        state = (job.state, job.stage, job.done)
        if self._on_progress is not None and state != self._seen:
            self._seen = state
            await _awaited(self._on_progress(job))
        if job.is_over:
            self._timer.deactivate()
            if self._on_over is not None:
                await _awaited(self._on_over(job))

    async def _end(self) -> None:
        self._cancel.props["disabled"] = True
        try:
            await answer(self._service.jobs.cancel, self._job.id)
        except CrystalsmithError as error:
            self._complain(str(error))
        await self._look()

    async def _resume(self) -> None:
        """What was made already stays; the rest is made."""
        try:
            await answer(self._service.jobs.resume, self._job.id)
        except CrystalsmithError as error:
            self._complain(str(error))
            return
        self._fault.classes("hidden")
        self._cancel.props.pop("disabled", None)
        self._timer.activate()
        await self._look()

    def _show(self, job: Job) -> None:
        self._words.set_text(stage_of(job))
        self._count.set_text(count_of(job))
        self._cancel.set_visibility(not job.is_over)
        self._bar.set_visibility(not job.is_over)
        self.panel.set_visibility(job.state != "done")  # what it made takes its place
        self._again.set_visibility(job.state in ("failed", "cancelled"))
        # Without a value the bar moves by itself: nobody knows how far it is.
        if job.total > 0:
            self._bar.props["value"] = round(min(job.done / job.total, 1.0), 3)
        else:
            self._bar.props.pop("value", None)
        if job.error:
            self._complain(job.error)

    def _complain(self, words: str) -> None:
        self._fault.set_text(words)
        self._fault.classes(remove="hidden")


def stage_of(job: Job) -> str:
    """What a job is at, in a few words."""
    if job.state == "running":
        return job.stage.capitalize() if job.stage else "Starting"
    return STATES[job.state]


def count_of(job: Job) -> str:
    """How far it is, and for how long it has run."""
    words = []
    if job.state == "running" and job.total > 0:
        words.append(f" {job.done:,.0f} of {job.total:,.0f}")
    if job.started is not None:
        seconds = (job.ended or time.time()) - job.started
        words.append(f" · {seconds:.0f} s" if seconds < 90 else f" · {seconds / 60:.0f} min")
    return "".join(words)


async def _awaited(result: Awaitable[object] | object) -> None:
    if isinstance(result, Awaitable):
        await result
