"""``discover`` over many chemical systems: seconds a system, and what the run itself costs for each of many.

``time LIST`` searches a list of systems for real, a few crystals of each, and says what 1,000 would take.
``empty`` takes made-up systems to the end without any search: what the run itself costs for each of them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from itertools import combinations, islice
from pathlib import Path

from crystalsmith.diffusion import load_model
from crystalsmith.discovery import DiscoverySettings, many
from crystalsmith.discovery.systems import named_systems
from crystalsmith.errors import OrderError
from crystalsmith.hull import Hull, shipped

MANY = 1000

ELEMENTS = "Li O Na Mg Al Si P S K Ca Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge Sr Zr Nb Mo".split()

SYSTEMS = (
    *("Li-O", "Mg-Si", "Na-Cl", "Ti-N", "Ca-F", "Al-Ni", "Zn-S", "Cu-Au", "K-Br", "Fe-Si"),
    *("Mg-O", "Sr-Ti", "Ba-F", "Ga-As"),
)


def timed(count: int, crystals: int, workers: int) -> dict[str, float]:
    """Search real systems with the potential that ships; seconds by place."""
    settings = DiscoverySettings(
        ("Li", "O"),
        crystals=crystals,
        competitors=0,
        max_atoms=8,
        keep_energies=crystals // 2,
        keep_relaxed=crystals // 4,
        phonons=0,
    )
    ends = []
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        many.discover_systems_into(
            named_systems(SYSTEMS[:count]),
            settings,
            Path(folder, "run"),
            workers=workers,
            finished=lambda row: ends.append(time.monotonic() - began),
        )
        whole = time.monotonic() - began
    each = whole / count
    return {"systems": count, "seconds": whole, "a system": each, f"hours for {MANY:,}": each * MANY / 3600}


def empty(count: int) -> dict[str, float]:
    """Seconds for systems that all end before their first candidate: journal, index, progress."""
    elements = [e for e in ELEMENTS if not Hull(shipped("chgnet")).missing([e])]
    names = ["-".join(c) for c in islice(combinations(elements, 3), count)]

    def no_orders(*arguments: object) -> None:
        raise OrderError("no search")

    many.make_orders = no_orders  # type: ignore[assignment]
    settings = DiscoverySettings(("Li", "O"), phonons=0)
    with tempfile.TemporaryDirectory() as folder:
        model = load_model()
        began = time.monotonic()
        many.discover_systems_into(named_systems(names), settings, Path(folder, "run"), model=model)
        whole = time.monotonic() - began
    return {"systems": count, "seconds": whole, "ms a system": 1000 * whole / count}


def main() -> None:
    """Print what was asked for as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("time", "empty"))
    parser.add_argument("-n", type=int, default=8, help="systems")
    parser.add_argument("--crystals", type=int, default=12, help="of each system")
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    found = timed(args.n, args.crystals, args.workers) if args.part == "time" else empty(args.n)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
