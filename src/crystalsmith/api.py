"""What a script calls: the commands as functions, with paths, ase.Atoms, pymatgen Structures or Crystals.

Without ``out`` a run writes into a folder of its own that is removed with the result.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

from crystalsmith.crystal import Crystal
from crystalsmith.crystal.crystals import Crystals
from crystalsmith.errors import DataError
from crystalsmith.runs.addresses import is_server
from crystalsmith.runs.pool import Failed
from crystalsmith.runs.progress import Progress, silent
from crystalsmith.runs.settings import settings_of

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure

    from crystalsmith.diffraction import Pattern, PeakList
    from crystalsmith.diffusion import AnyModel, Model
    from crystalsmith.discovery.many import Campaign
    from crystalsmith.discovery.run import Outcome
    from crystalsmith.evaluation.figures import Evaluation
    from crystalsmith.evaluation.settings import Settings as EvaluationSettings
    from crystalsmith.generation.run import GenerationResult
    from crystalsmith.generation.settings import GenerateSettings
    from crystalsmith.generation.trajectory import Trajectory
    from crystalsmith.hull import Hull
    from crystalsmith.hull.system import PhaseTable
    from crystalsmith.phonons.run import PhononRun
    from crystalsmith.phonons.settings import PhononSettings
    from crystalsmith.potentials.run import Relaxed
    from crystalsmith.potentials.settings import RelaxSettings
    from crystalsmith.runs.engines import Engine
    from crystalsmith.solving import Solution, SolveSettings

Place: TypeAlias = "str | os.PathLike[str]"
Source: TypeAlias = "Place | Atoms | Structure | Crystal"
Sources: TypeAlias = "Source | Iterable[Source] | Mapping[str, Crystal | Failed] | Crystals"
R = TypeVar("R")


def read(*sources: Source | Iterable[Source]) -> Crystals:
    """Crystals of files and objects of every kind, with their symmetry.

    Args:
        sources: CIF, POSCAR, extxyz, JSON, CSV, zip, folders, the folder of any run, ase.Atoms, pymatgen
            Structures, or sequences of these.

    Returns:
        The crystals; what could not be read is in ``failures``.

    Raises:
        DataError: a source is missing, of no known kind, or nothing in it can be read.

    Example:
        >>> import ase.build, crystalsmith
        >>> crystals = crystalsmith.read(ase.build.bulk("NaCl", "rocksalt", a=5.64))
        >>> crystals[0].formula, crystals[0].space_group
        ('NaCl', 225)
        >>> crystals.to_dataframe().symbol.tolist()
        ['Fm-3m']
    """
    from crystalsmith.crystal.io import named_crystals

    return Crystals(named_crystals(sources[0] if len(sources) == 1 else list(sources)))


def generate(
    orders: str | os.PathLike[str] | Mapping[str, Any] | Iterable[Any],
    out: Place | None = None,
    *,
    n: int | None = None,
    model: AnyModel | None = None,
    settings: GenerateSettings | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
    **changes: Any,
) -> GenerationResult:
    """Make crystals to order.

    Args:
        orders: a formula ("TiO2"), a chemical system ("Cu-K-Si"), a file of orders, a mapping such as
            ``{"space_group": 225, "sites": {"Na": 1, "Cl": 1}, "count": 10}``, or several mappings.
        out: folder of the run; the same call goes on where it stopped.
        n: crystals, of an order that does not say.
        model: from ``load_model``; the one that ships if not given.
        settings: how; the usual ones if not given.
        overwrite: replace another run in the folder.
        progress: told how far it is.
        changes: fields of ``GenerateSettings``, such as ``seed=3`` or ``best_of=8``.

    Returns:
        The crystals, best first within each order, with scores.

    Raises:
        OrderError: orders that are wrong or that no crystal can satisfy.
        ConfigError: a setting or an engine that there is not.
        EngineError: an engine whose workers give no results.
        OutputError: the folder cannot be used.

    Example:
        >>> import crystalsmith
        >>> made = crystalsmith.generate("NaCl", n=2, seed=1)
        >>> {crystal.formula for crystal in made.crystals}
        {'NaCl'}
    """
    from crystalsmith.generation.run import generate_into
    from crystalsmith.generation.settings import GenerateSettings

    chosen = settings_of(GenerateSettings, settings, changes)
    folder, temporary = _folder(out)
    made = generate_into(
        _orders(orders, n), folder, chosen, model=model, overwrite=overwrite, progress=progress
    )
    return _keep(made, temporary)


def trajectory(
    crystal: Source | Mapping[str, Any],
    *,
    seed: int = 0,
    steps: int = 60,
    model: AnyModel | None = None,
) -> Trajectory:
    """Watch how a crystal comes out of noise.

    Args:
        crystal: a crystal or its file, whose space group and Wyckoff letters are kept, or what ``generate``
            takes: then the best of 4 crystals is made first.
        seed: of the noise; a few further ones are tried until the film ends in this crystal.
        steps: of the denoising, each a frame.
        model: from ``load_model``; the one that ships if not given.

    Returns:
        The frames: ``.view()`` plays them in a notebook, ``.plot("film.gif")`` draws them, ``.write`` keeps
        them.

    Raises:
        ConfigError: a model of the paper's method.
        OrderError: an order that no crystal can satisfy.
        DataError: a file that cannot be read.
    """
    from crystalsmith.diffusion import load_model
    from crystalsmith.generation.trajectory import record_like

    model = model or load_model()
    file = is_server(crystal) or (isinstance(crystal, str) and Path(crystal).exists())
    if isinstance(crystal, Mapping) or (isinstance(crystal, str) and not file):
        found = generate(crystal, n=4, model=model, seed=seed).crystals
    else:
        found = read(crystal)
    if not len(found):
        raise DataError("there is no crystal to show: none of the tries made one")
    return record_like(model, found[0], seed=seed, steps=steps)


def _orders(orders: Any, n: int | None) -> Any:
    from crystalsmith.orders import parse_orders, read_orders

    if isinstance(orders, os.PathLike) or (isinstance(orders, str) and Path(orders).is_file()):
        return read_orders(Path(orders))
    if isinstance(orders, str):
        orders = {"system" if "-" in orders else "formula": orders}
    if isinstance(orders, Mapping):
        orders = [orders]
    extra = {} if n is None else {"count": n}
    return parse_orders([extra | dict(one) if isinstance(one, Mapping) else one for one in orders])


def solve(
    pattern: Place | Pattern | PeakList,
    out: Place | None = None,
    *,
    model: Model | None = None,
    settings: SolveSettings | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
    **changes: Any,
) -> Solution:
    """The structure behind a powder pattern, from what is known of the sample.

    Args:
        pattern: a file, or a pattern or list of peaks of ``crystalsmith.diffraction``.
        out: folder of the run; the same call goes on where it stopped.
        model: from ``load_model``; the one that ships if not given.
        settings: what is known, and how to solve; from ``changes`` alone if not given.
        overwrite: replace another run in the folder.
        progress: told how far it is.
        changes: fields of ``solving.SolveSettings``: ``formula="CaCO3"`` or ``elements="Ca,C,O"``, and where
            they are known ``space_group=167``, ``cell=(a, b, c, alpha, beta, gamma)``, ``z=6``, ``atoms``,
            ``radiation="CuKa"``; ``candidates=200`` and others say how.

    Returns:
        Distinct structures, the likeliest first, with their fits and refinements, and the verdict: "one
        answer", "several fit equally" or "none fits".

    Raises:
        PatternError: no pattern, or one of unknown radiation.
        OrderError: no crystal can be made of what is known.
        ConfigError: a setting or an engine that there is not, or nothing known of the composition.
        EngineError: an engine whose workers give no results.
        OutputError: the folder cannot be used.
    """
    from crystalsmith.solving import SolveSettings
    from crystalsmith.solving.run import solve_into

    chosen = settings_of(SolveSettings, settings, changes)
    folder, temporary = _folder(out)
    found = solve_into(pattern, folder, chosen, model=model, overwrite=overwrite, progress=progress)
    return _keep(found, temporary)


def relax(
    crystals: Sources,
    out: Place | None = None,
    *,
    potential: str = "chgnet",
    workers: int | None = None,
    engine: str | Engine | None = None,
    settings: RelaxSettings | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
    **changes: Any,
) -> Relaxed:
    """Relax crystals with a potential: under their symmetry first, then free of it.

    Args:
        crystals: whatever ``read`` takes, or the result of another function.
        out: folder of the run; the same call goes on where it stopped.
        potential: ``chgnet``, ``7net-0``, ``7net-l3i5``, ``mace:PATH``, or ``module:factory``.
        workers: processes; one for each core if None.
        engine: where the work is done: local, parsl:SITE.py, slurm, pbs, kubernetes, htex-local or
            module:factory; local if None.
        settings: when a relaxation ends; as usual if not given.
        overwrite: replace other relaxations in the folder.
        progress: told how far it is.
        changes: fields of ``RelaxSettings``, such as ``fmax=0.01`` or ``only="symmetric"``.

    Returns:
        The relaxed crystals, energies and reasons.

    Raises:
        DataError: nothing can be read.
        RelaxationError: the potential is unknown, not installed, or cannot be loaded.
        ConfigError: a setting or an engine that there is not.
        EngineError: an engine whose workers give no results.
        OutputError: the folder cannot be used.

    Example:
        >>> import ase.build, crystalsmith
        >>> copper = ase.build.bulk("Cu", a=3.7)
        >>> relaxed = crystalsmith.relax(copper, potential="ase.calculators.emt:EMT", workers=1)
        >>> relaxed.to_dataframe()[["name", "formula"]].values.tolist()
        [['Cu', 'Cu']]
    """
    from crystalsmith.potentials.run import relax_into
    from crystalsmith.potentials.settings import RelaxSettings, Resources

    chosen = settings_of(RelaxSettings, settings, changes)
    folder, temporary = _folder(out)
    resources = Resources(potential, workers, engine or "local")
    relaxed = relax_into(
        _sources(crystals),
        folder,
        chosen,
        resources,
        overwrite=overwrite,
        progress=progress,
    )
    return _keep(relaxed, temporary)


def phonons(
    crystals: Sources,
    out: Place | None = None,
    *,
    potential: str = "chgnet",
    workers: int | None = None,
    engine: str | Engine | None = None,
    settings: PhononSettings | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
    **changes: Any,
) -> PhononRun:
    """Phonons, imaginary modes and elastic constants of crystals.

    Args:
        crystals: whatever ``read`` takes, or the result of another function.
        out: folder of the run; the same call goes on where it stopped.
        potential, workers, engine: as for ``relax``.
        settings: how; as usual if not given.
        overwrite: replace other phonons in the folder.
        progress: told how far it is.
        changes: fields of ``PhononSettings``, such as ``length=12`` or ``elastic=False``.

    Returns:
        Studies by name, and why a crystal has none.

    Raises:
        DataError: nothing can be read.
        PhononError: phonopy or seekpath is not installed.
        RelaxationError: the potential is unknown, not installed, or cannot be loaded.
        ConfigError: a setting or an engine that there is not.
        EngineError: an engine whose workers give no results.
        OutputError: the folder cannot be used.
    """
    from crystalsmith.phonons.run import phonons_into
    from crystalsmith.phonons.settings import PhononSettings
    from crystalsmith.potentials.settings import Resources

    chosen = settings_of(PhononSettings, settings, changes)
    folder, temporary = _folder(out)
    resources = Resources(potential, workers, engine or "local")
    found = phonons_into(
        _sources(crystals),
        folder,
        chosen,
        resources,
        overwrite=overwrite,
        progress=progress,
    )
    return _keep(found, temporary)


def hull(
    system: str | Sequence[str],
    *,
    potential: str = "chgnet",
    references: Place | None = None,
    entries: Sequence[Place] = (),
) -> PhaseTable:
    """The phases of a chemical system and their distances from the convex hull.

    Args:
        system: "Li-P-O", or elements.
        potential: whose energies; those of two potentials never meet.
        references: file of ``hull build``; the references that ship if not given.
        entries: files of more phases.

    Returns:
        The phases; its ``hull.place(counts, energy)`` says where a crystal of yours lies.

    Raises:
        HullError: no such system, or no references.

    Example:
        >>> import crystalsmith
        >>> phases = crystalsmith.hull("Li-O").to_dataframe()
        >>> "Li2O" in set(phases.formula[phases.above_hull == 0])
        True
    """
    from crystalsmith.hull.system import PhaseTable, load_hull, parse_system

    elements = parse_system(system if isinstance(system, str) else "-".join(system), fewest=2)
    return PhaseTable.of(elements, load_hull(potential, references, entries))


@overload
def discover(
    system: str,
    out: Place | None = ...,
    *,
    model: Model | None = ...,
    phases: Hull | None = ...,
    workers: int | None = ...,
    engine: str | Engine | None = ...,
    overwrite: bool = ...,
    progress: Progress = ...,
    **settings: Any,
) -> Outcome: ...
@overload
def discover(
    system: Sequence[str],
    out: Place | None = ...,
    *,
    model: Model | None = ...,
    phases: Hull | None = ...,
    workers: int | None = ...,
    engine: str | Engine | None = ...,
    overwrite: bool = ...,
    progress: Progress = ...,
    **settings: Any,
) -> Outcome | Campaign: ...
@overload
def discover(
    system: Sequence[list[str] | tuple[str, ...]],
    out: Place | None = ...,
    *,
    model: Model | None = ...,
    phases: Hull | None = ...,
    workers: int | None = ...,
    engine: str | Engine | None = ...,
    overwrite: bool = ...,
    progress: Progress = ...,
    **settings: Any,
) -> Campaign: ...
def discover(
    system: str | Sequence[str] | Sequence[Sequence[str]],
    out: Place | None = None,
    *,
    model: Model | None = None,
    phases: Hull | None = None,
    workers: int | None = None,
    engine: str | Engine | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
    **settings: Any,
) -> Outcome | Campaign:
    """Search a chemical system, or many, for new crystals near the convex hull.

    Args:
        system: "Cu-K-Si", or elements; or a list of systems such as ["Cu-Au", "Cu-K-Si"].
        out: folder of the run; the same call goes on where it stopped.
        model: from ``load_model``; the one that ships if not given.
        phases: what competes, the ``hull`` of the function of that name; those that ship if not given.
        workers, engine: as for ``relax``.
        overwrite: replace another run in the folder.
        progress: told how far it is.
        settings: fields of ``DiscoverySettings``, such as ``crystals=200`` or ``potential="7net-0"``.

    Returns:
        An ``Outcome``: the short list, every candidate, and what became of it. Of a list of systems a
        ``Campaign``: a row for each; their short lists stay in the folder.

    Raises:
        DiscoveryError: packages are missing, or no run can be made of this.
        HullError: no such system, or elements without a reference phase.
        ConfigError: a setting or an engine that there is not.
        EngineError: an engine whose workers give no results.
        OutputError: the folder cannot be used.
    """
    from crystalsmith.discovery.many import discover_systems_into
    from crystalsmith.discovery.run import discover_into
    from crystalsmith.discovery.settings import DiscoverySettings
    from crystalsmith.discovery.systems import named_systems
    from crystalsmith.hull.system import parse_system

    many = not isinstance(system, str) and any(not isinstance(s, str) or "-" in s for s in system)
    listed = named_systems(system) if many else []
    one = system if isinstance(system, str) else "-".join(map(str, system))
    elements = listed[0][1] if many else parse_system(one, fewest=2)
    chosen = settings_of(DiscoverySettings, None, {**settings, "system": elements})
    folder, temporary = _folder(out)
    options: dict[str, Any] = {"model": model, "hull": phases, "workers": workers, "engine": engine}
    options |= {"overwrite": overwrite, "progress": progress}
    if many:
        return _keep(discover_systems_into(listed, chosen, folder, **options), temporary)
    return _keep(discover_into(chosen, folder, **options), temporary)


def evaluate(
    generated: Sources | Mapping[str, Sources],
    reference: Sources,
    train: Sources | None = None,
    *,
    workers: int | None = None,
    engine: str | Engine | None = None,
    cache: Place | None = None,
    settings: EvaluationSettings | None = None,
    **changes: Any,
) -> Evaluation:
    """Measure sets of crystals against real ones.

    Args:
        generated: one set, or sets by name; each whatever ``read`` takes.
        reference: real crystals; where ids agree, also the targets of match rates.
        train: what the generator was trained on, for novelty.
        workers, engine: as for ``relax``.
        cache: file in which costly vectors are kept; that of the command if not given.
        settings: which figures; all that apply if not given.
        changes: fields of ``evaluation.Settings``, such as ``metrics=["validity"]``.

    Returns:
        The table of figures with their intervals.

    Raises:
        DataError: a set that cannot be read.
        EvaluationError: sets that cannot be compared, or a figure that lacks what it needs.
        ConfigError: a setting or an engine that there is not.
        EngineError: an engine whose workers give no results.
    """
    from crystalsmith.evaluation.cache import default_cache
    from crystalsmith.evaluation.run import evaluate_sets
    from crystalsmith.evaluation.settings import Settings

    named = generated if isinstance(generated, Mapping) else {None: generated}
    return evaluate_sets(
        [(name, _sources(one)) for name, one in named.items()],
        _sources(reference),
        None if train is None else _sources(train),
        settings_of(Settings, settings, changes),
        workers=workers,
        engine=engine,
        cache=cache or default_cache(),
    )


def train(
    train: Place,
    validation: Place,
    out: Place,
    *,
    config: Place | Mapping[str, Any] | None = None,
    progress: bool = False,
    **changes: Any,
) -> Path:
    """Train a model on files of ``data build``; the same call goes on where it stopped.

    Args:
        train: the training file.
        validation: the validation file.
        out: folder of the run.
        config: YAML file or mapping of settings, or "default" or "paper".
        progress: show a progress line.
        changes: settings by name, such as ``crystals=100_000``.

    Returns:
        The checkpoint; ``load_model`` loads it.

    Raises:
        ConfigError, DataError, CheckpointError, OutputError: what was given cannot be used.
    """
    from crystalsmith.training import train as run

    files = {"train": os.fspath(train), "validation": os.fspath(validation), "out": os.fspath(out)}
    settings = Path(config) if isinstance(config, os.PathLike) else config
    return run({} if settings is None else settings, {**changes, **files}, quiet=not progress)


def _sources(sources: Any) -> Any:
    """Crystals, or the result of another function, as a mapping; other sources as they are."""
    crystals = getattr(sources, "crystals", sources)
    return crystals.to_dict() if isinstance(crystals, Crystals) else crystals


def _folder(out: Place | None) -> tuple[Path, tempfile.TemporaryDirectory[str] | None]:
    if out is not None:
        return Path(out), None
    temporary = tempfile.TemporaryDirectory(prefix="crystalsmith-")
    return Path(temporary.name) / "run", temporary


def _keep(result: R, temporary: tempfile.TemporaryDirectory[str] | None) -> R:
    """Remove the folder when the result goes."""
    if temporary is not None:
        weakref.finalize(result, temporary.cleanup)
    return result
