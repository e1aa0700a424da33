"""A run of ``generate`` in a folder: begun, gone on with, and what came of it.

``crystals.jsonl`` is the journal and the truth; the other files are made of it when the run ends, also when
it is interrupted. So a run that was stopped anywhere goes on where it stopped and ends with the files of an
undisturbed one. Where drafts are judged, all of them stand in the journal and their scores in
``scores.jsonl``; the other files hold each crystal's best.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith import __version__
from crystalsmith.crystal.crystals import Crystals
from crystalsmith.crystal.io.parquet import FOLDER, need_parquet, write_shards
from crystalsmith.crystal.io.rows import Row
from crystalsmith.crystal.io.write import extxyz_frame
from crystalsmith.errors import ConfigError, OutputError
from crystalsmith.generation.generator import generate_batches
from crystalsmith.generation.journal import Entry
from crystalsmith.generation.known import KnownPhase, model_known
from crystalsmith.generation.library import NONE, library_of, strangers
from crystalsmith.generation.made import JOURNAL, SCORES, Made
from crystalsmith.generation.results import OWNED, Ranked, Results, rank_all, write_results
from crystalsmith.generation.settings import GenerateSettings
from crystalsmith.generation.tries import BatchStep
from crystalsmith.orders import Order, parse_orders, sort_out
from crystalsmith.orders.limits import Refusal, choose_sampler
from crystalsmith.runs.engines import Engine, check_engine, engine_of
from crystalsmith.runs.folder import RunFolder, RunKind
from crystalsmith.runs.manifest import read_manifest
from crystalsmith.runs.progress import Progress, silent
from crystalsmith.runs.stop import stop_signals

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel
    from crystalsmith.prototypes import Library
    from crystalsmith.ranking import Ladder

CRYSTALS, PICTURE, CIFS = "crystals.extxyz", "crystals.png", "cif"

_NAME = re.compile(r"(?:[0-9]{3,}_)?(.+)_[0-9]+")  # earlier versions wrote no rank


def _own_cifs(path: Path, manifest: dict[str, Any] | None) -> list[Path]:
    """CIFs of a run: those that bear the name of one of its orders."""
    ids = {order["id"] for order in manifest["run"].get("orders", ())} if manifest else set()
    names = ((file, _NAME.fullmatch(file.stem)) for file in (path / CIFS).glob("*.cif"))
    return [file for file, name in names if name and name[1] in ids]


GENERATION = RunKind(
    "generation",
    "generated crystals",
    owned=(JOURNAL, SCORES, CRYSTALS, PICTURE, f"{FOLDER}/", *OWNED),
    files=_own_cifs,
    another={
        "orders": "other orders",
        "judges": "other judges",
        "new_only": "another choice of --known-too or --new-only",
        "known": "other known crystals",
        "prototypes": "other prototypes or known crystals",
    },
    absent={
        "best_of": 1,
        "judges": [],
        "potential": None,
        "precision": "single",
        "new_only": False,
        "known": [],
        "prototypes": None,
    },
)


@dataclass(frozen=True)
class GenerationResult:
    """What a run has made.

    Attributes:
        folder: where it is.
        manifest: how it ended.
        orders: that were carried out.
        refused: that no crystal can satisfy.
        notes: what the user should know, one line each.
        made: its journals.
        ranked: sound crystals, best first within each order.
        results: what people see of them.
        made_now: crystals that this call finished.
        seconds: that it took.
    """

    folder: Path
    manifest: Mapping[str, Any]
    orders: tuple[Order, ...]
    refused: tuple[Refusal, ...]
    notes: tuple[str, ...]
    made: Made
    ranked: tuple[Ranked, ...]
    results: Results
    made_now: int
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether every order was carried out, and no crystal was given up."""
        return not self.manifest["failures"] and not self.refused

    @property
    def known_phases(self) -> tuple[KnownPhase, ...]:
        """Known phases of the formulas and systems asked for, the most stable first."""
        return self.results.known_phases

    @cached_property
    def crystals(self) -> Crystals:
        """Sound crystals by the names of their files, best first within each order."""
        return Crystals({r.stem: r.entry.crystal for r in self.ranked if r.entry.crystal is not None})

    def _repr_html_(self) -> str:
        """What a notebook shows: the crystals with pictures, best first."""
        from crystalsmith.reports.notebook import crystals_html

        rows = [row for row in self.results.to_dict() if row["cif"]]
        more = {
            "score": [row["score"] for row in rows],
            "eV/atom": [row["energy_ev_atom"] for row in rows],
            "known as": [row["known_as"] for row in rows],
        }
        crystals = self.crystals.to_dict()
        return crystals_html(crystals, more=more if len(rows) == len(crystals) else None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        shown = ("status", "crystals", "asked", "resampled", "failed_tries", "failures", "timings")
        return {
            "folder": str(self.folder),
            **{key: self.manifest[key] for key in shown},
            "refused": [{"order": r.order.id, "reason": r.reason} for r in self.refused],
            "notes": list(self.notes),
            "results": self.results.to_dict(),
            "known_phases": [phase.to_dict() for phase in self.known_phases],
        }

    def to_dataframe(self) -> Any:
        """A row for each crystal, as a ``pandas.DataFrame``."""
        import pandas as pd

        return pd.DataFrame(self.results.to_dict())


def generate_into(
    orders: Iterable[Order | Mapping[str, Any]],
    output: str | Path,
    settings: GenerateSettings | None = None,
    *,
    model: AnyModel | None = None,
    arguments: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> GenerationResult:
    """Make crystals to order in a folder, or what is left of them.

    The same call goes on where an earlier one stopped. With more than one worker the calling script needs the
    usual ``if __name__ == "__main__"`` guard.

    Args:
        orders: ``Order`` objects or mappings; those that no crystal can satisfy are left out.
        output: the folder.
        settings: how.
        model: of any method; the one that ships if None.
        arguments: how the run was started, for the manifest only.
        overwrite: replace another run in the folder.
        progress: told how it goes.

    Raises:
        OrderError: orders that are wrong, or none that can be carried out.
        ConfigError: settings that do not suit the model, or an engine that there is not.
        EngineError: its workers give no results.
        OutputError: the folder cannot be written, holds other files or another run, or is in use.
        RelaxationError: a potential that cannot be loaded.
    """
    from crystalsmith.ranking import Ladder

    settings = settings or GenerateSettings()
    check_engine(settings.engine)
    if settings.format == "parquet":
        need_parquet()
    if model is None:
        from crystalsmith.diffusion import load_model

        model = load_model()
    if settings.precision == "double":
        model = in_double(model)
    parsed = parse_orders(orders)
    checked = sort_out(parsed, model, settings.letters, settings.new_only)
    several = any(order.count > 1 for order in checked.orders)
    ladder = Ladder.of(model, settings.judges, settings.potential, settings.best_of, sorts=several)
    if settings.sort == "energy" and (ladder is None or not {"energy", "relaxation"} & set(ladder.judges)):
        raise ConfigError("--sort energy needs energies; name a potential, such as --potential chgnet")
    library = library_of(model, settings.prototypes, settings.known)
    identity = run_identity(checked.orders, settings, model, ladder, library)
    checked.notes.extend(strangers(library, checked.orders))
    with (
        stop_signals(),
        RunFolder.open(output, GENERATION, identity, arguments=arguments, overwrite=overwrite) as folder,
    ):
        for note in checked.notes:
            folder.log.warning("%s", note)
        for refusal in checked.refused:
            folder.log.warning("left out: %s", refusal)
        made = Made(
            folder.path, [(o.id, o.count) for o in checked.orders], settings.best_of, ladder is not None
        )
        before, began = made.settled, folder.seconds
        if folder.finished and before < made.asked:
            folder.finished = None
            folder.write_manifest("running", **made.facts())
        try:
            with engine_of(settings.engine, settings.workers, folder.path, unset=1) as engine:
                _work(made, checked.orders, settings, model, ladder, library, engine, progress)
        except KeyboardInterrupt:
            _write(folder, made, checked.orders, settings, model, ladder)
            raise
        ranked, results = _write(folder, made, checked.orders, settings, model, ladder)
        if settings.picture:
            _draw(folder, ranked)
        manifest = folder.finished or read_manifest(folder.path)
        assert manifest is not None
        return GenerationResult(
            folder.path,
            manifest,
            tuple(checked.orders),
            tuple(checked.refused),
            tuple(checked.notes),
            made,
            tuple(ranked),
            results,
            made.settled - before,
            folder.seconds - began,
        )


def in_double(model: AnyModel) -> AnyModel:
    """The same model in double precision.

    Sums in single precision depend on the shape of the batch in the last digit, and now and then a crystal on
    its way through the noise levels is so sensitive that a hundredth of an Angstrom comes of it.
    """
    network: Any = copy.deepcopy(model.network)
    return replace(model, network=network.double())


def run_identity(
    orders: Sequence[Order],
    settings: GenerateSettings,
    model: AnyModel,
    ladder: Ladder | None,
    library: Library | None = None,
) -> dict[str, Any]:
    """What makes two runs the same: everything that a crystal depends on, in plain JSON types.

    The method is not told apart from the checkpoint, which is of one method. Drafts, judges and potential
    stand in it only where there are judges, known arrangements only where crystals are made from them.
    """
    sampler, steps = choose_sampler(model.method, settings.sampler, settings.steps)
    identity = {
        "version": __version__,
        "checkpoint": model.hash,
        "seed": settings.seed,
        "sampler": sampler,
        "steps": steps,
        "max_tries": settings.max_tries,
        "letters": settings.letters,
        "orders": [order.to_mapping() for order in orders],
    }
    if settings.precision != "single":
        identity["precision"] = settings.precision
    if settings.new_only:
        # Which crystals are made depends on the files whose crystals are not to be among them.
        identity |= {"new_only": True, "known": [_file_hash(path) for path in settings.known]}
    if library is not None:
        identity["prototypes"] = library.hash
    if ladder is not None:
        identity |= {
            "best_of": settings.best_of,
            "judges": list(ladder.judges),
            "potential": ladder.potential,
        }
    return identity


def _file_hash(path: str) -> str:
    """Of a file of known crystals, or of those in a folder; empty where it cannot be read, which is told
    when its crystals are."""
    files = sorted(p for p in Path(path).rglob("*") if p.is_file()) if Path(path).is_dir() else [Path(path)]
    digest = hashlib.sha256()
    try:
        for file in files:
            digest.update(file.read_bytes())
    except OSError:
        return ""
    return digest.hexdigest()[:16]


def _work(
    made: Made,
    orders: Sequence[Order],
    settings: GenerateSettings,
    model: AnyModel,
    ladder: Ladder | None,
    library: Library | None,
    engine: Engine,
    progress: Progress,
) -> None:
    """Make what is missing."""

    def judge() -> None:
        for settled in made.judge(ladder):
            progress("judging", settled, made.asked)

    def tell(event: BatchStep) -> None:
        # Never all of them: what comes out may be no crystal, and is then tried again.
        part = event.crystals * event.step / (event.steps + 1) / made.best_of
        progress("crystals", min(made.parts_done + part, made.asked), made.asked)

    judge()  # drafts that an earlier process left unjudged
    if made.settled == made.asked:
        return
    progress("crystals", made.parts_done, made.asked)
    batches = generate_batches(
        model,
        orders,
        seed=settings.seed,
        batch_atoms=settings.batch_atoms,
        steps=settings.steps,
        sampler=settings.sampler,
        max_tries=settings.max_tries,
        letters=settings.letters,
        best_of=settings.best_of,
        engine=engine,
        prototypes=NONE if library is None else library,
        on_event=tell,
        done=made.done,
        new_only=settings.new_only,
        known=settings.known,
    )
    with closing(batches):
        for batch in batches:
            made.record(batch)
            judge()
            progress("crystals", made.parts_done, made.asked)


def _write(
    folder: RunFolder,
    made: Made,
    orders: Sequence[Order],
    settings: GenerateSettings,
    model: AnyModel,
    ladder: Ladder | None,
) -> tuple[list[Ranked], Results]:
    """All files but the journals."""
    found = [(order, made.sound(order.id)) for order in orders]
    ranked = rank_all(found, settings.sort, model_known(model))
    results = write_results(folder, ranked, orders=orders, model=model, settings=settings)
    names = {f"{r.stem}.cif" for r in results if results.has_cif(r)}
    for file in _own_cifs(folder.path, {"run": folder.identity}):
        if file.name not in names:
            file.unlink()
    for r in results:
        cif = folder.path / CIFS / f"{r.stem}.cif"
        if cif.name in names and (not cif.exists() or not cif.stat().st_size):
            # Not durable: the journal is, and a CIF that a power cut left empty is written anew.
            folder.write(f"{CIFS}/{cif.name}", r.crystal.to_cif(), durable=False)
    if settings.format == "cif":
        folder.remove(f"{FOLDER}/")
        folder.write(CRYSTALS, _extxyz(ranked))
    else:
        folder.remove(CRYSTALS)
        write_shards(folder.path, _shard_rows(results, made), _SHARD_COLUMNS)
    if not folder.finished:
        timings = {} if ladder is None else {"judges": _judge_timings(folder, ladder)}
        status = "finished" if made.settled == made.asked else "interrupted"
        folder.write_manifest(status, **made.facts(), timings=timings)
    return ranked, results


def _judge_timings(folder: RunFolder, ladder: Ladder) -> dict[str, dict[str, float]]:
    """Seconds and crystals of each judge, earlier processes included as far as they could tell."""
    earlier = (folder.earlier or {}).get("timings", {}).get("judges", {})
    result = {name: dict(values) for name, values in earlier.items()}
    for name, seconds in ladder.seconds.items():
        known = result.setdefault(name, {"seconds": 0.0, "crystals": 0})
        known["seconds"] = round(known["seconds"] + seconds, 3)
        known["crystals"] += ladder.judged[name]
    return result


def _extxyz(ranked: Iterable[Ranked]) -> Iterator[str]:
    """The extxyz file crystal by crystal, with names, figures and the parts of their scores."""
    for r in ranked:
        entry, score = r.entry, r.entry.score
        assert entry.crystal is not None
        info = {"order": entry.order_id, "index": entry.index, "seed": entry.seed}
        info["origin"] = entry.origin.words
        if score is None:
            yield extxyz_frame(entry.crystal, info)
            continue
        parts = {
            "score": r.figure,
            "p_right": entry.p_right,
            "p_given_letters": score.p_given_letters,
            "score_denoising": score.denoising,
            "score_agreement": score.agreement,
            "log_prior": score.log_prior,
            "energy_per_atom": score.energy,
            "relaxed_energy_per_atom": score.relaxed_energy,
        }
        yield extxyz_frame(entry.crystal, info | parts, score.energy)


_SHARD_COLUMNS = {
    **{name: "string" for name in ("origin", "novelty", "known_as")},
    **{name: "double" for name in ("score", "p_right", "log_prior")},
    **{name: "int64" for name in ("rank", "duplicate_of", "seed")},
}


def _shard_rows(results: Results, made: Made) -> Iterator[Row]:
    """The crystals by rank, then those that were given up."""
    for r in results:
        more = {
            "rank": r.rank,
            "origin": r.entry.origin.words,
            "novelty": r.novelty.verdict if r.novelty else None,
            "known_as": r.known_as or None,
            "score": r.figure,
            "p_right": r.entry.p_right,
            "log_prior": r.entry.log_prior,
            "duplicate_of": r.duplicate_of,
            "seed": r.entry.seed,
        }
        yield Row(r.order.id, r.crystal, energy=r.energy, index=r.entry.index, more=more)
    for entry in made.entries():
        if entry.crystal is None:
            yield Row(entry.order_id, None, f"not made: {entry.failure}", index=entry.index)


def _draw(folder: RunFolder, ranked: Sequence[Ranked]) -> None:
    from crystalsmith.pictures.sheet import MOST, Panel, draw_sheet

    # One more than fits, so that the sheet can say that there are more.
    shown = [(r.entry.crystal, r.entry) for r in ranked[: MOST + 1]]
    panels = [Panel.of_crystal(c, f"{e.order_id} {e.index}") for c, e in shown if c is not None]
    if panels:
        draw_sheet(panels, folder.path / PICTURE)
    else:
        folder.log.warning("no crystals to draw")


def read_entries(path: Path) -> list[Entry]:
    """Crystals of a finished or interrupted run's folder, failures included, by order and index.

    Raises:
        OutputError: the folder holds no run, or a damaged one.
    """
    manifest = read_manifest(path)
    if manifest is None or manifest["kind"] != GENERATION.name:
        raise OutputError(f"{path} holds no run; give the folder that crystalsmith generate wrote")
    run = manifest["run"]
    orders = [(str(o["id"]), int(o["count"])) for o in run["orders"]]
    made = Made(Path(path), orders, int(run.get("best_of", 1)), bool(run.get("judges")), mend=False)
    return list(made.entries())
