"""Whether a worker somewhere else runs the same code as the run that asks it, down to the last file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from crystalsmith.runs.versions import versions

_POTENTIALS = ("chgnet", "sevenn", "mace-torch", "phonopy")
_CODE = (".py", ".json", ".npz", ".safetensors")


@cache
def likeness() -> dict[str, str]:
    """Versions of all that may change a result, and a digest of the code and data of this package."""
    found = versions(*_POTENTIALS)
    found["python"] = ".".join(found["python"].split(".")[:2])
    found["crystalsmith"] += f" (files {_digest(Path(__file__).resolve().parents[2])})"
    return found


def difference(theirs: Mapping[str, str], ours: Mapping[str, str]) -> str:
    """How two likenesses differ, in a few words; empty where they do not.

    Args:
        theirs: of the run that asks.
        ours: of the worker.
    """
    names = [name for name in {**theirs, **ours} if theirs.get(name) != ours.get(name)]
    if not names:
        return ""
    name = "crystalsmith" if "crystalsmith" in names else names[0]
    return f"{name} {theirs.get(name, 'not installed')} here and {ours.get(name, 'not installed')} there"


def _digest(folder: Path) -> str:
    """Of the sources whole; of data their size, which is enough to tell one release's from another's."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in _CODE):
        content = path.read_bytes() if path.suffix == ".py" else str(path.stat().st_size).encode()
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + content + b"\0")
    return digest.hexdigest()[:8]
