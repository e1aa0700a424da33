"""All that the page and the API can do, as plain functions without HTTP.

They may take a while, never long: call them in a thread, ``await run.io_bound(service.help, order)``.
All raise ``serving.errors.Refused``, or another error of crystalsmith, with one line for the user.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crystalsmith.errors import CrystalsmithError
from crystalsmith.serving.desk import Desks
from crystalsmith.serving.errors import Conflict, NoAnswer, NotFound
from crystalsmith.serving.exports import FORMS
from crystalsmith.serving.jobs import STATE, Job, Jobs
from crystalsmith.serving.kinds import KINDS, Allowed, with_host
from crystalsmith.serving.opened import open_run
from crystalsmith.serving.process import Worker
from crystalsmith.serving.runs import Run, Runs, file_of, stamp_of, table_rows
from crystalsmith.serving.settings import ModelChoice, ServeSettings
from crystalsmith.serving.uploads import Uploads, about_upload, safe_name
from crystalsmith.serving.worker import start_worker

KEPT_ROWS = 16
"""Runs whose rows are kept at hand."""

RUN_KINDS = {
    "generate": "generation",
    "relax": "relaxation",
    "solve": "solution",
    "discover": "discovery",
    "hull": "hull",
}
"""Kinds of runs by kinds of jobs."""

_logger = logging.getLogger(__name__)


class Service:
    """Jobs, runs and answers of one folder of runs.

    Args:
        settings: of the server.
        model: which model jobs and answers use.

    Raises:
        OutputError: the folder cannot be written, or another server holds it.
    """

    def __init__(self, settings: ServeSettings, model: ModelChoice | None = None) -> None:
        self.settings, self.model = settings, model or ModelChoice()
        folder = settings.runs.absolute()
        self._log = folder / STATE / "server.log"
        self.jobs = Jobs(folder, self._worker, running=settings.running, queued=settings.queued)
        self._runs = Runs(folder)
        self._rows: dict[str, tuple[Any, list[dict[str, Any]]]] = {}
        self._desk = Desks(self.model, self._log)
        self.uploads = Uploads(folder / STATE / "uploads", settings.upload << 20)
        uploaded = self.uploads.get
        self._allowed = Allowed(settings.most, uploaded, self._crystals_of, self._energies_of)

    def warm(self) -> None:
        """Start the process that answers, before the first question."""
        self._desk.warm()

    def close(self) -> None:
        """End all processes; jobs go on when the folder is served again."""
        self.jobs.close()
        self._desk.close()

    def without_paths(self, text: str) -> str:
        """A message without the folder of the runs, which is no client's business."""
        return text.replace(f"{self.jobs.runs}/", "")

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of jobs."""
        return tuple(KINDS)

    def submit(self, kind: str, options: Mapping[str, Any]) -> Job:
        """Check what is asked for and put it into the queue.

        Args:
            kind: one of ``kinds``.
            options: of the kind; see ``kinds.py``.

        Raises:
            NotFound: there is no such kind.
            CrystalsmithError: what the command line would refuse too, in its words.
            TooLarge, Busy: more than the server takes.
        """
        if kind not in KINDS:
            raise NotFound(f"there is no job {kind[:40]!r}; there are {', '.join(KINDS)}")
        checked = KINDS[kind](options, self._allowed)
        self._check_beforehand(kind, checked.options)
        return self.jobs.submit(kind, checked.options, checked.name, checked.data)

    def help(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """What an order means, finished or not, as quickly as can be; see ``answers.about_order``."""
        try:
            plain = with_host(dict(order), self._allowed)
        except CrystalsmithError as error:
            return {"possible": False, "reason": str(error)}
        return dict(self._desk.ask("about_order", order=plain))

    def arrangements(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """How atoms can be placed for an order, which may take seconds; see ``answers.arrangements``.

        Raises:
            CrystalsmithError: the order is wrong or impossible.
        """
        return dict(self._desk.ask("arrangements", order=with_host(dict(order), self._allowed), seconds=40.0))

    def ask(self, question: str, **words: Any) -> Any:
        """What the other process answers to one of ``answers.ANSWERS``; words are never a client's."""
        return self._desk.ask(question, **words)

    def runs(self) -> list[Run]:
        """All run folders, the latest first."""
        return self._runs.all()

    def run(self, run_id: str) -> Run:
        """One of them; of a job that has not begun, what its run will be.

        Raises:
            NotFound: there is none of this id.
        """
        try:
            return self._runs.get(run_id)
        except NotFound:
            job = self.jobs.get(run_id)
            path = self.jobs.runs / job.id
            return Run(job.id, path, job.id, RUN_KINDS[job.kind], job.state, job.created, {})

    def crystals(self, run_id: str) -> list[dict[str, Any]]:
        """A row for each crystal of a run, best first, with ``n`` (by which it is asked for) and ``name``.

        Of one that is not finished, those that it has made so far.
        """
        run = self.run(run_id)
        stamp = stamp_of(run)
        kept = self._rows.get(run.id)
        if kept is None or kept[0] != stamp:
            rows = table_rows(run)
            if rows is None:
                rows = list(self._desk.ask("rows", folder=str(run.path))) if run.manifest else []
            kept = stamp, [{"n": n, "name": _name(row, n), **row} for n, row in enumerate(rows, 1)]
            self._rows[run.id] = kept
            for oldest in list(self._rows)[:-KEPT_ROWS]:
                self._rows.pop(oldest, None)
        return [dict(row) for row in kept[1]]

    def crystal(self, run_id: str, n: int) -> dict[str, Any]:
        """One crystal: its row, cell, sites, distances; see ``answers.described``.

        Raises:
            NotFound: there is no such crystal.
        """
        path, row = self._row(run_id, n)
        return {"row": row, **self._desk.ask("crystal", folder=path, n=n, row=row)}

    def scene(self, run_id: str, n: int) -> dict[str, Any]:
        """The conventional cell of a crystal for a viewer; see ``viewing.scene``.

        Raises:
            NotFound: there is no such crystal.
            TooLarge: it has too many atoms to draw.
        """
        path, row = self._row(run_id, n)
        return dict(self._desk.ask("scene", folder=path, n=n, row=row))

    def picture(self, run_id: str, n: int) -> str:
        """A small drawing of a crystal, SVG that stands by itself.

        Raises:
            NotFound: there is no such crystal.
        """
        path, row = self._row(run_id, n)
        return str(self._desk.ask("picture", folder=path, n=n, row=row))

    def film(self, run_id: str, n: int) -> dict[str, Any]:
        """How the network makes a crystal out of noise, which takes seconds; see ``shown.film``.

        Raises:
            NotFound: there is no such crystal.
            TooLarge: it has too many atoms for this.
        """
        path, row = self._row(run_id, n)
        return dict(self._desk.ask("film", folder=path, n=n, row=row, seconds=90.0))

    def pattern(self, run_id: str, n: int, radiation: str = "CuKa") -> dict[str, Any]:
        """The simulated powder pattern of a crystal; see ``shown.pattern``.

        Args:
            run_id: of the run.
            n: of the crystal.
            radiation: such as ``CuKa``, a wavelength in Angstrom, or an energy such as ``20keV``.

        Raises:
            NotFound: there is no such crystal.
            Refused: there is no such radiation.
        """
        path, row = self._row(run_id, n)
        words = {"folder": path, "n": n, "row": row, "radiation": radiation}
        # The first one waits until torch is imported.
        return dict(self._desk.ask("pattern", seconds=60.0, **words))

    def file(self, run_id: str, name: str) -> tuple[Path, str]:
        """A file of a run that is given out, and its type.

        Raises:
            NotFound: it is not among those, or not there.
        """
        return file_of(self.run(run_id), name)

    def _row(self, run_id: str, n: int) -> tuple[str, dict[str, Any]]:
        row = next((row for row in self.crystals(run_id) if row["n"] == n), None)
        if row is None:
            raise NotFound("there is no such crystal")
        return str(self.run(run_id).path), row

    def upload(self, name: str, data: bytes, what: str) -> dict[str, Any]:
        """Read a file that a user brings, and keep what it holds for a job.

        Args:
            name: as the user calls it.
            data: its content.
            what: ``pattern`` or ``structure``.

        Returns:
            ``id``, ``name``, ``words`` (what it is, in a sentence); of a pattern ``x``, ``y`` (thinned),
            ``axis``, ``radiation`` (each None where the file does not say) and ``points``; of structures
            ``crystals`` (name, formula, space_group, symbol, atoms) and ``failures`` by name.

        Raises:
            NotFound: there is no such kind of upload.
            DataError: it holds nothing of the kind.
            TooLarge, Busy: more than the server takes.
        """
        if what not in ("pattern", "structure"):
            raise NotFound("an upload is a pattern or a structure")
        return about_upload(self.uploads.take(name, data, what))

    def download(
        self, run_id: str, form: str, numbers: Sequence[int] | None = None
    ) -> tuple[str, str, bytes]:
        """Crystals of a run as one file.

        Args:
            run_id: of the run.
            form: cif, poscar, extxyz or zip.
            numbers: ``n`` of the crystals; all of them if not given.

        Returns:
            Name, type and content of the file.

        Raises:
            NotFound: there is no such form, run or crystal.
        """
        if form not in FORMS:
            raise NotFound(f"there is no form {form[:20]!r}; there are {', '.join(FORMS)}")
        run = self.run(run_id)
        rows = self.crystals(run_id)
        wanted = [row for row in rows if numbers is None or row["n"] in numbers]
        found = self._desk.ask("crystals", seconds=60.0, folder=str(run.path), rows=wanted)
        if not found or (numbers is not None and len(found) < len(set(numbers))):
            raise NotFound("there is no such crystal")
        answer = self._desk.ask("export", seconds=300.0, crystals=found, form=form)
        ending, kind = FORMS[answer["form"]]
        name = next(iter(found)) if len(found) == 1 else run.id
        return f"{safe_name(name)}.{ending}", kind, base64.b64decode(answer["content"])

    def _check_beforehand(self, kind: str, options: Mapping[str, Any]) -> None:
        """Refuse what no crystal or hull satisfies before it waits; the job itself checks again."""
        try:
            if kind == "generate":
                letters, new_only = options.get("letters"), bool(options.get("new_only", False))
                self._desk.ask("check", orders=options["orders"], letters=letters, new_only=new_only)
            elif kind in ("hull", "discover"):
                potential = options.get("potential", "chgnet")
                self._desk.ask("check_hull", system=options["system"], potential=potential)
        except NoAnswer as error:
            _logger.warning("a job was not checked beforehand: %s", error)

    def _crystals_of(self, run_id: str, names: Sequence[str] | None) -> dict[str, Any]:
        """Plain crystals of a run by name."""
        found = open_run(self.run(run_id).path).crystals
        if names is not None and (absent := [name for name in names if name not in found]):
            raise NotFound(f"the run holds no crystal {absent[0][:60]!r}")
        return {name: dict(found[name]) for name in (names if names is not None else found)}

    def _energies_of(self, run_id: str) -> tuple[str, list[dict[str, Any]]]:
        """Potential of a run's energies, and its crystals with theirs."""
        opened = open_run(self.run(run_id).path)
        if not opened.potential:
            raise Conflict("the run has no energies; relax its crystals first")
        rows = []
        for row in opened.rows:
            crystal, energy = opened.crystal(str(row["name"])), row.get("energy")
            if crystal is not None and isinstance(energy, float):
                name = f"{run_id}_{row['name']}"
                plain = crystal.to_dict()
                rows.append({"name": name, "counts": crystal.counts, "energy": energy, "crystal": plain})
        return opened.potential, rows

    def _worker(self) -> Worker:
        return start_worker(self.model, self._log)


def _name(row: Mapping[str, Any], n: int) -> str:
    file = row.get("cif") or row.get("file")
    return Path(str(file)).stem if file else str(row.get("name", n))
