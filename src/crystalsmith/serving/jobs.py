"""The queue: jobs that wait, run in processes of their own, and outlive the server.

A job makes the run folder ``RUNS/<id>/``, as the ordinary command would. What is known of the job itself
stands beside, in ``RUNS/.serve/jobs/<id>/``: ``job.json`` (what and in which state), ``progress.json`` and
``outcome.json`` (written by its process), ``output.log``. A job whose process dies is begun again a few
times, and goes on where it stopped, as the command does; so do all jobs when the server starts again.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from crystalsmith.errors import OutputError
from crystalsmith.runs.atomic import write_whole, writing
from crystalsmith.runs.lock import LOCK, FolderLock
from crystalsmith.serving.errors import Busy, Conflict, NotFound
from crystalsmith.serving.process import Worker

STATE = ".serve"
"""Folder, in that of the runs, of what the server keeps."""

MOST_DEATHS = 3
"""Times that the process of a job may die before the job is given up."""

_ID = re.compile(r"[a-z]+-[a-z2-7]{12}")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One job.

    Attributes:
        id: of the job and of its run folder.
        kind: generate, relax, hull, solve or discover.
        options: checked, in plain JSON types.
        name: what it is about, for people.
        state: queued, running, done, failed or cancelled.
        created, started, ended: seconds since 1970.
        error: why it failed, in one line.
        deaths: of its processes, so far.
        stage, done, total: how far it is.
    """

    id: str
    kind: str
    options: dict[str, Any]
    name: str = ""
    state: str = "queued"
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    error: str | None = None
    deaths: int = 0
    stage: str = ""
    done: float = 0.0
    total: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it by itself."""
        return self.state in ("done", "failed", "cancelled")

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types."""
        kept = asdict(self)
        progress = {name: kept.pop(name) for name in ("stage", "done", "total")}
        return {**kept, "progress": progress}


