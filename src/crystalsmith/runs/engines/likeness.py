"""Whether a worker somewhere else runs the same code as the run that asks it, down to the last file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

from crystalsmith.runs.versions import versions

_POTENTIALS = ("chgnet", "sevenn", "mace-torch", "phonopy")
_CODE = (".py", ".json", ".npz", ".safetensors")
_FILE, _MODULE, _MISSING = "file ", "module ", "missing"

_relied_on: dict[str, None] = {}
"""Files and modules of the user's own that results of this process depend on."""


@cache
def likeness() -> dict[str, str]:
    """Versions of all that may change a result, and a digest of the code and data of this package."""
    found = versions(*_POTENTIALS)
    found["python"] = ".".join(found["python"].split(".")[:2])
    found["crystalsmith"] += f" (files {_digest(Path(__file__).resolve().parents[2])})"
    return found


def rely_on_file(path: str) -> None:
    """Results depend on a file from now on; every worker must have the same under this path."""
    _relied_on[_FILE + path] = None


def rely_on_module(name: str) -> None:
    """Results depend on a module from now on; its source must be the same for every worker."""
    _relied_on[_MODULE + name] = None


def of_asker(function: bytes) -> dict[str, str]:
    """What a run asks of its workers: its likeness, and digests of the files that it relies on.

    Args:
        function: what they are to do, pickled. Files and modules that it does not name are of other runs of
            this process.
    """
    named = [name for name in _relied_on if name.partition(" ")[2].encode() in function]
    return {**likeness(), **{name: _content(name) for name in named}}


def of_worker(asker: Mapping[str, str]) -> dict[str, str]:
    """The likeness of this process, and digests of the files that the run relies on, as they are here."""
    return {**likeness(), **{name: _content(name) for name in asker if name.startswith((_FILE, _MODULE))}}


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


def _content(name: str) -> str:
    """Digest of a file or of a module's source, as they are now."""
    try:
        path = Path(name.removeprefix(_FILE)) if name.startswith(_FILE) else _source(name)
        status = path.stat()
        return _sha256(path, status.st_mtime_ns, status.st_size)
    except (OSError, ImportError, ValueError):
        return _MISSING


@lru_cache(maxsize=16)
def _sha256(path: Path, changed: int, size: int) -> str:
    """Args: path; when it was changed and its size, at which it need not be read again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def _source(name: str) -> Path:
    """Where a module's source is, found without the import of what it is inside of."""
    first, *parts = name.removeprefix(_MODULE).split(".")
    spec, whole = find_spec(first), first
    for part in parts:
        whole = f"{whole}.{part}"
        spec = spec and PathFinder.find_spec(whole, spec.submodule_search_locations)
    if spec is None or spec.origin is None:
        raise ImportError(name)
    return Path(spec.origin)
