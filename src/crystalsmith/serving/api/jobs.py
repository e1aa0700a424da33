"""Jobs: put into the queue, looked at, cancelled, gone on with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body

if TYPE_CHECKING:
    from crystalsmith.serving.jobs import Job
    from crystalsmith.serving.service import Service


def router(service: Service) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["jobs"])

    def told(job: Job) -> dict[str, Any]:
        error = None if job.error is None else service.without_paths(job.error)
        return {**job.to_dict(), "error": error, "place": service.jobs.place(job.id)}

    @routes.get("/jobs")
    def all_jobs() -> list[dict[str, Any]]:
        """All jobs, the latest first."""
        return [told(job) for job in service.jobs.all()]

    @routes.post("/jobs/{kind}", status_code=202)
    def submit(kind: str, options: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        """Put a job into the queue: generate, relax, hull, solve or discover."""
        return told(service.submit(kind, options))

    @routes.get("/jobs/{job_id}")
    def job(job_id: str) -> dict[str, Any]:
        """How a job stands; its run folder bears the same id."""
        return told(service.jobs.get(job_id))

    @routes.post("/jobs/{job_id}/cancel")
    def cancel(job_id: str) -> dict[str, Any]:
        """End a job; what it made so far is kept."""
        return told(service.jobs.cancel(job_id))

    @routes.post("/jobs/{job_id}/resume")
    def resume(job_id: str) -> dict[str, Any]:
        """Go on with a job that failed or was cancelled."""
        return told(service.jobs.resume(job_id))

    @routes.delete("/jobs/{job_id}", status_code=204)
    def forget(job_id: str) -> None:
        """Leave a job that is over out of the list; its run stays."""
        service.jobs.forget(job_id)

    return routes
