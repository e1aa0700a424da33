"""What a folder says of the run in it: manifests of this and of earlier versions.

Earlier versions wrote no kind for ``generate``, ``run.json`` for ``discover``, and nothing but their results
for ``rediscover``, ``phonons`` and ``train``; such folders get the manifest that they would have today.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"

_BROKEN = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


def read_manifest(path: str | Path) -> dict[str, Any] | None:
    """The manifest of the run in a folder, of any kind and age; None where there is none to understand."""
    with suppress(*_BROKEN):
        manifest = find_manifest(Path(path))[1]
        if manifest and manifest["status"] and isinstance(manifest["run"], dict):
            return manifest
    return None


def kind_of(path: str | Path) -> str | None:
    """The kind of run in a folder, such as ``generation``; None if there is none."""
    manifest = read_manifest(path)
    return None if manifest is None else str(manifest["kind"])


def find_manifest(path: Path) -> tuple[Path | None, dict[str, Any] | None]:
    """The file that makes a folder a run's, and the manifest; None for one that cannot be understood.

    Raises:
        OSError: the folder cannot be read.
    """
    file = path / MANIFEST
    if file.exists():
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            if isinstance(found, dict) and ("kind" in found or ("run" in found and "status" in found)):
                return file, {"kind": "generation"} | found
        except (ValueError, RecursionError):
            pass
        return file, None
    for name, understand in _EARLIER.items():
        for file in islice(sorted(path.glob(name)), 3):
            try:
                return file, {"format": 1, "arguments": {}, "timings": {"seconds": 0.0}} | understand(file)
            except _BROKEN:
                if name in ("run.json", "trials.jsonl"):
                    return file, None
    return None, None


def _discovery(file: Path) -> dict[str, Any]:
    run = json.loads(file.read_text(encoding="utf-8"))
    if not str(run["format"]).endswith(".discovery"):
        raise ValueError("of another program")
    seconds = 0.0
    with suppress(*_BROKEN):
        clock = json.loads(file.with_name("clock.json").read_text(encoding="utf-8"))
        seconds = float(sum(clock["seconds"].values()))
    done = file.with_name("report.html").exists()
    return {
        "kind": "discovery",
        "status": "finished" if done else "running",
        "run": dict(run["identity"]),
        "id": str(run["id"]),
        "versions": run.get("versions", {}),
        "arguments": run.get("arguments", {}),
        "timings": {"seconds": seconds},
    }


def _rediscovery(file: Path) -> dict[str, Any]:
    done = file.with_name("results.json").exists()
    return {"kind": "rediscovery", "status": "finished" if done else "running", "run": {}}


def _training(file: Path) -> dict[str, Any]:
    kind = "prior" if file.name.startswith("prior") else "training"
    return {"kind": kind, "status": "running", "run": {}}


def _phonons(file: Path) -> dict[str, Any]:
    made_with = json.loads(file.read_text(encoding="utf-8"))["made_with"]
    return {"kind": "phonons", "status": "running", "run": {}, "made_with": dict(made_with)}


_EARLIER: dict[str, Callable[[Path], dict[str, Any]]] = {
    "run.json": _discovery,
    "trials.jsonl": _rediscovery,
    "state.safetensors": _training,
    "prior-state.safetensors": _training,
    "*.json": _phonons,
}
"""Of runs without a manifest: the files that tell of them, as patterns."""
