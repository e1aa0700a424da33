"""A run of discover that is killed (SIGKILL) at random moments, against an undisturbed one.

    python benchmarks/kill.py -k 20 -o kill

Every kill comes at a random moment after the last one; a run that ends before it has been killed so often is
followed by another one. The short lists and all candidates in the databases must come out the same.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ARGUMENTS = ["--competitors", "6", "--keep-energies", "10", "--keep-relaxed", "5", "--phonons", "1"]


def command(args: argparse.Namespace, folder: Path) -> list[str]:
    """The command of a small run."""
    more = ["--references", args.references] if args.references else []
    small = ["-n", str(args.crystals), "--workers", str(args.workers), "-o", str(folder), *ARGUMENTS]
    return [sys.executable, "-m", "crystalsmith", "discover", args.system, *small, *more]


def outcome(folder: Path) -> tuple[str, dict[str, Any]]:
    """The table, and every candidate of the database without what is only time."""
    import json

    from crystalsmith.discovery.database import CrystalDatabase

    run = json.loads((folder / "manifest.json").read_text())["id"]
    candidates, _ = CrystalDatabase(str(folder / "crystals.db"), run).load()
    plain = {name: c.to_dict() for name, c in candidates.items()}
    for c in plain.values():
        for part in (c["phonons"], c["elastic"]):
            if part:
                part.pop("seconds", None)
    return (folder / "candidates.csv").read_text(), plain


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-k", type=int, default=20, help="kills")
    parser.add_argument("-o", "--output", default="kill")
    parser.add_argument("--system", default="Al-K-Pd")
    parser.add_argument("--crystals", type=int, default=30)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--references")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    root = Path(args.output)
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    began = time.monotonic()
    subprocess.run(command(args, root / "undisturbed"), check=True, stdout=subprocess.DEVNULL)
    whole = time.monotonic() - began
    table, candidates = outcome(root / "undisturbed")
    print(f"undisturbed: {whole:.0f} s, {len(candidates)} candidates, {table.count(chr(10)) - 1} listed")
    kills = same = runs = 0
    while kills < args.k:
        folder = root / f"killed-{runs}"
        while True:
            process = subprocess.Popen(
                command(args, folder),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                status = process.wait(rng.uniform(3, 0.4 * whole) if kills < args.k else None)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
                continue
            if status != 0:
                raise SystemExit(f"exit status {status} on going on in {folder}")
            break
        runs += 1
        equal = outcome(folder) == (table, candidates)
        same += equal
        print(f"run {runs}: after {kills} kills in all, {'the same' if equal else 'DIFFERENT'}", flush=True)
    print(f"{kills} kills, {runs} runs, {same} of them ended as the undisturbed one")


if __name__ == "__main__":
    main()
