"""What makes runs of relaxations the same, and whose folder it is."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from crystalsmith import __version__
from crystalsmith.crystal import Crystal
from crystalsmith.errors import OutputError
from crystalsmith.potentials.calculators import package_of
from crystalsmith.potentials.stages import Settings
from crystalsmith.runs.atomic import TEMPORARY, writing
from crystalsmith.runs.lock import LOCK
from crystalsmith.runs.pool import Failed

KIND, FORMAT = "relaxation", 1
MANIFEST, JOURNAL = "manifest.json", "journal.jsonl"
TABLE, FRAMES, CIFS = "relaxed.csv", "relaxed.extxyz", "cif"

_ANOTHER = {"version": "another version of crystalsmith", "crystals": "other crystals"}


def relax_identity(
    crystals: Mapping[str, Crystal | Failed], potential: str, settings: Settings
) -> dict[str, Any]:
    """What makes two runs the same: crystals by name (or why there is none), potential and settings."""
    digest = hashlib.sha256()
    for name, crystal in crystals.items():
        content = crystal.reason if isinstance(crystal, Failed) else crystal.to_dict()
        digest.update(json.dumps([name, content], sort_keys=True).encode())
    return {
        "version": __version__,
        "potential": potential,
        **settings.to_json(),
        "crystals": digest.hexdigest(),
    }


def check_folder(path: Path, identity: Mapping[str, Any], *, overwrite: bool) -> dict[str, Any] | None:
    """The manifest of the same run in a folder; None where the run can begin there. Nothing is written.

    Raises:
        OutputError: the folder holds other files, another run, or is none.
    """
    with writing(path):
        if path.exists() and not path.is_dir():
            raise OutputError(f"{path} is a file; choose a folder with -o")
        file = path / MANIFEST
        if not file.exists():
            foreign = path.exists() and any(
                p.name != LOCK and not p.name.endswith(TEMPORARY) for p in path.iterdir()
            )
            if foreign and not overwrite:
                raise OutputError(
                    f"folder {path} is not empty and holds no relaxations; choose another one with -o or add"
                    " --overwrite"
                )
            return None
        try:
            text = file.read_text(encoding="utf-8")
            manifest = dict(json.loads(text))
            ours = manifest["kind"] == KIND and manifest["format"] == FORMAT
            old = dict(manifest["run"])
            ours = ours and bool(manifest["status"]) and float(manifest["timings"]["seconds"]) >= 0
        except (ValueError, KeyError, TypeError):
            ours = False
        if not ours:
            raise OutputError(f"{file} is not of relaxations of this version; choose another folder with -o")
    if overwrite:
        return manifest
    for key in {**identity, **old}:
        if old.get(key) != identity.get(key):
            detail = (
                "" if key == "crystals" else f": {old.get(key)!s:.30} there, {identity.get(key)!s:.30} now"
            )
            raise OutputError(
                f"folder {path} belongs to a run with {_ANOTHER.get(key, f'another {key}')}{detail};"
                " choose another one with -o or add --overwrite"
            )
    return manifest


def clear(path: Path) -> None:
    """Remove the files of a run, the manifest last so that a removal that is cut off can be repeated."""
    journal, names = path / JOURNAL, []
    if journal.exists():
        for line in journal.read_bytes().splitlines():
            try:
                names.append(str(json.loads(line)["name"]))
            except (ValueError, KeyError, TypeError):
                continue
    cifs = [file for file in (path / CIFS).glob("*.cif") if file.stem in set(names)]
    for file in [*cifs, path / FRAMES, path / TABLE, journal, path / MANIFEST]:
        file.unlink(missing_ok=True)


def versions(potential: str) -> dict[str, str]:
    """Versions of all that a crystal passes through."""
    found = {"crystalsmith": __version__, "python": platform.python_version()}
    for package in ("numpy", "scipy", "torch", "ase", "moyopy", "spglib", package_of(potential)):
        try:
            found[package] = metadata.version(package) if package else ""
        except metadata.PackageNotFoundError:
            continue
    found.pop("", None)
    return found
