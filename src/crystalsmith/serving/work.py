"""What the kinds of job do, each by the function that its command calls too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from crystalsmith.runs.pool import available_cores
from crystalsmith.runs.progress import Progress

Work = Callable[[dict[str, Any], dict[str, Any], Path, Any, Progress], None]
"""Of options, data, folder, model and progress."""


def generate(
    options: dict[str, Any], data: dict[str, Any], folder: Path, model: Any, progress: Progress
) -> None:
    """Crystals to order."""
    from crystalsmith.generation.run import generate_into
    from crystalsmith.generation.settings import GenerateSettings

    settings = GenerateSettings(**{k: v for k, v in options.items() if k != "orders"})
    generate_into(options["orders"], folder, settings, model=model, arguments=options, progress=progress)


def relax(
    options: dict[str, Any], data: dict[str, Any], folder: Path, model: Any, progress: Progress
) -> None:
    """Crystals relaxed with a potential."""
    from crystalsmith.crystal import Crystal
    from crystalsmith.potentials.run import relax_into
    from crystalsmith.potentials.settings import RelaxSettings, Resources

    resources = Resources(options.get("potential", "chgnet"), workers())
    settings = RelaxSettings(**{k: v for k, v in options.items() if k != "potential"})
    crystals = {name: Crystal.from_dict(one) for name, one in data["crystals"].items()}
    relax_into(crystals, folder, settings, resources, arguments=options, progress=progress)


def solve(
    options: dict[str, Any], data: dict[str, Any], folder: Path, model: Any, progress: Progress
) -> None:
    """A structure from a powder pattern."""
    from crystalsmith.serving.plain_patterns import pattern_of
    from crystalsmith.solving.run import solve_into
    from crystalsmith.solving.settings import SolveSettings

    pattern = pattern_of(data["pattern"], data["name"], options.get("radiation"), options.get("axis"))
    # The pattern that is handed over is in 2theta, whatever the columns were.
    settings = SolveSettings(**{**options, "axis": None})
    solve_into(pattern, folder, settings, model=model, arguments=options, progress=progress)


def discover(
    options: dict[str, Any], data: dict[str, Any], folder: Path, model: Any, progress: Progress
) -> None:
    """A chemical system searched."""
    from crystalsmith.discovery.run import discover_into
    from crystalsmith.serving.kinds import discovery_settings

    settings = discovery_settings(options)
    discover_into(settings, folder, model=model, arguments=options, workers=workers(), progress=progress)


def hull(options: dict[str, Any], data: dict[str, Any], folder: Path, model: Any, progress: Progress) -> None:
    """The phases of a system, and where candidates lie among them."""
    from crystalsmith.serving.phases import place_into

    place_into(options, data["candidates"], folder, progress)


def workers() -> int:
    """Processes of a job: one core is left to the page."""
    return max(1, available_cores() - 1)


WORK: Mapping[str, Work] = {
    "generate": generate,
    "relax": relax,
    "solve": solve,
    "discover": discover,
    "hull": hull,
}
