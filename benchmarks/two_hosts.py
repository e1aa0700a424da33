"""A run whose workers are on another host, to which the link is cut and restored, against an undisturbed run.

    sudo python benchmarks/two_hosts.py -o hosts

The hosts are two network namespaces of this machine, joined by a pair of virtual interfaces (Linux, root,
iproute2). Tables and frames must come out the same, byte for byte, and the journal must hold every crystal
once; where workers cannot reach the coordinator, the run must end and say which address they tried.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kills import POTENTIAL, write_crystals

ADDRESSES = ("10.201.77.1", "10.201.77.2")

SITE = """
import os
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.jobs.error_handlers import windowed_error_handler
from parsl.launchers.base import Launcher
from crystalsmith.runs.engines.on_this_machine import OnThisMachine
from crystalsmith.runs.engines.site_values import HEARTBEAT, SILENCE

class There(Launcher):
    def __call__(self, command, *more):
        return "ip netns exec " + os.environ["THERE"] + " " + command

def site(workers, folder):
    return Config(executors=[HighThroughputExecutor(
        label="there", address=os.environ.get("ADDRESS"), max_workers_per_node=workers or 1,
        cores_per_worker=0.01, heartbeat_period=HEARTBEAT, heartbeat_threshold=SILENCE,
        provider=OnThisMachine(launcher=There()), block_error_handler=windowed_error_handler)])
"""


def ip(words: str) -> None:
    """Raises: CalledProcessError: it cannot be done."""
    subprocess.run(["ip", *words.split()], check=True, capture_output=True)


@contextmanager
def two_hosts(name: str) -> Iterator[tuple[str, str]]:
    """Namespaces NAME-a and NAME-b, joined by a link (interface ``between`` of each)."""
    hosts = (f"{name}-a", f"{name}-b")
    try:
        for host in hosts:
            ip(f"netns add {host}")
        ip(f"link add between netns {hosts[0]} type veth peer name between netns {hosts[1]}")
        for host, address in zip(hosts, ADDRESSES, strict=True):
            ip(f"-n {host} address add {address}/24 dev between")
            ip(f"-n {host} link set lo up")
            ip(f"-n {host} link set between up")
        yield hosts
    finally:
        for host in hosts:
            subprocess.run(["ip", "netns", "delete", host], check=False, capture_output=True)


def rows(folder: Path) -> list[str]:
    """Names of the crystals in the journal."""
    try:
        with (folder / "journal.jsonl").open() as lines:
            return [json.loads(line)["name"] for line in lines if line.endswith("\n")]
    except FileNotFoundError:
        return []


def run(
    command: list[str], root: Path, env: dict[str, str], folder: Path, cuts: list[float], here: str
) -> dict[str, object]:
    """A run, cut off for so many seconds each time another part of its crystals is done."""
    began, error = time.monotonic(), (root / "err.txt").open("w+")
    process = subprocess.Popen(command, cwd=root, env=env, stderr=error)
    waiting = list(cuts)
    while process.poll() is None:
        time.sleep(0.5)
        share = (len(cuts) - len(waiting) + 1) / (len(cuts) + 2)
        if waiting and len(rows(folder)) >= share * int(env["CRYSTALS"]):
            ip(f"-n {here} link set between down")
            time.sleep(waiting.pop(0))
            ip(f"-n {here} link set between up")
    error.seek(0)
    ids = rows(folder)
    return {
        "status": process.returncode,
        "cuts": cuts,
        "missed": len(waiting),
        "rows": len(ids),
        "doubled": len(ids) - len(set(ids)),
        "seconds": round(time.monotonic() - began, 1),
        "said": error.read().strip()[-400:],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", default="hosts")
    parser.add_argument("-n", type=int, default=120, help="crystals of a run")
    parser.add_argument("--seconds", type=float, default=0.05, help="of a call of the potential")
    parser.add_argument("--short", type=float, default=20.0, help="seconds of a cut that nobody may notice")
    parser.add_argument("--long", type=float, default=100.0, help="of one after which the other host is lost")
    parser.add_argument("--only", nargs="*", help="some of: undisturbed short long several wrong unreachable")
    args = parser.parse_args()
    root = Path(args.output).resolve()
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    (root / "slow_potential.py").write_text(POTENTIAL.replace("SECONDS", str(args.seconds)))
    (root / "site.py").write_text(SITE)
    write_crystals(root / "crystals.jsonl", args.n)
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    words = "relax crystals.jsonl --potential slow_potential:Slow --only symmetric --workers 2 --quiet"
    base = [sys.executable, "-m", "crystalsmith", *words.split()]
    results = {}
    with two_hosts(f"crystals{os.getpid()}") as (here, there):
        env = {**os.environ, "PYTHONPATH": path, "THERE": there, "CRYSTALS": str(args.n)}
        subprocess.run([*base, "-o", "local"], cwd=root, env=env, check=True)
        for name, address, cuts in (
            ("undisturbed", None, []),
            ("short", None, [args.short]),
            ("long", None, [args.long]),
            ("several", None, [args.short, args.long, args.short / 4, args.short]),
            ("wrong", "10.201.78.1", []),  # not of this host
            ("unreachable", "127.0.0.1", []),  # of this host, and of the other one too
        ):
            if args.only and name not in args.only:
                continue
            added = {"ADDRESS": address} if address else {}
            command = ["ip", "netns", "exec", here, *base, "--engine", "parsl:site.py", "-o", name]
            result = run(command, root, {**env, **added}, root / name, cuts, here)
            result["equal"] = all(
                (root / name / file).is_file()
                and filecmp.cmp(root / "local" / file, root / name / file, shallow=False)
                for file in ("relaxed.csv", "relaxed.extxyz")
            )
            results[name] = result
            print(json.dumps({name: result}), flush=True)
    (root / "two_hosts.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
