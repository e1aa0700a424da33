"""Processes of a run under htex-local killed (SIGKILL) at random moments, against an undisturbed local run.

    python benchmarks/kills.py -k 54 -o kills

Victims are workers (idle or not), the processes in which they do their items, the one in which a manager
notes what they are at, managers, the interchange and the coordinator, found by a mark in their environment.
A coordinator that was killed is started again at once, while what it left behind may still live. The table
and the frames must come out the same, byte for byte, and the journal must hold every crystal once.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

MARK = "CRYSTALSMITH_KILLS"

WEIGHTS = {"worker": 5, "helper": 2, "notes": 1, "manager": 4, "interchange": 2, "coordinator": 4}
"""How often each part is the victim, of 18 kills."""

POTENTIAL = """
import time
from ase.calculators.emt import EMT
from ase.calculators.calculator import all_changes

class Slow(EMT):
    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        time.sleep(SECONDS)
        super().calculate(atoms, properties, system_changes)
"""


def marked(mark: str) -> dict[str, list[int]]:
    """Processes of a run by the part they play, each list in the order in which they began."""
    wanted, lines, ours = f"{MARK}={mark}".encode(), {}, set()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            status = (place / "stat").read_text().rsplit(")", 1)[1].split()
            if words:  # no zombie
                lines[int(place.name)] = (int(status[19]), words, int(status[1]))
            if wanted in (place / "environ").read_bytes().split(b"\0"):
                ours.add(int(place.name))
        except (OSError, ValueError):
            continue
    # The interchange writes its title over its environment.
    lines = {pid: line for pid, line in lines.items() if pid in ours or line[2] in ours}
    found: dict[str, list[int]] = {}
    for pid, (_, words, parent) in sorted(lines.items(), key=lambda line: line[1][0]):
        above = lines.get(parent, (0, "", 0))
        part = _part(words, above[1], lines.get(above[2], (0, "", 0))[1])
        if part == "worker" and not any(lines[p][2] == parent for p in found.get("notes", [])):
            part = "notes"  # a manager starts it before its workers
        found.setdefault(part, []).append(pid)
    return found


def _part(words: str, above: str, far_above: str) -> str:
    """By command line, that of the parent, and that of the parent's parent."""
    if words.startswith("/bin/") or "resource_tracker" in words:
        return "other"
    if "engines.manager" in words:
        return "manager"
    if "interchange" in words:
        return "interchange"
    if "-m crystalsmith relax" in words:
        return "coordinator"
    if "spawn_main" in words and "engines.manager" in above:
        return "worker"
    return "helper" if "spawn_main" in words and "engines.manager" in far_above else "other"


def deck(kills: int, rng: random.Random) -> list[str]:
    """Parts to kill, one after another."""
    parts = [part for part, weight in WEIGHTS.items() for _ in range(weight)]
    cards = [part for _ in range(-(-kills // len(parts))) for part in parts][:kills]
    rng.shuffle(cards)
    return cards


def write_crystals(path: Path, count: int) -> None:
    """Crystals of fcc metals, stretched by a little more each."""
    from crystalsmith.crystal import Crystal, Site
    from crystalsmith.crystal.io import write_crystals as write

    metals = (("Cu", 3.61), ("Ni", 3.52), ("Pd", 3.89), ("Pt", 3.92))
    crystals = {}
    for n in range(count):
        element, a = metals[n % 4]
        a *= 0.93 + 0.14 * (n * 37 % count) / count
        crystals[f"{element}{n:05d}"] = Crystal(225, (a, a, a, 90, 90, 90), (Site(element, "a"),))
    write(path, crystals)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-k", type=int, default=54, help="kills")
    parser.add_argument("-o", "--output", default="kills")
    parser.add_argument("-n", type=int, default=400, help="crystals of a run")
    parser.add_argument("--seconds", type=float, default=0.03, help="of a call of the potential")
    parser.add_argument("--pause", type=float, default=12.0, help="most seconds between two kills")
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds for all of it")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    root, rng, began = Path(args.output).resolve(), random.Random(args.seed), time.monotonic()
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    (root / "slow_potential.py").write_text(POTENTIAL.replace("SECONDS", str(args.seconds)))
    write_crystals(root / "crystals.jsonl", args.n)
    mark = f"{os.getpid()}"
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**os.environ, "PYTHONPATH": path, MARK: mark}
    words = "relax crystals.jsonl --potential slow_potential:Slow --only symmetric --workers 2 --quiet"
    base = [sys.executable, "-m", "crystalsmith", *words.split()]
    subprocess.run([*base, "-o", "undisturbed"], cwd=root, env=env, check=True)

    kills: Counter[str] = Counter()
    cards = deck(args.k, rng)
    runs = starts = 0
    equal: list[bool] = []
    errors: Counter[str] = Counter()
    while cards and time.monotonic() - began < args.limit:
        runs += 1
        folder = root / f"run{runs}"
        status = None
        while status != 0 and time.monotonic() - began < args.limit:
            command = [*base, "--engine", "htex-local", "-o", folder.name]
            with (root / "err.txt").open("w") as err:
                process = subprocess.Popen(command, cwd=root, env=env, stderr=err)
            starts += 1
            while (status := process.poll()) is None and time.monotonic() - began < args.limit:
                time.sleep(rng.uniform(0.5, args.pause))
                alive = marked(mark)
                if not cards or process.poll() is not None or "worker" not in alive:
                    continue  # before workers are there, nothing is at work
                if cards[-1] not in alive:
                    continue
                try:
                    os.kill(rng.choice(alive[cards[-1]]), signal.SIGKILL)
                except ProcessLookupError:
                    continue
                kills[cards.pop()] += 1
                print(f"{time.monotonic() - began:7.1f} s  {sum(kills.values())}", flush=True)
            if status not in (0, -signal.SIGKILL, None):
                errors[(root / "err.txt").read_text().strip()[-300:]] += 1
        if status != 0:
            break  # out of time
        ids = [json.loads(line)["name"] for line in (folder / "journal.jsonl").open()]
        same = all(
            filecmp.cmp(root / "undisturbed" / f, folder / f, shallow=False)
            for f in ("relaxed.csv", "relaxed.extxyz")
        )
        equal.append(same and len(ids) == len(set(ids)) == args.n)
        print(f"run {runs}: {dict(kills)} starts {starts} same {same} rows {len(ids)}", flush=True)
    time.sleep(10)
    left = marked(mark)
    for pid in (pid for pids in left.values() for pid in pids):
        os.kill(pid, signal.SIGKILL)
    result = {
        "kills": dict(kills),
        "runs": len(equal),
        "starts": starts,
        "equal": sum(equal),
        "errors": dict(errors),
        "left_behind": {k: len(v) for k, v in left.items()},
        "seconds": round(time.monotonic() - began, 1),
    }
    (root / "kills.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
