"""What runs of the funnel need before they begin: packages, reference phases, the model, what is known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith import __version__
from crystalsmith.crystal import Crystal
from crystalsmith.dft.competing import from_materials_project, missing_references
from crystalsmith.discovery.calculations import stable_phases
from crystalsmith.discovery.clock import CLOCK, Clock
from crystalsmith.discovery.database import BACKENDS, DATABASE, CrystalDatabase
from crystalsmith.discovery.settings import DiscoverySettings
from crystalsmith.discovery.stages.work import Work
from crystalsmith.errors import DiscoveryError, HullError
from crystalsmith.generation.known import KnownPhases
from crystalsmith.hull import Hull, shipped
from crystalsmith.hull.elements import element_crystals
from crystalsmith.orders.sources import learned_source
from crystalsmith.potentials import check_potential
from crystalsmith.potentials.calculators import module_of
from crystalsmith.runs.addresses import is_server, shown
from crystalsmith.runs.extras import EXTRAS, need
from crystalsmith.runs.progress import Progress, silent

if TYPE_CHECKING:
    from crystalsmith.diffusion import Model
    from crystalsmith.orders import Order


@dataclass(frozen=True)
class Means:
    """What is loaded once, for one system or for thousands.

    Attributes:
        model: the network, with its prior.
        hull: reference phases of the potential.
        known: what is known in the elements of all systems.
    """

    model: Model
    hull: Hull
    known: KnownPhases


def check_needs(
    settings: DiscoverySettings, *, database: str | None = None, materials_project: bool = False
) -> None:
    """Refuse to begin without the packages that a run will need, all of them at once.

    Raises:
        DiscoveryError: names what is missing and how to install it.
        RelaxationError: the potential is unknown.
    """
    modules = [module_of(settings.potential)]
    modules += EXTRAS["parquet"] if settings.format == "parquet" else ()
    modules += EXTRAS["phonons"] if settings.phonons else ()
    modules += ["mp_api"] if materials_project else []
    modules += BACKENDS if is_server(database) else ()
    need("discover", *filter(None, modules), error=DiscoveryError)
    check_potential(settings.potential)


def reference_hull(settings: DiscoverySettings, hull: Hull | None, elements: Collection[str]) -> Hull:
    """The hull that is given, or the one that ships.

    Raises:
        HullError: elements without a reference phase.
    """
    hull = Hull(shipped(settings.potential)) if hull is None else hull
    if missing := hull.missing(elements):
        raise HullError(
            f"no reference phase of {', '.join(missing)} alone by {settings.potential}; add some with"
            " --entries"
        )
    return hull


def known_to(model: Model, settings: DiscoverySettings, hull: Hull, elements: Collection[str]) -> KnownPhases:
    """What is known in these elements."""
    from crystalsmith.prior import KnownCrystals, Prototypes

    prototypes = None
    if learned_source(model) is not None:
        prototypes = Prototypes(KnownCrystals.read(model.occupations))
    return KnownPhases(prototypes, hull.phases(elements), settings.known, set(elements))


def fetch_structures(settings: DiscoverySettings, hull: Hull) -> list[tuple[str, Crystal]]:
    """Structures of the hull's phases, before anything is done, for the network may fail."""
    stable = stable_phases(hull.diagram(settings.system))
    wanted = missing_references([], known_elements(settings), stable)
    return from_materials_project(wanted, settings.system)


def known_elements(settings: DiscoverySettings) -> list[tuple[str, Crystal]]:
    """Structures of the elements of a system."""
    own = set(settings.system)
    return [(name, c) for name, c in element_crystals() if set(c.counts) <= own]


def identity_of(
    model: Model, settings: DiscoverySettings, hull: Hull, database: str | None, elements: Collection[str]
) -> dict[str, Any]:
    """What makes two runs the same, in plain JSON types."""
    digest = hashlib.sha256()
    for phase in hull.phases(elements):
        digest.update(f"{phase.id} {phase.formula} {phase.energy:.6f}\n".encode())
    return {
        "version": __version__,
        "checkpoint": model.hash,
        "references": digest.hexdigest()[:16],
        "database": shown(database or DATABASE),
        **json.loads(json.dumps(settings.identity())),
    }


def begin(
    means: Means,
    settings: DiscoverySettings,
    asked: tuple[Sequence[Order], Sequence[str]],
    folder: Path,
    name: str,
    *,
    database: str,
    fresh: bool = False,
    progress: Progress = silent,
) -> Work:
    """Take a run in hand, with what earlier processes left of it.

    Args:
        means: what it shares with others.
        settings: what is asked for.
        asked: what ``make_orders`` makes of that.
        folder: of the run, which exists.
        name: in the database.
        database: a file, or the URL of a server.
        fresh: nothing is there of it yet.
        progress: told of progress.

    Raises:
        DiscoveryError: the database cannot be used.
    """
    orders, notes = asked
    store = CrystalDatabase(database, name, settings.name)
    candidates, failures = ({}, []) if fresh else store.load()
    clock = Clock.open(folder / CLOCK, settings.minutes)
    return Work(
        *(settings, means.model, orders, means.hull, means.known, store, clock, candidates, failures),
        folder=folder,
        progress=progress,
        notes=(*notes, *means.hull.notes(settings.system)),
    )
