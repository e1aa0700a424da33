"""The process that reads one upload, with little memory, time and disk, and prints it as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from crystalsmith.errors import CrystalsmithError

MEMORY = 4 << 30
"""Bytes of address space, of which libraries map much that they never use."""

CPU_SECONDS = 50
WRITTEN = 1 << 27
"""Bytes of a file that it may write: an archive's parts."""

MOST_CRYSTALS = 2000


def confine() -> None:
    """Give up what reading does not need."""
    try:
        import resource
    except ImportError:  # Windows: the time limit of the server alone
        return
    for what, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, WRITTEN),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        lower = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (lower, lower))


def read(words: dict[str, Any]) -> dict[str, Any]:
    """What the file holds, in plain data.

    Raises:
        CrystalsmithError: it cannot be read.
    """
    path = Path(words["path"])
    if words["what"] == "pattern":
        from crystalsmith.diffraction.readers.read import read_columns_of
        from crystalsmith.serving.plain_patterns import plain_columns

        return {"pattern": plain_columns(read_columns_of(path))}
    from crystalsmith.crystal.io import Limits, named_crystals
    from crystalsmith.runs.pool import Failed

    limits = Limits(
        structure=1 << 24, document=1 << 26, total=1 << 28, members=5000, depth=1, atoms=2000, seconds=20.0
    )
    found = named_crystals(path, limits)
    kept = list(found.items())[:MOST_CRYSTALS]
    return {
        "crystals": {name: c.to_dict() for name, c in kept if not isinstance(c, Failed)},
        "failures": {name: c.reason for name, c in kept if isinstance(c, Failed)},
    }


def main() -> int:
    """Read and print; exit status."""
    confine()
    out, sys.stdout = sys.stdout, sys.stderr
    try:
        answer = read(json.loads(sys.argv[1]))
    except CrystalsmithError as error:
        answer = {"error": " ".join(str(error).split())[:500]}
    except MemoryError:
        return 1
    except Exception as error:  # a reader of others, at an absurd file
        answer = {"error": f"the file cannot be read: {type(error).__name__}"}
    json.dump(answer, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
