"""Seconds per crystal, crystals per second in training, cold start of the command line.

python benchmarks/speed.py mp20_test.safetensors --train mp_train.safetensors
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from crystalsmith.allocator import keep_freed_memory
from crystalsmith.data import Dataset
from crystalsmith.diffusion import Request, load_model


def generation(data: Dataset, threads: int) -> None:
    """Time of one batch of 64 orders of median size, the default sampler."""
    torch.set_num_threads(threads)
    model = load_model()
    atoms = np.asarray(data.arrays["atoms"], int)
    median = int(np.median(atoms))
    rows = np.flatnonzero(atoms == median)[:64]
    requests = [
        Request(c.space_group, tuple((s.element, s.letter) for s in c.sites))
        for c in (data[int(i)] for i in rows)
    ]
    model.sample(requests[:4], list(range(4)))
    start = time.time()
    model.sample(requests, list(range(len(requests))))
    seconds = time.time() - start
    orbits = np.mean([r.n_orbits for r in requests])
    print(
        f"generation, {threads} thread(s): {seconds / len(requests):.4f} s a crystal, batch {len(requests)}, "
        f"{median} atoms, {orbits:.1f} orbits on average"
    )


def training(path: str, processes: int, compiled: bool) -> None:
    """Crystals a second over some 200 steps, without start-up."""
    from crystalsmith.training import train

    with tempfile.TemporaryDirectory() as out:
        base = {
            "train": path,
            "validation": path,
            "out": out,
            "processes": processes,
            "compile": compiled,
            "validate_every": 10**6,
            "save_every": 10**6,
        }
        train({**base, "crystals": 4_000}, quiet=True)
        (Path(out) / "state.safetensors").unlink()
        times = []
        for crystals in (4_000, 16_000):
            start = time.time()
            train({**base, "crystals": crystals}, quiet=True)
            times.append(time.time() - start)
            (Path(out) / "state.safetensors").unlink()
    print(
        f"training, {processes} process(es), compile={compiled}: "
        f"{12_000 / (times[1] - times[0]):.0f} crystals/s"
    )


def cold_start() -> None:
    """--help, and generate up to the first CIF, each in a new process."""
    command = [sys.executable, "-m", "crystalsmith"]
    start = time.time()
    subprocess.run([*command, "--help"], check=True, capture_output=True)
    print(f"--help: {time.time() - start:.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        start = time.time()
        run = subprocess.Popen(
            [
                *command,
                "generate",
                "--space-group",
                "225",
                "--sites",
                "Na=1,Cl=1",
                "-n",
                "1",
                "-o",
                folder + "/out",
                "--quiet",
            ]
        )
        while not list(Path(folder).glob("out/cif/*.cif")) and run.poll() is None:
            time.sleep(0.02)
        print(f"generate to the first CIF: {time.time() - start:.2f} s")
        run.wait()


def main() -> None:
    """Parse arguments and run."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("--train")
    a = p.parse_args()
    keep_freed_memory()
    cold_start()
    data = Dataset.open(a.data)
    for threads in (1, 2):
        generation(data, threads)
    if a.train:
        for processes, compiled in ((1, False), (1, True)):
            training(a.train, processes, compiled)


if __name__ == "__main__":
    main()
