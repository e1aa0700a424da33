"""Seconds that orders for large crystals take, part by part.

    python benchmarks/large.py --checkpoint model.safetensors

For each order: finding the cells that may be, the prior's list (drafting), and the whole of ``generate``
into a folder with ranking, symmetry, duplicates, CIFs and the report; and what drafting is of it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from crystalsmith.diffusion import load_model
from crystalsmith.generation.drafts import drafter_of
from crystalsmith.generation.run import generate_into
from crystalsmith.generation.settings import GenerateSettings
from crystalsmith.orders import Order, sort_out

ORDERS: dict[str, dict[str, Any]] = {
    "small: NaCl": {"formula": "NaCl"},
    "olivine": {"formula": "Mg2SiO4"},
    "bixbyite": {"formula": "Y2O3"},
    "garnet": {"formula": "Mg3Al2Si3O12"},
    "a ternary of 200 atoms": {"formula": "Y2Ti2O6", "atoms": 200},
    "a system up to 120 atoms": {"system": "Mg-Al-O", "max_atoms": 120},
}


def main() -> None:
    """Parse arguments, time, print."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--checkpoint")
    p.add_argument("-n", type=int, default=8, help="crystals of each order")
    p.add_argument("--only", help="orders whose name holds this")
    a = p.parse_args()
    model = load_model(a.checkpoint)
    warm = Order(formula="TiO2", atoms=6)
    drafter_of(model, "likely").draft(warm, 0, np.random.default_rng(0), 1)
    print(f"{'order':28} {'check':>8} {'draft':>8} {'generate':>9} {'drafting':>9}  likeliest")
    for name, given in ORDERS.items():
        if a.only and a.only not in name:
            continue
        order = Order(**given, count=a.n)
        began = time.perf_counter()
        sort_out([order], model)
        check = time.perf_counter() - began
        drafter = drafter_of(model, "likely")
        began = time.perf_counter()
        rng = np.random.default_rng(0)
        requests = [drafter.draft(order, i, rng, 1) for i in range(a.n)]
        draft = time.perf_counter() - began
        first = requests[0]
        drafter, began = drafter_of(model, "likely"), time.perf_counter()
        rng = np.random.default_rng(0)
        requests = [drafter.draft(order, i, rng, 1) for i in range(a.n)]
        again = time.perf_counter() - began
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            generate_into([order], Path(folder) / "run", GenerateSettings(), model=model)
            whole = time.perf_counter() - began
        # ``generate`` drafts again, with what the first call worked out at hand.
        whole += check + draft - again
        share = 100 * (check + draft) / whole
        letters = " ".join(f"{e}{letter}" for e, letter in first.sites[:8])
        what = f"group {first.space_group}, {first.n_atoms} atoms, {letters}"
        print(f"{name:28} {check:8.2f} {draft:8.2f} {whole:9.2f} {share:7.0f} %  {what}", flush=True)


if __name__ == "__main__":
    main()
