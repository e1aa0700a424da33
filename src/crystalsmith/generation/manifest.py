"""The manifest of a run: what it is made of, with what, and how it went."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from crystalsmith import __version__
from crystalsmith.errors import OutputError
from crystalsmith.orders.limits import LETTERS, MAX_TRIES, choose_sampler, resolve_letters
from crystalsmith.orders.order import Order

FORMAT = 1

MANIFEST = "manifest.json"


def run_identity(
    orders: Sequence[Order],
    *,
    seed: int,
    checkpoint: str,
    method: str = "default",
    sampler: str | None = None,
    steps: int | None = None,
    max_tries: int = MAX_TRIES,
    letters: str = LETTERS[0],
    best_of: int = 1,
    judges: Sequence[str] = (),
    potential: str | None = None,
) -> dict[str, Any]:
    """What makes two runs the same: everything that a crystal depends on, in plain JSON types.

    The method is not told apart from the checkpoint, which is of one method. Drafts, judges and potential
    stand in it only where there are judges.
    """
    name, number = choose_sampler(method, sampler, steps)
    ranking = {"best_of": best_of, "judges": list(judges), "potential": potential}
    return {
        "version": __version__,
        "checkpoint": checkpoint,
        "seed": seed,
        "sampler": name,
        "steps": number,
        "max_tries": max_tries,
        "letters": resolve_letters(letters),
        "orders": [order.to_mapping() for order in orders],
    } | (ranking if judges else {})


def read_manifest(path: Path, *, overwrite: bool = False) -> dict[str, Any] | None:
    """The manifest of the run in a folder; None where there is none.

    Args:
        path: the folder.
        overwrite: take one that cannot be understood for none.

    Raises:
        OutputError: it cannot be understood.
        OSError: it cannot be read.
    """
    file = path / MANIFEST
    if not file.exists():
        return None
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        run = manifest["run"]
        if (
            manifest["format"] == FORMAT
            and manifest["status"]
            and [(o["id"], o["count"]) for o in run["orders"]]
        ):
            float(manifest["timings"]["seconds"])
            return dict(manifest)
    except (ValueError, KeyError, TypeError):
        pass
    if overwrite:
        return None
    raise OutputError(
        f"{file} is not of a run of this version; choose another folder with -o or add --overwrite"
    )


_ANOTHER = {
    "version": "another version of crystalsmith",
    "orders": "other orders",
    "best_of": "another number of drafts",
    "judges": "other judges",
}
_SILENT = ("orders", "judges")
_UNRANKED: dict[str, Any] = {"best_of": 1, "judges": [], "potential": None}


def refuse_other_run(path: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Compare the identities of two runs.

    Raises:
        OutputError: they differ; the message says in what.
    """
    for key in {**new, **old}:
        before, value = (run.get(key, _UNRANKED.get(key)) for run in (old, new))
        if before != value:
            detail = "" if key in _SILENT else f": {before!s:.12} there, {value!s:.12} now"
            raise OutputError(
                f"folder {path} belongs to a run with {_ANOTHER.get(key, f'another {key}')}{detail};"
                " choose another one with -o or add --overwrite"
            )


def versions() -> dict[str, str]:
    """Versions of all that a crystal passes through."""
    found = {"crystalsmith": __version__, "python": platform.python_version()}
    for package in ("torch", "numpy", "ase", "pymatgen", "moyopy", "spglib"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
