"""What the kinds of job do, each by the function that its command calls too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from crystalsmith.runs.progress import Progress

Work = Callable[[dict[str, Any], Path, Any, Progress], None]


def generate(options: dict[str, Any], folder: Path, model: Any, progress: Progress) -> None:
    """Crystals to order."""
    from crystalsmith.generation.run import generate_into
    from crystalsmith.generation.settings import GenerateSettings

    orders = options.pop("orders")
    settings = GenerateSettings(**options)
    arguments = {"served": True, "orders": orders, **options}
    generate_into(orders, folder, settings, model=model, arguments=arguments, progress=progress)


WORK: Mapping[str, Work] = {"generate": generate}