class Jobs:
    """All jobs of a folder of runs; one process may hold it at a time.

    Args:
        runs: the folder; made if missing.
        start: starts a worker that waits for a job.
        running: jobs that run at a time.
        queued: jobs that may wait.

    Raises:
        OutputError: the folder cannot be written, or another server holds it.
    """

    def __init__(
        self, runs: Path, start: Callable[[], Worker], *, running: int = 1, queued: int = 20
    ) -> None:
        self.runs, self._start, self._limit, self._queued = runs, start, running, queued
        self._folder = runs / STATE / "jobs"
        with writing(runs):
            self._folder.mkdir(parents=True, exist_ok=True)
        self._lock_file = FolderLock.take(runs / STATE / LOCK, f"as a server of {runs}")
        self._jobs: dict[str, Job] = {}
        self._workers: dict[str, Worker] = {}
        self._watchers: list[threading.Thread] = []
        self._spare: Worker | None = None
        self._cancelled: set[str] = set()
        self._closing = False
        self._changed = threading.Condition(threading.RLock())
        with self._changed:
            self._read()
        self._thread = threading.Thread(target=self._serve, name="jobs", daemon=True)
        self._thread.start()

    def submit(
        self, kind: str, options: Mapping[str, Any], name: str = "", data: Mapping[str, Any] | None = None
    ) -> Job:
        """Put a job into the queue; its options are taken as checked.

        Args:
            kind: of the job.
            options: what it does.
            name: what it is about, for people.
            data: what it works on, kept in a file of its own.

        Raises:
            Busy: too many wait.
            OutputError: it cannot be written down.
        """
        with self._changed:
            self._check_room()
            job = Job(self._new_id(kind), kind, dict(options), name, created=time.time())
            folder = self._folder / job.id
            with writing(folder):
                folder.mkdir()
                write_whole(folder / "data.json", json.dumps(dict(data or {})))
            self._keep(job)
            self._changed.notify_all()
            return job

    def get(self, job_id: str) -> Job:
        """A job as it stands now.

        Raises:
            NotFound: there is none of this id.
        """
        with self._changed:
            if job_id not in self._jobs:
                raise NotFound("there is no such job")
            job = self._jobs[job_id]
        return self._with_progress(job) if job.state == "running" else job

    def all(self) -> list[Job]:
        """All jobs as they stand now, the latest first."""
        with self._changed:
            jobs = sorted(self._jobs.values(), key=lambda job: -job.created)
        return [self._with_progress(job) if job.state == "running" else job for job in jobs]

    def place(self, job_id: str) -> int:
        """How many jobs are before this one in the queue."""
        with self._changed:
            waiting = self._waiting()
        return next((n for n, job in enumerate(waiting) if job.id == job_id), 0)

    def cancel(self, job_id: str) -> Job:
        """Take a job out of the queue, or end its process; what it made so far is kept.

        Raises:
            NotFound: there is none of this id.
            Conflict: it is over.
        """
        with self._changed:
            job = self.get(job_id)
            if job.is_over:
                raise Conflict(f"the job is {job.state} already")
            if job.state == "queued":
                return self._end(job, "cancelled")
            self._cancelled.add(job_id)
            if job_id in self._workers:
                self._workers[job_id].stop()
            return job

    def resume(self, job_id: str) -> Job:
        """Put a job that failed or was cancelled into the queue again; it goes on where it stopped.

        Raises:
            NotFound: there is none of this id.
            Conflict: it is not over, or done.
            Busy: too many wait.
        """
        with self._changed:
            job = self.get(job_id)
            if job.state not in ("failed", "cancelled"):
                raise Conflict(f"the job is {job.state}; only one that failed or was cancelled can go on")
            self._check_room()
            job = replace(job, state="queued", error=None, deaths=0, ended=None)
            self._keep(job)
            self._changed.notify_all()
            return job

    def forget(self, job_id: str) -> None:
        """Leave a job that is over out of the list; its run folder stays.

        Raises:
            NotFound: there is none of this id.
            Conflict: it is not over.
        """
        with self._changed:
            if not self.get(job_id).is_over:
                raise Conflict("the job is not over; cancel it first")
            del self._jobs[job_id]
            with writing(self._folder):
                for file in sorted((self._folder / job_id).iterdir()):
                    file.unlink(missing_ok=True)
                (self._folder / job_id).rmdir()

    def close(self) -> None:
        """End all processes; running jobs stay marked so and go on when the folder is opened again."""
        with self._changed:
            if self._closing:
                return
            self._closing = True
            workers = [*self._workers.values(), *filter(None, [self._spare])]
            for worker in workers:
                worker.stop()
            self._changed.notify_all()
        for worker in workers:
            worker.wait()
        for thread in (self._thread, *self._watchers):
            thread.join()
        self._lock_file.release()

    def _read(self) -> None:
        for folder in self._folder.iterdir():
            data = _json_of(folder / "job.json") or {}
            with suppress(ValueError, TypeError, KeyError):
                job = Job(**{k: v for k, v in data.items() if k != "progress"}, **data["progress"])
                if not _ID.fullmatch(job.id) or job.id != folder.name or not float(job.created) >= 0:
                    raise ValueError
                # Its process ended with the server that started it.
                self._jobs[job.id] = replace(job, state="queued") if job.state == "running" else job
                if job.state == "running":
                    self._settle(self._jobs[job.id])

    def _settle(self, job: Job) -> None:
        """The outcome of a job whose process ended when nobody looked."""
        if outcome := self._outcome(job):
            self._end(job, str(outcome["state"]), outcome.get("error"))

    def _serve(self) -> None:
        """Start jobs as there is room, and keep a spare process warm."""
        while True:
            with self._changed:
                if self._closing:
                    return
                room = self._limit - len(self._workers)
                waiting = self._waiting()
                if room > 0 and waiting:
                    self._begin(waiting[0])
                    continue
                if room > 0 and self._spare is None:
                    self._spare = self._started()
                self._changed.wait(1.0)
                if self._spare is not None and self._spare.is_over:
                    self._spare = None

    def _started(self) -> Worker | None:
        try:
            return self._start()
        except OSError as error:
            _logger.error("no process could be started: %s", error.strerror)
            return None

    def _begin(self, job: Job) -> None:
        worker = self._spare if self._spare is not None and not self._spare.is_over else self._started()
        self._spare = None
        folder = self._folder / job.id
        if worker is None:
            self._end(job, "failed", "no process could be started; free some memory and go on with it")
            return
        with suppress(OSError):
            (folder / "outcome.json").unlink(missing_ok=True)
        job = replace(job, state="running", started=job.started or time.time())
        self._note(job)
        self._workers[job.id] = worker
        worker.begin(
            {
                "kind": job.kind,
                "options": job.options,
                "folder": str(self.runs / job.id),
                "notes": str(folder),
            }
        )
        watcher = threading.Thread(target=self._watch, args=(job.id, worker), name=job.id, daemon=True)
        self._watchers = [*(thread for thread in self._watchers if thread.is_alive()), watcher]
        watcher.start()

    def _watch(self, job_id: str, worker: Worker) -> None:
        status = worker.wait()
        with self._changed:
            job = self._with_progress(self._jobs[job_id])
            self._workers.pop(job_id, None)
            outcome = self._outcome(job)
            cancelled = job_id in self._cancelled
            self._cancelled.discard(job_id)
            if outcome is not None:
                self._end(job, str(outcome["state"]), outcome.get("error"))
            elif cancelled:
                self._end(job, "cancelled")
            elif self._closing:
                self._note(job)
            elif job.deaths + 1 < MOST_DEATHS:
                _logger.warning("the process of job %s died (status %s); it is begun again", job_id, status)
                self._note(replace(job, state="queued", deaths=job.deaths + 1))
            else:
                why = f"its process died {MOST_DEATHS} times, perhaps of lack of memory"
                self._end(replace(job, deaths=job.deaths + 1), "failed", why)
            self._changed.notify_all()

    def _end(self, job: Job, state: str, error: Any = None) -> Job:
        job = replace(job, state=state, error=None if error is None else str(error), ended=time.time())
        self._note(job)
        self._changed.notify_all()
        return job

    def _outcome(self, job: Job) -> dict[str, Any] | None:
        found = _json_of(self._folder / job.id / "outcome.json")
        return found if found is not None and found.get("state") in ("done", "failed") else None

    def _with_progress(self, job: Job) -> Job:
        found = _json_of(self._folder / job.id / "progress.json")
        try:
            assert found is not None
            stage, done, total = str(found["stage"]), float(found["done"]), float(found["total"])
        except (AssertionError, KeyError, TypeError, ValueError):
            return job
        return replace(job, stage=stage, done=done, total=total)

    def _waiting(self) -> list[Job]:
        return sorted((j for j in self._jobs.values() if j.state == "queued"), key=lambda j: j.created)

    def _check_room(self) -> None:
        if self._closing:
            raise Conflict("the server is being closed")
        if len(self._waiting()) >= self._queued:
            raise Busy(f"{self._queued} jobs wait already; try again when some are done")

    def _new_id(self, kind: str) -> str:
        return f"{kind}-{''.join(secrets.choice(_ALPHABET) for _ in range(12))}"

    def _note(self, job: Job) -> None:
        """Keep a job as it stands; what cannot be written down is found out anew after a restart."""
        self._jobs[job.id] = job
        try:
            self._keep(job)
        except OutputError as error:
            _logger.error("%s", error)

    def _keep(self, job: Job) -> None:
        folder = self._folder / job.id
        with writing(folder):
            folder.mkdir(exist_ok=True)
            write_whole(folder / "job.json", json.dumps(job.to_dict(), ensure_ascii=False) + "\n")
        self._jobs[job.id] = job


def _json_of(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, OutputError):
        return None
    return found if isinstance(found, dict) else None
